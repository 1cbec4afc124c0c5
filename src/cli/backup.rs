//! `hallpass backup` and `hallpass restore`: the journal carried away, proven, and made into a store again.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use data_encoding::HEXLOWER;
use serde_json::json;

use crate::backup::{self, CarryError, Moment, Proven};
use crate::cli::audit::copy;
use crate::cli::client::{Client, Options};
use crate::cli::desk::print_json;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::progress::Bar;
use crate::cli::store::none_found;
use crate::cli::terminal::{Streams, safe};
use crate::cli::wire;
use crate::clock::Clock;
use crate::journal::PublicKey;
use crate::journal::backup::BackupError;
use crate::journal::export::ReadError;
use crate::store::{self, Pin, StoreError};

/// What to back up, and where to
#[derive(Debug, Args)]
pub struct Arguments {
    /// The backup; it appears when it is whole and verified, and never takes the place of another file
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Back up the store in this file, on which no hallpass runs; the portal's otherwise
    #[arg(long, value_name = "FILE")]
    pub store: Option<PathBuf>,
    /// With --store: the signing key, which signs where the backup ends, so that an end that is cut off shows. A portal does
    /// so by itself
    #[arg(long, value_name = "FILE", requires = "store")]
    pub key: Option<PathBuf>,
    /// The root public key it must verify by, 64 hexadecimal digits; the one it names itself otherwise
    #[arg(long, value_name = "HEX")]
    pub public_key: Option<PublicKey>,
    /// The portal.
    #[command(flatten)]
    pub portal: Options,
}

/// What to restore, and where to
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup
    #[arg(long, value_name = "FILE")]
    pub from: PathBuf,
    /// The store to make, where no file may be
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Restore although texts or uses in it are not what was recorded; the chain of records must be whole in any case
    #[arg(long)]
    pub despite_findings: bool,
    /// Restore although nobody signed where the backup ends: whoever could write it may have cut its end, with revocations and
    /// locks. Backups of the first format, and those taken without the signing key, need it
    #[arg(long)]
    pub unsigned_end: bool,
    /// The signing key the store will run with: it, and the journal that its pin binds it to, must be the ones
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// The root public key it must verify by, 64 hexadecimal digits; the one it names itself otherwise
    #[arg(long, value_name = "HEX")]
    pub public_key: Option<PublicKey>,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let Arguments { to, store, key, public_key, portal } = arguments;
    let file = output::beside(to)?;
    let doubt = match store {
        Some(store) => of_files(store, key.as_deref(), (file.file(), to)).map(|()| None)?,
        None => of_portal(portal, (file.file(), to)).await?,
    };
    let proven = proven((file.file(), to), to, *public_key, None)?;
    output::place(file, to)?;
    if portal.json {
        print_json(streams, &as_json(&proven).to_string())?;
    } else {
        describe("backed up", &proven, streams.out)?;
        writeln!(streams.out, "{:<12}{}", "in", safe(&to.display().to_string()))?;
    }
    let told = "the signing key is not in it: keep a copy of that file elsewhere; who has both can write history";
    writeln!(streams.err, "note: {told}")?;
    if proven.checkpoint.is_none() && doubt.is_none() {
        let told = "nobody signed where it ends, so an end that is cut off would not show, and `hallpass restore` wants \
            --unsigned-end: give --key, or ask the portal";
        writeln!(streams.err, "note: {told}")?;
    }
    if public_key.is_none() {
        writeln!(streams.err, "note: {ITS_OWN_ROOT}")?;
    }
    // it is the best there is, and is kept: whoever takes it must know
    none_found(&proven.findings, streams.err)?;
    doubt.map_or(Ok(()), |doubt| {
        let doubt = safe(&doubt);
        Err(Failure::False(format!(
            "the backup was taken, and its end is not signed, since the portal doubts its journal: {doubt}; {DOUBT_REMEDY}"
        )))
    })
}

