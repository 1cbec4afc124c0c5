//! `hallpass audit cut`: old records taken out of the journal of a stopped hallpass, once an archive holds them.

use std::path::PathBuf;

use clap::Args;

use crate::anchor::{AnchorFileError, Newest, newest};
use crate::backup::{self, UseReader};
use crate::cli::backup::refused;
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::cli::offline::{agreed, anchor, anchors_can_be_written, because, failed, is_beyond_doubt, reason};
use crate::cli::progress::Bar;
use crate::cli::terminal::{Streams, safe};
use crate::clock::{Clock, format_rfc3339, parse_rfc3339};
use crate::config::Config;
use crate::domain::event::Actor;
use crate::domain::id::ActivationId;
use crate::domain::time::Timestamp;
use crate::store::{self, Opened, Plan, Planned, Snapshot, Wanted, stopped};

/// What to cut, and where to keep it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The configuration.
    #[command(flatten)]
    files: Files,
    /// Cut records from before this instant: RFC 3339, or a day, which begins in UTC
    #[arg(long, value_name = "TIME", value_parser = instant)]
    before: Timestamp,
    /// The archive: a file that appears when it holds every record that is cut, verified; never in the place of another
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    archive: Option<PathBuf>,
    /// Why; kept with the record of the cut
    #[arg(long = "because", value_name = "TEXT", value_parser = because, required_unless_present = "dry_run")]
    because: Option<String>,
    /// Tell what would be cut, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let Arguments { files, before, archive, because, dry_run, yes } = arguments;
    let config = files.load()?;
    let path = &config.store.path;
    let now = Clock::system().now();
    let failed = |error| failed(path, error);
    let (Some(archive), Some(because), false) = (archive, because, dry_run) else {
        let snapshot = stopped::snapshot(path).map_err(failed)?;
        let unsealed = backup::unsealed(path).map_err(|error| refused(error, path))?;
        if let Some(plan) = planned(&snapshot, (&config, &unsealed), *before, now, streams)? {
            describe(&plan, streams)?;
            writeln!(streams.err, "note: this was a dry run, and nothing was changed")?;
        }
        return Ok(());
    };
    let archive_of_uses = backup::uses_of_archive(archive);
    for file in [archive, &archive_of_uses] {
        backup::is_free(file).map_err(|error| refused(error, file))?;
    }
    let Opened { reader, mut appender } = store::open_existing(&config.store, now).map_err(failed)?;
    is_beyond_doubt(&config, &reader, "nothing is cut from")?;
    anchors_can_be_written(&config)?;
    let beside = backup::uses_beside(path);
    let uses = beside.try_exists()?.then(|| UseReader::of_file(&beside)).transpose().map_err(failed)?;
    let forget = || uses.as_ref().map_or(Ok(0), |uses| backup::forget_archived(uses, &reader));
    // what an earlier cut was interrupted before
    forget().map_err(|error| refused(error, &beside))?;
    let snapshot = reader.snapshot().map_err(failed)?;
    let unsealed = uses.as_ref().map_or(Ok(Vec::new()), |uses| uses.snapshot()?.unsealed()).map_err(failed)?;
    let Some(plan) = planned(&snapshot, (&config, &unsealed), *before, now, streams)? else { return Ok(()) };
    describe(&plan, streams)?;
    agreed("take these out of the store, so that only the archive has them?", *yes, streams)?;
    let mut bar = Bar::new("archiving");
    let archived = backup::archive(&snapshot, &plan, uses.as_ref(), archive, &mut |done, all| bar.show(done, all));
    drop((bar, snapshot));
    let archived = archived.map_err(|error| refused(error, archive))?;
    let by = (Actor::Operator, &reason(because));
    let committed = appender.cut(&plan, archived.records, now, by).map_err(failed)?;
    writeln!(streams.out, "cut       by record {}", committed.head.position)?;
    writeln!(streams.out, "archive   {}  {}", archived.records, safe(&archive.display().to_string()))?;
    if let Some(digest) = archived.uses {
        writeln!(streams.out, "uses      {digest}  {}", safe(&archive_of_uses.display().to_string()))?;
    }
    forget().map_err(|error| refused(error, &beside))?;
    anchor(&config, &reader.checkpoint(now).map_err(failed)?, streams)?;
    let told =
        "keep the archive: the store holds none of it any more. Its file gets smaller with `hallpass store compact`";
    Ok(writeln!(streams.err, "note: {told}")?)
}

/// What can be cut; nothing, after it was said why, when nothing can.
fn planned(
    snapshot: &Snapshot,
    (config, unsealed): (&Config, &[ActivationId]),
    before: Timestamp,
    now: Timestamp,
    streams: &mut Streams<'_>,
) -> Result<Option<Plan>, Failure> {
    let path = &config.store.path;
    let newest = |file: &PathBuf| {
        let cannot = |source| AnchorFileError::File { path: file.clone(), source };
        newest(file).map_err(|error| Failure::Internal(cannot(error).into()))
    };
    let anchored = match config.anchor.file.as_ref().map(newest).transpose()? {
        Some(Newest::Note(note)) => Some(note.checkpoint.sequence),
        Some(Newest::Nothing | Newest::Unreadable) | None => None,
    };
    let wanted = Wanted { anchored, unsealed, ..Wanted::before(before, now) };
    let mut bar = Bar::new("planning");
    let planned = snapshot.plan_cut(&wanted, &mut |done, all| bar.show(done, all));
    drop(bar);
    match planned.map_err(|error| failed(path, error))? {
        Planned::Cut(plan) => Ok(Some(*plan)),
        Planned::Nothing(bound) => {
            writeln!(streams.out, "nothing to cut: {}", safe(&bound.to_string()))?;
            Ok(None)
        }
    }
}

fn describe(plan: &Plan, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let mut line = |label: &str, value: &str| writeln!(streams.out, "{label:<10}{value}");
    line("records", &format!("{}, from {} to {}", plan.records, plan.first, plan.last))?;
    line("until", &format_rfc3339(plan.until))?;
    line("with them", &format!("{} cases and {} assignments that are over", plan.cases.len(), plan.assignments))?;
    Ok(line("behind", &safe(&plan.bound.to_string()))?)
}

/// An instant, or the beginning of a day in UTC.
fn instant(text: &str) -> Result<Timestamp, String> {
    parse_rfc3339(text)
        .or_else(|error| parse_rfc3339(&format!("{text}T00:00:00Z")).map_err(|_| error))
        .map_err(|error| format!("{error}; or a day such as 2026-01-31"))
}
