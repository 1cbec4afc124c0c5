//! What works, but somebody should look at: open routes, rules that are not carried out, roles that are easy to have.

use std::collections::BTreeSet;

use crate::config::effective;
use crate::config::raw::{self, EnforcementMode, OwnRequest, RouteMode};
use crate::config::resolve::context::{Context, element};
use crate::config::resolve::roles::Roles;
use crate::config::resolve::route::mode;
use crate::config::tree::Path;
use crate::domain::role::RoleId;

/// Tells all of it.
pub(crate) fn lint(raw: &raw::Configuration, resolved: &Roles, context: &mut Context<'_>) {
    routes(&raw.route, context);
    let demanded = demanded(&raw.route);
    for (index, written) in raw.role.iter().enumerate() {
        let path = element("role", index);
        let id = &written.name.0;
        if !demanded.contains(id) && id.app() != RoleId::administrator().app() {
            context.warning(&path.key("name"), format!("no route demands `{id}`: activating it opens nothing here"));
        }
        if let Some(role) = resolved.roles.iter().find(|role| role.name.0 == *id) {
            easy(role, &path, context);
            lonely(role, &path, context);
        }
    }
    used(&raw.upstream, &raw.route, context);
    mixed_up(&raw.issuer, context);
}

fn routes(routes: &[raw::Route], context: &mut Context<'_>) {
    if routes.is_empty() {
        context.warning(&Path::default().key("route"), "there is no `[[route]]`: every request is denied");
    }
    for (index, route) in routes.iter().enumerate() {
        let (path, name) = (element("route", index), &route.name.0.0);
        if mode(route) == Some(RouteMode::Public) {
            context.warning(&path.key("mode"), format!("route `{name}` is open to everybody"));
        }
        if route.enforcement == EnforcementMode::Shadow {
            let message = format!("route `{name}` lets everybody pass: denials are recorded, not carried out");
            context.warning(&path.key("enforcement"), message);
        }
    }
}

/// Several issuers send people back to one address: one of them may be given a code of another (RFC 9700, section 4.4).
fn mixed_up(issuers: &[raw::Issuer], context: &mut Context<'_>) {
    if issuers.iter().filter(|issuer| issuer.sign_in.is_some()).count() < 2 {
        return;
    }
    for (index, issuer) in issuers.iter().enumerate() {
        let Some(sign_in) = &issuer.sign_in else { continue };
        if sign_in.client_secret.is_none() && sign_in.client_secret_file.is_none() {
            let message = format!(
                "people sign in with several issuers, and `{}` knows hallpass by no secret: unless its metadata says \
                 `authorization_response_iss_parameter_supported`, another issuer could come by its codes",
                issuer.name.0.0
            );
            context.warning(&element("issuer", index).key("sign_in"), message);
        }
    }
}

fn demanded(routes: &[raw::Route]) -> BTreeSet<&RoleId> {
    let mut named = BTreeSet::new();
    for raw::Route { role, any_role, all_roles, .. } in routes {
        let lists = role.iter().chain(any_role.iter().flatten()).chain(all_roles.iter().flatten());
        named.extend(lists.map(|role| &role.0));
    }
    named
}

/// Roles for which little is asked.
fn easy(role: &effective::Role, path: &Path, context: &mut Context<'_>) {
    let id = &role.name.0;
    if !role.settings.mfa && role.settings.acr.is_empty() {
        context.warning(
            path,
            format!("`{id}` can be activated with a password alone: `mfa` is off and no `acr` is asked"),
        );
    }
    if !role.settings.justification.required && !role.settings.ticket.required {
        context.warning(
            path,
            format!("`{id}` can be activated without a word: no `justification` and no `ticket` is asked"),
        );
    }
}

/// Requests that only the requester could approve, which is forbidden, so that they always lapse.
fn lonely(role: &effective::Role, path: &Path, context: &mut Context<'_>) {
    if role.settings.approval.own_request == OwnRequest::Allowed {
        return;
    }
    for (index, stage) in role.settings.approval.stages.iter().enumerate() {
        let users: BTreeSet<&str> = stage.users.iter().map(String::as_str).collect();
        if !stage.groups.is_empty() || users.is_empty() {
            continue;
        }
        let quorum = usize::try_from(stage.quorum).unwrap_or(usize::MAX);
        for requester in role.eligible_assignments.iter().filter_map(|assignment| assignment.principal.as_deref()) {
            let others = users.iter().filter(|user| **user != requester).count();
            if users.contains(requester) && others < quorum {
                let message = format!(
                    "`{requester}` can never get `{}`: too few approvers remain besides the requester",
                    role.name.0
                );
                let stages = path.key("approval").key("stages");
                context.warning(&stages.index(index), message);
            }
        }
    }
}

fn used(upstreams: &[raw::Upstream], routes: &[raw::Route], context: &mut Context<'_>) {
    for (index, upstream) in upstreams.iter().enumerate() {
        let name = &upstream.name.0.0;
        if !routes.iter().any(|route| route.upstream.as_ref().is_some_and(|other| other.0.0 == *name)) {
            context
                .warning(&element("upstream", index).key("name"), format!("no route leads to the upstream `{name}`"));
        }
    }
}
