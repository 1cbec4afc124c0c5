//! Journal and uses as one file, from one consistent state, while the service goes on.

use std::io::{self, Write};

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, header};
use tokio::sync::mpsc;

use crate::backup::{CarryError, Moment};
use crate::portal::Portal;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::lasting::Lasting;
use crate::portal::limits::OwnPlace;
use crate::portal::metrics::OpenStream;
use crate::portal::problem::{Kind, Problem};

/// Everything a store can be made from, as one file, with all that people typed; never the signing key, which signs where it
/// ends (a signed note in its first line) unless the journal is in doubt. For administrators; an answer that breaks off is no backup, and `hallpass backup` verifies what it got.
#[utoipa::path(
    get, path = "/backup", tag = "audit", operation_id = "take_backup",
    responses((status = 200, description = "the backup", content((String = "application/x-ndjson"))))
)]
pub(super) async fn backup(State(portal): State<Portal>, caller: SignedIn) -> Result<Response, Problem> {
    let place = portal.shared.usage.stream(&caller.identity.principal)?;
    let begun = portal.read(&caller.identity, |desk| {
        permitted(desk)?;
        // the uses first: whatever the journal has sealed by then is among them
        let uses = desk.portal.shared.parts.uses.snapshot()?;
        let (now, moment) = (desk.viewer.now(), Moment::of(uses, desk.reader().snapshot()?));
        // a journal in doubt is not vouched for
        let is_doubted = desk.portal.shared.parts.standings.doubted().is_some();
        Ok((now, if is_doubted { moment } else { moment.signed(desk.reader(), now)? }))
    });
    let (now, moment) = begun.await?;
    let (sender, pieces) = mpsc::channel(PIECES_AHEAD);
    tracing::info!(principal = %caller.identity.principal, "a backup is being taken");
    // it ends when nobody takes the pieces any more
    drop(tokio::task::spawn_blocking(move || write(&moment, now, sender)));
    let carrier = Carrier {
        _open: portal.shared.metrics.stream(),
        caller: Lasting::new(&portal, caller),
        portal,
        pieces,
        over: false,
        _place: place,
    };
    let mut response = Body::from_stream(chunks(carrier)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    let disposition = HeaderValue::from_static("attachment; filename=\"hallpass-backup.jsonl\"");
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn permitted(desk: &Desk) -> Result<(), Problem> {
    if desk.viewer.may_back_up() {
        Ok(())
    } else {
        Err(Problem::new(Kind::FORBIDDEN, "a backup is for administrators"))
    }
}

fn write(moment: &Moment, now: crate::domain::time::Timestamp, sender: mpsc::Sender<io::Result<Bytes>>) {
    let pieces = Pieces { piece: Vec::with_capacity(PIECE_BYTES), sender: sender.clone() };
    let written = moment.write(now, pieces, &mut |_| {});
    if let Err(error) = written {
        let gone = matches!(&error, CarryError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe);
        if !gone {
            tracing::error!(error = &error as &dyn std::error::Error, "a backup could not be written to its end");
        }
        // whoever waits must not take what came so far for all; when nobody waits, nobody is told
        let _ = sender.blocking_send(Err(io::Error::other("the backup broke off")));
    }
}

/// Bytes on their way, in pieces of some size.
struct Pieces {
    piece: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// One backup under way.
struct Carrier {
    portal: Portal,
    caller: Lasting,
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    over: bool,
    _place: OwnPlace,
    _open: OpenStream,
}

fn chunks(carrier: Carrier) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(carrier, |mut carrier| async move {
        if carrier.over {
            return None;
        }
        let chunk = carrier.next().await?;
        carrier.over = chunk.is_err();
        Some((chunk, carrier))
    })
}

impl Carrier {
    /// The next bytes. A right or a proof that ends while a backup runs ends the backup.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let stop = self.portal.shared.parts.stop.clone();
        let Some(piece) = stop.run_until_cancelled(self.pieces.recv()).await else {
            return Some(Err(io::Error::other("the process drains")));
        };
        let piece = piece?;
        Some(self.may_go_on().await.map_err(|problem| io::Error::other(problem.code())).and(piece))
    }

    async fn may_go_on(&mut self) -> Result<(), Problem> {
        self.caller.look(&self.portal)?;
        self.portal.read(self.caller.identity(), permitted).await
    }
}

const PIECE_BYTES: usize = 64 * 1024;
const PIECES_AHEAD: usize = 4;
