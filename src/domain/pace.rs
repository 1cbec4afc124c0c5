//! How long it usually takes from a request to the decision on it, role by role.

use std::collections::{BTreeMap, HashMap};

use crate::domain::activation::{Activation, Choice};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};

/// The usual time from request to decision, and how much it is worth.
///
/// ```
/// use hallpass::domain::pace::Pace;
/// use hallpass::domain::time::Span;
/// let pace = Pace::of([Span::minutes(9), Span::minutes(2), Span::hours(30)]);
/// assert_eq!(pace, Some(Pace { median: Span::minutes(9), decided: 3 }));
/// assert_eq!(Pace::of([]), None, "unknown is unknown, not nothing");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Half of the last decisions took no longer.
    pub median: Span,
    /// So many decisions were looked at.
    pub decided: usize,
}

impl Pace {
    /// No more than the newest so many decisions tell how fast a role is decided on today.
    pub const DECISIONS_MAX: usize = 25;

    /// The pace of these decisions; unknown when there is none. Of an even number the faster of the two in the middle.
    #[must_use]
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Option<Self> {
        let mut spans: Vec<Span> = spans.into_iter().collect();
        spans.sort_unstable();
        let median = *spans.get(spans.len().saturating_sub(1) / 2)?;
        Some(Self { median, decided: spans.len() })
    }

    /// The median as a person would say it: in minutes, from an hour on in quarters of one, from a day on in hours; never
    /// none at all.
    #[must_use]
    pub fn about(&self) -> Span {
        let seconds = self.median.as_seconds();
        let step = match seconds {
            0..3600 => 60,
            3600..86_400 => 900,
            _ => 3600,
        };
        Span::seconds(seconds.saturating_add(step / 2) / step * step).max(Span::minutes(1))
    }
}

/// The pace of each role on which anybody decided lately; one value at one moment, replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paces(HashMap<RoleId, Pace>);

impl Paces {
    /// The pace of `role`, when it is known.
    #[must_use]
    pub fn of(&self, role: &RoleId) -> Option<Pace> {
        self.0.get(role).copied()
    }

    /// Sets the pace of a role, or forgets it.
    pub fn set(&mut self, role: RoleId, pace: Option<Pace>) {
        match pace {
            Some(pace) => drop(self.0.insert(role, pace)),
            None => drop(self.0.remove(&role)),
        }
    }
}

/// How long it took from the request to the decision that settled it; `None` while there is none, also when the case ended
/// without one, or when the role needed no approval. Decisions on extensions do not count.
#[must_use]
pub fn time_to_decision(case: &Activation) -> Option<Span> {
    let settled_at = settled_at(case)?;
    Some(Span::seconds(settled_at.millis_since(case.requested_at) / 1000))
}

