//! The journal's format and its verification: golden records, flipped bits, swapped records, cut tails, erased notes.

#![expect(clippy::unwrap_used, reason = "what a test is given must be there")]

#[path = "fixtures/terms.rs"]
mod terms;

use std::collections::BTreeSet;

use hallpass::domain::activation::{Choice, Ending, Requested};
use hallpass::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use hallpass::domain::event::{Actor, Detail, Event, RecordRun};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::identity::Assurance;
use hallpass::domain::policy::AssuranceRule;
use hallpass::domain::principal::{Group, Party, Principal};
use hallpass::domain::standing::Position;
use hallpass::domain::time::{Span, Timestamp, Window};
use hallpass::journal::export::{CsvExport, ReadError, read_json_lines};
use hallpass::journal::record::{Digest, EVENT_TYPES, IdempotencyDigest, VERSION, event_type};
use hallpass::journal::verify::{Anchor, Fault, Verified, Wrong, verify};
use hallpass::journal::{Exported, Note, PublicKey, Record, SigningKey, Tip, chain, upcast};
use hallpass::store::{self, Header, RecordFilter, Settings};

const GOLDEN: &str = include_str!("golden/journal-v1.jsonl");
/// Root of the golden journal: the public half of the key made of 32 sevens.
const GOLDEN_ROOT: &str = "ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c";
const REALM: &str = "00112233445566778899aabbccddeeff";

/// A chain written by hand.
struct Chain {
    key: SigningKey,
    tip: Tip,
    records: Vec<Exported>,
}

impl Chain {
    fn new(seed: u8) -> Self {
        let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let key = SigningKey::from_pkcs8(&[&prefix[..], &[seed; 32]].concat()).unwrap();
        let mut chain = Self { key, tip: Tip::START, records: Vec::new() };
        let public_key = chain.key.public_key().to_string();
        chain.append(Actor::Hallpass, Event::JournalOpened { realm: REALM.into(), public_key }, &Detail::default());
        chain
    }

    fn append(&mut self, actor: Actor, event: Event, detail: &Detail) {
        let sequence = self.tip.sequence + 1;
        let salt = [u8::try_from(sequence).unwrap(); 32];
        let time = Timestamp::from_millis(1_795_000_000_000 + i64::try_from(sequence).unwrap() * 1001);
        let note = Note::new(detail, salt).unwrap();
        let keyed = IdempotencyDigest { key: Digest::of(&[b"key"]), asked: Digest::of(&[b"asked"]) };
        let record = Record {
            version: VERSION,
            time,
            idempotency: matches!(event, Event::ActivationRequested { .. }).then_some(keyed),
            actor,
            command: CommandId::from_random(salt[..16].try_into().unwrap()),
            event,
            detail: note.as_ref().map(Note::digest),
        };
        let sealed = chain::seal(&self.key, REALM, sequence, self.tip.hash, record.encode().unwrap());
        self.tip = Tip { sequence, hash: sealed.hash, time };
        self.records.push(Exported::new(sequence, sealed, note, time));
    }

    fn lines(&self) -> Vec<u8> {
        lines(&self.records)
    }

    fn check(&self, records: &[Exported]) -> Result<Verified, Fault> {
        verify(records.iter().cloned().map(Ok), self.key.public_key(), None)
    }
}

fn lines(records: &[Exported]) -> Vec<u8> {
    let mut out = Vec::new();
    for record in records {
        record.write_json_line(&mut out).unwrap();
    }
    out
}

fn ada() -> Principal {
    Principal::new("https://id.example", "ada")
}

fn by(principal: Principal) -> Actor {
    let assurance =
        Assurance { amr: vec!["pwd".into(), "otp".into()], acr: None, auth_time: Some(Timestamp::from_seconds(1)) };
    Actor::Principal { principal, assurance }
}

fn because(text: &str) -> Detail {
    Detail { name: Some("Ada Löwe \"L\"".into()), justification: Some(text.into()), ..Detail::default() }
}

