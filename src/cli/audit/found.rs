//! Judging a journal record by record: the chain, the heads kept elsewhere, and what is counted on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use crate::backup::{Findings, Unproven};
use crate::domain::event::Event;
use crate::domain::time::Timestamp;
use crate::journal::export::ReadError;
use crate::journal::record::event_type;
use crate::journal::verify::{Anchor, Fault, Verified, Verifier, Wrong};
use crate::journal::{Digest, Exported, PublicKey, SealedUses, SignedCheckpoint, Tip, upcast};

/// The key everything hangs on.
#[derive(Debug, Clone, Copy)]
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
    pub(super) const fn key(self) -> Option<PublicKey> {
        match self {
            Self::Given(key) | Self::OfPortal(key) | Self::OfJournal(key) => Some(key),
            Self::Unknown => None,
        }
    }
}

/// What was told elsewhere about this journal.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Heads that must be in it.
    pub(super) heads: Vec<Anchor>,
    /// Signed checkpoints that must be in it, oldest first.
    pub(super) notes: Vec<SignedCheckpoint>,
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) events: BTreeMap<&'static str, u64>,
    /// Heads and checkpoints kept elsewhere that name records which were cut.
    pub(super) beyond: usize,
    /// How many uses beside archives are those that were sealed, when some lie there.
    pub(super) uses: Option<u64>,
    /// Files of uses that are not there, and how many uses their archives seal.
    pub(super) lacking: Vec<(String, u64)>,
    /// The newest record by which the operator accepted a journal that no longer held its anchor.
    pub(super) confirmed: Option<(u64, Timestamp)>,
}

/// What came of the uses beside an archive.
pub(super) enum Beside {
    /// They are those that were sealed: so many.
    Whole(u64),
    /// Some are not.
    Unproven(Vec<Unproven>),
    /// They cannot be read to their end.
    Unreadable(String),
    /// There is no file of them, though so many were sealed.
    Missing(u64),
}

/// Takes records in their order.
pub(super) struct Judge {
    root: Root,
    elsewhere: Elsewhere,
    /// Hashes of the records that something told elsewhere names.
    named: BTreeMap<u64, Option<[u8; 32]>>,
    verifier: Option<Verifier>,
    tally: Tally,
    /// Where each file ended, and its digest.
    files: Vec<(Tip, Digest)>,
    /// The uses that the records of this file seal.
    sealed: Vec<SealedUses>,
    findings: Findings,
    fault: Option<Fault>,
}

/// What was checked against what, and what came of it.
pub(super) struct Found {
    pub(super) root: Root,
    pub(super) tally: Tally,
    /// How many heads and checkpoints were held against the journal.
    pub(super) held_against: usize,
    /// Archives that are those which the records of their cuts name.
    pub(super) joined: usize,
    pub(super) result: Result<Verified, Fault>,
    /// What is wrong beside the chain.
    pub(super) findings: Findings,
}

impl Judge {
    pub(super) fn new(root: Root, elsewhere: Elsewhere) -> Self {
        let heads = elsewhere.heads.iter().map(|head| head.sequence);
        let notes = elsewhere.notes.iter().map(|note| note.checkpoint.sequence);
        let named = heads.chain(notes).map(|sequence| (sequence, None)).collect();
        Self {
            root,
            elsewhere,
            named,
            verifier: None,
            tally: Tally::default(),
            files: Vec::new(),
            sealed: Vec::new(),
            findings: Findings::default(),
            fault: None,
        }
    }

    /// How many records were good.
    pub(super) const fn seen(&self) -> u64 {
        self.tally.records
    }

