//! A role that asks for nothing: what its measurements take is hallpass's own time.

use hallpass::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, Permanence,
    PolicyRevision, RolePolicy, TicketRule,
};
use hallpass::domain::role::RoleId;
use hallpass::domain::time::Span;

/// For up to a day, at once, by whoever is eligible.
pub(crate) fn policy(role: RoleId) -> RolePolicy {
    let day = Span::days(1);
    RolePolicy {
        role,
        description: String::new(),
        revision: PolicyRevision::new("1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: day,
            default: day,
            total_max: day,
            start_ahead_max: day,
        },
        justification: JustificationRule::default(),
        ticket: TicketRule::default(),
        assurance: AssuranceRule::default(),
        approval: ApprovalRule::default(),
        extension: ExtensionRule::None,
        pending_after: day,
        eligible: AssignmentLimits { permanent: Permanence::Allowed, max: day },
        active: AssignmentLimits { permanent: Permanence::Allowed, max: day },
    }
}
