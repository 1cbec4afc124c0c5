//! What records that were cut had come to, as rows: in a store and in its backups. The record of the cut names one digest
//! over all of them.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

use crate::journal::backup::Row;
use crate::journal::record::Digest;

/// Takes the rows one after the other, sorted by table and key.
#[derive(Clone)]
pub struct Carried {
    digest: Context,
    rows: u64,
}

impl Default for Carried {
    fn default() -> Self {
        Self { digest: Context::new(&SHA256), rows: 0 }
    }
}

impl Carried {
    /// Takes the next row.
    pub fn take(&mut self, Row { table, key, value }: &Row) {
        for part in [table.as_bytes(), key, value] {
            self.digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            self.digest.update(part);
        }
        self.rows = self.rows.saturating_add(1);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// SHA-256 over the rows: of each the length of the table's name as 8 bytes, big endian, that name, the length of the key,
    /// the key, the length of the value, and the value.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let digest = self.digest.clone().finish();
        // SHA-256 has 32 bytes
        Digest(digest.as_ref().first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Carried({} rows, {})", self.rows, self.digest())
    }
}

impl<'r> FromIterator<&'r Row> for Carried {
    fn from_iter<I: IntoIterator<Item = &'r Row>>(rows: I) -> Self {
        let mut carried = Self::default();
        rows.into_iter().for_each(|row| carried.take(row));
        carried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(table: &str, key: &[u8], value: &[u8]) -> Row {
        Row { table: table.to_owned(), key: key.to_vec(), value: value.to_vec() }
    }

    #[test]
    fn no_byte_can_move_from_one_part_to_the_next() {
        let digest = |rows: &[Row]| rows.iter().collect::<Carried>().digest();
        let one = digest(&[row("locks", b"ab", b"c")]);
        for other in [row("locks", b"a", b"bc"), row("lock", b"sab", b"c"), row("locks", b"abc", b"")] {
            assert_ne!(one, digest(&[other]));
        }
        assert_ne!(
            digest(&[row("a", b"", b""), row("b", b"", b"")]),
            digest(&[row("b", b"", b""), row("a", b"", b"")])
        );
        assert_eq!(digest(&[]), Digest::of(&[]));
        assert!(Carried::default().is_empty());
    }
}
