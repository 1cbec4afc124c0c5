//! `hallpass list`: what one holds, may activate and awaits; and what waits for one's decision.

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::cli::client::Options;
use crate::cli::desk::{Desk, print_json};
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe, write_table};
use crate::cli::when::show;
use crate::cli::wire::{Activation, Me, Page, Role};
use crate::domain::time::Timestamp;

/// Show your own roles and requests, or those you may see
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which lists.
    #[command(flatten)]
    which: Which,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct Which {
    /// Roles you may activate, hold or approve, with their settings
    #[arg(long)]
    roles: bool,
    /// Active roles of everybody you may see
    #[arg(long)]
    active: bool,
    /// Pending requests of everybody you may see
    #[arg(long)]
    pending: bool,
    /// Requests that wait for your decision
    #[arg(long)]
    waiting: bool,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut desk = Desk::new(&arguments.portal, streams)?;
    match &arguments.which {
        Which { roles: true, .. } => roles(&mut desk).await,
        Which { active: true, .. } => activations(&mut desk, ("state", "active"), "no role is active").await,
        Which { pending: true, .. } => activations(&mut desk, ("state", "pending"), "no request is pending").await,
        Which { waiting: true, .. } => activations(&mut desk, ("waiting_for", "me"), "nothing waits for you").await,
        Which { .. } => own(&mut desk).await,
    }
}

async fn own(desk: &mut Desk<'_, '_>) -> Result<(), Failure> {
    let answer = desk.client.get("/me", &[]).await?;
    if desk.json {
        return Ok(desk.print_raw(&answer)?);
    }
    let me: Me = answer.read()?;
    let now = desk.now();
    let name = me.name.as_deref().map(|name| format!(" ({})", safe(name))).unwrap_or_default();
    writeln!(desk.streams.out, "{}{name}", safe(&me.principal))?;
    if !me.groups.is_empty() {
        let groups: Vec<_> = me.groups.iter().map(|group| safe(group)).collect();
        writeln!(desk.streams.out, "groups: {}", groups.join(", "))?;
    }
    if me.locked {
        writeln!(desk.streams.out, "locked: holds nothing and may ask for nothing until an administrator unlocks it")?;
    }
    if let Some(trouble) = &me.trouble {
        writeln!(desk.streams.out, "{}", safe(trouble))?;
    }
    let mut rows = Vec::new();
    for held in &me.held {
        let id = held.activation.as_deref().or(held.assignment.as_deref()).unwrap_or_default();
        let until = held.ends_at.as_deref().map_or("without an end".to_owned(), |end| show(end, now));
        let begun = crate::clock::parse_rfc3339(&held.starts_at).is_ok_and(|start| start <= now);
        let state = if begun { "held" } else { "held later" };
        rows.push(row(&held.role, state, &until, held.via.as_deref(), id));
    }
    for pending in &me.pending {
        let lapses = pending.lapses_at.as_deref().map_or(String::new(), |at| show(at, now));
        rows.push(row(&pending.role, "pending", &lapses, None, &pending.activation));
    }
    for eligible in &me.eligible {
        let until = eligible.until.as_deref().map_or("without an end".to_owned(), |end| show(end, now));
        rows.push(row(&eligible.role, "eligible", &until, eligible.via.as_deref(), ""));
    }
    if rows.is_empty() {
        writeln!(desk.streams.out, "no roles: an administrator has to make you eligible for some")?;
    } else {
        write_table(desk.streams, &["ROLE", "STATE", "UNTIL", "THROUGH", "ID"], rows)?;
    }
    waiting(desk).await
}

/// Who decides for others would not look for it under their own roles. Only a hint: without an answer there is none.
async fn waiting(desk: &mut Desk<'_, '_>) -> Result<(), Failure> {
    let Ok(answer) = desk.client.get("/activations", &[("waiting_for", "me")]).await else { return Ok(()) };
    let Ok(page) = answer.read::<Page<serde::de::IgnoredAny>>() else { return Ok(()) };
    let more = if page.next.is_some() { " or more" } else { "" };
    match page.items.len() {
        0 => Ok(()),
        1 => Ok(writeln!(desk.streams.out, "1 request waits for your decision: hallpass list --waiting")?),
        count => {
            Ok(writeln!(desk.streams.out, "{count}{more} requests wait for your decision: hallpass list --waiting")?)
        }
    }
}

