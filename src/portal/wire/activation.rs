//! Activations as JSON: what is asked, what is decided, and how a case looks at this moment.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::activation as domain;
use crate::domain::event::{Detail, Event};
use crate::domain::policy::Terms;
use crate::domain::time::Timestamp;
use crate::identity::names::IssuerNames;
use crate::portal::problem::{ErrorItem, ProblemBody};
use crate::portal::wire::common::{Choice, Ending, Requested, Window, named};
use crate::portal::wire::text::{Instant, Length, RoleName};
use crate::portal::wire::wanted::Wanted;
use crate::store::Entry;

/// Asks to activate a role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct ActivationRequest {
    /// The role.
    pub(in crate::portal) role: RoleName,
    /// For how long; the role's default when left out.
    #[serde(default)]
    pub(in crate::portal) duration: Option<Length>,
    /// From when; as soon as possible when left out.
    #[serde(default)]
    pub(in crate::portal) starts_at: Option<Instant>,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
    /// A ticket that says more.
    #[serde(default)]
    pub(in crate::portal) ticket: Option<String>,
    /// The request that was denied for want of the role; approvers are shown it.
    #[serde(default)]
    pub(in crate::portal) wanted: Option<Wanted>,
}

/// Approves or denies what waits in a case.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct DecisionRequest {
    /// The revision the approver saw; `If-Match` says the same.
    #[serde(default)]
    pub(in crate::portal) revision: Option<u32>,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
    /// A shorter length; only with an approval.
    #[serde(default)]
    pub(in crate::portal) duration: Option<Length>,
    /// A later start; only with an approval.
    #[serde(default)]
    pub(in crate::portal) starts_at: Option<Instant>,
}

/// Many decisions at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct DecisionsRequest {
    /// Why; for every line that gives no reason of its own.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
    /// At most 100, each on another activation.
    #[schema(min_items = 1, max_items = 100)]
    pub(in crate::portal) decisions: Vec<DecisionLine>,
}

/// One of many decisions.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct DecisionLine {
    /// Which case.
    pub(in crate::portal) activation: String,
    /// Approve or deny.
    pub(in crate::portal) choice: Choice,
    /// The revision the approver saw.
    pub(in crate::portal) revision: u32,
    /// A shorter length; only with an approval.
    #[serde(default)]
    pub(in crate::portal) duration: Option<Length>,
    /// A later start; only with an approval.
    #[serde(default)]
    pub(in crate::portal) starts_at: Option<Instant>,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
}

/// Asks for a later end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct ExtendRequest {
    /// By how much the end shall move.
    pub(in crate::portal) duration: Length,
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
}

/// A command that needs nothing but, perhaps, a reason.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct Reason {
    /// Why.
    #[serde(default)]
    pub(in crate::portal) justification: Option<String>,
}

/// A command that needs nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct Nothing {}

/// One case.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Activation {
    pub(in crate::portal) id: String,
    pub(in crate::portal) role: RoleName,
    /// Who asked and holds, `issuer:subject`.
    pub(in crate::portal) principal: String,
    /// Their name, unless erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) name: Option<String>,
    pub(in crate::portal) state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) ending: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) ended_at: Option<Instant>,
    pub(in crate::portal) requested_at: Instant,
    pub(in crate::portal) requested: Requested,
    /// When the role is or was held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) window: Option<Window>,
    /// Counts the events; a decision names the one it saw.
    pub(in crate::portal) revision: u32,
    /// The eligible assignment behind it.
    pub(in crate::portal) eligibility: String,
    /// The group that carries the eligibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) via: Option<String>,
    /// The open vote on the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) approval: Option<Approval>,
    /// A wish for a later end that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) extension: Option<Extension>,
    pub(in crate::portal) decisions: Vec<Decision>,
    /// How many requests were made under it, once that is sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) uses: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) ticket: Option<String>,
    /// The request that was denied for want of the role, as the requester says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) wanted: Option<Wanted>,
    /// What was typed with the request is erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::portal) erased: bool,
    /// Names the policy the case was begun under.
    pub(in crate::portal) policy: String,
}

/// Where a case is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum State {
    /// Waits for approval.
    Pending,
    /// Approved; its window has not begun.
    Scheduled,
    /// The role is held.
    Active,
    /// Over.
    Ended,
}

/// An open vote.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Approval {
    /// The open stage, counted from 0.
    pub(in crate::portal) stage: u32,
    /// How many stages there are.
    pub(in crate::portal) stages: usize,
    /// So many must agree in this stage.
    pub(in crate::portal) quorum: u32,
    /// So many have agreed in this stage.
    pub(in crate::portal) approvals: usize,
    /// Who may decide in this stage, in short form; a group begins with `group `.
    pub(in crate::portal) approvers: Vec<String>,
    pub(in crate::portal) lapses_at: Instant,
}

/// A wish for a later end that waits for approval.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Extension {
    pub(in crate::portal) ends_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) justification: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) approval: Option<Approval>,
}

/// One approver's word.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Decision {
    pub(in crate::portal) approver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) name: Option<String>,
    pub(in crate::portal) choice: Choice,
    /// The stage it was given in, counted from 0.
    pub(in crate::portal) stage: u32,
    pub(in crate::portal) at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) justification: Option<String>,
    /// What was typed with it is erased.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::portal) erased: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) adjusted: Option<Requested>,
}

/// What a request would come to.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Forecast {
    pub(in crate::portal) outcome: Prospect,
    pub(in crate::portal) errors: Vec<ErrorItem>,
}

/// What a request would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::portal) enum Prospect {
    WouldBeActive,
    WouldBePending,
    Refused,
}