/// One of each event there is, in an order that could happen.
fn one_of_each() -> Chain {
    let mut chain = Chain::new(7);
    let boss = Principal::new("https://id.example", "boss");
    let (activation, assignment) = (ActivationId::from_random([1; 16]), AssignmentId::from_random([2; 16]));
    let at = Timestamp::from_seconds;
    let made = Assignment {
        id: assignment,
        kind: AssignmentKind::Eligible,
        role: "shop/vault".parse().unwrap(),
        party: Party::Group(Group::new("https://id.example", "engineers")),
        window: Window::permanent(at(1_795_000_000)),
        origin: Origin::Administrator,
        ended: None,
    };
    let mut terms = terms::approved_by(boss.clone());
    terms.assurance = AssuranceRule { mfa_amr: vec!["otp".into()], acr: vec![], max_age: Some(Span::hours(12)) };
    let requested = Requested { starts_at: None, duration: Span::hours(1) };
    let (nothing, lapses_at) = (Detail::default(), at(1_795_086_400));
    let mut add = |actor, event, detail: &Detail| chain.append(actor, event, detail);
    add(Actor::Configuration, Event::ConfigurationApplied { digest: "abc".into() }, &nothing);
    add(by(boss.clone()), Event::AssignmentMade { assignment: made }, &because("new in the team"));
    let after = Window::new(at(1_795_000_000), at(1_800_000_000));
    let before = Window::permanent(at(1_795_000_000));
    add(by(boss.clone()), Event::AssignmentChanged { assignment, before, after }, &nothing);
    let request = Event::ActivationRequested {
        activation,
        principal: ada(),
        role: "shop/vault".parse().unwrap(),
        eligibility: assignment,
        via: Some(Group::new("https://id.example", "engineers")),
        requested,
        lapses_at,
        terms: Box::new(terms),
    };
    add(by(ada()), request, &Detail { ticket: Some("OPS-7".into()), ..because("=1+1\n\u{1f}\u{7f}é 🗝") });
    let adjusted = Some(Requested { duration: Span::minutes(30), ..requested });
    let decided =
        |choice, adjusted| Event::ActivationDecided { activation, approver: boss.clone(), stage: 0, choice, adjusted };
    add(by(boss.clone()), decided(Choice::Approve, adjusted), &because("fine"));
    let window = Window::new(at(1_795_000_010), at(1_795_001_810));
    add(by(boss.clone()), Event::ActivationStarted { activation, window }, &nothing);
    let (short, long) = (at(1_795_001_810), at(1_795_003_610));
    add(by(ada()), Event::ExtensionRequested { activation, ends_at: long, lapses_at }, &because("not done"));
    add(by(boss.clone()), decided(Choice::Deny, None), &nothing);
    add(by(boss.clone()), Event::ExtensionEnded { activation, ending: Ending::Denied, at: short }, &nothing);
    add(by(ada()), Event::ActivationExtended { activation, before: short, after: long }, &nothing);
    add(by(boss.clone()), Event::ActivationShortened { activation, before: long, after: short }, &nothing);
    add(Actor::Hallpass, Event::ActivationEnded { activation, ending: Ending::Expired, at: short }, &nothing);
    add(Actor::Hallpass, Event::UsesSealed { activation, count: 12, digest: "def".into() }, &nothing);
    add(by(boss.clone()), Event::PrincipalLocked { principal: ada() }, &because("laptop lost"));
    add(by(boss.clone()), Event::PrincipalUnlocked { principal: ada() }, &nothing);
    let gone = Event::AssignmentEnded { assignment, ending: AssignmentEnding::Removed, at: short };
    add(by(boss.clone()), gone, &nothing);
    add(by(ada()), Event::CredentialsRevoked { principal: ada(), issued_before: long }, &because("laptop lost"));
    let records = vec![RecordRun { first: 6, last: 6 }, RecordRun { first: 9, last: 9 }];
    add(by(boss), Event::NotesErased { principal: ada(), count: 2, records }, &because("letter 12"));
    chain
}