fn row(role: &str, state: &str, until: &str, via: Option<&str>, id: &str) -> Vec<String> {
    vec![
        safe(role).into_owned(),
        state.to_owned(),
        until.to_owned(),
        via.map(safe).unwrap_or_default().into_owned(),
        safe(id).into_owned(),
    ]
}

async fn roles(desk: &mut Desk<'_, '_>) -> Result<(), Failure> {
    let Some(roles) = all::<Role>(desk, "/roles", &[]).await? else { return Ok(()) };
    if roles.is_empty() {
        return Ok(writeln!(desk.streams.out, "no roles you may activate, hold or approve")?);
    }
    let rows = roles.iter().map(|role| {
        let length = role.activation.as_ref();
        vec![
            safe(&role.role).into_owned(),
            length.map(|length| safe(&length.default).into_owned()).unwrap_or_default(),
            length.map(|length| safe(&length.max).into_owned()).unwrap_or_default(),
            if role.approval.is_some() { "needed" } else { "-" }.to_owned(),
            safe(&role.description).into_owned(),
        ]
    });
    let rows = rows.collect();
    Ok(write_table(desk.streams, &["ROLE", "DEFAULT", "LONGEST", "APPROVAL", "WHAT IT OPENS"], rows)?)
}

async fn activations(desk: &mut Desk<'_, '_>, filter: (&str, &str), none: &str) -> Result<(), Failure> {
    let Some(activations) = all::<Activation>(desk, "/activations", &[filter]).await? else { return Ok(()) };
    if activations.is_empty() {
        return Ok(writeln!(desk.streams.out, "{none}")?);
    }
    let now = desk.now();
    let rows = activations.iter().map(|activation| line(activation, now)).collect();
    Ok(write_table(desk.streams, &["ID", "ROLE", "WHO", "STATE", "UNTIL", "LENGTH", "WHY"], rows)?)
}

fn line(activation: &Activation, now: Timestamp) -> Vec<String> {
    let lapses = activation.approval.as_ref().and_then(|approval| approval.lapses_at.as_deref());
    let until = activation.window.as_ref().and_then(|window| window.ends_at.as_deref()).or(lapses);
    vec![
        safe(&activation.id).into_owned(),
        safe(&activation.role).into_owned(),
        safe(&activation.principal).into_owned(),
        safe(&activation.state).into_owned(),
        until.map_or(String::new(), |at| show(at, now)),
        safe(&activation.requested.duration).into_owned(),
        activation.justification.as_deref().map(safe).unwrap_or_default().into_owned(),
    ]
}

/// All pages of a list; with `--json` they are printed as one instead, and there is nothing left to show.
async fn all<T: DeserializeOwned>(
    desk: &mut Desk<'_, '_>,
    path: &str,
    filter: &[(&str, &str)],
) -> Result<Option<Vec<T>>, Failure> {
    let mut items: Vec<T> = Vec::new();
    let mut raw: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = filter.to_vec();
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = desk.client.get(path, &query).await?;
        let next = if desk.json {
            let page: Page<Value> = answer.read()?;
            raw.extend(page.items);
            page.next
        } else {
            let page: Page<T> = answer.read()?;
            items.extend(page.items);
            page.next
        };
        let count = items.len().max(raw.len());
        match next {
            Some(next) if count < ITEMS_MAX && cursor.as_deref() != Some(&next) => cursor = Some(next),
            Some(_) => {
                writeln!(desk.streams.err, "there are more than {count}; the rest is left out")?;
                break;
            }
            None => break,
        }
    }
    if desk.json {
        print_json(desk.streams, &json!({ "items": raw }).to_string())?;
        return Ok(None);
    }
    Ok(Some(items))
}

/// More than anybody reads in a terminal.
const ITEMS_MAX: usize = 10_000;
