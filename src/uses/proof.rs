//! Uses held against what the journal has sealed of them.

use std::collections::BTreeMap;
use std::fmt;

use super::block::{self, Digest, NOTHING};
use super::carry::{USES_NAME, block_key};
use crate::domain::id::ActivationId;
use crate::journal::SealedUses;
use crate::journal::backup::Row;
use crate::store::StoreError;

/// Takes the rows of uses in their order, and tells which are not those that were sealed.
#[derive(Debug)]
pub struct Proof {
    /// Seals whose uses have not come yet.
    sealed: BTreeMap<ActivationId, (u64, String)>,
    source: Source,
    current: Option<Chain>,
    found: Vec<Unproven>,
}

/// Where the uses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A store or its backup: some may not be sealed yet, or be those of records that were cut.
    Store,
    /// What is kept beside an archive: its records seal all of them.
    Archive,
}

/// Uses that are not what the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unproven {
    /// Whose uses.
    pub activation: ActivationId,
    /// What is wrong with them.
    pub wrong: WrongUses,
}

/// What can be wrong with the uses of an activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongUses {
    /// A block does not follow the one before, or is not as it was written.
    Changed {
        /// They are as they were written up to this one.
        after: u64,
    },
    /// The chain of them is whole, and another one than was sealed.
    Others {
        /// How many were sealed.
        sealed: u64,
    },
    /// Fewer than were sealed, or none.
    Missing {
        /// How many there are.
        found: u64,
        /// How many were sealed.
        sealed: u64,
    },
    /// Those that were sealed, and further ones that were not.
    Further {
        /// How many there are.
        found: u64,
        /// How many were sealed.
        sealed: u64,
    },
    /// Some that no record of the archive seals.
    Unsealed {
        /// How many there are.
        found: u64,
    },
}

/// The blocks of one activation so far.
#[derive(Debug)]
struct Chain {
    activation: ActivationId,
    sealed: Option<(u64, String)>,
    count: u64,
    digest: Digest,
    /// They are as they were written.
    is_whole: bool,
    /// Those that were sealed are among them.
    holds_sealed: bool,
}

impl Proof {
    /// Of the uses that `sealed` tells of.
    pub fn new(sealed: impl IntoIterator<Item = SealedUses>) -> Self {
        Self::of(sealed, Source::Store)
    }

    /// Of the uses that `sealed`, all that an archive's records seal, tells of: there must be no others.
    pub fn of_archive(sealed: impl IntoIterator<Item = SealedUses>) -> Self {
        Self::of(sealed, Source::Archive)
    }

    fn of(sealed: impl IntoIterator<Item = SealedUses>, source: Source) -> Self {
        let sealed = sealed.into_iter().map(|sealed| (sealed.activation, (sealed.count, sealed.digest))).collect();
        Self { sealed, source, current: None, found: Vec::new() }
    }

    /// Takes the next row.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for a row that is none of uses, or out of its place.
    pub fn take(&mut self, row: &Row) -> Result<(), StoreError> {
        match self.source {
            _ if row.table == USES_NAME => {}
            Source::Store => return Ok(()),
            Source::Archive => return Err(StoreError::Damaged(format!("a row of `{}` is none of uses", row.table))),
        }
        let (id, number) = block_key(&row.key).ok_or_else(super::damaged)?;
        let activation = ActivationId::from_random(id);
        let is_next = match &self.current {
            Some(chain) if chain.activation == activation => number > chain.count || !chain.is_whole,
            Some(chain) => activation > chain.activation,
            None => true,
        };
        if !is_next {
            return Err(StoreError::Damaged(format!("uses of {activation} stand out of their place")));
        }
        if self.current.as_ref().is_none_or(|chain| chain.activation != activation) {
            self.close();
            let sealed = self.sealed.remove(&activation);
            self.current =
                Some(Chain { activation, sealed, count: 0, digest: NOTHING, is_whole: true, holds_sealed: false });
        }
        if let Some(chain) = &mut self.current {
            chain.take(number, &row.value);
        }
        Ok(())
    }

