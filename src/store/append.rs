//! One transaction: records, notes, rows, head, all or nothing.

use std::sync::{Arc, Mutex, PoisonError};

use redb::{Database, ReadableDatabase as _, WriteTransaction};

use crate::domain::activation::Activation;
use crate::domain::assignment::Assignment;
use crate::domain::event::{Detail, Event};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::principal::Principal;
use crate::domain::standing::Position;
use crate::domain::time::Timestamp;
use crate::journal::record::{Digest, IdempotencyDigest, VERSION};
use crate::journal::{Note, Record, SigningKey, Tip, chain, upcast};
use crate::store::fold::{Folded, UsedKey, fold, used_key};
use crate::store::handle::guarded;
use crate::store::open::{Checked, Place, Trust};
use crate::store::random::random;
use crate::store::reserve::Reserve;
use crate::store::seal::Seals;
use crate::store::tables::{CURSORS, JOURNAL, META, NOTES, Rows};
use crate::store::vouched::Vouched;
use crate::store::{Committed, Head, Header, Reader, Remembered, Shared, StoreError, rows};

/// Appends; there is one, and the writer owns it.
pub struct Appender {
    shared: Arc<Shared>,
    place: Place,
    /// The newest record that is known to be durable.
    committed: Arc<Mutex<Tip>>,
}

impl Appender {
    pub(super) fn new(shared: Arc<Shared>, place: Place, committed: Tip) -> Self {
        Self { shared, place, committed: Arc::new(Mutex::new(committed)) }
    }

    /// A reader of the same store.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader { shared: Arc::clone(&self.shared) }
    }

    /// Begins the one write transaction; blocks while another runs.
    ///
    /// # Errors
    /// [`StoreError::Closed`] while the store is not open; what the database says, after a failed commit.
    pub fn begin(&mut self) -> Result<Transaction, StoreError> {
        let transaction = self.shared.handle.write()?;
        let head = rows::head(&transaction)?;
        Ok(Transaction {
            transaction,
            shared: Arc::clone(&self.shared),
            committed: Arc::clone(&self.committed),
            draft: Draft::new(head, Folded::new(Arc::clone(&self.shared.seals))),
            state: State::Sound,
            cursors_moved: false,
        })
    }

    /// Sets room aside for ending rights on a full disk, unless that was done before. Storage that was handed in has none.
    ///
    /// # Errors
    /// [`StoreError::Full`] when there is too little room for anything more.
    pub fn hold_reserve(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::File(path) => Reserve::beside(path).hold().map_err(|error| StoreError::file(path, error)),
            Place::Backend(_) => Ok(()),
        }
    }

    /// Gives the room set aside back to the disk: what is committed from now on should only end rights.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn give_reserve_back(&self) -> Result<(), StoreError> {
        match &self.place {
            Place::File(path) => Reserve::beside(path).give_back().map_err(|error| StoreError::file(path, error)),
            Place::Backend(_) => Ok(()),
        }
    }

    /// Seals the rows anew with the key that signs from now on, so that its first start need not compare all of them.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub(super) fn seal_for(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        let seals = Seals::new(key, &self.shared.trust.chain.realm);
        seals.replace(self.shared.handle.read(|source| seals.sums_of(source))?);
        let transaction = self.shared.handle.write()?;
        let head = rows::head(&transaction)?;
        write_seal(&transaction, &head, &Folded::new(Arc::new(seals)))?;
        Ok(transaction.commit()?)
    }

    /// Whether `database` goes on from what this process knows to be durable: an older copy or another history in its place
    /// would bring back what has ended.
    fn holds_what_was_committed(&self, database: &Database) -> Result<(), StoreError> {
        let committed = *self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = rows::sealed(&database.begin_read()?, Position(committed.sequence))?;
        if found.is_some_and(|found| found.hash == committed.hash) {
            return Ok(());
        }
        let sequence = committed.sequence;
        Err(StoreError::Damaged(format!(
            "record {sequence}, which was written here, is not in it: this is an older copy, or another history. Put the right \
             store in its place"
        )))
    }

    /// Closes what cannot be believed: readers answer [`StoreError::Closed`] until it is reopened.
    ///
    /// # Errors
    /// [`StoreError::Database`] while a transaction still writes.
    pub fn close(&mut self) -> Result<(), StoreError> {
        self.shared.handle.let_go()
    }

    /// After a failed commit: close, reopen, verify. Readers made earlier go on with what was reopened; in between they
    /// answer [`StoreError::Closed`]. May be tried again when it failed.
    ///
    /// # Errors
    /// As [`crate::store::open`].
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.close()?;
        let Trust { key, chain, pin } = &self.shared.trust;
        let Checked { database, chain: found, sums } = self.place.open_checked(key, pin.as_ref())?;
        if found != *chain {
            return Err(StoreError::Foreign(format!("it was {} and is {}", chain.realm, found.realm)));
        }
        guarded(|| self.holds_what_was_committed(&database))?;
        self.shared.seals.replace(sums);
        self.shared.handle.set(database);
        Ok(())
    }
}

