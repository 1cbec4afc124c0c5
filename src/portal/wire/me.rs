//! The caller's own standing as JSON, and locks.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::identity;
use crate::domain::standing::Basis;
use crate::identity::names::IssuerNames;
use crate::portal::sight::Viewer;
use crate::portal::wire::text::{Instant, RoleName};

/// Who the caller is, and what it holds, may activate and awaits now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Me {
    principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    groups: Vec<String>,
    assurance: Assurance,
    locked: bool,
    held: Vec<HeldRole>,
    eligible: Vec<EligibleRole>,
    pending: Vec<PendingRole>,
    administrator: bool,
    auditor: bool,
}

/// How and when somebody signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Assurance {
    amr: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<Instant>,
}

/// A role held now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct HeldRole {
    role: RoleName,
    /// The activation it is held by.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<String>,
    /// The active assignment it is held by.
    #[serde(skip_serializing_if = "Option::is_none")]
    assignment: Option<String>,
    starts_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<Instant>,
    /// The group it is held through.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
}

/// A role that may be activated now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct EligibleRole {
    role: RoleName,
    assignment: String,
    from: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Instant>,
    /// The group that is eligible.
    #[serde(skip_serializing_if = "Option::is_none")]
    via: Option<String>,
}

/// A request that waits for approval.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct PendingRole {
    role: RoleName,
    activation: String,
    requested_at: Instant,
    /// The open stage, counted from 0.
    stage: u32,
    /// How many stages there are.
    stages: u32,
    lapses_at: Instant,
}

/// Whether a principal is locked.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct LockState {
    pub(in crate::portal) principal: String,
    pub(in crate::portal) locked: bool,
}

impl Me {
    pub(in crate::portal) fn of(viewer: &Viewer, names: &IssuerNames) -> Self {
        let (identity, now) = (viewer.identity(), viewer.now());
        let held = viewer.standings().flat_map(|(via, standing)| {
            standing.held.iter().filter(move |held| held.counts_for(identity, now)).map(move |held| {
                let (activation, assignment) = match held.basis {
                    Basis::Activation(id) => (Some(id.to_string()), None),
                    Basis::Assignment(id) => (None, Some(id.to_string())),
                };
                HeldRole {
                    role: RoleName(held.role.clone()),
                    activation,
                    assignment,
                    starts_at: Instant(held.window.starts_at),
                    ends_at: held.window.ends_at.map(Instant),
                    via: held.via.as_ref().or(via).map(|group| names.of_group(group)),
                }
            })
        });
        let eligible = viewer.standings().flat_map(|(via, standing)| {
            standing.eligible.iter().filter(move |eligible| eligible.window.contains(now)).map(move |eligible| {
                EligibleRole {
                    role: RoleName(eligible.role.clone()),
                    assignment: eligible.assignment.to_string(),
                    from: Instant(eligible.window.starts_at),
                    until: eligible.window.ends_at.map(Instant),
                    via: via.map(|group| names.of_group(group)),
                }
            })
        });
        let pending = viewer.standings().flat_map(|(_, standing)| {
            standing.pending.iter().filter(move |pending| now < pending.lapses_at).map(|pending| PendingRole {
                role: RoleName(pending.role.clone()),
                activation: pending.activation.to_string(),
                requested_at: Instant(pending.requested_at),
                stage: pending.progress.stage,
                stages: pending.progress.stages,
                lapses_at: Instant(pending.lapses_at),
            })
        });
        Self {
            principal: names.of_principal(&identity.principal),
            name: identity.name.as_deref().map(str::to_owned),
            mail: identity.mail.as_deref().map(str::to_owned),
            groups: identity.groups.iter().map(|group| names.of_group(group)).collect(),
            assurance: (&identity.assurance).into(),
            locked: viewer.is_locked(),
            held: if viewer.is_locked() { Vec::new() } else { held.collect() },
            eligible: eligible.collect(),
            pending: pending.collect(),
            administrator: viewer.is_administrator(),
            auditor: viewer.is_auditor(),
        }
    }
}

impl From<&identity::Assurance> for Assurance {
    fn from(assurance: &identity::Assurance) -> Self {
        Self { amr: assurance.amr.clone(), acr: assurance.acr.clone(), auth_time: assurance.auth_time.map(Instant) }
    }
}
