//! What the issuer hands out and later takes back: names nobody can guess, each good for a while.

use std::collections::HashMap;
use std::fmt;

use crate::demo::issuer::keys::{Unusable, random_id};
use crate::domain::time::{Span, Timestamp};

/// Values by the secret name they were handed out under.
pub(super) struct Handed<T> {
    lifetime: Span,
    entries: HashMap<String, (Timestamp, T)>,
}

impl<T> Handed<T> {
    /// Nothing yet; each entry will be good for `lifetime`.
    pub(super) fn lasting(lifetime: Span) -> Self {
        Self { lifetime, entries: HashMap::new() }
    }

    /// Keeps `value` under a fresh name.
    pub(super) fn out(&mut self, value: T, now: Timestamp) -> Result<String, Unusable> {
        self.entries.retain(|_, (until, _)| now < *until);
        if self.entries.len() >= ENTRIES_MAX {
            let oldest = self.entries.iter().min_by_key(|(_, (until, _))| *until).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.entries.remove(&name));
        }
        let name = random_id()?;
        self.entries.insert(name.clone(), (now.plus(self.lifetime), value));
        Ok(name)
    }

    /// The value under this name, while it is good.
    pub(super) fn find(&mut self, name: &str, now: Timestamp) -> Option<&mut T> {
        self.entries.get_mut(name).filter(|(until, _)| now < *until).map(|(_, value)| value)
    }

    /// Takes the value back.
    pub(super) fn back(&mut self, name: &str) -> Option<T> {
        self.entries.remove(name).map(|(_, value)| value)
    }

    /// Keeps only what `keep` says.
    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.entries.retain(|_, (_, value)| keep(value));
    }

    /// Every value, good or not.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.values_mut().map(|(_, value)| value)
    }
}

/// The names are secrets, so only their number shows.
impl<T> fmt::Debug for Handed<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Handed").field("entries", &self.entries.len()).finish_non_exhaustive()
    }
}

/// Far more than a demo needs.
const ENTRIES_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_out_is_good_for_its_time_and_the_oldest_makes_room() {
        let morning = Timestamp::from_seconds(1_795_420_800);
        let mut handed = Handed::lasting(Span::minutes(1));
        let first = handed.out(0, morning).unwrap();
        assert_eq!(handed.find(&first, morning.plus(Span::seconds(59))), Some(&mut 0));
        assert_eq!(handed.find(&first, morning.plus(Span::minutes(1))), None);
        assert_eq!(handed.find("another", morning), None);
        let later = morning.plus(Span::seconds(1));
        for value in 1..=ENTRIES_MAX {
            handed.out(value, later).unwrap();
        }
        assert_eq!(handed.find(&first, later), None, "the oldest made room");
        assert_eq!(handed.values_mut().count(), ENTRIES_MAX);
        assert!(!format!("{handed:?}").contains(&first));
    }
}