pub(super) fn restore(arguments: &RestoreArguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let RestoreArguments { from, to, despite_findings, unsigned_end, key, public_key } = arguments;
    backup::free(to).map_err(|error| refused(error, to))?;
    let file = read(from)?;
    let bound = key.as_deref().map(bound).transpose()?;
    let pin = bound.as_ref().and_then(|(_, pin)| pin.as_ref());
    let proven = proven((&file, from), to, *public_key, pin)?;
    match none_found(&proven.findings, streams.err) {
        Err(Failure::False(told)) if !*despite_findings => {
            let what_to_do =
                "restore another backup, or this one with --despite-findings: no right hangs on what was found";
            return Err(Failure::False(format!("{told}; {what_to_do}")));
        }
        Err(Failure::False(told)) => writeln!(streams.err, "warning: {told}")?,
        other => other?,
    }
    if let (Some(key), Some((own, _))) = (key, &bound)
        && *own != proven.signs
    {
        let needed = proven.signs;
        let told = format!("`{}` is not the key this journal goes on with: that is {needed}", key.display());
        return Err(Failure::False(told));
    }
    if proven.checkpoint.is_none() && !unsigned_end {
        return Err(Failure::False(format!("`{}` is not to be relied on: {UNSIGNED_END}", from.display())));
    }
    let mut bar = Bar::new("restoring");
    let head = backup::restore(rewound(&file)?, to, Some(proven.root), &mut |done, all| bar.show(done, all));
    drop(bar);
    head.map_err(|error| refused(error, to))?;
    describe("restored", &proven, streams.out)?;
    writeln!(streams.out, "{:<12}{}", "in", safe(&to.display().to_string()))?;
    warn(&proven, key.is_some(), streams.err)?;
    if public_key.is_none() && pin.is_none() {
        writeln!(streams.err, "note: {ITS_OWN_ROOT}")?;
    }
    Ok(())
}

/// The key in the file at `path`, and its pin.
pub(super) fn bound(path: &Path) -> Result<(PublicKey, Option<Pin>), Failure> {
    let bound = store::bound_key_in_file(path).map_err(|error| refused(error.into(), path))?;
    bound.ok_or_else(|| Failure::Usage(format!("there is no key file `{}`", path.display())))
}

/// What a backup cannot know, and what to do about it.
fn warn(proven: &Proven, key_is_there: bool, err: &mut dyn Write) -> io::Result<()> {
    let taken_at = safe(&proven.header.taken_at);
    writeln!(
        err,
        "warning: whatever was decided after {taken_at} is not in it: what was revoked or locked since is held again, and \
         what was erased since is readable again. Look through `hallpass list --active`, lock and erase once more."
    )?;
    writeln!(
        err,
        "note: if a head was published since, it names records that are not here. hallpass then keeps the routes that demand a \
         role shut when it starts, says so, and waits until somebody confirms that this journal is to go on."
    )?;
    if proven.checkpoint.is_none() {
        writeln!(
            err,
            "warning: nobody signed where this backup ends, so whoever could write it may have cut its end, with revocations \
             and locks. Hold it against anchors: `hallpass audit verify BACKUP --key HEX --anchor FILE --older-copy --unsigned-end`."
        )?;
    }
    if !key_is_there {
        writeln!(err, "note: it goes on with the signing key whose public half is {}", proven.signs)?;
    }
    Ok(())
}

fn of_files(store: &Path, key: Option<&Path>, (file, to): (&File, &Path)) -> Result<(), Failure> {
    let now = Clock::system().now();
    let failed = |error| refused(error, store);
    let moment = Moment::of_files(store).map_err(|error| failed(error.into()))?;
    let moment = match key {
        Some(key) => moment.signed_by_file(key, now).map_err(|error| refused(error.into(), key))?,
        None => moment,
    };
    let all = moment.length().map_err(|error| failed(error.into()))?;
    let mut bar = Bar::new("writing");
    let mut target = Target { file, failed: false };
    let written = moment.write(now, BufWriter::new(&mut target), &mut |done| bar.show(done, all));
    let written = written.map(|out| drop(out.into_parts()));
    // the store says which file it is about
    written.map_err(|error| refused(error, if target.failed { to } else { store }))
}

/// A file that is written, and whether that failed.
struct Target<'f> {
    file: &'f File,
    failed: bool,
}

impl Write for Target<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).inspect_err(|error| self.failed |= error.kind() != io::ErrorKind::Interrupted)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().inspect_err(|_| self.failed = true)
    }
}

/// Fetches the portal's, and returns why the portal doubts its journal, while it does: such a journal it does not sign.
async fn of_portal(portal: &Options, (file, to): (&File, &Path)) -> Result<Option<String>, Failure> {
    let client = Client::new(portal)?;
    let wire::Head { doubt, sequence, .. } = client.get("/audit/head", &[]).await?.read()?;
    let response = client.open("/backup", &[], None).await?;
    let (mut file, mut bar, mut records) = (BufWriter::new(file), Bar::new("fetching"), 0);
    let fetched = copy(&client, response, &mut |bytes| {
        records += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        bar.show(records, sequence.max(records));
        file.write_all(bytes)
    })
    .await;
    let flushed = fetched.and_then(|()| Ok(file.flush()?));
    flushed.map_err(|failure| match failure {
        Failure::Output(error) => Failure::Unusable(format!("cannot write `{}`: {error}", to.display())),
        other => other,
    })?;
    Ok(doubt)
}