/// Goes through the votes as the ballot of the request counted them, up to the one that settled it.
fn settled_at(case: &Activation) -> Option<Timestamp> {
    let mut counts: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for decision in &case.decisions {
        let stage = case.terms.stages.get(usize::try_from(decision.stage).ok()?)?;
        let (approvals, denials) = counts.entry(decision.stage).or_default();
        let is_last = usize::try_from(decision.stage).ok()?.saturating_add(1) == case.terms.stages.len();
        match decision.choice {
            Choice::Approve => {
                *approvals = approvals.saturating_add(1);
                if is_last && *approvals >= stage.quorum {
                    return Some(decision.at);
                }
            }
            Choice::Deny => {
                *denials = denials.saturating_add(1);
                if *denials >= stage.deny_threshold {
                    return Some(decision.at);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::activation::{Ballot, Decision, Phase, Requested};
    use crate::domain::id::{ActivationId, AssignmentId};
    use crate::domain::policy::{
        ActivationLimits, AssuranceRule, ExtensionRule, OwnRequest, PolicyRevision, Stage, Terms,
    };
    use crate::domain::principal::Principal;

    fn case(stages: &[(u32, u32)], votes: &[(u32, Choice, i64)]) -> Activation {
        let stages = stages
            .iter()
            .map(|(quorum, deny_threshold)| Stage {
                approvers: Vec::new(),
                quorum: *quorum,
                deny_threshold: *deny_threshold,
            })
            .collect();
        let hour = Span::hours(1);
        let limits = ActivationLimits { min: hour, max: hour, default: hour, total_max: hour, start_ahead_max: hour };
        Activation {
            id: ActivationId::from_random([1; 16]),
            principal: Principal::new("i", "ada"),
            role: "shop/vault".parse().unwrap(),
            eligibility: AssignmentId::from_random([2; 16]),
            via: None,
            requested_at: Timestamp::from_seconds(1000),
            requested: Requested { starts_at: None, duration: hour },
            terms: Terms {
                policy: PolicyRevision::new("aa"),
                activation: limits,
                stages,
                approver_assurance: AssuranceRule::default(),
                own_request: OwnRequest::Forbidden,
                extension: ExtensionRule::SameApproval,
                assurance: AssuranceRule::default(),
            },
            decisions: votes
                .iter()
                .map(|(stage, choice, at)| Decision {
                    approver: Principal::new("i", "grace"),
                    stage: *stage,
                    choice: *choice,
                    adjusted: None,
                    at: Timestamp::from_seconds(*at),
                })
                .collect(),
            revision: 1,
            phase: Phase::Pending(Ballot::opening(Timestamp::MAX)),
        }
    }

    #[test]
    fn the_vote_that_settled_it_counts_and_none_after_it() {
        use Choice::{Approve, Deny};
        let took = |case: &Activation| time_to_decision(case).map(Span::as_seconds);
        assert_eq!(took(&case(&[(1, 1)], &[])), None, "nobody has decided");
        assert_eq!(took(&case(&[], &[])), None, "nobody had to");
        assert_eq!(took(&case(&[(1, 1)], &[(0, Approve, 1060)])), Some(60));
        assert_eq!(took(&case(&[(1, 1)], &[(0, Deny, 1030)])), Some(30));
        assert_eq!(took(&case(&[(2, 1)], &[(0, Approve, 1060)])), None, "half a quorum");
        assert_eq!(took(&case(&[(2, 2)], &[(0, Approve, 1060), (0, Deny, 1070), (0, Approve, 1080)])), Some(80));
        assert_eq!(took(&case(&[(1, 1), (1, 1)], &[(0, Approve, 1060), (1, Approve, 1200)])), Some(200));
        let extended = case(&[(1, 1)], &[(0, Approve, 1060), (0, Approve, 9000)]);
        assert_eq!(took(&extended), Some(60), "an extension is decided on another time");
    }

    #[test]
    fn a_pace_is_told_as_a_person_would() {
        let about = |span| Pace { median: span, decided: 1 }.about().to_string();
        assert_eq!(about(Span::ZERO), "1m");
        assert_eq!(about(Span::seconds(89)), "1m");
        assert_eq!(about(Span::seconds(91)), "2m");
        assert_eq!(about(Span::minutes(66)), "1h");
        assert_eq!(about(Span::minutes(70)), "1h 15m");
        assert_eq!(about(Span::hours(26)), "1d 2h");
    }

    #[test]
    fn half_of_the_decisions_took_no_longer_than_the_median() {
        let spans = |all: &[u64]| Pace::of(all.iter().map(|seconds| Span::seconds(*seconds)));
        assert_eq!(spans(&[5]).unwrap().median, Span::seconds(5));
        assert_eq!(spans(&[9, 1]).unwrap().median, Span::seconds(1));
        assert_eq!(spans(&[9, 1, 4]).unwrap().median, Span::seconds(4));
        assert_eq!(spans(&[9, 1, 4, 5]).unwrap().median, Span::seconds(4));
    }
}
