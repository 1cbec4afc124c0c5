//! Which route a request takes: host, path and method become upstream and rule.
//!
//! The most specific route wins, whatever the order of the configuration: more literal segments; then from the left literal
//! before parameter before `**`; then bound to a host before any host; then bound to methods before any method. A request
//! whose method a route does not name goes to the next route that matches. What no route matches is denied. Methods are
//! exact: a route for `GET` alone is none for `HEAD`.

mod lint;
mod pattern;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::{HeaderValue, Method};

pub use pattern::MalformedPattern;

use crate::domain::rule::Rule;
use crate::proxy::canonical::{BadRequest, Canonical, Case, EncodedSlashes, METHODS, PathParameters, Spelling};
use crate::proxy::host::Host;
use pattern::Pattern;
use tree::{Candidate, Tree};

/// One route as configured.
#[derive(Debug, Clone)]
pub struct RouteSettings {
    /// Its name, for logs and metrics.
    pub name: String,
    /// The host it is bound to; `None` is any.
    pub host: Option<String>,
    /// Its path pattern: `/a/{id}/b`, `/a/**` or an exact path.
    pub path: String,
    /// The methods it is bound to; none is any.
    pub methods: Vec<String>,
    /// What it demands.
    pub rule: Rule,
    /// The name of the upstream.
    pub upstream: String,
    /// What its application makes of unusual paths.
    pub options: RouteOptions,
}

/// What a route's application makes of unusual paths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteOptions {
    /// Escaped slashes.
    pub encoded_slashes: EncodedSlashes,
    /// Semicolon parameters.
    pub parameters: PathParameters,
    /// Letter case; when one route ignores it, all rules do.
    pub case: Case,
}

/// One route, compiled.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// What it demands.
    pub rule: Rule,
    /// The name of the upstream.
    pub upstream: Arc<str>,
    /// Its place in the configuration.
    pub index: usize,
    /// What its application makes of unusual paths.
    pub options: RouteOptions,
}

/// All routes, compiled for lookup.
#[derive(Debug)]
pub struct Routes {
    /// By precedence: a rank in the tree is a place in here.
    compiled: Vec<Compiled>,
    /// By index.
    configured: Vec<Arc<Route>>,
    tree: Tree,
    spelling: Spelling,
}

/// A route with what it matches.
#[derive(Debug)]
struct Compiled {
    route: Arc<Route>,
    host: Option<String>,
    pattern: Pattern,
    methods: Vec<Method>,
}

/// Why a route cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route `{route}`: {problem}")]
pub struct RouteProblem {
    /// Place of the route in the configuration.
    pub index: usize,
    /// Its name.
    pub route: String,
    /// What is wrong.
    pub problem: RouteFlaw,
}

/// What is wrong with a route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteFlaw {
    /// Its path is no pattern.
    #[error(transparent)]
    Path(#[from] MalformedPattern),
    /// Its host is none.
    #[error("`{0}` is no host name; write it without port, as in `shop.example`")]
    Host(String),
    /// Its method is none.
    #[error("`{0}` is no method that can be passed on; methods are written in capitals, as in `GET`")]
    Method(String),
    /// It has no name.
    #[error("a route needs a name")]
    NoName,
    /// Another route has its name.
    #[error("the name is taken by another route")]
    NameTaken,
    /// Another route matches the same host, path and method.
    #[error("matches the same host, path and method as route `{0}`")]
    Duplicate(String),
}

/// A route that does less than it seems to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route `{route}` {why}")]
pub struct Shadowed {
    /// Place of the route in the configuration.
    pub index: usize,
    /// Its name.
    pub route: String,
    /// Why, as the rest of a sentence that names the other route.
    pub why: String,
}

