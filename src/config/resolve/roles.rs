//! Roles: what each inherits, what came of it, and who is declared to have it.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::rand;

use crate::config::effective::{self, Settings, own_roles};
use crate::config::forms::Text;
use crate::config::raw::{self, RoleSettings};
use crate::config::resolve::context::{Context, element};
use crate::config::resolve::identity::{Names, group, principal};
use crate::config::resolve::policy::policy;
use crate::config::tree::Path;
use crate::domain::assignment::AssignmentKind;
use crate::domain::command::Declared;
use crate::domain::id::AssignmentId;
use crate::domain::policy::RolePolicy;
use crate::domain::principal::Party;
use crate::domain::role::RoleId;

/// Everything about roles.
pub(crate) struct Roles {
    pub(crate) policies: Vec<RolePolicy>,
    pub(crate) declared: Vec<Declared>,
    pub(crate) defaults: Settings,
    pub(crate) apps: Vec<effective::App>,
    pub(crate) roles: Vec<effective::Role>,
}

/// All roles, with the two that hallpass has of itself.
pub(crate) fn roles(raw: &raw::Configuration, names: &Names<'_>, context: &mut Context<'_>) -> Roles {
    let mut layers = Layers::new(raw, context);
    let mut resolved = Roles {
        policies: Vec::new(),
        declared: Vec::new(),
        defaults: layers.defaults.clone(),
        apps: layers.effective_apps(names, context),
        roles: Vec::new(),
    };
    let mut seen = BTreeSet::new();
    for (index, role) in raw.role.iter().enumerate() {
        let path = element("role", index);
        if !seen.insert(role.name.0.clone()) {
            context.error(&path.key("name"), format!("there are two roles named `{}`", role.name.0));
            continue;
        }
        resolved.add(role, Some(&path), &mut layers, names, context);
    }
    for (own, description) in [
        (RoleId::administrator(), "Assign, revoke and lock; run hallpass"),
        (RoleId::auditor(), "Read everything, change nothing"),
    ] {
        if !seen.contains(&own) {
            let role = raw::Role {
                name: Text(own),
                description: description.to_owned(),
                settings: RoleSettings::default(),
                eligible_assignments: Vec::new(),
                active_assignments: Vec::new(),
            };
            resolved.add(&role, None, &mut layers, names, context);
        }
    }
    resolved.run_hallpass(&raw.hallpass, names, context);
    resolved
}

/// What roles inherit from, resolved once.
struct Layers {
    defaults: Settings,
    /// Name of the application → its settings, its own path, and how it was written.
    apps: BTreeMap<String, (Path, RoleSettings)>,
}

impl Layers {
    fn new(raw: &raw::Configuration, context: &mut Context<'_>) -> Self {
        let at = Path::default().key("defaults");
        let defaults = laid(&Settings::built_in(), &raw.defaults, &at, context);
        let mut apps = BTreeMap::new();
        for (index, app) in raw.app.iter().enumerate() {
            let (path, name) = (element("app", index), app.name.0.0.clone());
            if !raw.role.iter().any(|role| role.name.0.app() == name) && name != OWN_APP {
                context.warning(&path.key("name"), format!("no role belongs to the application `{name}`"));
            }
            if apps.insert(name.clone(), (path.clone(), app.settings.clone())).is_some() {
                context.error(&path.key("name"), format!("there are two applications named `{name}`"));
            }
        }
        Self { defaults, apps }
    }

    /// What roles of `app` inherit.
    fn inherited(&self, app: &str, context: &mut Context<'_>) -> Settings {
        let at = Path::default().key("defaults");
        let below =
            if app == OWN_APP { laid(&self.defaults, &own_roles(), &at, context) } else { self.defaults.clone() };
        match self.apps.get(app) {
            Some((path, settings)) => laid(&below, settings, path, context),
            None => below,
        }
    }

    /// Where settings of a role may have been written, nearest first.
    fn paths(&self, app: &str, role: Option<&Path>) -> Vec<Path> {
        let app = self.apps.get(app).map(|(path, _)| path);
        let defaults = Path::default().key("defaults");
        role.into_iter().chain(app).cloned().chain([defaults]).collect()
    }

    /// Applications with everything their roles inherit; settings that make no sense are told even when no role has them.
    fn effective_apps(&self, names: &Names<'_>, context: &mut Context<'_>) -> Vec<effective::App> {
        let mut apps = Vec::new();
        // only to be checked: no role has this name
        let probe = RoleId::administrator();
        policy(&probe, "", &self.defaults, &self.paths("", None), names, context);
        for name in self.apps.keys() {
            let settings = self.inherited(name, context);
            policy(&probe, "", &settings, &self.paths(name, None), names, context);
            apps.push(effective::App { name: name.clone(), settings });
        }
        apps
    }
}