/// One write transaction: many commands, one commit. Dropping it undoes everything.
pub struct Transaction {
    pub(super) transaction: WriteTransaction,
    pub(super) shared: Arc<Shared>,
    committed: Arc<Mutex<Tip>>,
    draft: Draft,
    state: State,
    cursors_moved: bool,
}

/// Whether a transaction may go on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    Poisoned,
}

impl Transaction {
    /// The newest record, those of this transaction included.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.draft.head()
    }

    /// What `principal` used `key` for in the last 24 hours.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn remembered(
        &self,
        principal: &Principal,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Remembered>, StoreError> {
        let place = used_key(principal, &Digest::of(&[key.as_bytes()]));
        let row: Option<UsedKey> = rows::row(&self.transaction, Rows::Idempotency, &place)?;
        let Some(row) = row.filter(|row| now < row.ends_at) else { return Ok(None) };
        let note = rows::note(&self.transaction, row.first)?;
        Ok(Some(Remembered { asked: row.asked, note, records: (row.first, row.last) }))
    }

    /// Events of past records, for answering a repeated command.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn events(&self, records: (Position, Position)) -> Result<Vec<Event>, StoreError> {
        (records.0.0..=records.1.0)
            .map(|sequence| {
                let sealed = rows::existing(rows::sealed(&self.transaction, Position(sequence))?)?;
                Ok(upcast::read(&sealed.core)?.event)
            })
            .collect()
    }

    /// One case as it is now in this transaction.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn activation(&self, id: ActivationId) -> Result<Option<Activation>, StoreError> {
        Ok(self.vouched().activation(id.to_bytes())?.map(|placed| placed.item))
    }

    /// One assignment as it is now in this transaction.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn assignment(&self, id: AssignmentId) -> Result<Option<Assignment>, StoreError> {
        Ok(self.vouched().assignment(id.to_bytes())?.map(|placed| placed.item))
    }

    /// Seals and folds the events of one command. `detail` is kept beside the first record.
    ///
    /// # Errors
    /// [`StoreError`]; then nothing more can be done with this transaction but drop it.
    pub fn append(&mut self, header: &Header, events: &[Event], detail: &Detail) -> Result<(), StoreError> {
        self.sound()?;
        // poisoned until it is through: neither an early return nor a panic may leave half a command to be committed
        self.state = State::Poisoned;
        let Trust { key, chain, .. } = &self.shared.trust;
        self.draft.append(&self.transaction, key, &chain.realm, header, events, detail)?;
        self.state = State::Sound;
        Ok(())
    }

    /// Changes rows otherwise than by an event: what `change` says of them comes true when this is committed.
    pub(super) fn change_rows(
        &mut self,
        change: impl FnOnce(&WriteTransaction, &mut Folded) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.sound()?;
        self.state = State::Poisoned;
        change(&self.transaction, &mut self.draft.folded)?;
        self.state = State::Sound;
        Ok(())
    }

    /// Moves the cursor `name` of somebody who follows the journal.
    ///
    /// # Errors
    /// [`StoreError`] when the store fails.
    pub fn move_cursor(&mut self, name: &str, position: Position) -> Result<(), StoreError> {
        self.sound()?;
        self.transaction.open_table(CURSORS)?.insert(name, position.0)?;
        self.cursors_moved = true;
        Ok(())
    }

    /// Makes it durable. The parties whose standing changed must be published before anybody is answered.
    ///
    /// # Errors
    /// [`StoreError`]; whether anything was written is then unknown until [`Appender::reopen`].
    pub fn commit(self) -> Result<Committed, StoreError> {
        self.sound()?;
        let committed =
            Committed { head: self.draft.head(), touched: self.draft.folded.touched.iter().cloned().collect() };
        if self.draft.is_empty() && !self.cursors_moved {
            self.transaction.abort()?;
            return Ok(committed);
        }
        self.draft.write_head(&self.transaction)?;
        // before the commit: whoever reads the new state finds its sums, and whoever reads the old one those before
        let former = self.shared.seals.change(committed.head.position.0, &self.draft.folded.changes);
        if let Err(error) = self.transaction.commit() {
            self.shared.seals.restore(former);
            return Err(error.into());
        }
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = self.draft.tip;
        Ok(committed)
    }

    /// The rows as they are in this transaction, compared with their seals.
    pub(super) fn vouched(&self) -> Vouched<'_, WriteTransaction> {
        self.draft.folded.vouched(&self.transaction)
    }

    fn sound(&self) -> Result<(), StoreError> {
        match self.state {
            State::Sound => Ok(()),
            State::Poisoned => Err(StoreError::Poisoned),
        }
    }
}

