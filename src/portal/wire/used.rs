//! Uses, requests that passed because of an activation, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use crate::identity::names::IssuerNames;
use crate::portal::wire::text::Instant;
use crate::uses;

/// One request that passed because of an activation.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Use {
    /// Counts the uses of this activation, from 1.
    number: u64,
    activation: String,
    principal: String,
    at: Instant,
    request_id: String,
    method: String,
    host: String,
    /// Canonical, without query.
    path: String,
    route: String,
}

impl Use {
    pub(in crate::portal) fn of(number: u64, used: &uses::Use<'_>, names: &IssuerNames) -> Self {
        Self {
            number,
            activation: used.activation.to_string(),
            principal: names.of_principal(&used.principal),
            at: Instant(used.at),
            request_id: used.request_id.to_string(),
            method: used.method.to_string(),
            host: used.host.to_string(),
            path: used.path.to_string(),
            route: used.route.to_string(),
        }
    }
}
