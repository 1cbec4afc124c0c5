//! The event stream: records as they are written, those the caller may see.
//!
//! The stream subscribes to the head before it reads, so that nothing falls between. It ends when the caller's proof ends or
//! is no longer accepted, when the caller is locked, and when the process drains.

use std::collections::VecDeque;
use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event as Message, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::watch;

use crate::domain::event::Event;
use crate::domain::standing::Position;
use crate::portal::Portal;
use crate::portal::caller::{SignedIn, single};
use crate::portal::desk::Desk;
use crate::portal::lasting::Lasting;
use crate::portal::limits::OwnPlace;
use crate::portal::metrics::OpenStream;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::record::Record;
use crate::store::{Entry, RecordFilter, StoreError};

/// Follows the journal (server-sent events): `id` is the position, `event` the noun, `data` a record as `/audit` gives it.
/// Begins after `Last-Event-ID`, or now.
#[utoipa::path(
    get, path = "/events", tag = "events", operation_id = "follow",
    params(("Last-Event-ID" = Option<u64>, Header, description = "the last position seen")),
    responses((status = 200, content_type = "text/event-stream", body = String))
)]
pub(super) async fn follow(
    State(portal): State<Portal>,
    caller: SignedIn,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = single(&headers, "last-event-id")?.map(str::parse).transpose();
    let last = last.map_err(|_| Problem::new(Kind::INVALID_HEADER, "`Last-Event-ID` is a position, a whole number"))?;
    let place = portal.shared.usage.stream(&caller.identity.principal)?;
    let head = portal.shared.parts.standings.watch();
    // a first look, so that a locked caller is refused with a status
    portal.read(&caller.identity, |_| Ok(())).await?;
    let follower = Follower::new(&portal, caller, last.map(Position), head, place);
    let keep_alive = KeepAlive::new().interval(portal.shared.parts.settings.limits.heartbeat_after).text("heartbeat");
    let mut response = Sse::new(messages(follower)).keep_alive(keep_alive).into_response();
    response.headers_mut().insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// One open stream.
struct Follower {
    portal: Portal,
    caller: Lasting,
    head: watch::Receiver<Position>,
    /// The last position looked at.
    at: Position,
    waiting: VecDeque<Message>,
    ended: bool,
    _place: OwnPlace,
    _open: OpenStream,
}

impl Follower {
    fn new(
        portal: &Portal,
        caller: SignedIn,
        last: Option<Position>,
        head: watch::Receiver<Position>,
        place: OwnPlace,
    ) -> Self {
        let now_at = *head.borrow();
        let at = last.unwrap_or(now_at).min(now_at);
        let mut waiting = VecDeque::from([Message::default().event("open").id(at.to_string()).data("{}")]);
        // far behind, reading everything anew is cheaper for both sides than following
        let at = if now_at.0.saturating_sub(at.0) > BACKLOG_MAX {
            waiting.clear();
            waiting.push_back(Message::default().event("reset").id(now_at.to_string()).data("{}"));
            now_at
        } else {
            at
        };
        Self {
            caller: Lasting::new(portal, caller),
            portal: portal.clone(),
            head,
            at,
            waiting,
            ended: false,
            _place: place,
            _open: portal.shared.metrics.stream(),
        }
    }

    /// The next message; nothing when the stream is over.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Some(message);
            }
            if self.ended {
                return None;
            }
            // seen before reading: what comes after wakes again
            let head = *self.head.borrow_and_update();
            match self.look(head).await {
                Ok(Looked::More) => continue,
                Ok(Looked::All) => {}
                Err(_) if self.caller.is_over(&self.portal) => return self.end("identity_ended"),
                Err(_) => return self.end("refused"),
            }
            if !self.waiting.is_empty() {
                continue;
            }
            let parts = &self.portal.shared.parts;
            let next_look = self.caller.next_look();
            let woken = tokio::select! {
                moved = self.head.changed() => moved.map_err(|_| "drain"),
                () = next_look.moved() => Ok(()),
                () = parts.clock.wait_until(next_look.follow_at()) => Ok(()),
                () = parts.clock.wait_until(self.caller.identity().ends_at) => match self.caller.identity().ends_at {
                    ends_at if ends_at <= parts.clock.now() => Err("identity_ended"),
                    _ => Ok(()),
                },
                () = parts.stop.cancelled() => Err("drain"),
            };
            if let Err(reason) = woken {
                return self.end(reason);
            }
        }
    }

    fn end(&mut self, reason: &str) -> Option<Message> {
        self.ended = true;
        Some(Message::default().event("end").data(format!("{{\"reason\":\"{reason}\"}}")))
    }

    /// Reads on up to `head`, as the caller as it stands now.
    async fn look(&mut self, head: Position) -> Result<Looked, Problem> {
        self.caller.look(&self.portal)?;
        let after = self.at;
        let (messages, at) = self.portal.read(self.caller.identity(), move |desk| batch(desk, after, head)).await?;
        self.at = at;
        self.waiting.extend(messages);
        Ok(if self.at < head { Looked::More } else { Looked::All })
    }
}

