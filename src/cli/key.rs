//! `hallpass key`: the key that signs the journal. Every change is made while hallpass is stopped: one process has the store.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use data_encoding::HEXLOWER;
use serde_json::json;

use crate::anchor::{AnchorFile, Newest, newest};
use crate::backup;
use crate::cli::backup::refused;
use crate::cli::desk::print_json;
use crate::cli::failure::Failure;
use crate::cli::files::Files;
use crate::cli::offline::{agreed, anchor, anchors_can_be_written, because, failed, is_beyond_doubt, reason};
use crate::cli::terminal::{Streams, safe};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::event::ChainPoint;
use crate::journal::checkpoint::verifier_key;
use crate::journal::verify::Verifier;
use crate::journal::{Exported, PublicKey, SignedCheckpoint};
use crate::store::{self, Begun, Rotated, StoreError, stopped};

/// Show, rotate or replace the key that signs the journal
#[derive(Debug, Args)]
pub struct Arguments {
    /// Which of these.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the public keys: the root, which verifies the journal, and the one that signs now
    Show(ShowArguments),
    /// Let a new key sign from the next record on; hallpass must be stopped
    Rotate(RotateArguments),
    /// Begin a new journal after the signing key was lost; the old one, moved aside, is verified and named in it
    Lost(LostArguments),
}

