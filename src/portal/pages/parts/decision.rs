//! Approving and denying one case: the form, wherever it stands.

use maud::{Markup, html};

use crate::domain::activation::{Activation, Phase};
use crate::domain::policy::{JustificationRule, Need, OwnRequest};
use crate::domain::time::Span;
use crate::portal::desk::Desk;
use crate::portal::pages::entry::StepUp;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::{ONCE, once};
use crate::portal::pages::parts::badge::Tone;
use crate::portal::pages::parts::button::{Weight, submit_to};
use crate::portal::pages::parts::field::{Choice, Field};
use crate::portal::pages::parts::notice::notice;
use crate::portal::pages::rules;

/// The form as it was sent, and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub(in crate::portal) struct Words {
    pub(in crate::portal) justification: String,
    pub(in crate::portal) duration: String,
    pub(in crate::portal) starts_at: String,
    pub(in crate::portal) faults: Faults,
}

/// The fields of the form.
pub(in crate::portal) const FIELDS: [&str; 7] =
    ["revision", FROM, "justification", "duration", "starts_at", "offset", ONCE];
/// Where the form stands when that is not the case's own page.
pub(in crate::portal) const FROM: &str = "from";
/// Those beside which faults can be told.
pub(in crate::portal) const TOLD: [&str; 3] = ["justification", "duration", "starts_at"];

/// Whether the visitor is asked to decide on `case` now; the domain decides when they do.
pub(in crate::portal) fn is_asked(desk: &Desk, case: &Activation) -> bool {
    let (identity, now) = (desk.viewer.identity(), desk.viewer.now());
    let Some(ballot) = case.ballot().filter(|ballot| now < ballot.lapses_at) else { return false };
    let own = case.principal == identity.principal;
    let named =
        ballot.open_stage(&case.terms).is_some_and(|stage| stage.approvers.iter().any(|party| identity.is(party)));
    named && !ballot.has_vote_of(&identity.principal) && (!own || case.terms.own_request == OwnRequest::Allowed)
}

/// Approve, or deny, with a reason; an approval may shorten or move what was asked for. `return_to` is the page it stands on.
pub(in crate::portal) fn form(desk: &Desk, case: &Activation, words: &Words, return_to: &str) -> Markup {
    let policies = desk.portal.shared.parts.policies.load();
    let policy = policies.role(&case.role);
    let rule = policy.map_or_else(JustificationRule::default, |policy| policy.approval.justification.clone());
    let step_up = StepUp::for_rule(&case.terms.approver_assurance, desk.viewer.identity(), desk.viewer.now());
    let scope = format!("decide-{}", case.id);
    let field = |name, label, hint, need| Field { form: &scope, name, label, hint, need, faults: &words.faults };
    let path = |verb: &str| format!("/activations/{}/{verb}", case.id);
    let hint = rules::justification_hint(&rule, "The requester");
    // an extension is approved as it is
    let asks_anew = matches!(case.phase, Phase::Pending(_));
    let asked = case.agreed().duration;
    html! {
        @if let Some(step_up) = step_up {
            (notice(Tone::Waiting, &html! {
                p { "To decide on this role you must sign in more strongly, or again." }
                (step_up.remedy(&desk.portal, return_to))
            }))
        }
        form method="post" action=(path("approve")) novalidate {
            (once())
            input type="hidden" name="revision" value=(case.revision);
            @if return_to == APPROVALS { input type="hidden" name=(FROM) value=(APPROVALS); }
            (field("justification", "Your reason", &hint, rule.need).lines(&words.justification))
            @if asks_anew {
                details open[!words.duration.is_empty() || !words.starts_at.is_empty() || TOLD.iter().skip(1).any(|name| !words.faults.of(name).is_empty())] {
                    summary { "Shorten or move" }
                    (field("duration", "For how long", "Only with an approval.", Need::Optional).select(&shorter(asked, case.terms.activation.min), &words.duration))
                    (field("starts_at", "Start", "Only with an approval. Leave it empty to keep what was asked for.", Need::Optional).moment(&words.starts_at))
                }
            }
            div .buttons {
                (submit_to(Weight::Main, "Approve", &path("approve")))
                (submit_to(Weight::Destructive, "Deny", &path("deny")))
            }
        }
    }
}

/// The page of all that waits: whoever decides there goes on there.
pub(in crate::portal) const APPROVALS: &str = "/approvals";

/// As asked, and lengths below it.
fn shorter(asked: Span, min: Span) -> Vec<Choice> {
    let as_asked = Choice { value: String::new(), label: format!("as asked, {asked}") };
    let below =
        rules::presets(min.min(asked), asked, asked).into_iter().filter(|preset| preset.value != asked.to_string());
    std::iter::once(as_asked).chain(below).collect()
}
