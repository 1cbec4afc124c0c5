//! What a sign-in is to achieve beyond naming somebody, and whether it did.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::query::Query;
use crate::domain::identity::Assurance;
use crate::domain::policy::AssuranceRule;
use crate::domain::time::{Span, Timestamp};

/// What is asked of a sign-in. Made from a link, so it decides nothing: whoever demanded it judges the sign-in again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Any of these levels.
    pub acr_values: Vec<String>,
    /// Any of these methods, as proof of a second factor.
    pub amr: Vec<String>,
    /// Whether a second factor is asked for, by whatever method proves it to whoever demands it.
    pub second_factor: bool,
    /// Signed in no longer ago than this.
    pub max_age: Option<Span>,
    /// Whether everything is to be entered anew.
    pub anew: bool,
}

impl Asked {
    /// What satisfies `rule`.
    #[must_use]
    pub fn of(rule: &AssuranceRule) -> Self {
        Self {
            acr_values: rule.acr.clone(),
            amr: rule.mfa_amr.clone(),
            second_factor: !rule.mfa_amr.is_empty(),
            max_age: rule.max_age,
            anew: false,
        }
    }

    /// The query of a link to sign-in: `return_to=…&acr_values=…&amr=…&second_factor=yes&max_age=…&prompt=login`.
    #[must_use]
    pub fn query(&self, return_to: &str) -> String {
        let mut query = format!("return_to={}", encoded(return_to));
        for (name, values) in [("acr_values", &self.acr_values), ("amr", &self.amr)] {
            if !values.is_empty() {
                query.push_str(&format!("&{name}={}", encoded(&values.join(" "))));
            }
        }
        if self.second_factor && self.amr.is_empty() {
            query.push_str("&second_factor=yes");
        }
        if let Some(max_age) = self.max_age {
            query.push_str(&format!("&max_age={}", max_age.as_seconds()));
        }
        if self.anew {
            query.push_str("&prompt=login");
        }
        query
    }

    pub(super) fn read(query: &Query) -> Self {
        let list = |name| query.one(name).map(words).unwrap_or_default();
        let amr = list("amr");
        Self {
            acr_values: list("acr_values"),
            second_factor: !amr.is_empty() || query.one("second_factor") == Some("yes"),
            amr,
            max_age: query.one("max_age").and_then(|seconds| seconds.parse().ok()).map(Span::seconds),
            anew: query.one("prompt") == Some("login"),
        }
    }

    /// Whether what came back is what was asked. `slack` covers the way back and a clock that differs.
    pub(super) fn is_met(&self, came: &Assurance, now: Timestamp, slack: Span) -> bool {
        let rule = AssuranceRule {
            mfa_amr: self.amr.clone(),
            acr: self.acr_values.clone(),
            max_age: self.max_age.map(|max_age| Span::seconds(max_age.as_seconds().saturating_add(slack.as_seconds()))),
        };
        rule.gaps(came, now).is_empty()
    }

    /// For people: `at level gold, with a second factor (mfa), no longer than 5m ago`.
    pub(super) fn in_words(&self) -> String {
        let mut wishes = Vec::new();
        if !self.acr_values.is_empty() {
            wishes.push(format!("at level `{}`", self.acr_values.join("` or `")));
        }
        if !self.amr.is_empty() {
            wishes.push(format!("with a second factor (`{}`)", self.amr.join("` or `")));
        }
        if let Some(max_age) = self.max_age {
            wishes.push(if max_age == Span::ZERO {
                "right now".to_owned()
            } else {
                format!("within the last {max_age}")
            });
        }
        wishes.join(", ")
    }
}

