//! One record per exchange: it gathers what is known, and when it is dropped the exchange is counted and logged.
//!
//! Dropping is the one event that comes at the end of every exchange, however it ends: answered, refused, cut, or left by
//! the client.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;

use crate::clock::awake;
use crate::domain::authorize::Permit;
use crate::domain::identity::Identity;
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::identity::Session;
use crate::proxy::canonical::Canonical;
use crate::proxy::core::{Core, Known, Passing, View};
use crate::proxy::denial::Refused;
use crate::proxy::guard::Ending;
use crate::proxy::headers::Exchange;
use crate::proxy::measure::Decision;
use crate::proxy::route::Route;
use crate::telemetry::escape;

/// What stands before a value, in one piece: a line has some twenty.
macro_rules! member {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// What is known of one exchange.
pub(super) struct Record {
    core: Rc<Core>,
    view: Rc<View>,
    listener: usize,
    began: Instant,
    /// What was asked, once it could be read.
    pub(super) asked: Option<Asked>,
    pub(super) route: Option<Arc<Route>>,
    pub(super) identity: Option<Arc<Identity>>,
    /// What proves the identity, when it is no token.
    pub(super) session: Option<Arc<Session>>,
    /// Who passed, and by what, as it is written down.
    pub(super) passed: Option<(Rc<Known>, Rc<Passing>)>,
    decision: Option<Decision>,
    /// What was answered; a client that left before is logged as 499.
    pub(super) status: StatusCode,
    pub(super) bytes: u64,
    /// What went wrong with the upstream or the body, when anything did.
    pub(super) failure: Option<&'static str>,
    /// Why a long exchange was ended, when it was.
    pub(super) ending: Rc<Cell<Option<Ending>>>,
}

/// What was asked, and by whom.
pub(super) struct Asked {
    pub(super) canonical: Rc<Canonical>,
    pub(super) exchange: Rc<Exchange>,
}

impl Record {
    pub(super) fn new(core: &Rc<Core>, view: &Rc<View>, listener: usize) -> Self {
        Self {
            core: Rc::clone(core),
            view: Rc::clone(view),
            listener,
            began: awake(),
            asked: None,
            route: None,
            identity: None,
            session: None,
            passed: None,
            decision: None,
            status: LEFT,
            bytes: 0,
            failure: None,
            ending: Rc::default(),
        }
    }

    /// Notes and counts the verdict.
    pub(super) fn decided(&mut self, rule: Option<&Rule>, verdict: Result<&Permit, &'static str>) {
        let decision = match verdict {
            Ok(permit) => Decision { outcome: "allow", reason: allowed_by(rule, permit), mode: mode_of(rule) },
            Err(reason) => Decision { outcome: "deny", reason, mode: mode_of(rule) },
        };
        self.decision = Some(decision);
        if let Some(meters) = self.view.meters(self.listener, self.route.as_ref().map(|route| route.index)) {
            meters.decision(decision, awake().saturating_duration_since(self.began));
        }
    }

    fn write(&self, line: &mut Vec<u8>, took: std::time::Duration) {
        line.extend_from_slice(b"{\"time\":\"");
        self.core.write_time(line, self.core.judge.clock().now());
        line.extend_from_slice(b"\",\"target\":\"hallpass::access\"");
        if let Some(Asked { canonical, exchange }) = &self.asked {
            word(line, member!("request_id"), exchange.request_id());
            word(line, member!("trace_id"), exchange.trace_id());
            word(line, member!("client_ip"), exchange.client_text());
            word(line, member!("method"), canonical.method.as_str());
            field(line, "host", canonical.host.text());
            field(line, "path", canonical.path());
        }
        line.extend_from_slice(self.view.listener_fields(self.listener));
        number(line, member!("status"), u64::from(self.status.as_u16()));
        number(line, member!("bytes"), self.bytes);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        number(line, member!("duration_ms"), micros / 1000);
        // a leading one keeps the zeros of the fraction
        let fraction = line.len();
        decimal(line, 1000 + micros % 1000);
        if let Some(one) = line.get_mut(fraction) {
            *one = b'.';
        }
        if let Some(route) = &self.route {
            line.extend_from_slice(self.view.route_fields(route.index));
        }
        match (&self.passed, &self.identity) {
            (Some((known, passing)), _) => {
                line.extend_from_slice(&known.fields);
                line.extend_from_slice(&passing.fields);
            }
            (None, Some(identity)) => line.extend_from_slice(&self.view.known(identity).fields),
            (None, None) => {}
        }
        if let Some(decision) = self.decision {
            word(line, member!("verdict"), decision.outcome);
            word(line, member!("reason"), decision.reason);
            word(line, member!("mode"), decision.mode);
        }
        if let Some(ending) = self.ending.get() {
            word(line, member!("cut"), ending.name());
        }
        if let Some(failure) = self.failure {
            word(line, member!("failure"), failure);
        }
        line.extend_from_slice(b"}\n");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = awake().saturating_duration_since(self.began);
        if let Some(meters) = self.view.meters(self.listener, self.route.as_ref().map(|route| route.index)) {
            meters.request(self.asked.as_ref().map(|asked| &asked.canonical.method), self.status, took);
        }
        self.core.lines.add(|line| self.write(line, took));
    }
}

/// Appends a member whose value may hold anything.
pub(super) fn field(line: &mut Vec<u8>, name: &str, value: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    escape::json(line, value);
}

/// Appends a member whose value needs no care: a word of our own, or letters, digits and signs that JSON takes as they are.
fn word(line: &mut Vec<u8>, member: &str, value: &str) {
    line.extend_from_slice(member.as_bytes());
    line.push(b'"');
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
}

fn number(line: &mut Vec<u8>, member: &str, value: u64) {
    line.extend_from_slice(member.as_bytes());
    decimal(line, value);
}

/// Without the machinery of `write!`, which costs more than the digits.
fn decimal(line: &mut Vec<u8>, mut value: u64) {
    let mut digits = [b'0'; 20];
    let mut length = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        length += 1;
        if value == 0 {
            break;
        }
    }
    line.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

fn allowed_by(rule: Option<&Rule>, permit: &Permit) -> &'static str {
    match (permit.shadowed(), rule.map(|rule| &rule.demand)) {
        (Some(denial), _) => Refused::Denied(denial.clone()).code(),
        (None, Some(Demand::Public)) => "public",
        (None, Some(Demand::SignedIn)) => "signed_in",
        (None, Some(Demand::AnyRole(_) | Demand::AllRoles(_) | Demand::Nobody) | None) => "role",
    }
}

fn mode_of(rule: Option<&Rule>) -> &'static str {
    match rule.map(|rule| rule.enforcement) {
        Some(Enforcement::Shadow) => "shadow",
        Some(Enforcement::Enforce) | None => "enforce",
    }
}

/// The client left before it was answered; nginx made the number known.
pub(super) const LEFT: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};
