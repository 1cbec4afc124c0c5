//! Routes: which request demands what.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::effective;
use crate::config::raw::{self, EnforcementMode, RouteMode};
use crate::config::resolve::context::{Context, element};
use crate::config::resolve::identity::within;
use crate::config::resolve::settings::Route;
use crate::config::schema::nearest;
use crate::config::tree::Path;
use crate::domain::policy::AssuranceRule;
use crate::domain::role::RoleId;
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::domain::time::Span;
use crate::proxy::canonical::{Case, EncodedSlashes, PathParameters};
use crate::proxy::route::{RouteFlaw, RouteOptions, Routes};

/// What routes may name.
pub(crate) struct Known<'k> {
    pub(crate) roles: &'k BTreeSet<RoleId>,
    pub(crate) upstreams: &'k [raw::Upstream],
    pub(crate) defaults: &'k effective::Settings,
}

/// The routes, in the order written.
pub(crate) fn routes(raw: &[raw::Route], known: &Known<'_>, context: &mut Context<'_>) -> Vec<Route> {
    let mut names = BTreeSet::new();
    let mut places: BTreeMap<(Option<&str>, String, &str), &str> = BTreeMap::new();
    let (mut routes, mut places_of) = (Vec::new(), Vec::new());
    for (index, route) in raw.iter().enumerate() {
        let path = element("route", index);
        let name = route.name.0.0.as_str();
        if !names.insert(name) {
            context.error(&path.key("name"), format!("there are two routes named `{name}`"));
        }
        let host = route.host.as_ref().map(|host| host.0.0.as_str());
        let methods: Vec<&str> = route.methods.iter().map(|method| method.0.0.as_str()).collect();
        let any = methods.is_empty().then_some("");
        // an example that stands in for a path that could not be read covers nothing
        let judged = context.judges(&path.key("path"));
        for method in methods.iter().copied().chain(any).filter(|_| judged) {
            if let Some(other) = places.insert((host, route.path.0.meaning(), method), name) {
                let message =
                    format!("route `{other}` already covers `{}` for the same host and methods", route.path.0.0);
                context.error(&path.key("path"), message);
                break;
            }
        }
        let demand = demand(route, known, &path, context);
        let Some(demand) = demand else { continue };
        let upstream = upstream(route, &demand, known, &path, context);
        let rule = Rule {
            assurance: assurance(route, &demand, known, &path, context),
            demand,
            enforcement: enforcement(route),
        };
        routes.push(Route {
            name: name.into(),
            host: host.map(str::to_owned),
            path: route.path.0.0.clone(),
            methods: methods.into_iter().map(str::to_owned).collect(),
            rule,
            upstream,
            options: options(route),
        });
        places_of.push(path);
    }
    compiled(&routes, &places_of, context);
    routes
}

/// Lets the gate compile the routes, for what only it can tell: patterns it cannot use, and routes that hide others.
fn compiled(routes: &[Route], places: &[Path], context: &mut Context<'_>) {
    match Routes::new(routes.iter().map(|route| route.settings("")).collect()) {
        Ok(compiled) => {
            for hidden in compiled.shadowed() {
                if let Some(path) = places.get(hidden.index) {
                    context.warning(&path.key("path"), hidden.to_string());
                }
            }
        }
        Err(problems) => {
            for problem in problems {
                let key = match &problem.problem {
                    RouteFlaw::Path(_) => "path",
                    RouteFlaw::Host(_) => "host",
                    RouteFlaw::Method(_) => "methods",
                    // told already, in words of the file
                    RouteFlaw::NoName | RouteFlaw::NameTaken | RouteFlaw::Duplicate(_) => continue,
                };
                if let Some(path) = places.get(problem.index) {
                    context.error(&path.key(key), problem.to_string());
                }
            }
        }
    }
}

fn options(route: &raw::Route) -> RouteOptions {
    RouteOptions {
        encoded_slashes: match route.encoded_slashes {
            raw::EncodedSlashes::Refuse => EncodedSlashes::Refuse,
            raw::EncodedSlashes::Keep => EncodedSlashes::Keep,
        },
        parameters: match route.path_parameters {
            raw::PathParameters::Refuse => PathParameters::Refuse,
            raw::PathParameters::Strip => PathParameters::Strip,
        },
        case: match route.path_case {
            raw::Case::Sensitive => Case::Sensitive,
            raw::Case::Ignored => Case::Ignored,
        },
    }
}

