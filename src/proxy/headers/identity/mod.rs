//! Who asks and why it passes, as headers for the application.
//!
//! Values are visible ASCII: whatever else a claim holds is percent-encoded UTF-8, and so are `%` and, since lists are
//! joined by commas, the comma. An application decodes once after splitting and has the claim byte for byte; nothing a claim
//! holds can end a line, start a header or add an item to a list.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::clock::format_rfc3339;
use crate::domain::authorize::Permit;
use crate::domain::identity::Identity;
use crate::identity::names::IssuerNames;

/// The headers that tell of one identity: made once for as long as it is known, cheap to add.
#[derive(Debug, Clone)]
pub struct IdentityHeaders {
    values: Vec<(HeaderName, HeaderValue)>,
}

impl IdentityHeaders {
    /// Headers of `identity`.
    #[must_use]
    pub fn of(identity: &Identity, names: &IssuerNames) -> Self {
        let groups = identity.groups.iter().map(|group| names.of_group(group));
        let texts = [
            (USER, Some(names.of_principal(&identity.principal))),
            (EMAIL, identity.mail.as_deref().map(str::to_owned)),
            (PREFERRED_USERNAME, identity.name.as_deref().map(str::to_owned)),
        ];
        let mut values: Vec<_> =
            texts.into_iter().filter_map(|(name, text)| Some((name, header_value(&encode(&text?))?))).collect();
        if !identity.groups.is_empty() {
            values.extend(list(groups).map(|value| (GROUPS, value)));
        }
        Self { values }
    }

    /// Puts them among `headers`.
    pub fn add(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.values {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// Adds who asks and why it passes.
pub fn add_identity(headers: &mut HeaderMap, identity: &Identity, permit: &Permit, names: &IssuerNames) {
    IdentityHeaders::of(identity, names).add(headers);
    add_permit(headers, permit);
}

/// Adds why a request passes: the roles, their activations, and when the first of them ends.
pub fn add_permit(headers: &mut HeaderMap, permit: &Permit) {
    PermitHeaders::of(permit).add(headers);
}

/// The headers that tell why a request passes: the same for as long as it passes by the same roles.
#[derive(Debug, Clone, Default)]
pub struct PermitHeaders {
    role: Option<HeaderValue>,
    activation: Option<HeaderValue>,
    expires: Option<HeaderValue>,
}

impl PermitHeaders {
    /// Headers of `permit`.
    #[must_use]
    pub fn of(permit: &Permit) -> Self {
        if permit.held().is_empty() {
            return Self::default();
        }
        let not_empty = |value: &HeaderValue| !value.is_empty();
        Self {
            role: list(permit.held().iter().map(|held| held.role.to_string())).filter(not_empty),
            activation: list(permit.activations().map(|(_, activation)| activation.to_string())).filter(not_empty),
            expires: expires(permit),
        }
    }

    /// Puts them among the headers of a request.
    pub fn add(&self, headers: &mut HeaderMap) {
        for (name, value) in [(ROLE, &self.role), (ACTIVATION, &self.activation), (EXPIRES, &self.expires)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
    }

    /// Puts among the headers of an answer when an elevation ends.
    pub(super) fn add_outbound(&self, headers: &mut HeaderMap) {
        if self.activation.is_some()
            && let Some(expires) = &self.expires
        {
            headers.insert(EXPIRES, expires.clone());
        }
    }
}

/// When the first of the roles ends that made the request pass; `None` when none of them does.
fn expires(permit: &Permit) -> Option<HeaderValue> {
    let ends_at = permit.held().iter().filter_map(|held| held.ends_at).min()?;
    header_value(&format_rfc3339(ends_at))
}

fn list(items: impl Iterator<Item = String>) -> Option<HeaderValue> {
    let encoded: Vec<String> = items.map(|item| encode(&item).into_owned()).collect();
    header_value(&encoded.join(","))
}

fn encode(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, NOT_PLAIN).into()
}

fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

/// Everything but visible ASCII, and the two signs with a meaning of their own.
const NOT_PLAIN: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b',');

const USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const EMAIL: HeaderName = HeaderName::from_static("x-forwarded-email");
const PREFERRED_USERNAME: HeaderName = HeaderName::from_static("x-forwarded-preferred-username");
const GROUPS: HeaderName = HeaderName::from_static("x-forwarded-groups");
const ROLE: HeaderName = HeaderName::from_static("x-hallpass-role");
const ACTIVATION: HeaderName = HeaderName::from_static("x-hallpass-activation");
const EXPIRES: HeaderName = HeaderName::from_static("x-hallpass-expires");