    /// When all rows were taken: what is not as it was sealed, ordered by activation.
    #[must_use]
    pub fn finish(mut self) -> Vec<Unproven> {
        self.close();
        let lost = std::mem::take(&mut self.sealed).into_iter().filter(|(_, (count, _))| *count > 0);
        self.found.extend(
            lost.map(|(activation, (sealed, _))| Unproven {
                activation,
                wrong: WrongUses::Missing { found: 0, sealed },
            }),
        );
        self.found.sort_by_key(|unproven| unproven.activation);
        self.found
    }

    fn close(&mut self) {
        let closed = self.current.take();
        self.found.extend(closed.and_then(|chain| {
            let wrong = chain.wrong(self.source)?;
            Some(Unproven { activation: chain.activation, wrong })
        }));
    }
}

impl Chain {
    fn take(&mut self, number: u64, bytes: &[u8]) {
        if !self.is_whole {
            return;
        }
        let uses = block::uses_in(bytes, self.activation).and_then(|uses| u64::try_from(uses.len()).ok());
        let count = uses.and_then(|uses| self.count.checked_add(uses));
        let digest = block::digest_of(bytes).filter(|_| block::follows(bytes, &self.digest));
        let (Some(count), Some(digest)) = (count.filter(|count| *count == number), digest) else {
            self.is_whole = false;
            return;
        };
        (self.count, self.digest) = (count, digest);
        let is_sealed =
            |(sealed, hash): &(u64, String)| *sealed == count && *hash == data_encoding::HEXLOWER.encode(&digest);
        self.holds_sealed |= self.sealed.as_ref().is_some_and(is_sealed);
    }

    fn wrong(&self, source: Source) -> Option<WrongUses> {
        if !self.is_whole {
            return Some(WrongUses::Changed { after: self.count });
        }
        let found = self.count;
        let sealed = match (&self.sealed, source) {
            (Some((sealed, _)), _) => *sealed,
            (None, Source::Store) => return None,
            (None, Source::Archive) => return Some(WrongUses::Unsealed { found }),
        };
        match self.holds_sealed {
            true if found == sealed => None,
            true => Some(WrongUses::Further { found, sealed }),
            false if found < sealed => Some(WrongUses::Missing { found, sealed }),
            false => Some(WrongUses::Others { sealed }),
        }
    }
}