#[derive(Debug, Args)]
struct ShowArguments {
    /// The configuration.
    #[command(flatten)]
    files: Files,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct RotateArguments {
    /// The configuration.
    #[command(flatten)]
    files: Files,
    /// Why; kept with the record
    #[arg(long = "because", value_name = "TEXT", value_parser = because)]
    because: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
struct LostArguments {
    /// The configuration.
    #[command(flatten)]
    files: Files,
    /// The old store, moved away from where the configuration names it
    #[arg(long, value_name = "FILE")]
    old_store: PathBuf,
    /// The old journal's root public key, from where nobody could have changed it
    #[arg(long = "key", value_name = "HEX")]
    root: PublicKey,
    /// Why; kept with the record
    #[arg(long = "because", value_name = "TEXT", value_parser = because)]
    because: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match &arguments.command {
        Command::Show(arguments) => show(&arguments.files.load()?, arguments.json, streams),
        Command::Rotate(arguments) => rotate(arguments, streams),
        Command::Lost(arguments) => lost(arguments, streams),
    }
}

fn show(config: &Config, json: bool, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let settings = &config.store;
    let store_failed = |error| failed(&settings.path, error);
    let opened = match store::open_existing(settings, Clock::system().now()) {
        Ok(opened) => opened,
        Err(StoreError::Locked) => return show_of_running(config, json, streams),
        Err(error) => return Err(store_failed(error)),
    };
    let realm = opened.reader.realm().map_err(store_failed)?.0;
    let keys = opened.reader.keys().map_err(store_failed)?;
    let (root, signing) = (opened.reader.public_key(), opened.reader.signing_key());
    let verifier = verifier_key(&realm, &signing);
    if json {
        let keys: Vec<_> =
            keys.iter().map(|span| json!({ "key": span.key.to_string(), "since": span.since })).collect();
        let told = json!({
            "realm": realm,
            "root_key": root.to_string(),
            "signing_key": signing.to_string(),
            "keys": keys,
            "verifier_key": verifier,
        });
        return Ok(print_json(streams, &told.to_string())?);
    }
    writeln!(streams.out, "root key      {root}")?;
    for span in &keys {
        writeln!(streams.out, "signs         {}  from record {}", span.key, span.since)?;
    }
    writeln!(streams.out, "for notes     {}", safe(&verifier))?;
    Ok(writeln!(streams.out, "key file      {}", safe(&settings.key_path.display().to_string()))?)
}

/// While hallpass runs only the key's own file and its pin can be read.
fn show_of_running(config: &Config, json: bool, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let path = &config.store.key_path;
    let bound = store::bound_key_in_file(path).map_err(|error| failed(&config.store.path, error))?;
    let (key, pin) = bound.ok_or_else(|| Failure::False(format!("there is no key file `{}`", path.display())))?;
    let root = pin.as_ref().map(|pin| pin.root.to_string());
    if json {
        let realm = pin.as_ref().map(|pin| &pin.since.realm);
        let told = json!({ "realm": realm, "root_key": root, "signing_key": key.to_string() });
        print_json(streams, &told.to_string())?;
    } else {
        if let Some(root) = &root {
            writeln!(streams.out, "root key      {root}")?;
        }
        writeln!(streams.out, "signs now     {key}")?;
    }
    let told = if root.is_some() {
        "a hallpass runs on the store: this is what stands beside the key; the journal itself is read once it is stopped"
    } else {
        "a hallpass runs on the store: its root key is told by GET /api/v1/audit/head, or here once it is stopped"
    };
    Ok(writeln!(streams.err, "note: {told}")?)
}

fn rotate(arguments: &RotateArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let RotateArguments { files, because, yes } = arguments;
    let config = &files.load()?;
    let settings = &config.store;
    let opened =
        store::open_existing(settings, Clock::system().now()).map_err(|error| failed(&settings.path, error))?;
    is_beyond_doubt(config, &opened.reader, "no key is rotated in")?;
    anchors_can_be_written(config)?;
    drop(opened);
    agreed("let a new key sign from the next record on? Copies of the key in force become useless", *yes, streams)?;
    let rotated = store::rotate_key(settings, Clock::system().now(), &reason(because));
    let Rotated { former, current, since, kept, checkpoint } =
        rotated.map_err(|error| failed(&settings.path, error))?;
    writeln!(streams.out, "until now     {former}")?;
    writeln!(streams.out, "from now on   {current}  from record {since}")?;
    anchor(config, &checkpoint, streams)?;
    let kept = kept.display().to_string();
    let told = format!(
        "the former key is kept as {kept}: only a copy of the store made before needs it; destroy it when none is left"
    );
    writeln!(streams.err, "note: {}", safe(&told))?;
    Ok(writeln!(streams.err, "note: the root key, by which the journal is verified, stays the same")?)
}

fn lost(arguments: &LostArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let LostArguments { files, old_store, root, because, yes } = arguments;
    let config = files.load()?;
    let end = verified_end(old_store, root)?;
    writeln!(streams.out, "the old journal is as it was written, up to {}:{}", end.sequence, end.hash)?;
    if let Some(path) = &config.anchor.file
        && let Newest::Note(note) = newest(path).map_err(|error| Failure::Internal(error.into()))?
    {
        let said = &note.checkpoint;
        let holds = said.realm == end.realm && said.sequence <= end.sequence;
        let told = if holds { "it ends no earlier than" } else { "NOTE: it is not the journal of, or ends before," };
        writeln!(streams.out, "{told} the newest anchor, record {} of journal {}", said.sequence, safe(&said.realm))?;
    }
    let path = &config.store.path;
    let begun = store::begun_successor(&config.store, &end, root).map_err(|error| failed(path, error))?;
    match begun {
        // the uses of the old journal would be taken for those of the new one
        Begun::No => backup::free(path).map_err(|error| refused(error, path))?,
        Begun::Yes(_) => writeln!(streams.out, "the new journal is there, for the reason given when it was begun")?,
    }
    agreed("begin a new journal, with nothing but what the configuration gives?", *yes, streams)?;
    anchors_can_be_written(&config)?;
    let (now, realm) = (Clock::system().now(), end.realm.clone());
    let successor = store::begin_successor(&config.store, end, root, now, reason(because));
    let successor = successor.map_err(|error| failed(&config.store.path, error))?;
    writeln!(streams.out, "new root key  {}", successor.root)?;
    put_anchors_aside(&config, &realm, &successor.checkpoint, streams)?;
    anchor(&config, &successor.checkpoint, streams)?;
    let told = "keep the old store and its root key: they are the proof of what was; the new journal names its end";
    Ok(writeln!(streams.err, "note: {told}")?)
}

/// Lets the anchors of the journal that is over, of `realm`, stay together. Where that cannot be, both journals share the file.
fn put_anchors_aside(
    config: &Config,
    realm: &str,
    head: &SignedCheckpoint,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    let Some(path) = &config.anchor.file else { return Ok(()) };
    if let Ok(Newest::Note(note)) = newest(path)
        && note.checkpoint.realm == head.checkpoint.realm
    {
        // done when this was given before
        return Ok(());
    }
    match AnchorFile::new(path, &config.store.path).put_aside(realm) {
        Ok(None) => Ok(()),
        Ok(Some(kept)) => {
            let told = format!("those of the old journal are kept as {}", kept.display());
            Ok(writeln!(streams.out, "anchors       {}", safe(&told))?)
        }
        Err(error) => {
            let told = format!("the old journal's anchors stay in `{}`, beside the new one's: {error}", path.display());
            Ok(writeln!(streams.err, "warning: {}", safe(&told))?)
        }
    }
}

/// Verifies the whole journal in the store at `path`, and returns its last record.
fn verified_end(path: &std::path::Path, root: &PublicKey) -> Result<ChainPoint, Failure> {
    let mut verifier = Verifier::new(*root);
    let mut fault = None;
    let mut check = |record: Exported| {
        if fault.is_none() {
            fault = verifier.check(record.sequence, &record.sealed, record.note.as_ref()).err();
        }
        Ok(())
    };
    stopped::snapshot(path).and_then(|journal| journal.each_record(&mut check)).map_err(|error| failed(path, error))?;
    match (fault.or_else(|| verifier.ended().err()), verifier.realm()) {
        (Some(fault), _) => Err(Failure::False(format!("the old journal is not as it was written: {fault}"))),
        (None, None) => Err(Failure::False("the old journal is empty".to_owned())),
        (None, Some(realm)) => {
            let tip = verifier.tip();
            let hash = HEXLOWER.encode(&tip.hash);
            Ok(ChainPoint { realm: realm.to_owned(), sequence: tip.sequence, hash })
        }
    }
}
