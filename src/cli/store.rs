//! `hallpass store`: looking at the file of a stopped hallpass, and making it anew.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;

use crate::backup::{self, CarryError, Findings, Looked};
use crate::cli::backup::{bound, refused};
use crate::cli::failure::Failure;
use crate::cli::progress::Bar;
use crate::cli::terminal::{Streams, safe};
use crate::journal::PublicKey;
use crate::store::StoreError;
use crate::store::stopped::{self, Closing, Remade};

/// Check, compact or rebuild the store of a stopped hallpass
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of them.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify every page, the whole journal, every row and the uses beside it against what it says; changes nothing
    Check(Whole),
    /// Write the store anew without what it no longer holds: what was erased is then in none of its bytes
    Compact(File),
    /// Verify the journal and make every row from it anew
    Rebuild(Place),
}

#[derive(Debug, Args)]
struct File {
    /// The store's file, while no hallpass runs on it
    #[arg(value_name = "STORE")]
    store: PathBuf,
}

#[derive(Debug, Args)]
struct Whole {
    /// Which store.
    #[command(flatten)]
    place: Place,
    /// The signing key it runs with: it, and the journal that its pin binds it to, must be the ones
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Place {
    /// The store's file, while no hallpass runs on it
    #[arg(value_name = "STORE")]
    store: PathBuf,
    /// The root public key the journal must verify by, 64 hexadecimal digits; the one the store names otherwise
    #[arg(long, value_name = "HEX")]
    public_key: Option<PublicKey>,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Check(whole) => check(whole, streams),
        Command::Compact(file) => {
            let compact = |progress: stopped::Progress<'_>| backup::compact(&file.store, progress);
            let remade = with_bar("compacting", compact).map_err(|error| refused_at(&file.store, error))?;
            tell("compacted", &remade, streams)?;
            let told = "copies and backups made before still hold what they held, and the disk may keep old blocks";
            Ok(writeln!(streams.err, "note: {told}")?)
        }
        Command::Rebuild(place) => {
            let rebuild = |progress: stopped::Progress<'_>| stopped::rebuild(&place.store, place.public_key, progress);
            let remade = with_bar("rebuilding", rebuild).map_err(|error| refused_at(&place.store, error))?;
            tell("rebuilt", &remade, streams)
        }
    }
}

fn check(Whole { place, key }: &Whole, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let bound = key.as_deref().map(bound).transpose()?;
    let look = |progress: stopped::Progress<'_>| backup::check(&place.store, place.public_key, progress);
    let Looked { checked, findings, lost } = match with_bar("checking", look) {
        Err(StoreError::Damaged(why)) => return Err(damaged(place, &why)),
        looked => looked.map_err(|error| refused_at(&place.store, error))?,
    };
    let pin = bound.as_ref().and_then(|(_, pin)| pin.as_ref());
    if let Some(pin) = pin {
        stopped::is_pinned(&place.store, pin).map_err(|error| refused(CarryError::Store(error), &place.store))?;
    }
    if let (Some(key), Some((own, _))) = (key, &bound)
        && *own != checked.signs
    {
        let (key, needed) = (key.display(), checked.signs);
        return Err(Failure::False(format!("`{key}` is not the key this journal goes on with: that is {needed}")));
    }
    let mut line = |label: &str, value: &str| writeln!(streams.out, "{label:<12}{value}");
    line("sound", &format!("{} records, each in its place and signed; every row as they say", checked.records))?;
    line("head", &format!("{}:{}", checked.head.position, HEXLOWER.encode(&checked.head.hash)))?;
    line("root key", &checked.public_key.to_string())?;
    if checked.closing == Closing::Crash {
        line("left", "by a crash; the next start mends the file, and nothing that was answered is lost")?;
    }
    if place.public_key.is_none() && pin.is_none() {
        let told = "the root key is what the store itself names: with --public-key it would be proven whose it is";
        writeln!(streams.err, "note: {told}")?;
    }
    if let Some(file) = lost {
        let told = "is missing or empty although the journal has sealed uses: a backup may still hold them";
        writeln!(streams.err, "warning: the file of uses `{}` {told}", safe(&file.display().to_string()))?;
    }
    none_found(&findings, streams.err)
}

/// The chain holds; whatever beside it does not is told, each in a line.
pub(super) fn none_found(findings: &Findings, err: &mut dyn Write) -> Result<(), Failure> {
    if findings.is_empty() {
        return Ok(());
    }
    for finding in findings.told() {
        writeln!(err, "finding: {}", safe(&finding))?;
    }
    let told = "the chain of records is whole, and something beside it is not what was recorded";
    Err(Failure::False(told.to_owned()))
}

fn refused_at(store: &Path, error: StoreError) -> Failure {
    refused(CarryError::Store(error), store)
}

/// A damaged store, and what is left of it.
fn damaged(place: &Place, why: &str) -> Failure {
    let salvaged = with_bar("reading", |progress| stopped::can_be_rebuilt(&place.store, place.public_key, progress));
    let what_to_do = match salvaged {
        Ok(ended) => format!(
            "its journal is whole, {} records up to {}:{}, and only what is made from it is not: `hallpass store rebuild` makes \
             it anew",
            ended.records,
            ended.head.position,
            HEXLOWER.encode(&ended.head.hash)
        ),
        Err(error) => format!("nor is its journal whole ({error}): restore a backup"),
    };
    Failure::False(format!(
        "`{}` is not to be relied on: the store is damaged: {why}; {what_to_do}",
        place.store.display()
    ))
}

fn with_bar<T>(
    heading: &'static str,
    work: impl FnOnce(stopped::Progress<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut bar = Bar::new(heading);
    work(&mut |done, all| bar.show(done, all))
}

fn tell(done: &str, remade: &Remade, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let Remade { head, records, before, after } = remade;
    writeln!(streams.out, "{done:<12}{records} records")?;
    writeln!(streams.out, "{:<12}{}:{}", "head", head.position, HEXLOWER.encode(&head.hash))?;
    Ok(writeln!(streams.out, "{:<12}{} KiB, {} KiB before", "size", after / 1024, before / 1024)?)
}
