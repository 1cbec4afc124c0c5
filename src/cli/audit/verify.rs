//! `hallpass audit verify`: checks a journal from wherever it is, and says what was found or which record is wrong.
//!
//! A journal proves itself only against something kept elsewhere: its root public key, and a head. What was not given is
//! said, so that nobody takes a chain that fits itself for the chain that was written.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::audit::export::{PATH, copy};
use crate::cli::audit::store;
use crate::cli::client::{Client, Options};
use crate::cli::desk::print_json;
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::cli::wire::Head;
use crate::clock::format_rfc3339;
use crate::domain::event::Event;
use crate::domain::time::Timestamp;
use crate::journal::export::{ReadError, read_json_lines};
use crate::journal::verify::{Anchor, Fault, Verified, Wrong, verify};
use crate::journal::{Exported, PublicKey, upcast};

/// What to verify, and against what
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An export in JSON lines, `-` for standard input; the portal's journal otherwise
    #[arg(value_name = "FILE.jsonl")]
    file: Option<PathBuf>,
    /// The store's file, while no hallpass runs on it
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    store: Option<PathBuf>,
    /// The root public key, 64 hexadecimal digits, from where nobody could have changed it
    #[arg(long, value_name = "HEX")]
    public_key: Option<PublicKey>,
    /// A head noted earlier, as printed by this command: the journal must still hold it
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<ExpectedHead>,
    /// The portal.
    #[command(flatten)]
    pub(super) portal: Options,
}

#[derive(Debug, Clone, Copy)]
struct ExpectedHead(Anchor);

impl FromStr for ExpectedHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once(':')
            .and_then(|(sequence, hash)| Some(Self(anchor(sequence.parse().ok()?, hash)?)))
            .ok_or_else(|| "a head is a sequence number, a colon and 64 hexadecimal digits".to_owned())
    }
}

fn anchor(sequence: u64, hash: &str) -> Option<Anchor> {
    let hash = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok()?.try_into().ok()?;
    (sequence > 0).then_some(Anchor { sequence, hash })
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let (given, expected) = (arguments.public_key, arguments.expect_head.map(|head| head.0));
    let found = match (&arguments.file, &arguments.store) {
        (Some(path), _) => {
            let file = if path == Path::new("-") { spool(streams.input)? } else { open(path)? };
            Found::in_export(file, Root::of(given), expected)?
        }
        (None, Some(path)) => store::verify(path, Root::of(given), expected)?,
        (None, None) => of_portal(&Client::new(&arguments.portal)?, given, expected).await?,
    };
    tell(&found, arguments.portal.json, streams)
}

/// What was checked against what, and what came of it.
pub(super) struct Found {
    root: Root,
    tally: Tally,
    expected: Option<Anchor>,
    result: Result<Verified, Fault>,
}

/// The key everything hangs on.
#[derive(Clone, Copy)]
pub(super) enum Root {
    /// Given by whoever verifies.
    Given(PublicKey),
    /// Told by the portal, whose journal it is.
    OfPortal(PublicKey),
    /// Not given: the journal names its own, which proves that it fits itself and nothing else.
    Unknown,
    /// Named by the journal itself.
    OfJournal(PublicKey),
}

impl Root {
    fn of(given: Option<PublicKey>) -> Self {
        given.map_or(Self::Unknown, Self::Given)
    }

    const fn key(self) -> Option<PublicKey> {
        match self {
            Self::Given(key) | Self::OfPortal(key) | Self::OfJournal(key) => Some(key),
            Self::Unknown => None,
        }
    }
}

/// What was seen on the way.
#[derive(Default)]
struct Tally {
    records: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    events: BTreeMap<String, u64>,
}

/// As much of a record as is counted; whether it is one is the verifier's to say.
#[derive(Deserialize)]
struct Glance {
    time: Timestamp,
    event: Kind,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    name: String,
}

impl Tally {
    fn count(&mut self, exported: &Exported) {
        self.records = self.records.saturating_add(1);
        if let Ok(glance) = serde_json::from_slice::<Glance>(&exported.sealed.core) {
            self.first = self.first.or(Some(glance.time));
            self.last = Some(glance.time);
            *self.events.entry(glance.event.name).or_default() += 1;
        }
    }
}

impl Found {
    pub(super) fn in_export(mut file: File, root: Root, expected: Option<Anchor>) -> Result<Self, Failure> {
        file.rewind()?;
        let first = read_json_lines(BufReader::new(&file)).next();
        file.rewind()?;
        Ok(Self::among(first, read_json_lines(BufReader::new(file)), root, expected))
    }

    /// Verifies `records`, of which `first` is the first.
    fn among(
        first: Option<Result<Exported, ReadError>>,
        records: impl Iterator<Item = Result<Exported, ReadError>>,
        root: Root,
        expected: Option<Anchor>,
    ) -> Self {
        let mut tally = Tally::default();
        let root = match root {
            Root::Unknown => match own_root(first) {
                Ok(key) => Root::OfJournal(key),
                Err(wrong) => return Self { root, tally, expected, result: Err(Fault { sequence: 1, wrong }) },
            },
            known => known,
        };
        let counted = records.inspect(|read| {
            if let Ok(exported) = read {
                tally.count(exported);
            }
        });
        let result = match root.key() {
            Some(key) => verify(counted, &key, expected.as_ref()),
            None => Err(Fault { sequence: 1, wrong: Wrong::Root }),
        };
        Self { root, tally, expected, result }
    }
}

