//! `hallpass audit verify`: checks a journal from wherever it is, and says what was found or which record is wrong.
//!
//! A journal proves itself only against something kept elsewhere: its root public key, and a head. What was not given is
//! said, so that nobody takes a chain that fits itself for the chain that was written.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde_json::{Value, json};

use crate::cli::audit::elsewhere::{Elsewhere, Held, Reach};
use crate::cli::audit::found::{End, Found, Judge, Root};
use crate::cli::audit::source;
use crate::cli::backup::{DOUBT_REMEDY, UNSIGNED_END};
use crate::cli::client::{Client, Options};
use crate::cli::desk::print_json;
use crate::cli::failure::Failure;
use crate::cli::store::none_found;
use crate::cli::terminal::{Streams, safe};
use crate::cli::wire::Head;
use crate::clock::format_rfc3339;
use crate::domain::event::RecordRun;
use crate::journal::checkpoint::{Notes, read_file};
use crate::journal::verify::{Anchor, Fault, Verified, Wrong};
use crate::journal::{PublicKey, SignedCheckpoint};

/// What to verify, and against what
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An export, an archive (and `FILE.uses` beside it), a backup, or the store of a hallpass that was stopped; `-` reads an
    /// export from standard input. Several must join: archives, oldest first, and then what remained. The portal's journal
    /// otherwise
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The store's file, while no hallpass runs on it
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    store: Option<PathBuf>,
    /// The root public key, 64 hexadecimal digits, from where nobody could have changed it
    #[arg(long = "key", visible_alias = "public-key", value_name = "HEX")]
    public_key: Option<PublicKey>,
    /// A head noted earlier, as printed by this command: the journal must still hold it
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<ExpectedHead>,
    /// Anchors kept elsewhere, one or many: the journal must hold all of them
    #[arg(long, value_name = "FILE")]
    anchor: Option<PathBuf>,
    /// What is verified is a copy older than the newest anchors, such as a backup or an archive: those that name records behind
    /// its end are counted, not held
    #[arg(long, requires = "anchor")]
    older_copy: bool,
    /// Verify a backup although nobody signed where it ends: an end that was cut off does not show. Backups of the first format,
    /// and those taken without the signing key, need it
    #[arg(long)]
    unsigned_end: bool,
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
    let notes = arguments.anchor.as_deref().map(|path| anchors_in(path, streams)).transpose()?.unwrap_or_default();
    let heads = arguments.expect_head.iter().map(|head| head.0).collect();
    let reach = if arguments.older_copy { Reach::OlderCopy } else { Reach::Whole };
    let mut elsewhere = Elsewhere { heads, of_portal: None, notes, reach };
    let given = arguments.public_key.map_or(Root::Unknown, Root::Given);
    let mut doubt = None;
    let judge = match (arguments.files.as_slice(), &arguments.store) {
        ([only], _) if only == Path::new("-") => {
            let mut judge = Judge::new(given, elsewhere);
            source::input(streams.input, &mut judge)?;
            judge
        }
        ([_, ..], _) => {
            let mut judge = Judge::new(given, elsewhere);
            for path in &arguments.files {
                judge.next_file();
                if let Some(digest) = source::file(path, &mut judge)? {
                    judge.names(digest);
                    source::beside(path, &mut judge)?;
                }
            }
            judge
        }
        ([], Some(path)) => {
            let mut judge = Judge::new(given, elsewhere);
            source::store(path, &mut judge)?;
            judge
        }
        ([], None) => {
            let client = Client::new(&arguments.portal)?;
            // the head first: the export that follows must hold it, so a portal cannot leave out its end unnoticed
            let (told, head, doubted) = head_of(&client).await?;
            elsewhere.of_portal = Some(head);
            doubt = doubted;
            let mut judge = Judge::new(arguments.public_key.map_or(Root::OfPortal(told), Root::Given), elsewhere);
            source::portal(&client, &mut judge).await?;
            judge
        }
    };
    let nothing_elsewhere = arguments.expect_head.is_none() && arguments.anchor.is_none();
    let found = judge.finish();
    let reservation = match (found.end, doubt) {
        (_, Some(doubt)) => {
            Some(format!("the portal doubts that this is its journal: {}; {DOUBT_REMEDY}", safe(&doubt)))
        }
        (End::Unsigned, None) if !arguments.unsigned_end => Some(UNSIGNED_END.to_owned()),
        _ => None,
    };
    tell(&found, reservation, nothing_elsewhere, arguments.portal.json, streams)
}

/// The root key and the head that the portal tells, and why it doubts its journal, while it does.
async fn head_of(client: &Client) -> Result<(PublicKey, Anchor, Option<String>), Failure> {
    let head: Head = client.get("/audit/head", &[]).await?.read()?;
    let strange = |what: &str| Failure::Unreachable(format!("the portal's {what} is none; is --portal right?"));
    let told = head.public_key.parse().map_err(|_| strange("public key"))?;
    Ok((told, anchor(head.sequence, &head.hash).ok_or_else(|| strange("head"))?, head.doubt))
}

