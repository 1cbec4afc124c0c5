//! Judging a journal record by record: the chain, the heads kept elsewhere, and what is counted on the way.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use crate::backup::{Findings, Uncarried, Unproven};
use crate::cli::audit::elsewhere::{Elsewhere, Excused, Held, Named};
use crate::domain::event::Event;
use crate::domain::time::Timestamp;
use crate::journal::export::ReadError;
use crate::journal::record::event_type;
use crate::journal::verify::{Fault, Verified, Verifier, Wrong};
use crate::journal::{Carried, Digest, Exported, PublicKey, SealedUses, SignedCheckpoint, Tip, upcast};

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

/// What the last file says about its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing: it is no backup.
    NotOfBackup,
    /// Nothing that is signed.
    Unsigned,
    /// Whoever took the backup signed then that it ends there.
    Signed(Timestamp),
}

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    pub(super) events: BTreeMap<&'static str, u64>,
    /// What the journal says about anchors that it need not hold.
    pub(super) excused: Excused,
    /// How many uses beside archives are those that were sealed, when some lie there.
    pub(super) uses: Option<u64>,
    /// Files of uses that are not there, and how many uses their archives seal.
    pub(super) lacking: Vec<(String, u64)>,
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
    named: Named,
    verifier: Option<Verifier>,
    end: End,
    tally: Tally,
    /// Where each file ended, and its digest.
    files: Vec<(Tip, Digest)>,
    /// The uses that the records of this file seal.
    sealed: Vec<SealedUses>,
    is_damaged: bool,
    findings: Findings,
    fault: Option<Fault>,
}

/// What was checked against what, and what came of it.
pub(super) struct Found {
    pub(super) root: Root,
    pub(super) tally: Tally,
    /// How many heads and checkpoints kept elsewhere were held against the journal.
    pub(super) held: Held,
    /// Whether the portal told a head before, which is in it when all is well.
    pub(super) of_portal: bool,
    /// Archives that are those which the records of their cuts name.
    pub(super) joined: usize,
    /// What the last file says about its end.
    pub(super) end: End,
    /// Whether the last file is an export, as archives are.
    pub(super) of_export: bool,
    pub(super) result: Result<Verified, Fault>,
    /// What is wrong beside the chain.
    pub(super) findings: Findings,
}

impl Judge {
    pub(super) fn new(root: Root, elsewhere: Elsewhere) -> Self {
        Self {
            root,
            named: elsewhere.named(),
            elsewhere,
            end: End::NotOfBackup,
            verifier: None,
            tally: Tally::default(),
            files: Vec::new(),
            sealed: Vec::new(),
            is_damaged: false,
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
        self.named.found(sequence, exported.sealed.hash);
        match &record.event {
            Event::AnchorConfirmed { .. } => self.tally.excused.confirmed = Some((sequence, record.time)),
            Event::JournalSucceeded { predecessor, .. } => {
                self.tally.excused.predecessors.push(predecessor.realm.clone());
            }
            _ => {}
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
        self.end = End::NotOfBackup;
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

    /// A backup ended, and this is what its taker signed about its end.
    pub(super) fn backup_ended(&mut self, signed: Option<&SignedCheckpoint>) {
        let Some(verifier) = self.verifier.as_ref().filter(|_| self.fault.is_none()) else { return };
        let Some(note) = signed else {
            self.end = End::Unsigned;
            return;
        };
        let (said, tip) = (&note.checkpoint, verifier.tip());
        let (sequence, named) = (tip.sequence, said.sequence);
        self.fault = if sequence < named {
            let wrong = Wrong::Behind { named, at: Some(said.time) };
            Some(Fault { sequence: sequence.saturating_add(1), wrong })
        } else if sequence != named || tip.hash != said.hash {
            Some(Fault { sequence, wrong: Wrong::Head })
        } else if !verifier.keys().last().is_some_and(|span| note.is_by(&span.key)) {
            Some(Fault { sequence, wrong: Wrong::UnsignedEnd })
        } else {
            None
        };
        self.end = End::Signed(said.time);
    }

    /// The pages of this store are not what was written: whatever of it is no record is not what was recorded.
    pub(super) fn damaged(&mut self, store: &Path, why: &str) {
        let store = store.display();
        let told = format!("the store is damaged: {why}; `hallpass store check {store}` says what can be done");
        self.findings.files.push(told);
        self.is_damaged = true;
    }

    /// Whether the pages of a store were not what was written.
    pub(super) const fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// The next record cannot be read.
    pub(super) fn unreadable(&mut self, why: String) {
        let tip = self.verifier.as_ref().map_or(0, |verifier| verifier.tip().sequence);
        self.fault.get_or_insert(Fault { sequence: tip.saturating_add(1), wrong: Wrong::Unreadable(why) });
    }

    /// Takes what stands for the records that were cut: the newest of their cuts names it.
    pub(super) fn carried(&mut self, carried: &Carried) {
        let Some(verifier) = self.verifier.as_ref().filter(|_| self.fault.is_none()) else { return };
        self.findings.carried.extend(match verifier.cuts().last() {
            Some(cut) if cut.carried == carried.digest() => None,
            Some(cut) => Some(Uncarried::Other { by: cut.by, last: cut.last() }),
            None if carried.is_empty() => None,
            None => Some(Uncarried::WithoutCut),
        });
    }

    /// Takes what was found of the uses.
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
    pub(super) fn finish(self) -> Found {
        let (result, held) = match self.conclude() {
            Ok((verified, held)) => (Ok(verified), held),
            Err(fault) => (Err(fault), Held::default()),
        };
        let of_portal = self.elsewhere.of_portal.is_some();
        let joined = self.verifier.as_ref().map_or(0, |verifier| self.joined(verifier));
        let notes = self.verifier.as_ref().map(|verifier| verifier.absent().missing()).unwrap_or_default();
        let findings = Findings { notes, ..self.findings };
        let of_export = !self.files.is_empty() && self.end == End::NotOfBackup;
        Found {
            of_export,
            root: self.root,
            tally: self.tally,
            held,
            of_portal,
            end: self.end,
            joined,
            result,
            findings,
        }
    }

    fn conclude(&self) -> Result<(Verified, Held), Fault> {
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
        let held = self.elsewhere.hold(verifier, &self.named, realm, &self.tally.excused)?;
        let verified = Verified {
            realm: realm.to_owned(),
            tip: *verifier.tip(),
            erased: verifier.absent().erased(),
            missing: verifier.absent().missing(),
            keys: verifier.keys().to_vec(),
            cut,
        };
        Ok((verified, held))
    }

    fn joined(&self, verifier: &Verifier) -> usize {
        let is_named = |tip: &Tip| verifier.cuts().iter().any(|cut| cut.last() == tip.sequence);
        self.files.iter().filter(|(tip, _)| is_named(tip)).count()
    }
}

/// The root key that a journal's first record names.
fn own_root(first: &Exported) -> Result<PublicKey, Wrong> {
    match upcast::begun(&first.sealed.core).map_err(|error| Wrong::Unreadable(error.to_string()))? {
        Some(begun) => begun.public_key.parse().map_err(|_| Wrong::Root),
        None if first.sequence > 1 => Err(Wrong::Missing { found: Some(first.sequence) }),
        None => Err(Wrong::Root),
    }
}
