//! Lookup: a tree over path segments whose leaves are candidates in order of precedence.
//!
//! The best candidate is not always down the first branch (`/a/{x}/c/d` beats `/a/b/**`), so both the literal and the
//! parameter branch are looked at; a branch that cannot do better than what was found is left out. No allocation, and never
//! more steps than the tree has nodes.

use std::collections::HashMap;

use http::Method;

use crate::proxy::route::pattern::{End, Pattern, Segment};

/// All patterns, by host.
#[derive(Debug, Default)]
pub(super) struct Tree {
    any_host: Branches,
    by_host: HashMap<Box<str>, Branches>,
}

/// What is to be found: a route and the methods it is bound to.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// Its place in the order of precedence; smaller wins.
    pub(super) rank: usize,
    /// The methods it is bound to; none is any.
    pub(super) methods: Vec<Method>,
}

/// The patterns of one host; the first node is the root.
#[derive(Debug)]
struct Branches {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by segment.
    literals: Vec<(Box<str>, usize)>,
    parameter: Option<usize>,
    /// Candidates for a path that ends here, by rank.
    here: Vec<Candidate>,
    /// Candidates for a path that ends here or goes on, by rank.
    below: Vec<Candidate>,
    /// The smallest rank in this node and all after it.
    best: usize,
}

impl Tree {
    /// Adds a pattern. Candidates must be added by ascending rank.
    pub(super) fn insert(&mut self, host: Option<&str>, pattern: &Pattern, candidate: Candidate) {
        let branches = match host {
            None => &mut self.any_host,
            Some(host) => self.by_host.entry(host.into()).or_default(),
        };
        branches.insert(pattern, candidate);
    }

    /// The smallest rank that matches.
    pub(super) fn find(&self, host: &str, key: &str, method: &Method) -> Option<usize> {
        let mut search = Search { method, found: None };
        let path = key.strip_prefix('/')?;
        if !self.by_host.is_empty()
            && let Some(branches) = self.by_host.get(host)
        {
            search.visit(branches, ROOT, Some(path));
        }
        search.visit(&self.any_host, ROOT, Some(path));
        search.found
    }
}

impl Default for Branches {
    fn default() -> Self {
        Self { nodes: vec![Node { best: usize::MAX, ..Node::default() }] }
    }
}

impl Branches {
    fn insert(&mut self, pattern: &Pattern, candidate: Candidate) {
        let mut at = ROOT;
        self.improve(at, candidate.rank);
        for segment in &pattern.segments {
            at = self.child(at, segment);
            self.improve(at, candidate.rank);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            match pattern.end {
                End::Here => node.here.push(candidate),
                End::Below => node.below.push(candidate),
            }
        }
    }

    fn improve(&mut self, at: usize, rank: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.best = node.best.min(rank);
        }
    }

    /// The node after `at` along `segment`, made when it is not there.
    fn child(&mut self, at: usize, segment: &Segment) -> usize {
        let fresh = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        let child = match segment {
            Segment::Parameter => *node.parameter.get_or_insert(fresh),
            Segment::Literal(text) => match node.literals.binary_search_by(|(known, _)| known.cmp(text)) {
                Ok(place) => node.literals.get(place).map_or(fresh, |(_, child)| *child),
                Err(place) => {
                    node.literals.insert(place, (text.clone(), fresh));
                    fresh
                }
            },
        };
        if child == fresh {
            self.nodes.push(Node { best: usize::MAX, ..Node::default() });
        }
        child
    }
}

/// One lookup.
struct Search<'m> {
    method: &'m Method,
    found: Option<usize>,
}

impl Search<'_> {
    /// Looks at the node `at` and what follows it; `rest` is the path after it, `None` when the path ends here. The depth is
    /// that of the deepest pattern.
    fn visit(&mut self, branches: &Branches, at: usize, rest: Option<&str>) {
        let Some(node) = branches.nodes.get(at) else { return };
        if self.found.is_some_and(|found| found < node.best) {
            return;
        }
        self.consider(&node.below);
        let Some(rest) = rest else {
            self.consider(&node.here);
            return;
        };
        let (segment, after) = match rest.split_once('/') {
            None => (rest, None),
            Some((segment, after)) => (segment, Some(after)),
        };
        if let Ok(place) = node.literals.binary_search_by(|(known, _)| (**known).cmp(segment))
            && let Some((_, child)) = node.literals.get(place)
        {
            self.visit(branches, *child, after);
        }
        if let Some(child) = node.parameter
            && !segment.is_empty()
        {
            self.visit(branches, child, after);
        }
    }

    fn consider(&mut self, candidates: &[Candidate]) {
        let matching = candidates.iter().find(|candidate| {
            candidate.methods.is_empty() || candidate.methods.iter().any(|method| method == self.method)
        });
        if let Some(candidate) = matching {
            self.found = Some(self.found.map_or(candidate.rank, |found| found.min(candidate.rank)));
        }
    }
}

const ROOT: usize = 0;
