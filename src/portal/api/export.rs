//! The journal as a file: every record asked for, streamed batch by batch, byte for byte as it can be verified.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::domain::standing::Position;
use crate::journal::Exported;
use crate::journal::export::CsvExport;
use crate::portal::Portal;
use crate::portal::api::audit::{ListQuery, all_or_nothing, filter_of_all};
use crate::portal::body::Asked;
use crate::portal::caller::SignedIn;
use crate::portal::desk::Desk;
use crate::portal::lasting::Lasting;
use crate::portal::limits::OwnPlace;
use crate::portal::metrics::OpenStream;
use crate::portal::problem::{Kind, Problem};
use crate::portal::wire::common::Ending;
use crate::portal::wire::text::{Instant, RoleName};
use crate::store::RecordFilter;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// JSON lines are exact and can be verified; CSV is for spreadsheets.
    #[serde(default)]
    #[param(required = false)]
    format: Format,
    /// Only of this activation, `act_…`.
    #[param(required = false)]
    activation: Option<String>,
    /// Only what concerns this principal, `issuer:subject`.
    #[param(required = false)]
    principal: Option<String>,
    /// Only what concerns this role.
    #[param(required = false)]
    role: Option<RoleName>,
    /// Only what concerns a role of this application.
    #[param(required = false)]
    app: Option<String>,
    /// Only of activations that ended so.
    #[param(required = false)]
    ending: Option<Ending>,
    /// Only of this type, like `activation_started`.
    #[param(required = false)]
    event: Option<String>,
    /// Not before.
    #[param(required = false)]
    from: Option<Instant>,
    /// Before.
    #[param(required = false)]
    until: Option<Instant>,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// Comma-separated values with a line of headings.
    Csv,
}

/// Records as a file, oldest first, up to the newest at this moment. For administrators and auditors; an answer that breaks
/// off is not the whole file.
#[utoipa::path(
    get, path = "/audit/export", tag = "audit", operation_id = "export_records",
    params(ExportQuery),
    responses((status = 200, description = "the records", content(
        (String = "application/x-ndjson"), (String = "text/csv")
    )))
)]
pub(super) async fn export(
    State(portal): State<Portal>,
    caller: SignedIn,
    Asked(query): Asked<ExportQuery>,
) -> Result<Response, Problem> {
    let place = portal.shared.usage.stream(&caller.identity.principal)?;
    let ExportQuery { format, activation, principal, role, app, ending, event, from, until } = query;
    let query = ListQuery { activation, principal, role, app, ending, event, from, until, ..ListQuery::default() };
    let begun = portal.read(&caller.identity, move |desk| {
        Ok((filter_of_all(desk, &query)?, desk.reader().head()?.position, last_cut(desk)?))
    });
    let (filter, head, gone) = begun.await?;
    let exporter = Exporter {
        _open: portal.shared.metrics.stream(),
        caller: Lasting::new(&portal, caller),
        portal,
        format,
        filter: Arc::new(filter),
        after: Position(0),
        gone,
        head,
        next: Next::First,
        _place: place,
    };
    let (media_type, disposition) = match format {
        Format::Jsonl => ("application/x-ndjson", "attachment; filename=\"hallpass-audit.jsonl\""),
        Format::Csv => ("text/csv; charset=utf-8; header=present", "attachment; filename=\"hallpass-audit.csv\""),
    };
    let mut response = Body::from_stream(chunks(exporter)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    Ok(response)
}

/// One export under way.
struct Exporter {
    portal: Portal,
    caller: Lasting,
    format: Format,
    filter: Arc<RecordFilter>,
    after: Position,
    /// The last record that was cut when the export began.
    gone: Position,
    /// The newest record when the export began; it ends there, or with the newest erasure of a note that it lacks.
    head: Position,
    next: Next,
    _place: OwnPlace,
    _open: OpenStream,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    First,
    Further,
    Nothing,
}

fn chunks(exporter: Exporter) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(exporter, |mut exporter| async move {
        if exporter.next == Next::Nothing {
            return None;
        }
        let chunk = exporter.chunk().await;
        if chunk.is_err() {
            exporter.next = Next::Nothing;
        }
        Some((chunk, exporter))
    })
}