fn anchors_in(path: &Path, streams: &mut Streams<'_>) -> Result<Vec<SignedCheckpoint>, Failure> {
    let bytes =
        std::fs::read(path).map_err(|error| Failure::Usage(format!("cannot read `{}`: {error}", path.display())))?;
    // torn or damaged anywhere, the others still count
    let Notes { whole, broken } = read_file(&String::from_utf8_lossy(&bytes));
    let shown = path.display();
    if whole.is_empty() {
        return Err(Failure::Usage(format!("`{shown}` holds no anchor")));
    }
    if broken > 0 {
        let told = format!("{broken} pieces of `{shown}` are no anchor: torn or damaged, and held against nothing");
        writeln!(streams.err, "warning: {}", safe(&told))?;
    }
    Ok(whole)
}

/// `reservation` is why a chain that is whole is not to be relied on all the same.
fn tell(
    found: &Found,
    reservation: Option<String>,
    nothing_elsewhere: bool,
    json: bool,
    streams: &mut Streams<'_>,
) -> Result<(), Failure> {
    if json {
        print_json(streams, &as_json(found, reservation.as_deref()).to_string())?;
    }
    match &found.result {
        Ok(verified) if !json => {
            let label = if reservation.is_none() { "verified" } else { "read" };
            describe(found, verified, label, streams)?;
        }
        Ok(_) => {}
        Err(fault) => return Err(faulty(fault, found.root)),
    }
    let named_by = match found.root {
        Root::OfJournal(_) | Root::Unknown => Some("the journal"),
        Root::OfPortal(_) => Some("the portal"),
        Root::Given(_) => None,
    };
    if let Some(named_by) = named_by {
        let told = "with --key it would be proven whose journal it is";
        writeln!(streams.err, "note: the root key is what {named_by} itself names: {told}")?;
    }
    if !nothing_elsewhere && found.held.held == 0 {
        writeln!(streams.err, "note: no head kept elsewhere could be held against it: nothing vouches for its end")?;
    }
    if found.end == End::Unsigned && reservation.is_none() {
        let told = "nobody signed where this backup ends: an end that was cut off would not show";
        writeln!(streams.err, "warning: {told}")?;
    }
    if nothing_elsewhere {
        let hidden = if matches!(found.end, End::Signed(_)) { "an older copy in its place" } else { "a cut end" };
        let told = "shows only against a head kept elsewhere: note this one, and give it as --expect-head next time, or \
            give --anchor";
        writeln!(streams.err, "note: {hidden} {told}")?;
    }
    for (path, count) in &found.tally.lacking {
        let told = format!(
            "{count} uses are sealed whose file is not there, and were not verified: an archive has them in `{path}`, a backup in itself"
        );
        writeln!(streams.err, "note: {}", safe(&told))?;
    }
    if found.of_export && !found.findings.notes.is_empty() {
        let told = "if this is an archive, it lacks what was erased after its records were written: give what follows it as \
            well, which holds the order";
        writeln!(streams.err, "note: {told}")?;
    }
    let sound = none_found(&found.findings, streams.err);
    reservation.map_or(sound, |reservation| Err(Failure::False(reservation)))
}

/// What is wrong, with what it is wrong with, and what to do.
fn faulty(fault: &Fault, root: Root) -> Failure {
    let Fault { sequence, wrong } = fault;
    let not_as_written = |what_to_do: &str| format!("the journal is not as it was written: {fault}{what_to_do}");
    Failure::False(match wrong {
        Wrong::Later(_) => {
            return Failure::Unusable(format!(
                "this hallpass cannot tell whether the journal is as it was written: {fault}; up to there it is: verify with \
                 the version that wrote it, or a newer one"
            ));
        }
        Wrong::Behind { at: Some(_), .. } => not_as_written("; for a copy older than the anchors give --older-copy"),
        Wrong::ForeignAnchor(realm) => format!(
            "an anchor that was given is not of this journal: it names record {sequence} of another one, {realm}; give the \
             anchors of this journal only"
        ),
        // somebody else's journal of this name would not hold this one's anchors either
        Wrong::UnsignedAnchor if matches!(root, Root::Given(_)) => format!(
            "an anchor that was given is not of this journal: no key of the journal signed the one that names record \
             {sequence}; give anchors as hallpass published them"
        ),
        Wrong::UnsignedAnchor => format!(
            "anchors and journal do not belong together: no key of the journal signed the anchor that names record \
             {sequence}; with --key it would be proven which of them is the right one"
        ),
        _ => not_as_written(""),
    })
}