fn proven(
    (file, path): (&File, &Path),
    beside: &Path,
    root: Option<PublicKey>,
    pin: Option<&Pin>,
) -> Result<Proven, Failure> {
    let mut bar = Bar::new("verifying");
    let proven = backup::verify(rewound(file)?, beside, root, pin, &mut |done, all| bar.show(done, all));
    drop(bar);
    proven.map_err(|error| match error {
        // what is folded to prove it lies beside what is made
        CarryError::Store(error @ StoreError::Full(_)) => refused(error.into(), beside),
        other => refused(other, path),
    })
}

fn rewound(mut file: &File) -> io::Result<BufReader<&File>> {
    file.rewind()?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

fn describe(done: &str, proven: &Proven, out: &mut dyn Write) -> io::Result<()> {
    let Proven { header, root, head, checkpoint, records, rows, .. } = proven;
    let mut line = |label: &str, value: &str| writeln!(out, "{label:<12}{value}");
    line(done, &format!("{records} records and {rows} rows of uses, verified"))?;
    line("head", &format!("{}:{}", head.position, HEXLOWER.encode(&head.hash)))?;
    let signed = if checkpoint.is_some() { ", and signed then that it ends there" } else { "" };
    line("taken at", &format!("{}{signed}", safe(&header.taken_at)))?;
    line("realm", &safe(&header.realm))?;
    line("root key", &root.to_string())
}

fn as_json(proven: &Proven) -> serde_json::Value {
    let Proven { header, root, head, checkpoint, records, rows, signs, findings } = proven;
    json!({
        "records": records,
        "rows": rows,
        "head": { "sequence": head.position.0, "hash": HEXLOWER.encode(&head.hash) },
        "taken_at": header.taken_at,
        "signed": checkpoint.is_some(),
        "realm": header.realm,
        "public_key": root.to_string(),
        "signing_key": signs.to_string(),
        "findings": findings.told(),
    })
}

/// The backup at `path`, to be read.
fn read(path: &Path) -> Result<File, Failure> {
    let cannot = |error: io::Error| Failure::Unusable(format!("cannot read `{}`: {error}", path.display()));
    let file = File::open(path).map_err(cannot)?;
    match file.metadata().map_err(cannot)?.is_dir() {
        true => Err(Failure::Usage(format!("`{}` is a folder, and a backup is a file", path.display()))),
        false => Ok(file),
    }
}

/// What went wrong with `path`, and what to do.
pub(super) fn refused(error: CarryError, path: &Path) -> Failure {
    let shown = path.display();
    match error {
        CarryError::Taken(_) => Failure::Usage(format!("{error}; name another file, or move that one away")),
        CarryError::Orphaned { .. } => Failure::Usage(error.to_string()),
        CarryError::Store(StoreError::Locked) => Failure::Unusable(format!(
            "a hallpass runs on `{shown}`: stop it first, or ask its portal where the command can"
        )),
        CarryError::Backup(BackupError::Read(ReadError::Io(error))) | CarryError::Io(error) => {
            Failure::Unusable(format!("`{shown}`: {error}"))
        }
        CarryError::Backup(_)
        | CarryError::Header(_)
        | CarryError::Root { .. }
        | CarryError::Store(
            StoreError::Damaged(_) | StoreError::AnotherJournal { .. } | StoreError::AnotherRoot { .. },
        ) => Failure::False(format!("`{shown}` is not to be relied on: {:#}", anyhow::Error::new(error))),
        CarryError::Stray(_) => Failure::Unusable(error.to_string()),
        CarryError::Store(error) => {
            let told = if error.names_its_file() { String::new() } else { format!("`{shown}`: ") };
            Failure::Unusable(format!("{told}{:#}", anyhow::Error::new(error)))
        }
    }
}

/// What to do while a portal doubts its journal.
pub(super) const DOUBT_REMEDY: &str =
    "stop it and restore the right store, or, when this one is to go on, `hallpass anchor confirm`";
/// What it means that nobody signed where a backup ends.
pub(super) const UNSIGNED_END: &str = "nobody signed where this backup ends, so whoever could write it may have cut its end, with \
    revocations and locks; take one that is signed (a running portal signs, and `--key FILE` of `hallpass backup`), or, when you \
    trust where it lay, or hold it against anchors (`hallpass audit verify BACKUP --anchor FILE --older-copy --unsigned-end`), give --unsigned-end";

/// What it means that nobody said by which key it must verify.
const ITS_OWN_ROOT: &str =
    "it verifies by the root key it names itself; with --public-key it would be proven whose it is";
