//! The settings of a role, in words for whoever wants it.

use maud::{Markup, html};

use crate::domain::policy::{ExtensionRule, JustificationRule, Need, RolePolicy, Stage};
use crate::domain::time::Span;
use crate::identity::names::IssuerNames;
use crate::identity::words;
use crate::portal::desk::Desk;
use crate::portal::pages::parts::badge::{Tone, badge};
use crate::portal::pages::parts::field::Choice;
use crate::portal::pages::parts::{list, party, text, time};
use crate::portal::wire::common::named;

/// What a role asks of whoever activates it, in a few badges.
pub(in crate::portal) fn demands(policy: &RolePolicy) -> Markup {
    let assurance = &policy.assurance;
    html! {
        span .badges {
            @if policy.approval.stages.is_empty() { (badge(Tone::Plain, "No approval")) }
            @else { (badge(Tone::Plain, "Approval")) }
            @if !assurance.mfa_amr.is_empty() { (badge(Tone::Plain, "Second factor")) }
            @if !assurance.acr.is_empty() { (badge(Tone::Plain, "Stronger sign-in")) }
            @if assurance.max_age.is_some() { (badge(Tone::Plain, "Fresh sign-in")) }
            @if policy.ticket.need == Need::Required { (badge(Tone::Plain, "Ticket")) }
        }
    }
}

/// What a role opens and asks, line by line.
pub(in crate::portal) fn facts(desk: &Desk, policy: &RolePolicy) -> Markup {
    let limits = policy.activation;
    let routes = desk.portal.shared.parts.routes.load();
    let mut pairs = Vec::new();
    if let Some(routes) = routes.get(&policy.role).filter(|routes| !routes.is_empty()) {
        pairs.push(("Opens", html! { ul .plain-list { @for route in routes { li { (text::code(route)) } } } }));
    }
    pairs.push(("Decided by", deciders(&policy.approval.stages, &desk.names)));
    if !policy.approval.stages.is_empty() {
        let pace = desk.portal.shared.parts.paces.load().of(&policy.role);
        pairs.push((
            "Time to a decision",
            html! { @match pace { Some(pace) => { (words::pace(&pace)) } None => span .dim { "not known yet" } } },
        ));
    }
    pairs.push((
        "Length",
        html! { "up to " (time::span(limits.max)) @if limits.total_max > limits.max { "; with extensions up to " (time::span(limits.total_max)) } },
    ));
    pairs.push(("Sign-in", sign_in(policy)));
    pairs.push((
        "Extension",
        match policy.extension {
            ExtensionRule::None => html! { "not possible; ask again" },
            ExtensionRule::SameApproval => html! { "by the same approval" },
            ExtensionRule::Free => html! { "by its holder alone" },
        },
    ));
    if !policy.approval.stages.is_empty() {
        pairs.push(("Lapses", html! { "after " (time::span(policy.pending_after)) " without a decision" }));
    }
    list::facts(pairs)
}

/// Who decides, stage by stage.
pub(in crate::portal) fn deciders(stages: &[Stage], names: &IssuerNames) -> Markup {
    html! {
        @match stages {
            [] => { "nobody; the role is held at once" }
            [only] => { (stage(only, names)) }
            several => {
                ol { @for each in several { li { (stage(each, names)) } } }
            }
        }
    }
}

fn stage(stage: &Stage, names: &IssuerNames) -> Markup {
    let approvers: Vec<String> = stage.approvers.iter().map(|party| named(party, names)).collect();
    html! {
        @if stage.quorum > 1 { p { (stage.quorum) " of:" } }
        (party::parties(&approvers))
    }
}

fn sign_in(policy: &RolePolicy) -> Markup {
    let assurance = &policy.assurance;
    let demands: Vec<Markup> = [
        (!assurance.mfa_amr.is_empty()).then(|| html! { "with a second factor" }),
        (!assurance.acr.is_empty()).then(|| html! { "of level " (text::code(&assurance.acr.join(" or "))) }),
        assurance.max_age.map(|age| html! { "not older than " (time::span(age)) }),
    ]
    .into_iter()
    .flatten()
    .collect();
    html! {
        @if demands.is_empty() { "any" }
        @for (index, demand) in demands.iter().enumerate() { @if index > 0 { ", " } (demand) }
    }
}

/// How a justification must be, and who will read it besides the journal's readers.
pub(in crate::portal) fn justification_hint(rule: &JustificationRule, readers: &str) -> String {
    let length = match rule.characters_min {
        0 | 1 => String::new(),
        min => format!(" At least {min} characters."),
    };
    let form = rule.pattern.as_ref().map(|pattern| format!(" Must match {}.", pattern.source())).unwrap_or_default();
    format!("{readers} will read it, and it stays in the journal.{length}{form}")
}

/// Lengths worth a button between the shortest and the longest.
pub(in crate::portal) fn presets(min: Span, max: Span, default: Span) -> Vec<Choice> {
    let mut lengths: Vec<Span> = USUAL.into_iter().filter(|length| (min..=max).contains(length)).collect();
    let spare = lengths.len().saturating_sub(PRESETS_MAX);
    // the long ones are asked for less often than ones around the default
    let first =
        lengths.iter().position(|length| *length >= default).unwrap_or(lengths.len()).saturating_sub(3).min(spare);
    lengths = lengths.into_iter().skip(first).take(PRESETS_MAX).collect();
    lengths.extend([default, max]);
    lengths.retain(|length| (min..=max).contains(length));
    lengths.sort_unstable();
    lengths.dedup();
    lengths.into_iter().map(|length| Choice { value: length.to_string(), label: length.to_string() }).collect()
}

const PRESETS_MAX: usize = 5;
const USUAL: [Span; 12] = [
    Span::minutes(5),
    Span::minutes(15),
    Span::minutes(30),
    Span::hours(1),
    Span::hours(2),
    Span::hours(4),
    Span::hours(8),
    Span::hours(12),
    Span::days(1),
    Span::days(3),
    Span::days(7),
    Span::days(30),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_lie_within_the_limits_and_hold_default_and_maximum() {
        let words = |min, max, default| -> Vec<String> {
            presets(min, max, default).into_iter().map(|preset| preset.value).collect()
        };
        assert_eq!(words(Span::seconds(1), Span::hours(1), Span::minutes(30)), ["5m", "15m", "30m", "1h"]);
        assert_eq!(words(Span::seconds(1), Span::hours(8), Span::hours(1)), ["5m", "15m", "30m", "1h", "2h", "8h"]);
        assert_eq!(words(Span::seconds(1), Span::seconds(90), Span::seconds(90)), ["1m 30s"]);
        assert_eq!(words(Span::hours(6), Span::hours(7), Span::hours(6)), ["6h", "7h"]);
    }
}