impl Exporter {
    /// The next bytes. The caller must still be there, and one who sees all: a right that ends while a file runs ends the file.
    async fn chunk(&mut self) -> io::Result<Bytes> {
        let (format, after, head, next) = (self.format, (self.after, self.gone), self.head, self.next);
        let filter = Arc::clone(&self.filter);
        let stop = self.portal.shared.parts.stop.clone();
        if stop.is_cancelled() {
            return Err(io::Error::other("the process drains"));
        }
        // the status has long left: only breaking off tells that this is not all
        let broken_off = |problem: Problem| io::Error::other(problem.code());
        self.caller.look(&self.portal).map_err(broken_off)?;
        let read =
            self.portal.read(self.caller.identity(), move |desk| batch(desk, format, &filter, after, head, next));
        let (bytes, after, head, next) = read.await.map_err(broken_off)?;
        self.after = after;
        self.head = head;
        self.next = next;
        Ok(bytes)
    }
}

fn batch(
    desk: &Desk,
    format: Format,
    filter: &RecordFilter,
    (after, gone): (Position, Position),
    head: Position,
    next: Next,
) -> Result<(Bytes, Position, Position, Next), Problem> {
    all_or_nothing(desk)?;
    let records = desk.reader().exported(filter, after, BATCH)?;
    // looked at behind the records: a gap in the middle of a file would look like damage
    let cut = last_cut(desk)?;
    if cut != gone && after < cut {
        let why = "records were cut while they were exported; export them again";
        return Err(Problem::new(Kind::UNAVAILABLE, why));
    }
    let (full, is_end) = (records.len() == BATCH, records.is_empty());
    let after = records.last().map_or(after, |record| Position(record.sequence));
    let is_whole = *filter == RecordFilter::default();
    let head = if is_whole && after >= head { with_erasures(desk, head)? } else { head };
    let records: Vec<Exported> = records.into_iter().take_while(|record| record.sequence <= head.0).collect();
    let written = match format {
        Format::Jsonl => as_lines(&records),
        Format::Csv => as_csv(&records, next),
    };
    let bytes = written.map_err(|error| {
        tracing::error!(%error, "a record could not be exported");
        Problem::new(Kind::INTERNAL, "a record could not be exported")
    })?;
    let next = if (full || is_whole && !is_end) && after < head { Next::Further } else { Next::Nothing };
    Ok((Bytes::from(bytes), after, head, next))
}

/// The last record that was cut.
fn last_cut(desk: &Desk) -> Result<Position, Problem> {
    Ok(Position(desk.reader().cut()?.map_or(0, |cut| cut.last())))
}

/// The newest record to export, when notes were erased since the export began: without the record that orders it, they would
/// look as if somebody had taken them away.
fn with_erasures(desk: &Desk, head: Position) -> Result<Position, Problem> {
    let reader = desk.reader();
    if reader.head()?.position == head {
        return Ok(head);
    }
    let filter = RecordFilter { event: Some("notes_erased".to_owned()), ..RecordFilter::default() };
    let erasures = reader.records(&filter, head, BATCH)?;
    Ok(erasures.last().map_or(head, |erasure| erasure.position))
}

fn as_lines(records: &[Exported]) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for record in records {
        record.write_json_line(&mut lines)?;
    }
    Ok(lines)
}

/// The line of headings stands once, in the first batch.
fn as_csv(records: &[Exported], next: Next) -> io::Result<Vec<u8>> {
    let headings = match next {
        Next::First => 0,
        Next::Further | Next::Nothing => {
            CsvExport::new(Vec::new()).and_then(CsvExport::finish).map_err(io::Error::other)?.len()
        }
    };
    let mut csv = CsvExport::new(Vec::new()).map_err(io::Error::other)?;
    for record in records {
        csv.write(record).map_err(io::Error::other)?;
    }
    let mut bytes = csv.finish().map_err(io::Error::other)?;
    bytes.drain(..headings.min(bytes.len()));
    Ok(bytes)
}

const BATCH: usize = 500;