/// What became of many decisions, in the order given.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct DecisionResults {
    pub(in crate::portal) results: Vec<DecisionResult>,
}

/// What became of one of many decisions.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct DecisionResult {
    pub(in crate::portal) activation: String,
    pub(in crate::portal) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) result: Option<Activation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) problem: Option<ProblemBody>,
}

impl Activation {
    /// How `case` looks at `now`; `records` are its own, oldest first, and bring the free text.
    pub(in crate::portal) fn of(
        case: &domain::Activation,
        records: &[Entry],
        names: &IssuerNames,
        now: Timestamp,
    ) -> Self {
        let request = records.iter().find(|entry| matches!(entry.event, Event::ActivationRequested { .. }));
        let asked = request.and_then(|entry| detail_of(entry, records));
        let (state, ending, ended_at, window) = life(case, now);
        let pending = state == State::Pending;
        let ballot = case.ballot().filter(|ballot| now < ballot.lapses_at);
        let extension = match &case.phase {
            domain::Phase::Active { extension: Some(extension), .. }
                if state != State::Ended && now < extension.ballot.lapses_at =>
            {
                Some(Extension {
                    ends_at: Instant(extension.ends_at),
                    justification: records
                        .iter()
                        .rfind(|entry| matches!(entry.event, Event::ExtensionRequested { .. }))
                        .and_then(|entry| detail_of(entry, records))
                        .and_then(|detail| detail.justification.clone()),
                    approval: ballot.map(|ballot| Approval::of(ballot, &case.terms, names)),
                })
            }
            _ => None,
        };
        Self {
            id: case.id.to_string(),
            role: RoleName(case.role.clone()),
            principal: names.of_principal(&case.principal),
            name: asked.and_then(|detail| detail.name.clone()),
            state,
            ending,
            ended_at: ended_at.map(Instant),
            requested_at: Instant(case.requested_at),
            requested: case.requested.into(),
            window,
            revision: case.revision,
            eligibility: case.eligibility.to_string(),
            via: case.via.as_ref().map(|group| names.of_group(group)),
            approval: ballot.filter(|_| pending).map(|ballot| Approval::of(ballot, &case.terms, names)),
            extension,
            decisions: decisions(case, records, names),
            uses: match &case.phase {
                domain::Phase::Ended { uses, .. } => uses.as_ref().map(|seal| seal.count),
                domain::Phase::Pending(_) | domain::Phase::Active { .. } => None,
            },
            justification: asked.and_then(|detail| detail.justification.clone()),
            ticket: asked.and_then(|detail| detail.ticket.clone()),
            wanted: asked.and_then(|detail| detail.wanted.as_ref()).map(Wanted::from),
            erased: request.is_some_and(|entry| is_erased(entry, records)),
            policy: case.terms.policy.to_string(),
        }
    }
}

/// State, ending and window as time has made them, also when that is not written down yet.
fn life(case: &domain::Activation, now: Timestamp) -> (State, Option<Ending>, Option<Timestamp>, Option<Window>) {
    match &case.phase {
        domain::Phase::Pending(ballot) if ballot.lapses_at <= now => {
            (State::Ended, Some(Ending::Lapsed), Some(ballot.lapses_at), None)
        }
        domain::Phase::Pending(_) => (State::Pending, None, None, None),
        domain::Phase::Active { window, .. } => {
            let held = Some(Window::from(*window));
            if window.is_over(now) {
                (State::Ended, Some(Ending::Expired), window.ends_at, held)
            } else if window.contains(now) {
                (State::Active, None, None, held)
            } else {
                (State::Scheduled, None, None, held)
            }
        }
        domain::Phase::Ended { ending, at, held, uses: _ } => {
            (State::Ended, Some((*ending).into()), Some(*at), held.map(Window::from))
        }
    }
}

/// The decisions of a case; the n-th of them is the n-th record that tells of one.
fn decisions(case: &domain::Activation, records: &[Entry], names: &IssuerNames) -> Vec<Decision> {
    let mut told = records.iter().filter(|entry| matches!(entry.event, Event::ActivationDecided { .. }));
    case.decisions
        .iter()
        .map(|decision| {
            let told = told.next();
            let detail = told.and_then(|entry| detail_of(entry, records));
            Decision {
                approver: names.of_principal(&decision.approver),
                name: detail.and_then(|detail| detail.name.clone()),
                choice: decision.choice.into(),
                stage: decision.stage,
                at: Instant(decision.at),
                justification: detail.and_then(|detail| detail.justification.clone()),
                erased: told.is_some_and(|entry| is_erased(entry, records)),
                adjusted: decision.adjusted.map(Requested::from),
            }
        })
        .collect()
}

/// The free text of the command that caused `entry`: it stands beside the first of its records.
fn detail_of<'e>(entry: &Entry, records: &'e [Entry]) -> Option<&'e Detail> {
    records.iter().filter(|other| other.command == entry.command).find_map(|other| other.detail.as_ref())
}

/// Whether the free text of the command that caused `entry` was erased.
fn is_erased(entry: &Entry, records: &[Entry]) -> bool {
    records.iter().any(|other| other.command == entry.command && other.erased)
}

impl Approval {
    fn of(ballot: &domain::Ballot, terms: &Terms, names: &IssuerNames) -> Self {
        let open = ballot.open_stage(terms);
        Self {
            stage: ballot.stage,
            stages: terms.stages.len(),
            quorum: open.map_or(0, |stage| stage.quorum),
            approvals: ballot.count(domain::Choice::Approve),
            approvers: open
                .map_or_else(Vec::new, |stage| stage.approvers.iter().map(|party| named(party, names)).collect()),
            lapses_at: Instant(ballot.lapses_at),
        }
    }
}
