//! Who somebody is and how they stand: as configuration declares it, or as the portal tells it.

use crate::cli::client::{Client, Options};
use crate::cli::failure::Failure;
use crate::cli::terminal::safe;
use crate::cli::when::show;
use crate::cli::wire::Me;
use crate::clock::{format_rfc3339, parse_rfc3339};
use crate::config::Config;
use crate::domain::assignment::AssignmentKind;
use crate::domain::identity::{Assurance, Identity};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::rule::Rule;
use crate::domain::standing::{Basis, Eligible, Held, Lock, Pending, Progress, Standing};
use crate::domain::time::{Timestamp, Window};
use crate::identity::names::IssuerNames;

/// An identity with all its standings.
pub(super) struct Picture {
    /// `None` is nobody.
    pub(super) identity: Option<Identity>,
    /// The own, then one for each group in the identity's order.
    standings: Vec<Standing>,
    source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Configuration,
    Portal,
}

impl Picture {
    /// Somebody with a sign-in as the rule demands, holding what configuration declares.
    pub(super) fn declared(
        principal: Option<&str>,
        groups: &[String],
        rule: &Rule,
        config: &Config,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let unknown = |what: &str, name: &str| {
            Failure::Usage(format!(
                "`{name}` is no {what}: write the name of a configured issuer, a colon, and the name there"
            ))
        };
        let mut carried = Vec::new();
        for name in groups {
            carried.push(config.names.group(name).ok_or_else(|| unknown("group", name))?);
        }
        carried.sort();
        carried.dedup();
        let principal = match (principal, carried.first()) {
            (Some(name), _) => Some(config.names.principal(name).ok_or_else(|| unknown("principal", name))?),
            // somebody of whom nothing is known but the groups: no assignment can name an empty subject
            (None, Some(group)) => Some(Principal::new(&group.issuer, "")),
            (None, None) => None,
        };
        let assurance = Assurance {
            amr: rule.assurance.mfa_amr.clone(),
            acr: rule.assurance.acr.first().cloned(),
            auth_time: Some(now),
        };
        let Some(principal) = principal else {
            return Ok(Self { identity: None, standings: Vec::new(), source: Source::Configuration });
        };
        if let Some(stranger) = carried.iter().find(|group| group.issuer != principal.issuer) {
            let name = config.names.of_group(stranger);
            return Err(Failure::Usage(format!("`{name}` is a group of another issuer: nobody's token names both")));
        }
        let parties = std::iter::once(Party::Principal(principal.clone()));
        let parties = parties.chain(carried.iter().cloned().map(Party::Group));
        let standings = parties.map(|party| declared_standing(&party, config)).collect();
        let identity = Identity {
            principal,
            name: None,
            mail: None,
            groups: carried,
            assurance,
            issued_at: Some(now),
            ends_at: Timestamp::MAX,
        };
        Ok(Self { identity: Some(identity), standings, source: Source::Configuration })
    }

    /// The caller, as the portal sees them now.
    pub(super) async fn of_portal(options: &Options, config: &Config) -> Result<Self, Failure> {
        let me: Me = Client::new(options)?.get("/me", &[]).await?.read()?;
        Self::told(&me, &config.names)
    }

    fn told(me: &Me, names: &IssuerNames) -> Result<Self, Failure> {
        let strange = |name: &str| {
            Failure::Usage(format!(
                "the portal speaks of `{name}`, whose issuer this configuration does not know: is it the portal's?"
            ))
        };
        let principal = names.principal(&me.principal).ok_or_else(|| strange(&me.principal))?;
        let mut groups = Vec::new();
        for name in &me.groups {
            groups.push(names.group(name).ok_or_else(|| strange(name))?);
        }
        groups.sort();
        let assurance = Assurance {
            amr: me.assurance.amr.clone(),
            acr: me.assurance.acr.clone(),
            auth_time: me.assurance.auth_time.as_deref().and_then(|at| parse_rfc3339(at).ok()),
        };
        let standing = told_standing(me, names).map_err(|name| strange(&name))?;
        let identity = Identity {
            principal,
            name: None,
            mail: None,
            groups,
            assurance,
            issued_at: None,
            // the portal took the token just now; when it ends is not told
            ends_at: Timestamp::MAX,
        };
        Ok(Self { identity: Some(identity), standings: vec![standing], source: Source::Portal })
    }

    pub(super) fn standings(&self) -> Vec<&Standing> {
        self.standings.iter().collect()
    }

