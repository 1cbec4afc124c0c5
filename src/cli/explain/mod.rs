//! `hallpass explain`: which route a request takes, what it demands, and whether somebody would pass.
//!
//! The request is read, routed and judged by the same functions as at the gate. Who somebody is comes from the command line,
//! and then what the configuration declares counts; or from the portal, and then what is true this moment.

mod picture;

use clap::Args;
use http::request::Parts;
use http::{Method, Request, Uri};

use crate::cli::client::Options;
use crate::cli::explain::picture::Picture;
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::cli::terminal::{Streams, safe};
use crate::cli::when::show;
use crate::clock::{Clock, format_rfc3339};
use crate::config::Config;
use crate::domain::authorize::{Curable, Denial, Verdict, authorize};
use crate::domain::policy::{AssuranceGap, AssuranceRule};
use crate::domain::role::RoleId;
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::domain::time::Timestamp;
use crate::proxy::canonical::{BadRequest, Canonical, CanonicalSettings, canonicalise};
use crate::proxy::route::{Route, RouteOptions, RouteSettings, Routes};

/// Say which route a request takes, what it demands, and whether somebody would pass
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration.
    #[command(flatten)]
    pub files: Files,
    /// As whom, written issuer:subject; otherwise as yourself, when a portal is named
    #[arg(long, value_name = "PRINCIPAL")]
    pub principal: Option<String>,
    /// With which groups, written issuer:group; repeat it for several
    #[arg(long = "group", value_name = "GROUP")]
    pub groups: Vec<String>,
    /// The method, such as GET
    pub method: String,
    /// The URL, or a path of the first listener
    pub url: String,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let config = arguments.files.load()?;
    let now = Clock::system().now();
    let routes = routes(&config)?;
    let parts = request(arguments, &config)?;
    let settings = CanonicalSettings { spelling: routes.spelling(), ..CanonicalSettings::default() };
    let told =
        |streams: &mut Streams<'_>, label: &str, value: &str| writeln!(streams.out, "{label:<10}{}", safe(value));

    let refused = |reason: BadRequest| {
        let (status, detail) = (reason.status().as_u16(), reason.detail());
        Failure::False(format!("this request is refused whoever asks ({status} {}): {detail}", reason.code()))
    };
    let canonical = canonicalise(&parts, &settings).map_err(refused)?;
    let host = canonical.host.authority();
    let host = String::from_utf8_lossy(host.as_bytes());
    told(streams, "request", &format!("{} {host}{}", canonical.method, canonical.target()))?;
    let Some(route) = routes.find(&canonical).map_err(refused)? else {
        told(streams, "route", "none")?;
        return Err(Failure::False("no route matches, so nobody passes".to_owned()));
    };
    tell_route(route, &canonical, &config, streams)?;

    let picture = match (&arguments.principal, arguments.groups.as_slice(), arguments.portal.named()) {
        (None, [], Some(_)) => Picture::of_portal(&arguments.portal, &config).await?,
        (principal, groups, _) => Picture::declared(principal.as_deref(), groups, &route.rule, &config, now)?,
    };
    told(streams, "as", &picture.who(&config.names))?;
    for role in roles(&route.rule.demand) {
        told(streams, "", &format!("{role}: {}", picture.state_of(role, now)))?;
    }
    let verdict = authorize(&route.rule, picture.identity.as_ref(), &picture.standings(), now);
    tell_verdict(&verdict, now, streams)?;
    match verdict {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::False("the request would be refused".to_owned())),
    }
}

/// The routes as the gate compiles them.
fn routes(config: &Config) -> Result<Routes, Failure> {
    let settings = config.routes.iter().map(|route| RouteSettings {
        name: route.name.to_string(),
        host: route.host.clone(),
        path: route.path.clone(),
        methods: route.methods.clone(),
        rule: route.rule.clone(),
        upstream: route.upstream.as_deref().unwrap_or_default().to_owned(),
        options: RouteOptions::default(),
    });
    Routes::new(settings.collect()).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(|problem| format!("error: {problem}")).collect();
        Failure::Configuration(anyhow::anyhow!(problems.join("\n")))
    })
}

fn request(arguments: &Arguments, config: &Config) -> Result<Parts, Failure> {
    let wrong = |why: &str| Failure::Usage(format!("`{} {}` is no request: {why}", arguments.method, arguments.url));
    let method = Method::from_bytes(arguments.method.as_bytes()).map_err(|error| wrong(&error.to_string()))?;
    let uri: Uri = arguments.url.parse().map_err(|_| wrong("give a URL, or a path that begins with a slash"))?;
    let host = match uri.authority() {
        Some(authority) => authority.to_string(),
        None => {
            let first =
                config.listeners.first().ok_or_else(|| wrong("no listener is configured to take its host from"))?;
            let url = first.public_url.to_string();
            url.split_once("://").map_or(url.clone(), |(_, authority)| authority.to_owned())
        }
    };
    let target = uri.path_and_query().ok_or_else(|| wrong("the path is missing"))?.as_str();
    let request = Request::builder().method(method).uri(target).header(http::header::HOST, host).body(());
    Ok(request.map_err(|error| wrong(&error.to_string()))?.into_parts().0)
}