/// A short chain with notes.
fn short() -> Chain {
    let mut chain = Chain::new(9);
    for text in ["first", "second", "third"] {
        let lock = Event::PrincipalLocked { principal: ada() };
        chain.append(by(ada()), lock, &because(text));
    }
    chain
}

#[test]
fn golden_records_still_read_and_still_are_what_is_written() {
    let root: PublicKey = GOLDEN_ROOT.parse().unwrap();
    let records: Vec<Exported> = read_json_lines(GOLDEN.as_bytes()).map(Result::unwrap).collect();
    let verified = verify(records.iter().cloned().map(Ok), &root, None).unwrap();
    assert_eq!((verified.realm.as_str(), verified.erased), (REALM, 0));
    let mut types = BTreeSet::new();
    let others = [include_str!("golden/journal-v1-keys.jsonl"), include_str!("golden/journal-v1-rest.jsonl")].concat();
    for exported in records.into_iter().chain(read_json_lines(others.as_bytes()).map(Result::unwrap)) {
        let record = upcast::read(&exported.sealed.core).unwrap();
        assert_eq!(record.encode().unwrap(), exported.sealed.core, "record {}", exported.sequence);
        assert_eq!(serde_json::to_value(&record.event).unwrap()["type"], event_type(&record.event));
        types.insert(event_type(&record.event));
    }
    assert_eq!(types.len(), EVENT_TYPES.len(), "one of each event there is");
    let written = String::from_utf8(one_of_each().lines()).unwrap();
    assert!(written == GOLDEN, "what is written has changed: that is a new version, with a golden file of its own");
}

