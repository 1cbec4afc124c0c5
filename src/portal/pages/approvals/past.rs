//! What the requester did with the role before: often, lately, and for real.

use maud::{Markup, html};

use crate::domain::activation::{Activation, Phase};
use crate::domain::id::ActivationId;
use crate::domain::time::Timestamp;
use crate::portal::desk::Desk;
use crate::portal::pages::form::url;
use crate::portal::pages::parts::time;
use crate::portal::problem::Problem;
use crate::store::ActivationFilter;

/// Past activations of the role by the same person, as far as one looks back.
#[derive(Debug, Default)]
pub(super) struct Past {
    held: usize,
    more: bool,
    last: Option<Timestamp>,
    uses: u64,
    uses_more: bool,
    refused: usize,
}

impl Past {
    /// What came before `case`.
    pub(super) fn of(desk: &Desk, case: &Activation) -> Result<Self, Problem> {
        let filter = ActivationFilter {
            principal: Some(case.principal.clone()),
            role: Some(case.role.clone()),
            ..ActivationFilter::default()
        };
        let found = desk.reader().find_activations(&filter, None, LOOKED_BACK_MAX)?;
        let mut past = Self { more: found.next.is_some(), ..Self::default() };
        for listed in found.items.iter().filter(|listed| listed.item.id != case.id) {
            past.count(desk, &listed.item)?;
        }
        Ok(past)
    }

    fn count(&mut self, desk: &Desk, case: &Activation) -> Result<(), Problem> {
        let (begun, sealed) = match &case.phase {
            Phase::Ended { held: Some(held), uses, .. } => (held.starts_at, uses.as_ref().map(|seal| seal.count)),
            Phase::Active { window, .. } if window.starts_at <= desk.viewer.now() => (window.starts_at, None),
            Phase::Ended { held: None, ending: crate::domain::activation::Ending::Denied, .. } => {
                self.refused = self.refused.saturating_add(1);
                return Ok(());
            }
            Phase::Pending(_) | Phase::Active { .. } | Phase::Ended { .. } => return Ok(()),
        };
        self.held = self.held.saturating_add(1);
        self.last = self.last.max(Some(begun));
        let count = match sealed {
            Some(count) => count,
            None => self.unsealed(desk, case.id)?,
        };
        self.uses = self.uses.saturating_add(count);
        Ok(())
    }

    /// Uses that are not sealed yet are counted, up to a number that says enough.
    fn unsealed(&mut self, desk: &Desk, id: ActivationId) -> Result<u64, Problem> {
        let uses = desk.portal.shared.parts.uses.of(id, 0, USES_COUNTED_MAX)?;
        self.uses_more |= uses.len() == USES_COUNTED_MAX;
        Ok(u64::try_from(uses.len()).unwrap_or(u64::MAX))
    }

    /// In words, with a way to all of them.
    pub(super) fn show(&self, desk: &Desk, case: &Activation) -> Markup {
        let principal = desk.names.of_principal(&case.principal);
        let all = url("/history", &[("principal", &principal), ("role", case.role.as_str())]);
        html! {
            @match self.held {
                0 => { "never held before" }
                held => {
                    "held " @if held == 1 && !self.more { "once" } @else { (held) " times" } @if self.more { " or more" } " before"
                    @if let Some(last) = self.last { ", last " (time::distance(last, desk.viewer.now())) }
                    " · " (self.uses) @if self.uses_more { "+" }
                    @if self.uses == 1 { " request made with it" } @else { " requests made with it" }
                }
            }
            @if self.refused > 0 { " · denied " @if self.refused == 1 { "once" } @else { (self.refused) " times" } }
            @if self.held > 0 || self.refused > 0 { " · " a href=(all) { "history" } }
        }
    }
}

/// So many of the newest cases are looked at.
const LOOKED_BACK_MAX: usize = 20;
const USES_COUNTED_MAX: usize = 200;
