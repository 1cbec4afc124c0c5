//! What a role is wanted for: the request that was denied, carried from the gate into the request for the role.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::event as told;
use crate::portal::pages::leads_back;
use crate::portal::problem::{Kind, Problem};

/// A request that was denied for want of a role, as whoever asks for the role says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::portal) struct Wanted {
    /// Its method; at most 32 letters.
    #[schema(example = "GET")]
    pub(in crate::portal) method: String,
    /// Its address at one of the gates, at most 4096 characters. The query is not kept.
    #[schema(example = "https://shop.example.com/vault/k")]
    pub(in crate::portal) url: String,
}

impl Wanted {
    /// What it says, when it is the address of a gate; anything else would lend the portal's pages to a stranger.
    pub(in crate::portal) fn read(self, gate_urls: &[String]) -> Result<told::Wanted, Problem> {
        let Self { method, url } = self;
        if method.is_empty() || method.len() > METHOD_MAX || !method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            let detail = format!("a method is 1 to {METHOD_MAX} letters");
            return Err(Problem::member(Kind::INVALID_BODY, "/wanted/method", detail));
        }
        if url.len() > URL_MAX || !leads_back(&url, gate_urls) {
            let detail = format!("the address is one of a gate, at most {URL_MAX} characters");
            return Err(Problem::member(Kind::INVALID_BODY, "/wanted/url", detail));
        }
        // a query may hold a secret of the application, and what is kept here others read
        let url = url.split(['?', '#']).next().unwrap_or_default().to_owned();
        Ok(told::Wanted { method, url })
    }
}

impl From<&told::Wanted> for Wanted {
    fn from(wanted: &told::Wanted) -> Self {
        Self { method: wanted.method.clone(), url: wanted.url.clone() }
    }
}

const METHOD_MAX: usize = 32;
const URL_MAX: usize = 4096;