    /// Whose picture this is, and where it comes from.
    pub(super) fn who(&self, names: &IssuerNames) -> String {
        let Some(identity) = &self.identity else { return "nobody, without a sign-in".to_owned() };
        let groups: Vec<String> = identity.groups.iter().map(|group| names.of_group(group)).collect();
        let who = match (&*identity.principal.subject, groups.as_slice()) {
            ("", _) => format!("somebody of {}", groups.join(", ")),
            (_, []) => names.of_principal(&identity.principal),
            (_, _) => format!("{} of {}", names.of_principal(&identity.principal), groups.join(", ")),
        };
        match self.source {
            Source::Configuration => format!("{who}, signed in as demanded, with what the configuration declares"),
            Source::Portal => format!("{who}, as the portal sees it now"),
        }
    }

    /// How they stand with `role`.
    pub(super) fn state_of(&self, role: &RoleId, now: Timestamp) -> String {
        let Some(identity) = &self.identity else { return "unknown".to_owned() };
        let until = |end: Option<Timestamp>| match end {
            Some(end) => format!("until {}", show(&format_rfc3339(end), now)),
            None => "without an end".to_owned(),
        };
        let held = self.standings.iter().find_map(|standing| standing.holding(role, identity, now));
        if let Some(held) = held {
            return format!("held {}", until(held.window.ends_at));
        }
        if let Some(pending) = self.standings.iter().find_map(|standing| standing.pending(role, now)) {
            return format!("{} waits for approval", safe(&pending.activation.to_string()));
        }
        match self.standings.iter().find_map(|standing| standing.eligibility(role, now)) {
            Some(eligible) => format!("may be activated, {}", until(eligible.window.ends_at)),
            None => "neither held nor to be had".to_owned(),
        }
    }
}

fn declared_standing(party: &Party, config: &Config) -> Standing {
    let mut standing = Standing::default();
    for declared in config.declared.iter().filter(|declared| declared.party == *party) {
        let window = Window { starts_at: declared.starts_at.unwrap_or(Timestamp::MIN), ends_at: declared.ends_at };
        match declared.kind {
            AssignmentKind::Active => standing.held.push(Held {
                role: declared.role.clone(),
                window,
                basis: Basis::Assignment(declared.id),
                via: None,
            }),
            AssignmentKind::Eligible => {
                standing.eligible.push(Eligible { assignment: declared.id, role: declared.role.clone(), window });
            }
        }
    }
    standing
}

/// One standing of all that the portal tells: it has joined the groups' with the own already. Fails with what it cannot name.
fn told_standing(me: &Me, names: &IssuerNames) -> Result<Standing, String> {
    let mut standing = Standing { lock: if me.locked { Lock::Locked } else { Lock::Open }, ..Standing::default() };
    let at = |text: &str| parse_rfc3339(text).map_err(|_| text.to_owned());
    let end = |text: Option<&String>| text.map(|text| at(text)).transpose();
    let role = |text: &str| text.parse::<RoleId>().map_err(|_| text.to_owned());
    let group = |text: &String| -> Result<Group, String> { names.group(text).ok_or_else(|| text.clone()) };
    for held in &me.held {
        let id = |text: &String| text.parse().map(Basis::Activation).or_else(|_| text.parse().map(Basis::Assignment));
        let Some(Ok(basis)) = held.activation.as_ref().or(held.assignment.as_ref()).map(id) else { continue };
        standing.held.push(Held {
            role: role(&held.role)?,
            window: Window { starts_at: at(&held.starts_at)?, ends_at: end(held.ends_at.as_ref())? },
            basis,
            via: held.via.as_ref().map(group).transpose()?,
        });
    }
    for eligible in &me.eligible {
        let Ok(assignment) = eligible.assignment.parse() else { continue };
        let starts_at = eligible.from.as_deref().map_or(Ok(Timestamp::MIN), at)?;
        let window = Window { starts_at, ends_at: end(eligible.until.as_ref())? };
        standing.eligible.push(Eligible { assignment, role: role(&eligible.role)?, window });
    }
    for pending in &me.pending {
        let Ok(activation) = pending.activation.parse() else { continue };
        let lapses_at = pending.lapses_at.as_deref().map_or(Ok(Timestamp::MAX), at)?;
        let requested_at = pending.requested_at.as_deref().map_or(Ok(Timestamp::MIN), at)?;
        let (role, progress) = (role(&pending.role)?, Progress::default());
        standing.pending.push(Pending { activation, role, requested_at, progress, lapses_at });
    }
    Ok(standing)
}
