//! Values that are text in JSON: instants, spans, roles. Read strictly, written in one form.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::clock::{format_rfc3339, parse_rfc3339, parse_span};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};

/// An instant as RFC 3339 text; written in UTC with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) struct Instant(pub(in crate::portal) Timestamp);

/// A span like `1h 30m`, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::portal) struct Length(pub(in crate::portal) Span);

/// A role's name, `app/role`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::portal) struct RoleName(pub(in crate::portal) RoleId);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_rfc3339(self.0))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_rfc3339(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_span(&text).map(Self).map_err(de::Error::custom)
    }
}

impl Serialize for RoleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl PartialSchema for Instant {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        text("an instant, RFC 3339 with offset", "2026-11-23T08:30:00.000Z")
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for Instant {}

impl PartialSchema for Length {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        text("a span of whole seconds", "1h 30m").into()
    }
}

impl ToSchema for Length {}

impl PartialSchema for RoleName {
    fn schema() -> utoipa::openapi::RefOr<Schema> {
        text("a role's name, `app/role`", "shop/vault-reader")
            .pattern(Some("^[A-Za-z0-9._-]{1,64}/[A-Za-z0-9._-]{1,64}$"))
            .into()
    }
}

impl ToSchema for RoleName {}

fn text(description: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description)).examples([example])
}
