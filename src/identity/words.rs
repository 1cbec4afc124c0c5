//! A role's settings in the words of the people they bind: who must agree, how to sign in, how long it takes.

use crate::domain::pace::Pace;
use crate::domain::policy::{ApprovalRule, AssuranceRule, Stage};
use crate::domain::principal::Party;
use crate::domain::time::Span;
use crate::identity::names::IssuerNames;

/// Who must agree, stage by stage; `None` when nobody has to.
#[must_use]
pub fn approval(rule: &ApprovalRule, names: &IssuerNames) -> Option<String> {
    let stages: Vec<String> = rule.stages.iter().map(|stage| approvers(stage, names)).collect();
    (!stages.is_empty()).then(|| stages.join(", then "))
}

/// Who may decide in one stage, and how many of them must agree: `2 of demo:grace, anyone in demo:leads`.
#[must_use]
pub fn approvers(stage: &Stage, names: &IssuerNames) -> String {
    let more = stage.approvers.len().saturating_sub(APPROVERS_NAMED_MAX);
    let mut named: Vec<String> =
        stage.approvers.iter().take(APPROVERS_NAMED_MAX).map(|who| party(who, names)).collect();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    match (stage.quorum, stage.approvers.as_slice()) {
        (0 | 1, [_]) => named.join(", "),
        (0 | 1, _) => format!("one of {}", named.join(", ")),
        (quorum, [Party::Group(group)]) => format!("{quorum} people in {}", names.of_group(group)),
        (quorum, _) => format!("{quorum} of {}", named.join(", ")),
    }
}

/// A principal's short form, or anyone in a group.
#[must_use]
pub fn party(party: &Party, names: &IssuerNames) -> String {
    match party {
        Party::Principal(principal) => names.of_principal(principal),
        Party::Group(group) => format!("anyone in {}", names.of_group(group)),
    }
}

/// How one must have signed in; nothing when any sign-in will do.
#[must_use]
pub fn sign_in(rule: &AssuranceRule) -> Vec<String> {
    let mut demands = Vec::new();
    if !rule.mfa_amr.is_empty() {
        demands.push("with a second factor".to_owned());
    }
    if !rule.acr.is_empty() {
        demands.push(format!("at level {}", rule.acr.join(" or ")));
    }
    if let Some(max_age) = rule.max_age {
        demands.push(format!("less than {} ago", length(max_age)));
    }
    demands
}

/// The usual time to a decision, and on what that rests.
#[must_use]
pub fn pace(pace: &Pace) -> String {
    let about = length(pace.about());
    match pace.decided {
        1 => format!("about {about} the last time"),
        decided => format!("about {about}, as the last {decided} decisions went"),
    }
}

/// A length in whole words, its two largest units: `1 hour 15 minutes`.
#[must_use]
pub fn length(length: Span) -> String {
    let seconds = length.as_seconds();
    let units = [("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)];
    let Some(largest) = units.iter().position(|(_, unit)| seconds >= *unit) else { return "no time".to_owned() };
    let (mut left, mut words) = (seconds, Vec::new());
    for (name, unit) in units.iter().skip(largest).take(2) {
        let count = left / unit;
        left %= unit;
        if count > 0 {
            words.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    words.join(" ")
}

/// So many approvers are named; whoever wants to know all finds them at the portal.
const APPROVERS_NAMED_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::{Group, Principal};

    #[test]
    fn approval_is_told_as_one_would_say_it() {
        let names = IssuerNames::new([("demo".into(), "https://id.test".into())]);
        let grace = Party::from(Principal::new("https://id.test", "grace"));
        let leads = Party::from(Group::new("https://id.test", "leads"));
        let stage = |approvers: &[&Party], quorum| Stage {
            approvers: approvers.iter().map(|party| (*party).clone()).collect(),
            quorum,
            deny_threshold: 1,
        };
        let told = |stages: Vec<Stage>| approval(&ApprovalRule { stages, ..ApprovalRule::default() }, &names);
        assert_eq!(told(Vec::new()), None);
        assert_eq!(told(vec![stage(&[&leads], 1)]).unwrap(), "anyone in demo:leads");
        assert_eq!(told(vec![stage(&[&leads], 2)]).unwrap(), "2 people in demo:leads");
        let both = [&grace, &leads];
        assert_eq!(
            told(vec![stage(&both, 1), stage(&both, 2)]).unwrap(),
            "one of demo:grace, anyone in demo:leads, then 2 of demo:grace, anyone in demo:leads"
        );
        assert_eq!(
            approvers(&stage(&[&grace; 7], 3), &names),
            "3 of demo:grace, demo:grace, demo:grace, demo:grace, demo:grace, 2 more"
        );
    }

    #[test]
    fn lengths_are_whole_words() {
        for (seconds, words) in [
            (0, "no time"),
            (1, "1 second"),
            (90, "1 minute 30 seconds"),
            (7200, "2 hours"),
            (93_600, "1 day 2 hours"),
            (86_460, "1 day"),
        ] {
            assert_eq!(length(Span::seconds(seconds)), words);
        }
        let once = Pace { median: Span::minutes(2), decided: 1 };
        assert_eq!(pace(&once), "about 2 minutes the last time");
        assert_eq!(pace(&Pace { decided: 9, ..once }), "about 2 minutes, as the last 9 decisions went");
    }
}
