//! Links out of a refusal: they lead only ever to configured addresses, never to one the client named.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::domain::authorize::Curable;
use crate::proxy::canonical::Canonical;

/// Where links lead.
#[derive(Debug, Clone)]
pub struct Links {
    /// The portal's public URL.
    pub portal_url: String,
    /// The public URL of the listener that was asked.
    pub gate_url: String,
}

impl Links {
    /// Where `curable` can be cured: its pending request, or the prefilled form for a new one.
    #[must_use]
    pub fn activation(&self, curable: &Curable, canonical: Option<&Canonical>) -> String {
        let portal = self.portal_url.trim_end_matches('/');
        let back = canonical.and_then(|canonical| self.back_to(canonical));
        let back = back.map(|url| {
            // what was asked for is a page unless it says otherwise
            let method = canonical
                .map(|canonical| canonical.method.as_str())
                .filter(|method| !matches!(*method, "GET" | "HEAD"));
            let method = method.map(|method| format!("method={}&", encode(method))).unwrap_or_default();
            format!("{method}return_to={}", encode(&url))
        });
        match (curable.pending.as_ref().map(|pending| pending.activation), back) {
            (Some(activation), None) => format!("{portal}/activations/{activation}"),
            (Some(activation), Some(back)) => format!("{portal}/activations/{activation}?{back}"),
            (None, None) => format!("{portal}/activate?role={}", encode(curable.role.as_str())),
            (None, Some(back)) => format!("{portal}/activate?role={}&{back}", encode(curable.role.as_str())),
        }
    }

    /// The address that was asked for, at this gate: its configured URL and the path and query as decided on. A long query
    /// is left out, and a long path altogether, so that the link still fits.
    pub(super) fn back_to(&self, canonical: &Canonical) -> Option<String> {
        let gate = self.gate_url.trim_end_matches('/');
        let target = canonical.target();
        [target.as_str(), target.path()]
            .into_iter()
            .find(|target| target.len() <= TARGET_BYTES_MAX)
            .map(|target| format!("{gate}{target}"))
    }
}

/// Everything but unreserved characters escaped.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const TARGET_BYTES_MAX: usize = 2 * 1024;
