//! Asking for a later end: the form in a drawer, on Home and on the request's own page.

use maud::{Markup, html};

use crate::domain::activation::{Activation, Phase};
use crate::domain::policy::{ExtensionRule, Need, RolePolicy};
use crate::domain::time::{Span, Timestamp};
use crate::portal::desk::Desk;
use crate::portal::pages::fault::Faults;
use crate::portal::pages::form::once;
use crate::portal::pages::parts::button::{Weight, submit};
use crate::portal::pages::parts::field::Field;
use crate::portal::pages::rules;

/// The form as it was sent, and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub(in crate::portal) struct Wanted {
    pub(in crate::portal) duration: String,
    pub(in crate::portal) justification: String,
    pub(in crate::portal) faults: Faults,
}

/// The form, where the holder may try it.
pub(in crate::portal) fn drawer(desk: &Desk, case: &Activation, wanted: &Wanted) -> Markup {
    let policies = desk.portal.shared.parts.policies.load();
    let policy = policies.role(&case.role).filter(|policy| offers(policy, case, desk.viewer.now()));
    html! {
        @if let Some(policy) = policy {
            details .drawer open[!wanted.faults.is_empty()] {
                summary { "Extend" span .unseen { " " (case.role) } }
                (form(policy, case, wanted))
            }
        }
    }
}

fn form(policy: &RolePolicy, case: &Activation, wanted: &Wanted) -> Markup {
    let scope = format!("extend-{}", case.id);
    let field = |name, label, hint, need| Field { form: &scope, name, label, hint, need, faults: &wanted.faults };
    let longest = longest(policy, case);
    let readers = if is_asked_again(policy, case) { "Approvers" } else { "Administrators" };
    let hint = rules::justification_hint(&policy.justification, readers);
    let lengths = rules::presets(Span::seconds(1), longest, policy.activation.default.min(longest));
    let chosen = if wanted.duration.is_empty() {
        policy.activation.default.min(longest).to_string()
    } else {
        wanted.duration.clone()
    };
    html! {
        form method="post" action={ "/activations/" (case.id) "/extend" } novalidate {
            (once())
            @if is_asked_again(policy, case) { p .hint { "The approvers are asked again; until they agree, the end stays as it is." } }
            (field("duration", "By how much", "", Need::Required).select(&lengths, &chosen))
            (field("justification", "Justification", &hint, policy.justification.need).lines(&wanted.justification))
            (submit(Weight::Main, "Extend"))
        }
    }
}

/// Whether it makes sense to show the form; the domain decides when it is sent.
fn offers(policy: &RolePolicy, case: &Activation, now: Timestamp) -> bool {
    let free = policy.extension != ExtensionRule::None && case.terms.extension != ExtensionRule::None;
    let running = match &case.phase {
        Phase::Active { window, extension: None } => window.contains(now),
        Phase::Active { .. } | Phase::Pending(_) | Phase::Ended { .. } => false,
    };
    free && running && longest(policy, case) > Span::ZERO
}

fn is_asked_again(policy: &RolePolicy, case: &Activation) -> bool {
    let again = [policy.extension, case.terms.extension].contains(&ExtensionRule::SameApproval);
    again && !(policy.approval.stages.is_empty() && case.terms.stages.is_empty())
}

/// The longest extension that today's limits and the case's own leave.
fn longest(policy: &RolePolicy, case: &Activation) -> Span {
    let frozen = case.terms.activation;
    let so_far =
        case.window().map_or(0, |window| window.clip(Timestamp::MAX).millis_since(window.starts_at).div_ceil(1000));
    let total = policy.activation.total_max.min(frozen.total_max).as_seconds();
    policy.activation.max.min(frozen.max).min(Span::seconds(total.saturating_sub(so_far)))
}
