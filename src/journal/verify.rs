//! Checks a chain with nothing but its root public key, and names the first record that is wrong.

use std::collections::BTreeMap;

use crate::domain::event::{Event, RecordRun};
use crate::journal::absent::{Absent, lacks_note};
use crate::journal::chain::{self, Sealed, Tip};
use crate::journal::cut::{self, Cut};
use crate::journal::export::{Exported, ReadError};
use crate::journal::record::{Note, Record};
use crate::journal::sign::{PublicKey, ReadyKey};
use crate::journal::upcast;

pub use crate::journal::fault::{Fault, Wrong};

/// A head kept elsewhere: the chain must hold this record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its sequence number.
    pub sequence: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A chain without fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The chain's name.
    pub realm: String,
    /// Its end.
    pub tip: Tip,
    /// Records whose note was erased, as a record orders.
    pub erased: u64,
    /// Records whose note is not there although none orders that it be erased. The chain is whole; what was typed is not.
    pub missing: Vec<RecordRun>,
    /// The keys that signed it, oldest first.
    pub keys: Vec<KeySpan>,
    /// What was cut out of it, when something was.
    pub cut: Option<Cut>,
}

/// A key, and from which record on it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySpan {
    /// The key.
    pub key: PublicKey,
    /// The first record it signs.
    pub since: u64,
}

/// Checks records one after the other. A chain of keys leads from the root key to each later one: every change is a record
/// signed by the key before.
///
/// Records may be gone from the beginning, where nothing stands before the gap but records about the journal itself, whose
/// signatures lead from the root key to the one in force behind it. Whether a record behind the gap states it is known at the
/// end only: [`ended`](Self::ended) must be asked.
#[derive(Debug)]
pub struct Verifier {
    in_force: ReadyKey,
    keys: Vec<KeySpan>,
    realm: Option<String>,
    tip: Tip,
    absent: Absent,
    gap: Gap,
    /// All cuts that were stated.
    cuts: Vec<Cut>,
    part: Part,
    /// The last record that is not about the journal itself: with such a one every cut ends.
    last: Tip,
    /// The same of the file before.
    before: Tip,
    aside: Option<Aside>,
}

/// What is gone from the beginning.
#[derive(Debug)]
struct Gap {
    runs: Vec<RecordRun>,
    /// The hash that the record behind the last run follows.
    hash: [u8; 32],
    /// So far there are only records about the journal itself: only then may records be gone.
    may_grow: bool,
}

/// What may be taken.
#[derive(Debug)]
enum Part {
    /// The whole of what remains of one journal.
    Whole,
    /// One file of several, that may be an archive. With the records about the journal itself so far, which each file has.
    File(BTreeMap<u64, Sealed>),
}

/// Behind the end of a later archive: the records about the journal itself that lead to the cut before it.
#[derive(Debug)]
struct Aside {
    first: u64,
    verifier: Box<Verifier>,
}

impl Verifier {
    /// Checks a chain from its first record.
    #[must_use]
    pub fn new(root: PublicKey) -> Self {
        Self::starting(root, None, Tip::START)
    }

    /// Checks files one after the other, [each begun](Self::next_file) when the one before ended: archives, oldest first,
    /// and what remained after the last of them.
    #[must_use]
    pub fn of_files(root: PublicKey) -> Self {
        Self { part: Part::File(BTreeMap::new()), ..Self::new(root) }
    }

    /// Checks what follows `tip`, which is taken as good; `in_force` is the key that signs the next record.
    #[must_use]
    pub fn after(in_force: PublicKey, realm: String, tip: Tip) -> Self {
        let mut verifier = Self::starting(in_force, Some(realm), tip);
        verifier.gap.may_grow = false;
        verifier
    }

    fn starting(key: PublicKey, realm: Option<String>, tip: Tip) -> Self {
        let since = tip.sequence.saturating_add(1);
        Self {
            in_force: ReadyKey::new(key),
            keys: vec![KeySpan { key, since }],
            realm,
            tip,
            absent: Absent::default(),
            gap: Gap { runs: Vec::new(), hash: [0; 32], may_grow: true },
            cuts: Vec::new(),
            part: Part::Whole,
            last: Tip::START,
            before: Tip::START,
            aside: None,
        }
    }

    /// What is gone from the beginning of what was checked so far.
    #[must_use]
    pub fn gone(&self) -> &[RecordRun] {
        &self.gap.runs
    }

    /// The last record checked that is not about the journal itself: where an archive ends.
    #[must_use]
    pub const fn last_of_archive(&self) -> &Tip {
        &self.last
    }

    /// All cuts that the records checked so far state, oldest first.
    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// The keys that signed what was checked, oldest first; the last one signs the next record.
    #[must_use]
    pub fn keys(&self) -> &[KeySpan] {
        &self.keys
    }

