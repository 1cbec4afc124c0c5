//! A few people, groups and roles, and a seeded source of chance.

use std::sync::Arc;

use hallpass::domain::command::Caller;
use hallpass::domain::identity::{Assurance, Identity};
use hallpass::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, PendingLimits,
    Permanence, Policies, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use hallpass::domain::principal::{Group, Party, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::time::{Span, Timestamp};

pub const PEOPLE: [(&str, &[&str]); 7] = [
    ("ada", &["engineers"]),
    ("bob", &["engineers"]),
    ("eve", &[]),
    ("grace", &["leads"]),
    ("hans", &["engineers", "leads"]),
    ("root", &[]),
    ("vera", &[]),
];
pub const ROLES: [&str; 3] = ["app/free", "app/one", "app/two"];
pub const SHORTEST: Span = Span::seconds(10);
pub const LONGEST: Span = Span::seconds(7200);
pub const USUAL: Span = Span::seconds(900);
pub const TOTAL: Span = Span::seconds(14_400);
pub const AHEAD: Span = Span::seconds(86_400);
/// The default of `PendingLimits`.
pub const SCHEDULED_MAX: usize = 20;
pub const PENDING_AFTER: Span = Span::seconds(3600);

pub fn person(name: &str) -> Principal {
    Principal::new("https://id.test", name)
}

pub fn group(name: &str) -> Group {
    Group::new("https://id.test", name)
}

pub fn role(name: &str) -> RoleId {
    name.parse().expect("a role")
}

/// `name` with the groups of `PEOPLE`, or with none.
pub fn identity(name: &str, with_groups: bool) -> Identity {
    let groups = PEOPLE.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, groups)| groups);
    Identity {
        principal: person(name),
        name: None,
        mail: None,
        groups: if with_groups { groups.iter().map(|name| group(name)).collect() } else { Vec::new() },
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::MAX,
    }
}

pub fn caller(name: &str, with_groups: bool) -> Caller {
    Caller::Identity(Arc::new(identity(name, with_groups)))
}

/// Stages of a role: who may approve, and how many must.
pub fn stages(role: &RoleId) -> Vec<Stage> {
    let leads = Party::Group(group("leads"));
    let stage = |approvers, quorum| Stage { approvers, quorum, deny_threshold: 1 };
    match role.as_str() {
        "app/one" => vec![stage(vec![leads, Party::Principal(person("bob"))], 1)],
        "app/two" => vec![stage(vec![leads], 2), stage(vec![Party::Principal(person("root"))], 1)],
        _ => Vec::new(),
    }
}

pub fn extension_rule(role: &RoleId) -> ExtensionRule {
    match role.as_str() {
        "app/free" => ExtensionRule::Free,
        "app/one" => ExtensionRule::SameApproval,
        _ => ExtensionRule::None,
    }
}

pub fn policies() -> Arc<Policies> {
    let policy = |role: RoleId| RolePolicy {
        description: String::new(),
        revision: PolicyRevision::new("1"),
        activation: ActivationLimits {
            min: SHORTEST,
            max: LONGEST,
            default: USUAL,
            total_max: TOTAL,
            start_ahead_max: AHEAD,
        },
        justification: JustificationRule::default(),
        ticket: TicketRule::default(),
        assurance: AssuranceRule::default(),
        approval: ApprovalRule { stages: stages(&role), ..ApprovalRule::default() },
        extension: extension_rule(&role),
        pending_after: PENDING_AFTER,
        eligible: AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) },
        active: AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) },
        role,
    };
    let roles = ROLES.iter().map(|name| role(name)).chain([RoleId::administrator(), RoleId::auditor()]);
    Arc::new(Policies::new(roles.map(policy), PendingLimits::default()))
}

/// SplitMix64: small, seeded, the same everywhere.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = usize::try_from(self.below(from.len() as u64)).ok()?;
        from.get(index)
    }

    pub fn bits(&mut self) -> [u8; 16] {
        let (high, low) = (u128::from(self.next()), u128::from(self.next()));
        ((high << 64) | low).to_be_bytes()
    }
}
