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
    pub(in crate::portal) principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) mail: Option<String>,
    pub(in crate::portal) groups: Vec<String>,
    pub(in crate::portal) assurance: Assurance,
    pub(in crate::portal) locked: bool,
    /// Why what is held opens nothing at present, or why nothing is granted; left out when all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) trouble: Option<String>,
    pub(in crate::portal) held: Vec<HeldRole>,
    pub(in crate::portal) eligible: Vec<EligibleRole>,
    pub(in crate::portal) pending: Vec<PendingRole>,
    pub(in crate::portal) administrator: bool,
    pub(in crate::portal) auditor: bool,
}

/// How and when somebody signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Assurance {
    pub(in crate::portal) amr: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) acr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) auth_time: Option<Instant>,
}

/// A role held now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct HeldRole {
    pub(in crate::portal) role: RoleName,
    /// The activation it is held by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) activation: Option<String>,
    /// The active assignment it is held by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) assignment: Option<String>,
    pub(in crate::portal) starts_at: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) ends_at: Option<Instant>,
    /// The group it is held through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) via: Option<String>,
}

/// A role that may be activated now.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct EligibleRole {
    pub(in crate::portal) role: RoleName,
    pub(in crate::portal) assignment: String,
    pub(in crate::portal) from: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) until: Option<Instant>,
    /// The group that is eligible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::portal) via: Option<String>,
}

/// A request that waits for approval.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct PendingRole {
    pub(in crate::portal) role: RoleName,
    pub(in crate::portal) activation: String,
    pub(in crate::portal) requested_at: Instant,
    /// The open stage, counted from 0.
    pub(in crate::portal) stage: u32,
    /// How many stages there are.
    pub(in crate::portal) stages: u32,
    pub(in crate::portal) lapses_at: Instant,
}

/// Whether a principal is locked.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct LockState {
    pub(in crate::portal) principal: String,
    pub(in crate::portal) locked: bool,
}

/// From when on credentials of a principal count.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct CredentialState {
    pub(in crate::portal) principal: String,
    /// What was issued before counts no more.
    pub(in crate::portal) issued_before: Instant,
}

/// What was erased.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::portal) struct Erasure {
    pub(in crate::portal) principal: String,
    /// So many notes are gone; none when there was nothing left to erase.
    pub(in crate::portal) notes: u64,
    /// The journal's head after it.
    pub(in crate::portal) sequence: u64,
}

impl Me {
    pub(in crate::portal) fn of(viewer: &Viewer, names: &IssuerNames, trouble: Option<String>) -> Self {
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
            trouble,
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