#[test]
fn json_lines_come_back_to_the_byte() {
    let chain = one_of_each();
    let read: Vec<Exported> = read_json_lines(chain.lines().as_slice()).map(Result::unwrap).collect();
    assert_eq!(read, chain.records);
    assert_eq!(lines(&read), chain.lines());
    assert_eq!(chain.check(&read).unwrap().tip, chain.tip);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_where_it_is() {
    let chain = short();
    let sound = chain.lines();
    let mut sequence = 1;
    for (offset, byte) in sound.iter().enumerate() {
        for bit in 0..8 {
            let mut flipped = sound.clone();
            flipped[offset] ^= 1 << bit;
            let result = verify(read_json_lines(flipped.as_slice()), chain.key.public_key(), None);
            let fault = result.expect_err(&format!("bit {bit} of byte {offset} was flipped unnoticed"));
            assert_eq!(fault.sequence, sequence, "bit {bit} of byte {offset}: {fault}");
        }
        if *byte == b'\n' {
            sequence += 1;
        }
    }
    assert_eq!(sequence, 5);
}

#[test]
fn each_kind_of_damage_is_called_by_its_name() {
    let chain = short();
    let wrong = |change: &dyn Fn(&mut Vec<Exported>)| {
        let mut records = chain.records.clone();
        change(&mut records);
        let Fault { sequence, wrong } = chain.check(&records).unwrap_err();
        (sequence, wrong)
    };
    assert_eq!(wrong(&|records| records[1].sealed.core.push(b' ')), (2, Wrong::Hash));
    assert_eq!(wrong(&|records| records[1].sealed.hash[0] ^= 1), (2, Wrong::Hash));
    assert_eq!(wrong(&|records| records[2].sealed.previous[0] ^= 1), (3, Wrong::Link));
    assert_eq!(wrong(&|records| records[2].sealed.signature[0] ^= 1), (3, Wrong::Signature));
    assert_eq!(wrong(&|records| drop(records.remove(1))), (2, Wrong::Missing { found: Some(3) }));
    assert_eq!(wrong(&|records| records.swap(1, 2)), (2, Wrong::Missing { found: Some(3) }));
    assert_eq!(wrong(&|records| records.clear()), (1, Wrong::Missing { found: None }));
    assert_eq!(wrong(&|records| records[1].note = records[2].note.clone()), (2, Wrong::Note));
    assert_eq!(wrong(&|records| records[0].note = records[2].note.clone()), (1, Wrong::Note));
    let renumbered = |records: &mut Vec<Exported>| {
        records.swap(1, 2);
        records[1].sequence = 2;
        records[2].sequence = 3;
    };
    assert_eq!(wrong(&renumbered), (2, Wrong::Link));
    let relinked = |records: &mut Vec<Exported>| {
        records.swap(1, 2);
        records[1].sequence = 2;
        records[1].sealed.previous = records[0].sealed.hash;
    };
    assert_eq!(wrong(&relinked), (2, Wrong::Hash));
}

#[test]
fn what_only_the_key_holder_could_write_is_refused_all_the_same() {
    let chain = short();
    let forge = |time: Timestamp, event: Event| {
        let mut records = chain.records.clone();
        let core = Record {
            version: VERSION,
            time,
            actor: Actor::Hallpass,
            command: CommandId::from_random([0; 16]),
            event,
            detail: None,
            idempotency: None,
        };
        let sealed = chain::seal(&chain.key, REALM, 5, chain.tip.hash, core.encode().unwrap());
        records.push(Exported::new(5, sealed, None, time));
        chain.check(&records).unwrap_err()
    };
    let unlock = Event::PrincipalUnlocked { principal: ada() };
    let early = forge(Timestamp::from_seconds(1), unlock.clone());
    assert_eq!((early.sequence, early.wrong), (5, Wrong::TimeBackwards));
    let public_key = chain.key.public_key().to_string();
    let again = forge(chain.tip.time, Event::JournalOpened { realm: REALM.into(), public_key });
    assert_eq!((again.sequence, again.wrong), (5, Wrong::Root));
    let sealed = chain::seal(&chain.key, REALM, 5, chain.tip.hash, br#"{"version":2}"#.to_vec());
    let mut records = chain.records.clone();
    records.push(Exported::new(5, sealed, None, chain.tip.time));
    let fault = chain.check(&records).unwrap_err();
    assert_eq!((fault.sequence, fault.wrong), (5, Wrong::Later("version 2 is not known".into())));
}

#[test]
fn another_key_is_no_root() {
    let (chain, stranger) = (short(), Chain::new(3));
    let fault = verify(chain.records.iter().cloned().map(Ok), stranger.key.public_key(), None).unwrap_err();
    assert_eq!((fault.sequence, fault.wrong), (1, Wrong::Root));
    // the stranger signs a journal that claims the root's key
    let mut forged = short();
    forged.key = stranger.key;
    forged.append(by(ada()), Event::PrincipalUnlocked { principal: ada() }, &Detail::default());
    let fault = chain.check(&forged.records).unwrap_err();
    assert_eq!((fault.sequence, fault.wrong), (5, Wrong::Signature));
}

#[test]
fn a_cut_tail_shows_against_a_head_kept_elsewhere() {
    let chain = short();
    let anchor = Anchor { sequence: 4, hash: chain.tip.hash };
    let check =
        |records: &[Exported], anchor| verify(records.iter().cloned().map(Ok), chain.key.public_key(), Some(anchor));
    assert!(check(&chain.records, &anchor).is_ok());
    let fault = check(&chain.records[..3], &anchor).unwrap_err();
    assert_eq!((fault.sequence, fault.wrong), (4, Wrong::Missing { found: None }));
    assert!(chain.check(&chain.records[..3]).is_ok(), "the chain alone cannot know");
    let other = Anchor { sequence: 2, hash: [1; 32] };
    let fault = check(&chain.records, &other).unwrap_err();
    assert_eq!((fault.sequence, fault.wrong), (2, Wrong::Head));
}

#[test]
fn a_missing_note_was_erased_only_when_a_record_orders_it() {
    let (mut chain, run) = (short(), |number| RecordRun { first: number, last: number });
    chain.append(by(ada()), Event::NotesErased { principal: ada(), count: 1, records: vec![run(2)] }, &because("so"));
    chain.records[1].note = None;
    chain.records[3].note = None;
    let found = chain.check(&chain.records).unwrap();
    assert_eq!((found.erased, found.missing), (1, vec![run(4)]));
}

#[test]
fn a_line_has_one_spelling_only() {
    let line = String::from_utf8(short().lines()).unwrap().lines().nth(1).unwrap().to_owned();
    let read = |line: String| read_json_lines(line.as_bytes()).next().unwrap();
    assert!(read(format!("{line}\n")).is_ok());
    for other in [
        line.clone(),
        format!(" {line}\n"),
        format!("{line}\r\n"),
        format!("{}\n", line.replace("\"hash\"", "\"Hash\"")),
        format!("{}\n", line.replace("\"sequence\":2", "\"sequence\":2,\"sequence\":2")),
        format!("{}\n", line.replace("\"sequence\":2", "\"sequence\":2.0")),
        format!("{}\n", line.replace("https:", "https\\u003a")),
    ] {
        assert!(matches!(read(other.clone()), Err(ReadError::Malformed)), "{other}");
    }
}

#[test]
fn csv_holds_no_formula_and_every_record() {
    let chain = one_of_each();
    let mut export = CsvExport::new(Vec::new()).unwrap();
    for record in &chain.records {
        export.write(record).unwrap();
    }
    let written = export.finish().unwrap();
    let mut reader = csv::Reader::from_reader(written.as_slice());
    let headings = reader.headers().unwrap().clone();
    let column = |name: &str| headings.iter().position(|heading| heading == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), chain.records.len());
    for cell in rows.iter().flat_map(|row| row.iter()) {
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
    }
    let request = rows.iter().find(|row| &row[column("event")] == "activation_requested").unwrap();
    assert_eq!(&request[column("justification")], "'=1+1\n\u{1f}\u{7f}é 🗝");
    assert_eq!(&request[column("ticket")], "OPS-7");
    assert_eq!(&request[column("principal")], "https://id.example ada");
    assert_eq!(&request[column("role")], "shop/vault");
    assert_eq!(&request[column("time")], "2026-11-18T11:06:45.005Z");
}

#[test]
fn what_a_store_exports_verifies_with_the_public_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { path: folder.path().join("store.redb"), key_path: folder.path().join("key") };
    let mut opened = store::open(&settings, Timestamp::from_seconds(1_795_000_000)).unwrap();
    for number in 1..=20 {
        let time = Timestamp::from_seconds(1_795_000_000 + i64::from(number));
        let header =
            Header { command: CommandId::from_random([number; 16]), time, actor: by(ada()), idempotency: None };
        let principal = Principal::new("https://id.example", &format!("p{number}"));
        let mut transaction = opened.appender.begin().unwrap();
        transaction.append(&header, &[Event::PrincipalLocked { principal }], &because("drill")).unwrap();
        transaction.commit().unwrap();
    }
    let mut export = Vec::new();
    let mut after = Position(0);
    loop {
        let page = opened.reader.exported(&RecordFilter::default(), after, 7).unwrap();
        let Some(last) = page.last() else { break };
        after = Position(last.sequence);
        for entry in &page {
            entry.write_json_line(&mut export).unwrap();
        }
    }
    let (realm, public_key) = opened.reader.realm().unwrap();
    let head = opened.reader.head().unwrap();
    let anchor = Anchor { sequence: 21, hash: head.hash };
    let verified = verify(read_json_lines(export.as_slice()), &public_key.parse().unwrap(), Some(&anchor)).unwrap();
    assert_eq!((verified.realm, verified.tip.sequence, verified.tip.hash), (realm, 21, head.hash));
}
