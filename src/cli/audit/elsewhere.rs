//! What was told elsewhere about a journal, held against it when all its records were read; and what could not be held, and why.

use std::collections::BTreeMap;

use crate::domain::time::Timestamp;
use crate::journal::SignedCheckpoint;
use crate::journal::verify::{Anchor, Fault, Verifier, Wrong};

/// What was told elsewhere, and the hashes of the records it names.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Heads that must be in it.
    pub(super) heads: Vec<Anchor>,
    /// The head that the portal told before it gave the journal: nobody kept it elsewhere.
    pub(super) of_portal: Option<Anchor>,
    /// Signed checkpoints that must be in it, oldest first.
    pub(super) notes: Vec<SignedCheckpoint>,
    /// Whether it may end before what the checkpoints name.
    pub(super) reach: Reach,
}

/// How far a journal must reach.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Reach {
    /// To the newest checkpoint.
    #[default]
    Whole,
    /// It is an older copy: checkpoints that name what came later are not held against it.
    OlderCopy,
}

/// What the journal itself says about checkpoints that it need not hold.
#[derive(Debug, Default)]
pub(super) struct Excused {
    /// The newest record by which the operator accepted a journal that no longer held its anchor.
    pub(super) confirmed: Option<(u64, Timestamp)>,
    /// Journals that it succeeded.
    pub(super) predecessors: Vec<String>,
}

/// How many heads and checkpoints kept elsewhere were held, and why others were not.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// The journal holds what they name.
    pub(super) held: usize,
    /// What they name was cut.
    pub(super) cut: usize,
    /// The operator accepted that they are not met.
    pub(super) accepted: usize,
    /// They are of a journal that this one succeeded.
    pub(super) of_predecessors: usize,
    /// They name what came after this copy.
    pub(super) behind: usize,
}

impl Elsewhere {
    /// The records that are named, none of them found yet.
    pub(super) fn named(&self) -> Named {
        let heads = self.heads.iter().chain(&self.of_portal).map(|head| head.sequence);
        let notes = self.notes.iter().map(|note| note.checkpoint.sequence);
        Named(heads.chain(notes).map(|sequence| (sequence, None)).collect())
    }

    /// Holds all of it against the journal of `realm` that `verifier` has read to its end.
    pub(super) fn hold(
        &self,
        verifier: &Verifier,
        named: &Named,
        realm: &str,
        excused: &Excused,
    ) -> Result<Held, Fault> {
        let (mut held, mut newest) = (Held::default(), 0);
        let kept = self.heads.iter().map(|head| (head, 1));
        for (head, counts) in kept.chain(self.of_portal.iter().map(|head| (head, 0))) {
            newest = newest.max(head.sequence);
            match named.place(verifier, head.sequence, &head.hash) {
                Place::There => held.held += counts,
                Place::Gone => held.cut += counts,
                missing => return Err(missing.fault(verifier, head.sequence, None)),
            }
        }
        for note in &self.notes {
            let said = &note.checkpoint;
            let fault = |wrong| Err(Fault { sequence: said.sequence, wrong });
            let is_accepted = excused.confirmed.is_some_and(|(_, at)| said.time < at);
            let is_signed = verifier.keys().iter().any(|span| note.is_by(&span.key));
            let place = named.place(verifier, said.sequence, &said.hash);
            match place {
                _ if said.realm != realm => {
                    if excused.predecessors.contains(&said.realm) {
                        held.of_predecessors += 1;
                    } else if is_accepted {
                        held.accepted += 1;
                    } else {
                        return fault(Wrong::ForeignAnchor(said.realm.clone()));
                    }
                    continue;
                }
                Place::There if is_signed => held.held += 1,
                _ if is_accepted => held.accepted += 1,
                // a key that came later may have signed it
                Place::Behind if self.reach == Reach::OlderCopy => held.behind += 1,
                _ if !is_signed => return fault(Wrong::UnsignedAnchor),
                Place::Gone => held.cut += 1,
                missing => return Err(missing.fault(verifier, said.sequence, Some(said.time))),
            }
            if !is_accepted && place != Place::Behind {
                newest = newest.max(said.sequence);
            }
        }
        // the newest of them stands for all before it, so it must be one that the journal can be held against
        if newest > 0 && is_gone(verifier, newest) {
            return Err(Fault { sequence: newest, wrong: Wrong::Cut });
        }
        Ok(held)
    }
}

/// Hashes of the records that something told elsewhere names.
#[derive(Debug)]
pub(super) struct Named(BTreeMap<u64, Option<[u8; 32]>>);

impl Named {
    /// Takes the hash of a record.
    pub(super) fn found(&mut self, sequence: u64, hash: [u8; 32]) {
        if let Some(named) = self.0.get_mut(&sequence) {
            *named = Some(hash);
        }
    }

    fn place(&self, verifier: &Verifier, sequence: u64, hash: &[u8; 32]) -> Place {
        match self.0.get(&sequence).copied().flatten() {
            Some(found) if found == *hash => Place::There,
            Some(_) => Place::Forked,
            None if is_gone(verifier, sequence) => Place::Gone,
            None => Place::Behind,
        }
    }
}

/// What stands in the place of a record that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The record.
    There,
    /// Another one.
    Forked,
    /// Nothing: it was cut.
    Gone,
    /// Nothing: the journal ends before.
    Behind,
}

impl Place {
    fn fault(self, verifier: &Verifier, named: u64, at: Option<Timestamp>) -> Fault {
        match self {
            // the first one that is not there is where the journal ends
            Self::Behind => {
                let sequence = verifier.tip().sequence.saturating_add(1);
                Fault { sequence, wrong: Wrong::Behind { named, at } }
            }
            Self::There | Self::Forked | Self::Gone => Fault { sequence: named, wrong: Wrong::Head },
        }
    }
}

fn is_gone(verifier: &Verifier, sequence: u64) -> bool {
    verifier.gone().iter().any(|run| (run.first..=run.last).contains(&sequence))
}
