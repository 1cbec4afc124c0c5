//! What people must write: justifications and tickets.

use crate::domain::policy::{JustificationRule, Need, TicketRule};
use crate::domain::refusal::Refusal;

/// How `text` falls short of `rule`.
pub(super) fn justification_refusals(rule: &JustificationRule, text: Option<&str>) -> Vec<Refusal> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let Some(text) = text else {
        return match rule.need {
            Need::Required => vec![Refusal::JustificationMissing],
            Need::Optional => Vec::new(),
        };
    };
    let mut refusals = Vec::new();
    let given = text.chars().count();
    let limit = JustificationRule::CHARACTERS_MAX;
    let max = if rule.characters_max == 0 { limit } else { rule.characters_max.min(limit) };
    if given < rule.characters_min {
        refusals.push(Refusal::JustificationTooShort { min: rule.characters_min, given });
    }
    if given > max {
        refusals.push(Refusal::JustificationTooLong { max, given });
    }
    if let Some(pattern) = rule.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
        refusals.push(Refusal::JustificationPattern { pattern: pattern.source().to_owned() });
    }
    refusals
}

/// What an administrator writes when the role's own rule does not apply.
pub(super) fn reason_refusals(need: Need, text: Option<&str>) -> Vec<Refusal> {
    let rule = JustificationRule { need, characters_max: 1000, ..JustificationRule::default() };
    justification_refusals(&rule, text)
}

/// How `ticket` falls short of `rule`.
pub(super) fn ticket_refusals(rule: &TicketRule, ticket: Option<&str>) -> Vec<Refusal> {
    match ticket.map(str::trim).filter(|ticket| !ticket.is_empty()) {
        None if rule.need == Need::Required => vec![Refusal::TicketMissing],
        None => Vec::new(),
        Some(ticket) => {
            let fits = ticket.chars().count() <= TICKET_CHARACTERS_MAX
                && rule.pattern.as_ref().is_none_or(|pattern| pattern.matches(ticket));
            let pattern = rule.pattern.as_ref().map_or(".{1,100}", |pattern| pattern.source());
            if fits { Vec::new() } else { vec![Refusal::TicketPattern { pattern: pattern.to_owned() }] }
        }
    }
}

const TICKET_CHARACTERS_MAX: usize = 100;