fn tell_route(route: &Route, canonical: &Canonical, config: &Config, streams: &mut Streams<'_>) -> std::io::Result<()> {
    let written = config.routes.get(route.index);
    let host = written.and_then(|route| route.host.as_deref()).unwrap_or("any host");
    let path = written.map_or(canonical.path(), |route| &route.path);
    let methods = written.map(|route| route.methods.join(", ")).filter(|methods| !methods.is_empty());
    let methods = methods.unwrap_or_else(|| "any method".to_owned());
    let mut line = |label: &str, value: &str| writeln!(streams.out, "{label:<10}{}", safe(value));
    line("route", &format!("{} ({host}, {path}, {methods})", route.name))?;
    line("demands", &demand(&route.rule))?;
    if route.rule.enforcement == Enforcement::Shadow {
        line("mode", "shadow: a denial is only recorded")?;
    }
    if !route.upstream.is_empty() {
        line("leads to", &route.upstream)?;
    }
    Ok(())
}

fn demand(rule: &Rule) -> String {
    let join = |roles: &[RoleId], word: &str| roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join(word);
    let who = match &rule.demand {
        Demand::Public => return "nothing".to_owned(),
        Demand::Nobody => return "what nobody has: it is closed".to_owned(),
        Demand::SignedIn => "a sign-in".to_owned(),
        Demand::AnyRole(roles) => join(roles, " or "),
        Demand::AllRoles(roles) => join(roles, " and "),
    };
    let sign_in = sign_in(&rule.assurance);
    if sign_in.is_empty() { who } else { format!("{who}; signed in {}", sign_in.join(", ")) }
}

fn sign_in(rule: &AssuranceRule) -> Vec<String> {
    let mut demands = Vec::new();
    if !rule.mfa_amr.is_empty() {
        demands.push(format!("with a second factor (amr {})", rule.mfa_amr.join(" or ")));
    }
    if !rule.acr.is_empty() {
        demands.push(format!("at level {}", rule.acr.join(" or ")));
    }
    if let Some(max_age) = rule.max_age {
        demands.push(format!("less than {max_age} ago"));
    }
    demands
}

fn roles(demand: &Demand) -> &[RoleId] {
    match demand {
        Demand::AnyRole(roles) | Demand::AllRoles(roles) => roles,
        Demand::Public | Demand::SignedIn | Demand::Nobody => &[],
    }
}

fn tell_verdict(verdict: &Verdict, now: Timestamp, streams: &mut Streams<'_>) -> std::io::Result<()> {
    let text = match verdict {
        Ok(permit) => match (permit.shadowed(), permit.ends_at().filter(|end| *end < Timestamp::MAX)) {
            (Some(denial), _) => format!("would pass, but only in shadow mode: {}", why(denial)),
            (None, Some(end)) => format!("would pass until {}", show(&format_rfc3339(end), now)),
            (None, None) => "would pass".to_owned(),
        },
        Err(denial) => format!("would be refused: {}", why(denial)),
    };
    writeln!(streams.out, "{:<10}{}", "verdict", safe(&text))?;
    if let Err(Denial::Requestable(roles)) = verdict {
        for Curable { role, pending, starts_at } in roles {
            let cure = match (pending, starts_at) {
                (Some(pending), _) => format!("{} waits for approval", pending.activation),
                (None, Some(at)) => format!("{role} begins {}", show(&format_rfc3339(*at), now)),
                (None, None) => format!("hallpass request {role}"),
            };
            writeln!(streams.out, "{:<10}{cure}", "cure")?;
        }
    }
    Ok(())
}

fn why(denial: &Denial) -> String {
    match denial {
        Denial::NotSignedIn => "401, nobody proved who they are".to_owned(),
        Denial::CredentialRevoked => "401, credentials of this age were revoked".to_owned(),
        Denial::StepUp { gaps, .. } => {
            let gaps = gaps.iter().map(|gap| match gap {
                AssuranceGap::Mfa => "no second factor",
                AssuranceGap::Acr => "none of the demanded levels",
                AssuranceGap::Age => "the sign-in is too old",
            });
            format!("401, {}", gaps.collect::<Vec<_>>().join(", "))
        }
        Denial::Requestable(_) => "403, the role can be activated but is not active".to_owned(),
        Denial::Forbidden => "403, nothing that may be activated would help".to_owned(),
    }
}