enum Looked {
    More,
    All,
}

/// How many records one look reads.
const BATCH: usize = 256;
/// How far back a stream may begin.
const BACKLOG_MAX: u64 = 10_000;

fn messages(follower: Follower) -> impl Stream<Item = Result<Message, Infallible>> + Send {
    stream::unfold(follower, |mut follower| async move { follower.next().await.map(|message| (Ok(message), follower)) })
}

/// What the caller may see of the records after `after`, and the position looked at last.
fn batch(desk: &Desk, after: Position, head: Position) -> Result<(Vec<Message>, Position), Problem> {
    if after >= head {
        return Ok((Vec::new(), after));
    }
    let entries = desk.reader().records(&RecordFilter::default(), after, BATCH)?;
    let at = entries.last().map_or(head, |entry| entry.position);
    let mut messages = Vec::new();
    for entry in &entries {
        if sees(desk, entry)? {
            let record = Record::of(entry, &desk.viewer, &desk.names);
            let message = Message::default().event(noun(&entry.event)).id(entry.position.to_string());
            let data = serde_json::to_string(&record)
                .map_err(|_| Problem::new(Kind::INTERNAL, "a record could not be written as JSON"))?;
            messages.push(message.data(data));
        }
    }
    Ok((messages, at))
}

fn sees(desk: &Desk, entry: &Entry) -> Result<bool, StoreError> {
    let viewer = &desk.viewer;
    if viewer.sees_all() {
        return Ok(true);
    }
    if let Some(id) = entry.event.activation() {
        return Ok(desk.reader().activation(id)?.is_some_and(|listed| viewer.sees_activation(&listed.item)));
    }
    match &entry.event {
        Event::AssignmentMade { assignment } => Ok(viewer.sees_assignment(assignment)),
        Event::AssignmentChanged { assignment, .. } | Event::AssignmentEnded { assignment, .. } => {
            Ok(desk.reader().assignment(*assignment)?.is_some_and(|listed| viewer.sees_assignment(&listed.item)))
        }
        Event::PrincipalLocked { principal }
        | Event::PrincipalUnlocked { principal }
        | Event::CredentialsRevoked { principal, .. }
        | Event::NotesErased { principal, .. } => Ok(viewer.sees_principal(principal)),
        _ => Ok(false),
    }
}

/// What a record is about.
fn noun(event: &Event) -> &'static str {
    match event {
        Event::JournalOpened { .. }
        | Event::KeyRotated { .. }
        | Event::AnchorConfirmed { .. }
        | Event::JournalSucceeded { .. }
        | Event::JournalCut { .. } => "journal",
        Event::ConfigurationApplied { .. } => "configuration",
        Event::AssignmentMade { .. } | Event::AssignmentChanged { .. } | Event::AssignmentEnded { .. } => "assignment",
        Event::PrincipalLocked { .. }
        | Event::PrincipalUnlocked { .. }
        | Event::CredentialsRevoked { .. }
        | Event::NotesErased { .. } => "principal",
        Event::ActivationRequested { .. }
        | Event::ActivationDecided { .. }
        | Event::ActivationStarted { .. }
        | Event::ExtensionRequested { .. }
        | Event::ExtensionEnded { .. }
        | Event::ActivationExtended { .. }
        | Event::ActivationShortened { .. }
        | Event::ActivationEnded { .. }
        | Event::UsesSealed { .. } => "activation",
    }
}