    /// The key that signs the next record.
    #[must_use]
    pub const fn in_force(&self) -> PublicKey {
        self.in_force.key
    }

    /// The chain's name, once a record told it.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.realm.as_deref()
    }

    /// The notes that checked records lack.
    #[must_use]
    pub const fn absent(&self) -> &Absent {
        &self.absent
    }

    /// The end of what was checked.
    #[must_use]
    pub const fn tip(&self) -> &Tip {
        &self.tip
    }

    /// Checks the next record.
    ///
    /// # Errors
    /// [`Fault`], with the sequence number that had to come.
    pub fn check(&mut self, sequence: u64, sealed: &Sealed, note: Option<&Note>) -> Result<Record, Fault> {
        let expected = self.tip.sequence.saturating_add(1);
        if sequence == expected && self.aside.is_none() {
            return self.judge(sequence, sealed, note).map_err(|wrong| Fault { sequence, wrong });
        }
        let missing = |found| Fault { sequence: expected, wrong: Wrong::Missing { found: Some(found) } };
        if let Some(Aside { first, verifier }) = &mut self.aside {
            // whatever is wrong behind the end, the end is where the journal broke off
            return of_journal(verifier.check(sequence, sealed, note)).ok_or_else(|| missing(*first));
        }
        if sequence < expected {
            return self.again(sequence, sealed, note).unwrap_or_else(|| {
                // what is gone turns up out of its place
                let late = self.gap.runs.iter().find(|run| (run.first..=run.last).contains(&sequence));
                Err(late.map_or_else(|| missing(sequence), Fault::of_gap))
            });
        }
        if self.gap.may_grow && self.realm.is_some() {
            let tip = Tip { sequence: sequence.saturating_sub(1), hash: sealed.previous, time: self.tip.time };
            let before = std::mem::replace(&mut self.tip, tip);
            let judged = self.judge(sequence, sealed, note);
            if judged.is_ok() {
                self.gap.runs.push(RecordRun { first: expected, last: tip.sequence });
                self.gap.hash = tip.hash;
            } else {
                self.tip = before;
            }
            // nothing that could prove a cut stands behind the gap
            return judged.map_err(|_| missing(sequence));
        }
        if let (Part::File(_), Some(realm)) = (&self.part, &self.realm) {
            let mut verifier = Self::starting(self.in_force.key, Some(realm.clone()), self.tip);
            if let Some(record) = of_journal(verifier.check(sequence, sealed, note)) {
                self.aside = Some(Aside { first: sequence, verifier: Box::new(verifier) });
                return Ok(record);
            }
        }
        Err(missing(sequence))
    }

    /// Another file begins, which follows the one before: it may say again what is about the journal itself.
    ///
    /// # Errors
    /// [`Fault`], when the file before did not end as it should.
    pub fn next_file(&mut self) -> Result<(), Fault> {
        self.ended_aside()?;
        if let Some(Aside { verifier, .. }) = self.aside.take() {
            self.cuts.extend(verifier.cuts);
        }
        self.before = self.last;
        Ok(())
    }

    /// When all records were checked: what is gone, if anything, was cut as one of them states; nothing is gone otherwise.
    ///
    /// # Errors
    /// [`Fault`], with the first record that is gone and should not be.
    pub fn ended(&self) -> Result<Option<&Cut>, Fault> {
        self.ended_aside()?;
        let Some(first) = self.gap.runs.first() else { return Ok(None) };
        let behind = self.aside.as_ref().map(|aside| aside.verifier.cuts.iter()).into_iter().flatten();
        let stated = self.cuts.iter().chain(behind).rfind(|cut| self.is_gone_by(cut));
        stated.map(Some).ok_or_else(|| Fault::of_gap(first))
    }

    /// What stands behind the end must end with the cut that this archive follows.
    fn ended_aside(&self) -> Result<(), Fault> {
        match &self.aside {
            Some(Aside { first, verifier })
                if !verifier.cuts.last().is_some_and(|cut| {
                    let joins = cut.last() == self.before.sequence && cut.hash == self.before.hash;
                    cut.by == verifier.tip.sequence && (joins || self.is_gone_by(cut))
                }) =>
            {
                let wrong = Wrong::Missing { found: Some(*first) };
                Err(Fault { sequence: self.tip.sequence.saturating_add(1), wrong })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_gone_by(&self, cut: &Cut) -> bool {
        cut.records == self.gap.runs && cut.hash == self.gap.hash
    }

    /// A record of an earlier file; none when it cannot be said again.
    fn again(&self, sequence: u64, sealed: &Sealed, note: Option<&Note>) -> Option<Result<Record, Fault>> {
        let Part::File(known) = &self.part else { return None };
        known.get(&sequence).filter(|known| *known == sealed)?;
        let record = read(&sealed.core).and_then(|record| lacks_note(&record, note).map(|_| record));
        Some(record.map_err(|wrong| Fault { sequence, wrong }))
    }

    /// Judges the record behind the tip.
    fn judge(&mut self, sequence: u64, sealed: &Sealed, note: Option<&Note>) -> Result<Record, Wrong> {
        if sealed.previous != self.tip.hash {
            return Err(Wrong::Link);
        }
        // the realm of a whole chain is told by its first record, whose own hash then proves it
        let told = if self.realm.is_none() { Some(self.realm_begun(&sealed.core)?) } else { None };
        let realm = self.realm.as_deref().or(told.as_deref()).unwrap_or_default();
        if chain::hash(realm, sequence, &sealed.previous, &sealed.core) != sealed.hash {
            return Err(Wrong::Hash);
        }
        if !self.in_force.verifies(&sealed.hash, &sealed.signature) {
            return Err(Wrong::Signature);
        }
        let record = read(&sealed.core)?;
        if sequence > 1 && matches!(record.event, Event::JournalOpened { .. }) {
            return Err(Wrong::Root);
        }
        if record.time < self.tip.time {
            return Err(Wrong::TimeBackwards);
        }
        let lacks = lacks_note(&record, note)?;
        let cut = Cut::stated_by(sequence, &record).map_err(|error| Wrong::Unreadable(error.to_string()))?;
        if let Event::KeyRotated { public_key } = &record.event {
            let key = public_key.parse().map_err(|error| Wrong::Unreadable(format!("{error}")))?;
            self.in_force = ReadyKey::new(key);
            self.keys.push(KeySpan { key, since: sequence.saturating_add(1) });
        }
        self.absent.take(sequence, &record.event, lacks);
        self.cuts.extend(cut);
        if record.event.is_of_journal() {
            if let Part::File(known) = &mut self.part {
                known.insert(sequence, sealed.clone());
            }
        } else {
            self.gap.may_grow = false;
            self.last = Tip { sequence, hash: sealed.hash, time: record.time };
        }
        self.realm = self.realm.take().or(told);
        self.tip = Tip { sequence, hash: sealed.hash, time: record.time };
        Ok(record)
    }

    fn realm_begun(&self, core: &[u8]) -> Result<String, Wrong> {
        match upcast::begun(core) {
            Ok(Some(begun)) if begun.public_key == self.in_force.key.to_string() => Ok(begun.realm),
            Ok(_) => Err(Wrong::Root),
            Err(unreadable) => Err(Wrong::Unreadable(unreadable.to_string())),
        }
    }
}

/// Checks a whole chain, and that it holds the head kept elsewhere, when there is one.
///
/// # Errors
/// The first [`Fault`]. A cut tail shows only against `anchor`.
pub fn verify(
    records: impl IntoIterator<Item = Result<Exported, ReadError>>,
    root: &PublicKey,
    anchor: Option<&Anchor>,
) -> Result<Verified, Fault> {
    let mut verifier = Verifier::new(*root);
    for exported in records {
        let expected = verifier.tip.sequence.saturating_add(1);
        let unreadable = |error: ReadError| Fault { sequence: expected, wrong: Wrong::Unreadable(error.to_string()) };
        let exported = exported.map_err(unreadable)?;
        let record = verifier.check(exported.sequence, &exported.sealed, exported.note.as_ref())?;
        let fault = |wrong| Fault { sequence: exported.sequence, wrong };
        if !exported.shows(record.time) {
            return Err(fault(Wrong::ShownTime));
        }
        if anchor.is_some_and(|anchor| anchor.sequence == exported.sequence && anchor.hash != exported.sealed.hash) {
            return Err(fault(Wrong::Head));
        }
    }
    let cut = verifier.ended()?.cloned();
    if let Some(anchor) = anchor.filter(|anchor| cut::contain(&verifier.gap.runs, anchor.sequence)) {
        return Err(Fault { sequence: anchor.sequence, wrong: Wrong::Cut });
    }
    let (erased, missing_notes) = (verifier.absent().erased(), verifier.absent().missing());
    let Verifier { realm, tip, keys, .. } = verifier;
    let missing = Fault { sequence: tip.sequence.saturating_add(1), wrong: Wrong::Missing { found: None } };
    match realm {
        Some(realm) if anchor.is_none_or(|anchor| anchor.sequence <= tip.sequence) => {
            Ok(Verified { realm, tip, erased, missing: missing_notes, keys, cut })
        }
        Some(_) | None => Err(missing),
    }
}

/// A good record about the journal itself.
fn of_journal(checked: Result<Record, Fault>) -> Option<Record> {
    checked.ok().filter(|record| record.event.is_of_journal())
}

fn read(core: &[u8]) -> Result<Record, Wrong> {
    upcast::read(core).map_err(|unreadable| match unreadable.is_later() {
        true => Wrong::Later(unreadable.to_string()),
        false => Wrong::Unreadable(unreadable.to_string()),
    })
}