fn describe(found: &Found, verified: &Verified, label: &str, streams: &mut Streams<'_>) -> io::Result<()> {
    let Found { tally, .. } = found;
    let hash = HEXLOWER.encode(&verified.tip.hash);
    let mut line = |label: &str, value: &str| writeln!(streams.out, "{label:<12}{value}");
    line(label, &format!("{} records, each in its place and signed", tally.records))?;
    line("head", &format!("{}:{hash}", verified.tip.sequence))?;
    if let (Some(first), Some(last)) = (tally.first, tally.last) {
        line("span", &format!("{} to {}", format_rfc3339(first), format_rfc3339(last)))?;
    }
    line("realm", &safe(&verified.realm))?;
    if let Some(key) = found.root.key() {
        line("root key", &key.to_string())?;
    }
    for span in verified.keys.iter().skip(1) {
        line("rotated to", &format!("{} from record {}", span.key, span.since))?;
    }
    for (label, told) in told_of(&found.held) {
        line(label, &told)?;
    }
    if found.of_portal {
        line("portal", "the head that it told before is in it")?;
    }
    if let End::Signed(at) = found.end {
        line("signed", &format!("at {}, that the backup ends here", format_rfc3339(at)))?;
    }
    if found.joined > 0 {
        line("joined", &format!("{} archives, each the one that the record of its cut names", found.joined))?;
    }
    if let Some(cut) = &verified.cut {
        let on = format_rfc3339(cut.at);
        let told = match cut.records.as_slice() {
            [RecordRun { first, last }] => format!("records {first} to {last}, on {on}, by record {}", cut.by),
            _ => format!("{} records, the last of them {}, on {on}, by record {}", cut.count(), cut.last(), cut.by),
        };
        line("cut", &told)?;
        line("archive", &format!("{} is the SHA-256 of the one of that cut", cut.archive))?;
    }
    if let Some((sequence, at)) = tally.excused.confirmed {
        let told = format!("by record {sequence} of {}: older anchors need not be met", format_rfc3339(at));
        line("confirmed", &told)?;
    }
    if let Some(count) = tally.uses {
        line("uses", &format!("{count} beside the archives, each where it was and sealed"))?;
    }
    line("erased", &format!("{} notes, each as a record orders", verified.erased))?;
    let missing: u64 = verified.missing.iter().map(|RecordRun { first, last }| last - first + 1).sum();
    if missing > 0 {
        line("missing", &format!("{missing} notes, which no record orders to be erased"))?;
    }
    for (event, count) in &tally.events {
        line("", &format!("{count:>8}  {event}"))?;
    }
    Ok(())
}

/// What came of heads kept elsewhere: those that were held, and why others were not.
fn told_of(held: &Held) -> Vec<(&'static str, String)> {
    let Held { held, cut, accepted, of_predecessors, behind } = *held;
    let all = [
        ("held", held, "heads kept elsewhere"),
        ("not held", cut, "heads kept elsewhere name records that were cut: give the archives first"),
        ("not held", accepted, "heads kept elsewhere are not met, as the operator accepted by the confirmation"),
        ("not held", of_predecessors, "heads kept elsewhere are of the journal before: hold them against that one"),
        ("not held", behind, "heads kept elsewhere name what came after this copy"),
    ];
    let some = all.into_iter().filter(|(_, count, _)| *count > 0);
    some.map(|(label, count, told)| (label, format!("{count} {told}"))).collect()
}

fn as_json(found: &Found, reservation: Option<&str>) -> Value {
    let tally = &found.tally;
    match &found.result {
        Ok(verified) => json!({
            "verified": found.findings.is_empty() && reservation.is_none(),
            "reservation": reservation,
            "records": tally.records,
            "head": { "sequence": verified.tip.sequence, "hash": HEXLOWER.encode(&verified.tip.hash) },
            "first_at": tally.first.map(format_rfc3339),
            "last_at": tally.last.map(format_rfc3339),
            "realm": verified.realm,
            "public_key": found.root.key().map(|key| key.to_string()),
            "keys": verified.keys.iter().map(|span| json!({ "key": span.key.to_string(), "since": span.since })).collect::<Vec<_>>(),
            "held": found.held.held,
            "confirmed": tally.excused.confirmed.map(|(sequence, _)| sequence),
            "not_held": {
                "cut": found.held.cut,
                "accepted": found.held.accepted,
                "of_predecessors": found.held.of_predecessors,
                "behind": found.held.behind,
            },
            "signed_at": match found.end {
                End::Signed(at) => Some(format_rfc3339(at)),
                End::Unsigned | End::NotOfBackup => None,
            },
            "joined": found.joined,
            "cut": verified.cut.as_ref().map(|cut| json!({
                "records": cut.records,
                "by": cut.by,
                "at": format_rfc3339(cut.at),
                "archive": cut.archive,
            })),
            "uses": tally.uses,
            "uses_not_there": tally.lacking.iter().map(|(path, count)| json!({ "file": path, "sealed": count })).collect::<Vec<_>>(),
            "erased": verified.erased,
            "missing": verified.missing,
            "findings": found.findings.told(),
            "events": tally.events,
        }),
        Err(fault) => json!({
            "verified": false,
            "sequence": fault.sequence,
            "wrong": fault.wrong.to_string(),
        }),
    }
}