/// For people: what a sign-in achieved.
pub(super) fn came_in_words(came: &Assurance, now: Timestamp) -> String {
    let level = came.acr.as_ref().map_or_else(|| "no level".to_owned(), |acr| format!("level `{acr}`"));
    let methods =
        if came.amr.is_empty() { "no methods".to_owned() } else { format!("methods `{}`", came.amr.join(" ")) };
    let time = came.auth_time.map_or_else(
        || "and no time of sign-in".to_owned(),
        |at| format!("and a sign-in {} ago", Span::seconds(now.millis_since(at) / 1000)),
    );
    format!("{level}, {methods}, {time}")
}

/// Everything but unreserved characters escaped.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Words of a list as OAuth writes it.
fn words(text: &str) -> Vec<String> {
    let plain = |word: &&str| word.len() <= WORD_MAX && word.bytes().all(|byte| byte.is_ascii_graphic());
    let mut room = LIST_BYTES_MAX;
    let mut fits = |word: &&str| {
        room = room.saturating_sub(word.len());
        room > 0
    };
    let words = text.split(' ').filter(|word| !word.is_empty()).filter(plain).take(WORDS_MAX);
    words.take_while(|word| fits(word)).map(str::to_owned).collect()
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const WORD_MAX: usize = 256;
const WORDS_MAX: usize = 16;
/// Each list waits in memory for whoever comes back.
const LIST_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn came(acr: Option<&str>, amr: &[&str], auth_time: Option<i64>) -> Assurance {
        Assurance {
            acr: acr.map(str::to_owned),
            amr: amr.iter().map(|method| (*method).to_owned()).collect(),
            auth_time: auth_time.map(Timestamp::from_seconds),
        }
    }

    #[test]
    fn a_link_says_what_was_asked() {
        let rule = AssuranceRule {
            mfa_amr: vec!["mfa".to_owned(), "hwk".to_owned()],
            acr: vec!["urn:gold&x".to_owned()],
            max_age: Some(Span::minutes(5)),
        };
        let asked = Asked { anew: true, ..Asked::of(&rule) };
        let query = asked.query("/vault?a=1");
        assert_eq!(
            query,
            "return_to=%2Fvault%3Fa%3D1&acr_values=urn%3Agold%26x&amr=mfa%20hwk&max_age=300&prompt=login"
        );
        assert_eq!(Asked::read(&Query::read(&query)), asked);
        let twice = Asked::read(&Query::read("max_age=-1&acr_values=a&acr_values=b"));
        assert_eq!(twice, Asked::default(), "twice is not at all");
        assert_eq!(Asked { second_factor: true, ..Asked::default() }.query("/"), "return_to=%2F&second_factor=yes");
    }

    #[test]
    fn what_waits_in_memory_is_short() {
        let word = |number: usize| format!("{}{number}", "a".repeat(200));
        let list = (0..16).map(word).collect::<Vec<_>>().join("%20");
        let asked = Asked::read(&Query::read(&format!("acr_values={list}&amr={list}")));
        assert_eq!((&asked.acr_values, &asked.amr), (&vec![word(0), word(1)], &vec![word(0), word(1)]));
    }

    #[test]
    fn what_came_back_is_held_against_it() {
        let now = Timestamp::from_seconds(1000);
        let asked = Asked { acr_values: vec!["gold".to_owned()], max_age: Some(Span::seconds(10)), ..Asked::default() };
        let met = |came: &Assurance| asked.is_met(came, now, Span::seconds(5));
        assert!(met(&came(Some("gold"), &[], Some(990))));
        assert!(met(&came(Some("gold"), &[], Some(986))), "within the slack");
        assert!(!met(&came(Some("gold"), &[], Some(985))));
        assert!(!met(&came(Some("gold"), &[], None)), "without `auth_time` nobody can tell");
        assert!(!met(&came(Some("silver"), &[], Some(999))));
        assert!(!met(&came(None, &[], Some(999))));
        let second = Asked { second_factor: true, amr: vec!["mfa".to_owned()], ..Asked::default() };
        assert!(second.is_met(&came(None, &["pwd", "mfa"], None), now, Span::ZERO));
        assert!(!second.is_met(&came(None, &["pwd"], None), now, Span::ZERO));
    }
}
