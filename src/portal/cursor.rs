//! Cursors: where a list goes on, opaque and signed, so that nobody reads or makes one.
//!
//! The key is drawn anew by each process: a cursor does not outlive it, and the client begins again.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{hmac, rand};
use data_encoding::BASE64URL_NOPAD;

use crate::portal::problem::{Kind, Problem};

/// Signs and reads cursors.
#[derive(Debug)]
pub(super) struct Cursors {
    key: hmac::Key,
}

impl Cursors {
    /// Under a fresh key.
    pub(super) fn fresh() -> Result<Self, Unspecified> {
        let mut key = [0; 32];
        rand::fill(&mut key)?;
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// A cursor that goes on after `place` in the list named by `scope`, filters included.
    pub(super) fn seal(&self, scope: &str, place: &str) -> String {
        let tag = hmac::sign(&self.key, &signed(scope, place));
        let mut bytes = tag.as_ref().to_vec();
        bytes.extend_from_slice(place.as_bytes());
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The place in a cursor of this process for the same list with the same filters.
    pub(super) fn open(&self, scope: &str, cursor: &str) -> Result<String, Problem> {
        self.place(scope, cursor).ok_or_else(|| {
            Problem::new(Kind::INVALID_CURSOR, "the cursor was not given for this list; begin again without one")
        })
    }

    fn place(&self, scope: &str, cursor: &str) -> Option<String> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let (tag, place) = bytes.split_at_checked(TAG_BYTES)?;
        let place = std::str::from_utf8(place).ok()?;
        hmac::verify(&self.key, &signed(scope, place), tag).ok()?;
        Some(place.to_owned())
    }
}

const TAG_BYTES: usize = 32;

/// Length before text: no two pairs share their bytes.
fn signed(scope: &str, place: &str) -> Vec<u8> {
    let length = u64::try_from(scope.len()).unwrap_or(u64::MAX);
    [&length.to_be_bytes(), scope.as_bytes(), place.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_for_its_own_list_and_untouched() {
        let cursors = Cursors::fresh().unwrap();
        let cursor = cursors.seal("activations role=a/b", "17");
        assert_eq!(cursors.open("activations role=a/b", &cursor).unwrap(), "17");
        assert!(cursors.open("activations role=a/c", &cursor).is_err());
        assert!(cursors.open("activations role=a/", &cursors.seal("activations role=a/b", "b17")).is_err());
        assert!(Cursors::fresh().unwrap().open("activations role=a/b", &cursor).is_err());
        for at in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert!(cursors.open("activations role=a/b", &forged).is_err(), "{forged}");
        }
        for junk in ["", "AAAA", "17", "=", "ü", &"A".repeat(10_000)] {
            assert!(cursors.open("activations role=a/b", junk).is_err(), "{junk}");
        }
    }

    #[test]
    fn a_cursor_shows_nothing_a_client_could_count_on() {
        let cursors = Cursors::fresh().unwrap();
        assert_ne!(cursors.seal("a", "1"), cursors.seal("b", "1"));
    }
}