/// What a transaction has added so far.
pub(super) struct Draft {
    before: u64,
    tip: Tip,
    folded: Folded,
}

impl Draft {
    /// Nothing yet, after `tip`.
    pub(super) const fn new(tip: Tip, folded: Folded) -> Self {
        Self { before: tip.sequence, tip, folded }
    }

    const fn is_empty(&self) -> bool {
        self.tip.sequence == self.before
    }

    const fn head(&self) -> Head {
        Head { position: Position(self.tip.sequence), hash: self.tip.hash, time: self.tip.time }
    }

    /// Seals and folds the events of one command.
    pub(super) fn append(
        &mut self,
        transaction: &WriteTransaction,
        key: &SigningKey,
        realm: &str,
        header: &Header,
        events: &[Event],
        detail: &Detail,
    ) -> Result<(), StoreError> {
        if header.time < self.tip.time {
            return Err(StoreError::TimeBackwards { last: self.tip.time, given: header.time });
        }
        let mut note = Note::new(detail, random()?)?;
        let idempotency =
            header.idempotency.as_ref().map(|given| IdempotencyDigest::new(&given.key, &given.digest, note.as_ref()));
        for event in events {
            let sequence = self.tip.sequence.saturating_add(1);
            let note = note.take();
            let record = Record {
                version: VERSION,
                time: header.time,
                actor: header.actor.clone(),
                command: header.command,
                event: event.clone(),
                detail: note.as_ref().map(Note::digest),
                idempotency,
            };
            let sealed = chain::seal(key, realm, sequence, self.tip.hash, record.encode()?);
            if transaction.open_table(JOURNAL)?.insert(sequence, rows::sealed_row(&sealed).as_slice())?.is_some() {
                return Err(StoreError::Damaged(format!("record {sequence} is there already")));
            }
            if let Some(note) = note {
                transaction.open_table(NOTES)?.insert(sequence, rows::note_row(&note).as_slice())?;
            }
            fold(transaction, Position(sequence), &record, &mut self.folded)?;
            self.tip = Tip { sequence, hash: sealed.hash, time: record.time };
        }
        Ok(())
    }

    /// Writes head and newest record folded.
    pub(super) fn write_head(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        write_head(transaction, &self.tip)?;
        write_seal(transaction, &self.tip, &self.folded)
    }
}

/// Writes head and newest record folded.
pub(super) fn write_head(transaction: &WriteTransaction, tip: &Tip) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META)?;
    meta.insert("head", rows::head_row(tip).as_slice())?;
    meta.insert("applied", tip.sequence.to_be_bytes().as_slice())?;
    Ok(())
}

/// Writes the seal over all rows that grant.
pub(super) fn write_seal(transaction: &WriteTransaction, tip: &Tip, folded: &Folded) -> Result<(), StoreError> {
    let seal = folded.seals.of_head(tip, &folded.changes);
    transaction.open_table(META)?.insert("seal", seal.as_slice())?;
    Ok(())
}