/// The mode of a route, also when it is only implied.
pub(crate) fn mode(route: &raw::Route) -> Option<RouteMode> {
    let names_roles = route.role.is_some() || route.any_role.is_some() || route.all_roles.is_some();
    route.mode.or(names_roles.then_some(RouteMode::Role))
}

fn demand(route: &raw::Route, known: &Known<'_>, path: &Path, context: &mut Context<'_>) -> Option<Demand> {
    let one = route.role.as_ref().map(std::slice::from_ref);
    let named: Vec<_> =
        [("role", one), ("any_role", route.any_role.as_deref()), ("all_roles", route.all_roles.as_deref())]
            .into_iter()
            .filter_map(|(key, roles)| Some((key, roles?)))
            .collect();
    for (key, roles) in &named {
        for role in roles.iter().filter(|role| !known.roles.contains(&role.0)) {
            let help = nearest(role.0.as_str(), known.roles.iter().map(RoleId::as_str));
            let help = help.map(|meant| format!("did you mean `{meant}`?"));
            context.error_with(&path.key(key), format!("there is no `[[role]]` named `{}`", role.0), help);
        }
        if roles.is_empty() {
            context.error(&path.key(key), format!("`{key}` names no role: nobody could pass"));
        }
    }
    let Some(mode) = mode(route) else {
        context.error(path, "this route does not say who may pass: give it a `mode` or a `role`");
        return None;
    };
    match (mode, named.as_slice()) {
        (RouteMode::Public, []) => Some(Demand::Public),
        (RouteMode::SignedIn, []) => Some(Demand::SignedIn),
        (RouteMode::Deny, []) => Some(Demand::Nobody),
        (RouteMode::Role, []) => {
            context.error(&path.key("mode"), "which role? name `role`, `any_role` or `all_roles`");
            None
        }
        (RouteMode::Role, [(key, roles)]) => {
            let roles = roles.iter().map(|role| role.0.clone()).collect();
            Some(if *key == "all_roles" { Demand::AllRoles(roles) } else { Demand::AnyRole(roles) })
        }
        (RouteMode::Role, [_, (second, _), ..]) => {
            context.error(&path.key(second), "name only one of `role`, `any_role` and `all_roles`");
            None
        }
        (RouteMode::Public | RouteMode::SignedIn | RouteMode::Deny, [(key, _), ..]) => {
            context
                .error(&path.key(key), format!("with this `mode` no `{key}` is asked for: leave out one of the two"));
            None
        }
    }
}

fn upstream(
    route: &raw::Route,
    demand: &Demand,
    known: &Known<'_>,
    path: &Path,
    context: &mut Context<'_>,
) -> Option<std::sync::Arc<str>> {
    let Some(name) = &route.upstream else {
        if *demand != Demand::Nobody || route.enforcement == EnforcementMode::Shadow {
            context.error(path, "this route lets requests pass, but does not say to which `upstream`");
        }
        return None;
    };
    let mut names = known.upstreams.iter().map(|upstream| upstream.name.0.0.as_str());
    if !names.clone().any(|other| other == name.0.0) {
        let help = nearest(&name.0.0, names.by_ref()).map(|meant| format!("did you mean `{meant}`?"));
        context.error_with(&path.key("upstream"), format!("there is no `[[upstream]]` named `{}`", name.0.0), help);
    }
    Some(name.0.0.as_str().into())
}

fn assurance(
    route: &raw::Route,
    demand: &Demand,
    known: &Known<'_>,
    path: &Path,
    context: &mut Context<'_>,
) -> AssuranceRule {
    if let Some(age) = &route.max_age {
        within(context, &path.key("max_age"), age, Span::seconds(1), Span::days(365));
    }
    let asked = [("mfa", route.mfa), ("acr", !route.acr.is_empty()), ("max_age", route.max_age.is_some())];
    if matches!(demand, Demand::Public | Demand::Nobody)
        && let Some((key, _)) = asked.iter().find(|(_, asked)| *asked)
    {
        context.error(&path.key(key), format!("nobody signs in on this route, so `{key}` is never asked"));
    }
    let proofs = &known.defaults.mfa_amr;
    AssuranceRule {
        mfa_amr: if route.mfa { proofs.iter().map(|value| value.0.0.clone()).collect() } else { Vec::new() },
        acr: route.acr.iter().map(|level| level.0.0.clone()).collect(),
        max_age: route.max_age.as_ref().map(|age| age.0),
    }
}

const fn enforcement(route: &raw::Route) -> Enforcement {
    match route.enforcement {
        EnforcementMode::Enforce => Enforcement::Enforce,
        EnforcementMode::Shadow => Enforcement::Shadow,
    }
}