    /// Judges the next record; after the first bad one nothing is looked at.
    pub(super) fn take(&mut self, read: Result<Exported, ReadError>) -> ControlFlow<()> {
        if self.fault.is_some() {
            return ControlFlow::Break(());
        }
        if let Err(fault) = self.judge(read) {
            self.fault = Some(fault);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn judge(&mut self, read: Result<Exported, ReadError>) -> Result<(), Fault> {
        let tip = self.verifier.as_ref().map_or(0, |verifier| verifier.tip().sequence);
        let unreadable = |error: ReadError| Wrong::Unreadable(error.to_string());
        let exported = read.map_err(|error| Fault { sequence: tip.saturating_add(1), wrong: unreadable(error) })?;
        let sequence = exported.sequence;
        let verifier = match &mut self.verifier {
            Some(verifier) => verifier,
            None => {
                let key = match self.root.key() {
                    Some(key) => key,
                    None => own_root(&exported).map_err(|wrong| Fault { sequence: 1, wrong })?,
                };
                self.root = if matches!(self.root, Root::Unknown) { Root::OfJournal(key) } else { self.root };
                self.verifier.insert(Verifier::of_files(key))
            }
        };
        let record = verifier.check(exported.sequence, &exported.sealed, exported.note.as_ref())?;
        if !exported.shows(record.time) {
            return Err(Fault { sequence, wrong: Wrong::ShownTime });
        }
        if verifier.tip().sequence == tip {
            // about the journal itself, said again, or behind the end of an archive
            return Ok(());
        }
        if let Some(hash) = self.named.get_mut(&sequence) {
            *hash = Some(exported.sealed.hash);
        }
        if matches!(record.event, Event::AnchorConfirmed { .. }) {
            self.tally.confirmed = Some((sequence, record.time));
        }
        self.sealed.extend(SealedUses::stated_by(&record.event));
        self.tally.records = self.tally.records.saturating_add(1);
        self.tally.first = self.tally.first.or(Some(record.time));
        self.tally.last = Some(record.time);
        *self.tally.events.entry(event_type(&record.event)).or_default() += 1;
        Ok(())
    }

    /// Another file begins, which must go on where the one before ended.
    pub(super) fn next_file(&mut self) {
        // the uses of what was cut are not in what remained
        self.sealed.clear();
        if let (None, Some(verifier)) = (&self.fault, &mut self.verifier) {
            self.fault = verifier.next_file().err();
        }
    }

    /// The uses that the records of this file seal, to be held against those in it.
    pub(super) fn sealed(&mut self) -> Vec<SealedUses> {
        std::mem::take(&mut self.sealed)
    }

    /// Takes what was found of them.
    pub(super) fn found(&mut self, uses: Vec<Unproven>) {
        self.findings.uses.extend(uses);
    }

    /// Takes what came of the uses beside an archive.
    pub(super) fn beside(&mut self, path: &Path, beside: Beside) {
        let path = path.display();
        match beside {
            Beside::Whole(count) => self.tally.uses = Some(self.tally.uses.unwrap_or(0).saturating_add(count)),
            Beside::Unproven(found) => self.found(found),
            Beside::Unreadable(why) => self.findings.files.push(format!("`{path}` is not as it was written: {why}")),
            Beside::Missing(count) => self.tally.lacking.push((path.to_string(), count)),
        }
    }

    /// Names the file that was taken last: a cut that ends where it ends must name the same digest.
    pub(super) fn names(&mut self, digest: Digest) {
        self.files.extend(self.verifier.as_ref().map(|verifier| (*verifier.last_of_archive(), digest)));
    }

    /// When all records were taken: is the chain whole, and does it hold what was told elsewhere?
    pub(super) fn finish(mut self) -> Found {
        let result = self.conclude();
        self.tally.beyond = self.verifier.as_ref().map_or(0, |verifier| self.beyond(verifier));
        let held_against = self.elsewhere.heads.len() + self.elsewhere.notes.len() - self.tally.beyond;
        let joined = self.verifier.as_ref().map_or(0, |verifier| self.joined(verifier));
        let notes = self.verifier.as_ref().map(|verifier| verifier.absent().missing()).unwrap_or_default();
        let findings = Findings { notes, ..self.findings };
        Found { root: self.root, tally: self.tally, held_against, joined, result, findings }
    }

    fn conclude(&self) -> Result<Verified, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let (Some(verifier), Some(realm)) = (&self.verifier, self.verifier.as_ref().and_then(Verifier::realm)) else {
            return Err(Fault { sequence: 1, wrong: Wrong::Missing { found: None } });
        };
        let cut = verifier.ended()?.cloned();
        for (tip, digest) in &self.files {
            let named = verifier.cuts().iter().find(|cut| cut.last() == tip.sequence);
            if named.is_some_and(|cut| cut.archive != *digest || cut.hash != tip.hash) {
                return Err(Fault { sequence: tip.sequence, wrong: Wrong::Archive });
            }
        }
        for head in &self.elsewhere.heads {
            self.holds(verifier, head.sequence, &head.hash)?;
        }
        for note in self.notes() {
            let said = &note.checkpoint;
            let fault = |wrong| Fault { sequence: said.sequence, wrong };
            if said.realm != realm {
                return Err(fault(Wrong::ForeignAnchor));
            }
            if !verifier.keys().iter().any(|span| note.is_by(&span.key)) {
                return Err(fault(Wrong::UnsignedAnchor));
            }
            self.holds(verifier, said.sequence, &said.hash)?;
        }
        // the newest of them stands for all before it, so it must be one that the journal can be held against
        if let Some(newest) = self.told().max().filter(|newest| is_gone(verifier, *newest)) {
            return Err(Fault { sequence: newest, wrong: Wrong::Cut });
        }
        Ok(Verified {
            realm: realm.to_owned(),
            tip: *verifier.tip(),
            erased: verifier.absent().erased(),
            missing: verifier.absent().missing(),
            keys: verifier.keys().to_vec(),
            cut,
        })
    }

    /// The checkpoints that count: the operator accepted that those from before a confirmation are no longer met.
    fn notes(&self) -> impl Iterator<Item = &SignedCheckpoint> {
        let confirmed = self.tally.confirmed;
        self.elsewhere.notes.iter().filter(move |note| confirmed.is_none_or(|(_, at)| note.checkpoint.time > at))
    }

    /// The records that something told elsewhere names.
    fn told(&self) -> impl Iterator<Item = u64> {
        let heads = self.elsewhere.heads.iter().map(|head| head.sequence);
        heads.chain(self.notes().map(|note| note.checkpoint.sequence))
    }

    fn joined(&self, verifier: &Verifier) -> usize {
        let is_named = |tip: &Tip| verifier.cuts().iter().any(|cut| cut.last() == tip.sequence);
        self.files.iter().filter(|(tip, _)| is_named(tip)).count()
    }

    fn beyond(&self, verifier: &Verifier) -> usize {
        self.told().filter(|sequence| is_gone(verifier, *sequence)).count()
    }

    fn holds(&self, verifier: &Verifier, sequence: u64, hash: &[u8; 32]) -> Result<(), Fault> {
        match self.named.get(&sequence).copied().flatten() {
            Some(found) if found == *hash => Ok(()),
            Some(_) => Err(Fault { sequence, wrong: Wrong::Head }),
            None if is_gone(verifier, sequence) => Ok(()),
            // it names a record past the end: the first one that is not there is where the journal was cut
            None => {
                let first = verifier.tip().sequence.saturating_add(1);
                Err(Fault { sequence: first, wrong: Wrong::Missing { found: None } })
            }
        }
    }
}

fn is_gone(verifier: &Verifier, sequence: u64) -> bool {
    verifier.gone().iter().any(|run| (run.first..=run.last).contains(&sequence))
}

/// The root key that a journal's first record names.
fn own_root(first: &Exported) -> Result<PublicKey, Wrong> {
    let record = upcast::read(&first.sealed.core).map_err(|error| Wrong::Unreadable(error.to_string()))?;
    match &record.event {
        Event::JournalOpened { public_key, .. } => public_key.parse().map_err(|_| Wrong::Root),
        _ if first.sequence > 1 => Err(Wrong::Missing { found: Some(first.sequence) }),
        _ => Err(Wrong::Root),
    }
}
