//! From what was written to what is needed: names looked up, settings inherited, senseless things refused.

mod anchor;
mod context;
mod gate;
mod identity;
mod lint;
mod policy;
mod retention;
mod roles;
mod route;
mod secret;
mod settings;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

pub(crate) use context::Context;
pub(crate) use settings::Effective;
pub use settings::{Admin, Config, Gate, Limits, Listener, Portal, Route};

use crate::config::raw::Configuration;
use crate::config::tree::Path;
use crate::domain::policy::Policies;
use crate::domain::role::RoleId;
use crate::store;

/// Everything the floors need; what is wrong with it is in `context`, and `None` when it cannot even be written down.
pub(crate) fn resolve(raw: Configuration, context: &mut Context<'_>) -> Option<Config> {
    let names = identity::names(&raw.issuer);
    let known = identity::Names { names: &names, issuers: &raw.issuer };
    let roles = roles::roles(&raw, &known, context);
    let role_names: BTreeSet<RoleId> = roles.policies.iter().map(|policy| policy.role.clone()).collect();
    let may_name = route::Known { roles: &role_names, upstreams: &raw.upstream, defaults: &roles.defaults };

    let identity_settings = identity::issuers(&raw.issuer, context);
    let upstreams = gate::upstreams(&raw.upstream, context);
    let routes = route::routes(&raw.route, &may_name, context);
    let listeners = gate::listeners(&raw.listener, context);
    let resolved_portal = gate::portal(&raw.portal, &raw.listener, context);
    gate::clashes(&raw, context);
    identity::sites(&raw, context);
    let admin = gate::admin(&raw.admin, context);
    let log = gate::log(&raw.log, context);
    let (limits, pending) = gate::limits(&raw.limits, context);
    let store = store(&raw, context);
    let gate = gate::gate(&raw.gate, &store, context);
    let anchor = anchor::anchor(&raw, context);
    let retention = retention::retention(&raw, context);
    lint::lint(&raw, &roles, context);

    let trusted_proxies = raw.trusted_proxies.iter().map(|network| network.0).collect();
    let effective = Effective {
        trusted_proxies: raw.trusted_proxies,
        store: raw.store,
        anchor: raw.anchor,
        retention: raw.retention,
        portal: raw.portal,
        admin: raw.admin,
        log: raw.log,
        gate: raw.gate,
        limits: raw.limits,
        hallpass: raw.hallpass,
        issuer: raw.issuer,
        listener: raw.listener,
        upstream: raw.upstream,
        route: raw.route,
        defaults: roles.defaults,
        app: roles.apps,
        role: roles.roles,
    };
    let digest = policy::fingerprint(&effective)
        .map_err(|error| context.error(&Path::default(), format!("the configuration cannot be written down: {error}")))
        .ok()?;
    Some(Config {
        store,
        anchor,
        retention,
        identity: identity_settings,
        names,
        policies: Policies::new(roles.policies, pending),
        declared: roles.declared,
        listeners,
        upstreams,
        routes,
        portal: resolved_portal,
        admin,
        log,
        gate,
        limits,
        trusted_proxies,
        digest,
        warnings: Vec::new(),
        files: Vec::new(),
        effective,
    })
}

/// Whoever may write the folder can put another key and another pin in the place of ours. Where each owns what they put there
/// (sticky, as platforms mount secrets) that is not so. A warning only: volumes are mounted with modes nobody chose.
fn open_to_others(key: &std::path::Path) -> Option<String> {
    let folder = key.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let mode = fs::metadata(folder).ok().filter(fs::Metadata::is_dir)?.permissions().mode() & 0o7777;
    let shown = folder.display();
    (mode & 0o022 != 0 && mode & 0o1000 == 0).then(|| {
        format!(
            "the folder `{shown}` has mode {mode:o}: others could put another key there, and a pin that binds it to another \
             journal: chmod 700 '{shown}'"
        )
    })
}

fn store(raw: &Configuration, context: &mut Context<'_>) -> store::Settings {
    let path = Path::default().key("store");
    let store = &raw.store;
    if store.path == store.key_file {
        context.error(&path.key("key_file"), "the key and the store cannot be the same file");
    }
    let key_path = context.file(&store.key_file.0.0, &path.key("key_file"));
    if let Some(warning) = open_to_others(&key_path) {
        context.warning(&path.key("key_file"), warning);
    }
    store::Settings { path: context.file(&store.path.0.0, &path.key("path")), key_path }
}