/// The root key that a journal's first record names.
fn own_root(first: Option<Result<Exported, ReadError>>) -> Result<PublicKey, Wrong> {
    let first = first.ok_or(Wrong::Missing { found: None })?;
    let first = first.map_err(|error| Wrong::Unreadable(error.to_string()))?;
    let record = upcast::read(&first.sealed.core).map_err(|error| Wrong::Unreadable(error.to_string()))?;
    match &record.event {
        Event::JournalOpened { public_key, .. } => public_key.parse().map_err(|_| Wrong::Root),
        _ if first.sequence > 1 => Err(Wrong::Missing { found: Some(first.sequence) }),
        _ => Err(Wrong::Root),
    }
}

/// Takes the head first: the export that follows must hold it, so a portal cannot leave out its end unnoticed.
async fn of_portal(client: &Client, given: Option<PublicKey>, expected: Option<Anchor>) -> Result<Found, Failure> {
    let head: Head = client.get("/audit/head", &[]).await?.read()?;
    let strange = |what: &str| Failure::Unreachable(format!("the portal's {what} is none; is --portal right?"));
    let told = head.public_key.parse().map_err(|_| strange("public key"))?;
    let head = anchor(head.sequence, &head.hash).ok_or_else(|| strange("head"))?;
    let mut file = tempfile::tempfile()?;
    let response = client.open(PATH, &[("format", "jsonl")], None).await?;
    copy(client, response, &mut |bytes| file.write_all(bytes)).await?;
    let root = given.map_or(Root::OfPortal(told), Root::Given);
    let again = expected.map(|_| file.try_clone()).transpose()?;
    let found = Found::in_export(file, root, Some(head))?;
    match again {
        // one pass holds the journal against one head
        Some(file) if found.result.is_ok() => Found::in_export(file, root, expected),
        _ => Ok(found),
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", path.display())))
}

/// What cannot be read twice is kept meanwhile.
fn spool(input: &mut dyn BufRead) -> Result<File, Failure> {
    let mut file = tempfile::tempfile()?;
    io::copy(input, &mut file)?;
    Ok(file)
}

fn tell(found: &Found, json: bool, streams: &mut Streams<'_>) -> Result<(), Failure> {
    if json {
        print_json(streams, &as_json(found).to_string())?;
    }
    match &found.result {
        Ok(verified) if !json => describe(found, verified, streams)?,
        Ok(_) => {}
        Err(fault) => return Err(Failure::False(format!("the journal is not as it was written: {fault}"))),
    }
    if matches!(found.root, Root::OfJournal(_) | Root::Unknown) {
        let told =
            "the root key is what the journal itself names: with --public-key it would be proven whose journal it is";
        writeln!(streams.err, "note: {told}")?;
    }
    if found.expected.is_none() {
        let told =
            "a cut end shows only against a head kept elsewhere: note this one, and give it as --expect-head next time";
        writeln!(streams.err, "note: {told}")?;
    }
    Ok(())
}

fn describe(found: &Found, verified: &Verified, streams: &mut Streams<'_>) -> io::Result<()> {
    let Found { tally, .. } = found;
    let hash = HEXLOWER.encode(&verified.tip.hash);
    let mut line = |label: &str, value: &str| writeln!(streams.out, "{label:<12}{value}");
    line("verified", &format!("{} records, each in its place and signed", tally.records))?;
    line("head", &format!("{}:{hash}", verified.tip.sequence))?;
    if let (Some(first), Some(last)) = (tally.first, tally.last) {
        line("span", &format!("{} to {}", format_rfc3339(first), format_rfc3339(last)))?;
    }
    line("realm", &safe(&verified.realm))?;
    if let Some(key) = found.root.key() {
        line("root key", &key.to_string())?;
    }
    line("erased", &format!("{} notes", verified.erased))?;
    for (event, count) in &tally.events {
        line("", &format!("{count:>8}  {}", safe(event)))?;
    }
    Ok(())
}

fn as_json(found: &Found) -> Value {
    let tally = &found.tally;
    match &found.result {
        Ok(verified) => json!({
            "verified": true,
            "records": tally.records,
            "head": { "sequence": verified.tip.sequence, "hash": HEXLOWER.encode(&verified.tip.hash) },
            "first_at": tally.first.map(format_rfc3339),
            "last_at": tally.last.map(format_rfc3339),
            "realm": verified.realm,
            "public_key": found.root.key().map(|key| key.to_string()),
            "erased": verified.erased,
            "events": tally.events,
        }),
        Err(fault) => json!({
            "verified": false,
            "sequence": fault.sequence,
            "wrong": fault.wrong.to_string(),
        }),
    }
}
