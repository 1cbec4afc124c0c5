//! The settings of a role once everything is inherited: built in → `[defaults]` → `[[app]]` → `[[role]]`.
//!
//! Here stand the defaults of all settings that are inherited. `mfa_amr` is `["mfa"]` (2026-11): of the values of RFC 8176 it
//! alone says that several factors were used. `otp`, `hwk`, `sc` or `face` each name one factor, and an issuer with
//! password-less sign-in writes them for a single one, so they prove nothing unless somebody who knows the issuer says so.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::forms::{Filled, Text};
use crate::config::raw::{Assignment, Extend, OwnRequest, RoleSettings, Stage, seconds};
use crate::domain::role::RoleId;
use crate::domain::time::Span;

/// Every setting of a role, with a value wherever there is a default.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) pending_after: Text<Span>,
    pub(crate) extend: Extend,
    pub(crate) mfa: bool,
    pub(crate) mfa_amr: Vec<Text<Filled>>,
    pub(crate) acr: Vec<Text<Filled>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Text<Span>>,
    pub(crate) activation: Activation,
    pub(crate) justification: Justification,
    pub(crate) ticket: Ticket,
    pub(crate) eligible: Eligibility,
    pub(crate) active: Eligibility,
    pub(crate) approval: Approval,
}

/// How long an activation may be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Activation {
    pub(crate) min: Text<Span>,
    pub(crate) max: Text<Span>,
    pub(crate) default: Text<Span>,
    pub(crate) total_max: Text<Span>,
    pub(crate) start_ahead_max: Text<Span>,
}

/// What somebody must write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Justification {
    pub(crate) required: bool,
    pub(crate) min: u32,
    pub(crate) max: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<Text<Filled>>,
}

/// Whether a ticket must be named.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<Text<Filled>>,
}

/// Who must agree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Approval {
    /// As of the requester when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mfa: Option<bool>,
    pub(crate) acr: Vec<Text<Filled>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<Text<Span>>,
    #[serde(rename = "self")]
    pub(crate) own_request: OwnRequest,
    pub(crate) justification: Justification,
    pub(crate) stages: Vec<Stage>,
}

/// What administrators may assign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Eligibility {
    pub(crate) permanent: bool,
    pub(crate) max: Text<Span>,
}

/// An application with everything its roles inherit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct App {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) settings: Settings,
}

/// A role with all its settings.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Role {
    pub(crate) name: Text<RoleId>,
    pub(crate) description: String,
    #[serde(flatten)]
    pub(crate) settings: Settings,
    pub(crate) eligible_assignments: Vec<Assignment>,
    pub(crate) active_assignments: Vec<Assignment>,
}

impl Settings {
    /// What holds when nobody says anything.
    pub(crate) fn built_in() -> Self {
        Self {
            pending_after: seconds(DAY),
            extend: Extend::SameApproval,
            mfa: true,
            mfa_amr: vec![Text(Filled("mfa".to_owned()))],
            acr: Vec::new(),
            max_age: None,
            activation: Activation {
                min: seconds(1),
                max: seconds(8 * HOUR),
                default: seconds(HOUR),
                total_max: seconds(24 * HOUR),
                start_ahead_max: seconds(30 * DAY),
            },
            justification: Justification { required: true, min: 10, max: 1000, pattern: None },
            ticket: Ticket { required: false, pattern: None },
            eligible: Eligibility { permanent: true, max: seconds(365 * DAY) },
            active: Eligibility { permanent: false, max: seconds(180 * DAY) },
            approval: Approval {
                mfa: None,
                acr: Vec::new(),
                max_age: None,
                own_request: OwnRequest::Forbidden,
                justification: Justification { required: true, min: 1, max: 1000, pattern: None },
                stages: Vec::new(),
            },
        }
    }

    /// These settings, with what `over` says laid upon them: tables merge, everything else is replaced.
    pub(crate) fn with(&self, over: &RoleSettings) -> Result<Self, serde_json::Error> {
        let mut merged = serde_json::to_value(self)?;
        lay(&mut merged, serde_json::to_value(over)?);
        let mut settings: Self = serde_json::from_value(merged)?;
        let asks = over.activation.as_ref();
        if asks.is_none_or(|activation| activation.default.is_none()) {
            let limits = &mut settings.activation;
            // a shorter `max` need not repeat the default: an inherited one gives way
            limits.default.0 = limits.default.0.min(limits.max.0).max(limits.min.0);
        }
        Ok(settings)
    }
}

/// What the roles of hallpass itself settle above `[defaults]`: a lax default for the application's roles does not open
/// hallpass. `[[app]]` and `[[role]]` may still say otherwise.
pub(crate) fn own_roles() -> RoleSettings {
    use crate::config::raw;
    RoleSettings {
        mfa: Some(true),
        extend: Some(Extend::None),
        activation: Some(raw::Activation {
            min: Some(seconds(1)),
            max: Some(seconds(4 * HOUR)),
            default: Some(seconds(HOUR)),
            total_max: Some(seconds(4 * HOUR)),
            start_ahead_max: None,
        }),
        justification: Some(raw::Justification { required: Some(true), ..raw::Justification::default() }),
        ..RoleSettings::default()
    }
}

fn lay(below: &mut Json, over: Json) {
    match (below, over) {
        (Json::Object(below), Json::Object(over)) => {
            for (key, value) in over {
                lay(below.entry(key).or_insert(Json::Null), value);
            }
        }
        (below, over) => *below = over,
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
