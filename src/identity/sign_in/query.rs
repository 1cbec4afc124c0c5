//! Parameters of a query or form: each at most once, or it is as if it were not there.

use reqwest::Url;

/// The parameters of one query or form.
pub(super) struct Query {
    pairs: Vec<(String, String)>,
}

/// What stands under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given<'q> {
    /// Nothing.
    Nothing,
    /// One value.
    One(&'q str),
    /// Several: nobody can tell which is meant.
    Several,
}

impl Query {
    pub(super) fn read(text: &str) -> Self {
        let mut pairs = Vec::new();
        if let Ok(mut url) = Url::parse("http://query/") {
            url.set_query(Some(text));
            pairs = url.query_pairs().take(PAIRS_MAX).map(|(name, value)| (name.into(), value.into())).collect();
        }
        Self { pairs }
    }

    pub(super) fn given(&self, name: &str) -> Given<'_> {
        let mut values = self.pairs.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (None, _) => Given::Nothing,
            (Some((_, value)), None) => Given::One(value),
            (Some(_), Some(_)) => Given::Several,
        }
    }

    /// The one value; `None` also for several.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        match self.given(name) {
            Given::One(value) => Some(value),
            Given::Nothing | Given::Several => None,
        }
    }
}

const PAIRS_MAX: usize = 64;
