//! The terms that most cases written by hand have.

use hallpass::domain::policy::{
    ActivationLimits, AssuranceRule, ExtensionRule, OwnRequest, PolicyRevision, Stage, Terms,
};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::Span;

/// Approved by `boss` alone, for eight hours at most.
pub(crate) fn approved_by(boss: Principal) -> Terms {
    Terms {
        policy: PolicyRevision::new("p1"),
        activation: ActivationLimits {
            min: Span::seconds(1),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(24),
            start_ahead_max: Span::days(7),
        },
        stages: vec![Stage { approvers: vec![boss.into()], quorum: 1, deny_threshold: 1 }],
        approver_assurance: AssuranceRule::default(),
        own_request: OwnRequest::Forbidden,
        extension: ExtensionRule::SameApproval,
        assurance: AssuranceRule::default(),
    }
}
