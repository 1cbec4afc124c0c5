//! All that is wrong with a form, each beside the field it speaks of.

use std::collections::BTreeMap;

use http::StatusCode;
use maud::{Markup, html};

use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::text;
use crate::portal::problem::Problem;

/// What is wrong with a form.
#[derive(Debug, Clone, Default)]
pub(in crate::portal) struct Faults {
    by_field: BTreeMap<String, Vec<String>>,
    /// What speaks of no field.
    whole: Vec<String>,
    status: Option<StatusCode>,
}

impl Faults {
    /// What `problem` says of a form with these fields; what speaks of none of them stands above the form. Problems that
    /// are not about what was filled in (the machine, somebody unknown) are not for a form to tell and come back.
    pub(in crate::portal) fn of_problem(problem: Problem, fields: &[&str]) -> Result<Self, Problem> {
        if !problem.status().is_client_error() || problem.status() == StatusCode::NOT_FOUND {
            return Err(problem);
        }
        let mut faults = Self { status: Some(problem.status()), ..Self::default() };
        let mut told = false;
        for (member, detail) in problem.members() {
            told = true;
            match member.filter(|member| fields.contains(member)) {
                Some(field) => faults.add(field, sentence(detail)),
                None => faults.whole.push(sentence(detail)),
            }
        }
        if !told {
            faults.whole.push(sentence(problem.detail()));
        }
        Ok(faults)
    }

    /// Adds what is wrong with `field`.
    pub(in crate::portal) fn add(&mut self, field: &str, fault: impl Into<String>) {
        let fault = sentence(&fault.into());
        let faults = self.by_field.entry(field.to_owned()).or_default();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// Adds what `others` tell.
    pub(in crate::portal) fn extend(&mut self, others: Self) {
        for (field, faults) in others.by_field {
            for fault in faults {
                self.add(&field, fault);
            }
        }
        self.whole.extend(others.whole);
        self.status = self.status.or(others.status);
    }

    /// The same, with what speaks of no field beside `field`.
    pub(in crate::portal) fn on(mut self, field: &str) -> Self {
        for fault in std::mem::take(&mut self.whole) {
            self.add(field, fault);
        }
        self
    }

    /// What is wrong with `field`.
    pub(in crate::portal) fn of(&self, field: &str) -> &[String] {
        self.by_field.get(field).map_or(&[], Vec::as_slice)
    }

    /// Whether nothing is wrong.
    pub(in crate::portal) fn is_empty(&self) -> bool {
        self.by_field.is_empty() && self.whole.is_empty()
    }

    /// The status of an answer that tells them.
    pub(in crate::portal) fn status(&self) -> StatusCode {
        match self.status {
            // a browser would ask for a password, or give up
            Some(StatusCode::UNAUTHORIZED) | None => StatusCode::UNPROCESSABLE_ENTITY,
            Some(status) => status,
        }
    }

    /// The status of an answer that tells these or, when there are none, `others`.
    pub(in crate::portal) fn status_with(&self, others: &Self) -> StatusCode {
        if self.is_empty() { others.status() } else { self.status() }
    }

    /// Above a form: how many faults there are, and those that speak of no field, with `remedy` below them.
    pub(in crate::portal) fn summary(&self, remedy: &Markup) -> Markup {
        let beside = self.by_field.values().map(Vec::len).sum::<usize>();
        html! {
            @if !self.is_empty() {
                div .notice .bad role="alert" {
                    @for fault in &self.whole { p { (text::with_code(fault)) } }
                    (remedy)
                    @match beside {
                        0 => {},
                        1 => p { "One thing below needs another look." },
                        count => p { (count) " things below need another look." },
                    }
                }
            }
        }
    }
}

/// What became of one of many lines when it was refused: every rule that was broken.
pub(in crate::portal) fn refused(problem: &Problem) -> Markup {
    let mut told = problem.members().map(|(_, detail)| detail).peekable();
    html! {
        div {
            (badge(Tone::Bad, "Refused"))
            @if told.peek().is_none() { div { (sentence(problem.detail())) } }
            @for detail in told { div { (sentence(detail)) } }
        }
    }
}

/// The domain says what is wrong without capital and full stop; people read sentences.
pub(in crate::portal) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let mut whole: String = letters.next().map_or(String::new(), |first| first.to_uppercase().collect());
    whole.push_str(letters.as_str());
    if !whole.is_empty() && !whole.ends_with(['.', '!', '?']) {
        whole.push('.');
    }
    whole
}