impl Roles {
    fn add(
        &mut self,
        role: &raw::Role,
        path: Option<&Path>,
        layers: &mut Layers,
        names: &Names<'_>,
        context: &mut Context<'_>,
    ) {
        let id = &role.name.0;
        let paths = layers.paths(id.app(), path);
        let nearest = paths.first().cloned().unwrap_or_default();
        let settings = laid(&layers.inherited(id.app(), context), &role.settings, &nearest, context);
        self.policies.push(policy(id, &role.description, &settings, &paths, names, context));
        for (key, kind, assignments) in [
            ("eligible_assignments", AssignmentKind::Eligible, &role.eligible_assignments),
            ("active_assignments", AssignmentKind::Active, &role.active_assignments),
        ] {
            for (index, assignment) in assignments.iter().enumerate() {
                let path = nearest.key(key).index(index);
                self.assign(id, kind, assignment, &path, names, context);
            }
        }
        self.roles.push(effective::Role {
            name: role.name.clone(),
            description: role.description.clone(),
            settings,
            eligible_assignments: role.eligible_assignments.clone(),
            active_assignments: role.active_assignments.clone(),
        });
    }

    fn assign(
        &mut self,
        role: &RoleId,
        kind: AssignmentKind,
        raw: &raw::Assignment,
        path: &Path,
        names: &Names<'_>,
        context: &mut Context<'_>,
    ) {
        let party = match (&raw.principal, &raw.group) {
            (Some(short), None) => principal(short, names, &path.key("principal"), context).map(Party::from),
            (None, Some(short)) => group(short, names, &path.key("group"), context).map(Party::from),
            (None, None) => {
                context.error(path, "who? name a `principal` or a `group`");
                None
            }
            (Some(_), Some(_)) => {
                context.error(path, "name either a `principal` or a `group`: write two assignments for both");
                None
            }
        };
        let (starts_at, ends_at) = (raw.from.as_ref().map(|at| at.0), raw.until.as_ref().map(|at| at.0));
        if let (Some(start), Some(end)) = (starts_at, ends_at)
            && end <= start
        {
            context.error(&path.key("until"), "this assignment ends before it begins");
        }
        if kind == AssignmentKind::Active && ends_at.is_none() {
            context
                .warning(path, format!("`{role}` is held for good: nobody need ask, and nobody sees when it is used"));
        }
        if let (Some(party), Some(id)) = (party, fresh_id(context)) {
            self.declare(Declared { id, kind, role: role.clone(), party, starts_at, ends_at }, path, context);
        }
    }

    fn declare(&mut self, declared: Declared, path: &Path, context: &mut Context<'_>) {
        let same = |other: &&Declared| {
            other.kind == declared.kind && other.role == declared.role && other.party == declared.party
        };
        if self.declared.iter().find(same).is_some() {
            context.error(path, format!("`{}` is already declared for the same party", declared.role));
        }
        self.declared.push(declared);
    }

    /// Those who run hallpass, and that there are any.
    fn run_hallpass(&mut self, raw: &raw::Hallpass, names: &Names<'_>, context: &mut Context<'_>) {
        let at = Path::default().key("hallpass");
        for (key, role, principals) in [
            ("administrators", RoleId::administrator(), &raw.administrators),
            ("auditors", RoleId::auditor(), &raw.auditors),
        ] {
            for (index, short) in principals.iter().enumerate() {
                let path = at.key(key).index(index);
                let found = principal(short, names, &path, context);
                if let (Some(found), Some(id)) = (found, fresh_id(context)) {
                    let (kind, party) = (AssignmentKind::Active, Party::from(found));
                    let declared = Declared { id, kind, role: role.clone(), party, starts_at: None, ends_at: None };
                    self.declare(declared, &path, context);
                }
            }
        }
        let named = self.roles.iter().filter(|role| role.name.0 == RoleId::administrator());
        let mut named = named.flat_map(|role| role.eligible_assignments.iter().chain(&role.active_assignments));
        if raw.administrators.is_empty() && named.next().is_none() {
            let help =
                "name one in `hallpass.administrators`, or assign `hallpass/administrator` to a group".to_owned();
            context.error_with(
                &at.key("administrators"),
                "nobody runs hallpass, and nobody could become its administrator",
                Some(help),
            );
        }
    }
}

fn laid(below: &Settings, over: &RoleSettings, path: &Path, context: &mut Context<'_>) -> Settings {
    below.with(over).unwrap_or_else(|error| {
        context.error(path, format!("the settings cannot be inherited: {error}"));
        below.clone()
    })
}

fn fresh_id(context: &mut Context<'_>) -> Option<AssignmentId> {
    let mut bits = [0; 16];
    match rand::fill(&mut bits) {
        Ok(()) => Some(AssignmentId::from_random(bits)),
        Err(_) => {
            context.error(&Path::default(), "this machine gives no random numbers");
            None
        }
    }
}

/// The part of hallpass's own roles before the slash.
const OWN_APP: &str = "hallpass";