impl Routes {
    /// Compiles routes.
    ///
    /// # Errors
    /// Every [`RouteProblem`] of every route.
    pub fn new(routes: Vec<RouteSettings>) -> Result<Self, Vec<RouteProblem>> {
        let ignored = routes.iter().any(|route| route.options.case == Case::Ignored);
        let case = if ignored { Case::Ignored } else { Case::Sensitive };
        let mut problems = Vec::new();
        let mut compiled = Vec::with_capacity(routes.len());
        let mut names = HashSet::new();
        for (index, settings) in routes.into_iter().enumerate() {
            let mut flaws = Vec::new();
            if settings.name.is_empty() {
                flaws.push(RouteFlaw::NoName);
            } else if !names.insert(settings.name.clone()) {
                flaws.push(RouteFlaw::NameTaken);
            }
            let name = settings.name.clone();
            compiled.extend(compile(index, settings, case, &mut flaws));
            problems.extend(flaws.into_iter().map(|problem| RouteProblem { index, route: name.clone(), problem }));
        }
        problems.extend(duplicates(&compiled));
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.index);
            return Err(problems);
        }
        // as long as there are no problems, every route was compiled
        let configured = compiled.iter().map(|compiled| Arc::clone(&compiled.route)).collect();
        compiled.sort_by(|a, b| {
            a.pattern
                .by_precedence(&b.pattern)
                .then(a.host.is_none().cmp(&b.host.is_none()))
                .then(a.methods.is_empty().cmp(&b.methods.is_empty()))
                .then(a.route.index.cmp(&b.route.index))
        });
        let mut tree = Tree::default();
        for (rank, route) in compiled.iter().enumerate() {
            let candidate = Candidate { rank, methods: route.methods.clone() };
            tree.insert(route.host.as_deref(), &route.pattern, candidate);
        }
        Ok(Self { spelling: spelling(&compiled, case), compiled, configured, tree })
    }

    /// The route of a request; `None` is denied.
    ///
    /// # Errors
    /// [`BadRequest`] when the path has escaped slashes or parameters that its route does not take. A path without a route
    /// is refused in the same way, so that the difference tells nothing. So is one that was read under routes that treat
    /// letter case otherwise.
    pub fn find(&self, canonical: &Canonical) -> Result<Option<&Arc<Route>>, BadRequest> {
        canonical.check_case(self.spelling.case)?;
        let rank = self.tree.find(canonical.host.name(), canonical.key(), &canonical.method);
        let route = rank.and_then(|rank| self.compiled.get(rank)).map(|compiled| &compiled.route);
        let options = route.map_or_else(RouteOptions::default, |route| route.options);
        canonical.check_options(options.encoded_slashes, options.parameters)?;
        Ok(route)
    }

    /// What all routes together say about the spelling of requests.
    #[must_use]
    pub fn spelling(&self) -> Spelling {
        self.spelling.clone()
    }

    /// All routes as they are configured: the place of each is its index.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.configured.iter()
    }
}

fn compile(index: usize, settings: RouteSettings, case: Case, flaws: &mut Vec<RouteFlaw>) -> Option<Compiled> {
    let before = flaws.len();
    let pattern = Pattern::parse(&settings.path, case).map_err(|problem| flaws.push(problem.into())).ok();
    let host = settings.host.and_then(|host| match host_name(&host) {
        Some(name) => Some(name),
        None => {
            flaws.push(RouteFlaw::Host(host));
            None
        }
    });
    let mut methods = Vec::with_capacity(settings.methods.len());
    for written in settings.methods {
        match method(&written) {
            Some(method) if !methods.contains(&method) => methods.push(method),
            Some(_) => {}
            None => flaws.push(RouteFlaw::Method(written)),
        }
    }
    let pattern = pattern.filter(|_| flaws.len() == before)?;
    let route = Route {
        name: settings.name.into(),
        rule: settings.rule,
        upstream: settings.upstream.into(),
        index,
        options: settings.options,
    };
    Some(Compiled { route: Arc::new(route), host, pattern, methods })
}

fn host_name(written: &str) -> Option<String> {
    let host = Host::parse(&HeaderValue::from_str(written).ok()?).ok()?;
    host.port().is_none().then(|| host.name().to_owned())
}

/// A method in capitals that may be passed on.
fn method(written: &str) -> Option<Method> {
    let method = Method::from_bytes(written.as_bytes()).ok()?;
    let refused = method == Method::CONNECT || method == Method::TRACE;
    let capitals = written.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    (capitals && !refused).then_some(method)
}

/// Routes that match the same host, path and method as an earlier one.
fn duplicates(compiled: &[Compiled]) -> Vec<RouteProblem> {
    let mut seen: HashMap<(Option<&str>, &Pattern, Option<&Method>), &Compiled> = HashMap::new();
    let mut problems = Vec::new();
    for route in compiled {
        let methods: Vec<_> =
            if route.methods.is_empty() { vec![None] } else { route.methods.iter().map(Some).collect() };
        let earlier: Vec<_> = methods
            .into_iter()
            .filter_map(|method| seen.insert((route.host.as_deref(), &route.pattern, method), route))
            .collect();
        if let Some(first) = earlier.first() {
            problems.push(RouteProblem {
                index: route.route.index,
                route: route.route.name.to_string(),
                problem: RouteFlaw::Duplicate(first.route.name.to_string()),
            });
        }
    }
    problems
}

fn spelling(compiled: &[Compiled], case: Case) -> Spelling {
    let mut spelling = Spelling { case, ..Spelling::default() };
    for route in compiled {
        if route.route.options.encoded_slashes == EncodedSlashes::Keep {
            spelling.encoded_slashes = EncodedSlashes::Keep;
        }
        if route.route.options.parameters == PathParameters::Strip {
            spelling.parameters = PathParameters::Strip;
        }
        for method in &route.methods {
            if !METHODS.contains(method) && !spelling.methods.contains(method) {
                spelling.methods.push(method.clone());
            }
        }
    }
    spelling
}