impl fmt::Display for Unproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { activation, wrong } = self;
        match wrong {
            WrongUses::Changed { after } => write!(f, "the uses of {activation} were changed after number {after}"),
            WrongUses::Others { sealed } => write!(f, "the uses of {activation} are not the {sealed} that were sealed"),
            WrongUses::Missing { found, sealed } => {
                write!(f, "of the {sealed} uses of {activation} that were sealed, {found} are there")
            }
            WrongUses::Further { found, sealed } => {
                write!(f, "{found} uses of {activation} are there, and {sealed} were sealed")
            }
            WrongUses::Unsealed { found } => {
                write!(f, "{found} uses of {activation} are there, which no record of the archive seals")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::domain::principal::Principal;
    use crate::domain::time::Timestamp;
    use crate::uses::block::Block;
    use crate::uses::{Queued, Use};

    fn id(number: u8) -> ActivationId {
        ActivationId::from_random([number; 16])
    }

    /// The rows of one activation: blocks of so many uses each.
    fn rows(activation: ActivationId, blocks: &[u64], path: &str) -> Vec<Row> {
        let (mut digest, mut count) = (NOTHING, 0);
        let row = |length: &u64| {
            let used = Use {
                activation,
                principal: Principal::new("https://id.example", "ada"),
                at: Timestamp::from_seconds(1),
                request_id: Cow::Borrowed("request"),
                method: Cow::Borrowed("GET"),
                host: Cow::Borrowed("shop.example"),
                path: Cow::Owned(path.to_owned()),
                route: Cow::Borrowed("vault"),
            };
            let uses: Vec<Queued> = (0..*length).map(|_| Queued::new(&used)).collect();
            let block = Block::new(&uses, &digest);
            digest = block::digest_of(&block.bytes).unwrap();
            count += length;
            let key = [activation.to_bytes().as_slice(), &count.to_be_bytes()].concat();
            Row { table: USES_NAME.to_owned(), key, value: block.bytes }
        };
        blocks.iter().map(row).collect()
    }

    fn sealed(rows: &[Row]) -> SealedUses {
        let last = rows.last().unwrap();
        let (id, count) = block_key(&last.key).unwrap();
        let digest = data_encoding::HEXLOWER.encode(&block::digest_of(&last.value).unwrap());
        SealedUses { activation: ActivationId::from_random(id), count, digest }
    }

    fn proven(seals: &[SealedUses], rows: &[&[Row]]) -> Result<Vec<String>, StoreError> {
        let mut proof = Proof::new(seals.to_vec());
        rows.concat().iter().try_for_each(|row| proof.take(row))?;
        Ok(proof.finish().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn what_was_sealed_is_what_is_there() {
        let (one, two, open) =
            (rows(id(1), &[2, 3], "/vault"), rows(id(2), &[1], "/vault"), rows(id(3), &[4], "/vault"));
        let seals = [sealed(&one), sealed(&two)];
        assert!(proven(&seals, &[&one, &two, &open]).unwrap().is_empty());
        assert!(proven(&[], &[]).unwrap().is_empty());
    }

    #[test]
    fn an_archive_keeps_no_uses_but_those_it_seals() {
        let (one, two) = (rows(id(1), &[2, 3], "/vault"), rows(id(2), &[1], "/vault"));
        let proven = |rows: &[Row]| -> Result<Vec<String>, StoreError> {
            let mut proof = Proof::of_archive([sealed(&one)]);
            rows.iter().try_for_each(|row| proof.take(row))?;
            Ok(proof.finish().iter().map(ToString::to_string).collect())
        };
        assert!(proven(&one).unwrap().is_empty());
        let found = proven(&[one.clone(), two.clone()].concat()).unwrap();
        assert_eq!(found, [format!("1 uses of {} are there, which no record of the archive seals", id(2))]);
        assert_eq!(proven(&two).unwrap().len(), 2, "one that is not sealed, and one that is missing");
        let stray = Row { table: "unsealed_activations".to_owned(), ..one[0].clone() };
        assert!(proven(&[stray]).unwrap_err().to_string().contains("is none of uses"));
    }

    #[test]
    fn whatever_else_is_there_names_its_activation() {
        let (one, two) = (rows(id(1), &[2, 3], "/vault"), rows(id(2), &[1], "/vault"));
        let seals = [sealed(&one), sealed(&two)];
        let mut flipped = one.clone();
        *flipped[1].value.last_mut().unwrap() ^= 1;
        for (case, first, told) in [
            ("changed", flipped, "were changed after number 2"),
            ("all of it written anew", rows(id(1), &[2, 3], "/else"), "are not the 5 that were sealed"),
            ("the end cut off", one[..1].to_vec(), "of the 5 uses of"),
            ("the beginning cut off", one[1..].to_vec(), "were changed after number 0"),
            ("all of it gone", Vec::new(), "that were sealed, 0 are there"),
            ("something put behind it", rows(id(1), &[2, 3, 1], "/vault"), "6 uses of"),
        ] {
            let found = proven(&seals, &[&first, &two]).unwrap();
            assert_eq!(found.len(), 1, "{case}: {found:?}");
            assert!(found[0].contains(told) && found[0].contains(&id(1).to_string()), "{case}: {found:?}");
        }
        let twice = proven(&seals, &[&one, &two, &one]).unwrap_err().to_string();
        assert!(twice.contains("out of their place"), "{twice}");
    }
}
