//! People, a role and a case to decide on.

use std::sync::Arc;

use crate::domain::activation::{Activation, Choice};
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::command::{Caller, Command};
use crate::domain::decide::{Case, Decided, decide};
use crate::domain::event::Event;
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, Need,
    OwnRequest, Pattern, PendingLimits, Permanence, Policies, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::standing::{Basis, Eligible, Held, Standing};
use crate::domain::time::{Span, Timestamp, Window};

pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const WHY: &str = "the till of shop 4 is stuck";

pub(super) fn now() -> Timestamp {
    Timestamp::from_seconds(NOW)
}

pub(super) fn later(seconds: u64) -> Timestamp {
    now().plus(Span::seconds(seconds))
}

pub(super) fn person(name: &str) -> Principal {
    Principal::new("https://id.test", name)
}

pub(super) fn leads() -> Group {
    Group::new("https://id.test", "leads")
}

pub(super) fn role() -> RoleId {
    "shop/vault".parse().expect("a role")
}

pub(super) fn act() -> ActivationId {
    ActivationId::from_random([1; 16])
}

pub(super) fn asg(number: u8) -> AssignmentId {
    AssignmentId::from_random([number; 16])
}

/// Somebody who signed in with a second factor just now.
pub(super) fn identity(name: &str) -> Identity {
    Identity {
        principal: person(name),
        name: Some(name.into()),
        mail: None,
        groups: Vec::new(),
        assurance: Assurance {
            amr: vec!["pwd".to_owned(), "otp".to_owned()],
            acr: Some("gold".to_owned()),
            auth_time: Some(now()),
        },
        issued_at: None,
        ends_at: later(3600),
    }
}

pub(super) fn caller(name: &str) -> Caller {
    Caller::Identity(Arc::new(identity(name)))
}

pub(super) fn lead(name: &str) -> Caller {
    Caller::Identity(Arc::new(Identity { groups: vec![leads()], ..identity(name) }))
}

pub(super) fn stage(approvers: Vec<Party>, quorum: u32) -> Stage {
    Stage { approvers, quorum, deny_threshold: 1 }
}

/// A role with every rule switched on, approved by one of the leads.
pub(super) fn policy() -> RolePolicy {
    RolePolicy {
        role: role(),
        description: "opens the vault".to_owned(),
        revision: PolicyRevision::new("r1"),
        activation: ActivationLimits {
            min: Span::seconds(60),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(12),
            start_ahead_max: Span::days(7),
        },
        justification: JustificationRule {
            need: Need::Required,
            characters_min: 10,
            characters_max: 1000,
            pattern: None,
        },
        ticket: TicketRule {
            need: Need::Optional,
            pattern: Some(Pattern::new("INC-…", |ticket| ticket.starts_with("INC-"))),
        },
        assurance: AssuranceRule { mfa_amr: vec!["otp".to_owned()], ..AssuranceRule::default() },
        approval: ApprovalRule {
            stages: vec![stage(vec![Party::Group(leads())], 1)],
            justification: JustificationRule { need: Need::Required, ..JustificationRule::default() },
            assurance: AssuranceRule { mfa_amr: vec!["otp".to_owned()], ..AssuranceRule::default() },
            own_request: OwnRequest::Forbidden,
        },
        extension: ExtensionRule::SameApproval,
        pending_after: Span::hours(24),
        eligible: AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) },
        active: AssignmentLimits { permanent: Permanence::Forbidden, max: Span::days(180) },
    }
}

pub(super) fn without_approval() -> RolePolicy {
    let mut policy = policy();
    policy.approval.stages.clear();
    policy
}

pub(super) fn policies(policy: RolePolicy) -> Arc<Policies> {
    let administrator = RolePolicy { role: RoleId::administrator(), ..self::policy() };
    Arc::new(Policies::new([policy, administrator], PendingLimits::default()))
}

pub(super) fn eligible(window: Window) -> Standing {
    let eligible = vec![Eligible { assignment: asg(1), role: role(), window }];
    Standing { eligible, ..Standing::default() }
}

pub(super) fn administrator() -> Standing {
    let held = Held {
        role: RoleId::administrator(),
        window: Window::permanent(Timestamp::MIN),
        basis: Basis::Assignment(asg(9)),
        via: None,
    };
    Standing { held: vec![held], ..Standing::default() }
}

pub(super) fn assignment(kind: AssignmentKind) -> Assignment {
    Assignment {
        id: asg(1),
        kind,
        role: role(),
        party: Party::Principal(person("ada")),
        window: Window::permanent(Timestamp::MIN),
        origin: Origin::Administrator,
        ended: None,
    }
}

/// A case for somebody who may ask, with their eligible assignment behind it.
pub(super) fn case(policy: RolePolicy) -> Case {
    Case {
        policies: policies(policy),
        caller: vec![eligible(Window::permanent(Timestamp::MIN))],
        assignment: Some(assignment(AssignmentKind::Eligible)),
        ..Case::default()
    }
}

/// A case about an activation, seen by somebody without standings of their own.
pub(super) fn case_of(policy: RolePolicy, activation: Activation) -> Case {
    Case {
        policies: policies(policy),
        caller: vec![Standing::default(), Standing::default()],
        activation: Some(activation),
        assignment: Some(assignment(AssignmentKind::Eligible)),
        ..Case::default()
    }
}

pub(super) fn request() -> Command {
    Command::RequestActivation {
        id: act(),
        role: role(),
        duration: None,
        starts_at: None,
        justification: Some(WHY.to_owned()),
        ticket: None,
        wanted: None,
    }
}

pub(super) fn approve(revision: u32) -> Command {
    word(Choice::Approve, revision)
}

pub(super) fn word(choice: Choice, revision: u32) -> Command {
    Command::Decide { id: act(), choice, revision, adjusted: None, justification: Some(WHY.to_owned()) }
}

/// The activation that ada's request and what followed make.
pub(super) fn activation(policy: &RolePolicy, commands: &[(Caller, Command)]) -> Activation {
    let asked = decide(&case(policy.clone()), &caller("ada"), &request(), now()).expect("a good request");
    commands.iter().fold(fold(None, &asked), |activation, (caller, command)| {
        let case = case_of(policy.clone(), activation.clone());
        fold(Some(activation), &decide(&case, caller, command, now()).expect("a good command"))
    })
}

pub(super) fn fold(before: Option<Activation>, events: &[Event]) -> Activation {
    let folded = events
        .iter()
        .fold(before, |case, event| Activation::apply(case, event, now()).expect("events that follow one another"));
    folded.expect("an activation")
}

pub(super) fn codes(decided: Decided) -> Vec<&'static str> {
    decided.map_or_else(|refusals| refusals.iter().map(|refusal| refusal.code()).collect(), |_| Vec::new())
}
