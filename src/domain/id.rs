//! Identifiers: parsed once, never bare strings.
//!
//! Ids that a caller may hold are a prefix and 128 random bits in lower-case Crockford base32, so that none can be guessed.
//! The random bits come from outside; this file only gives them a shape.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form `{prefix}_` and 26 characters")]
pub struct MalformedId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u128);

        impl $name {
            /// What every such id starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// Shapes 128 random bits into an id.
            #[must_use]
            pub const fn from_random(bits: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bits))
            }

            /// The 128 bits, for keys in the store.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                const BLANK: [u8; LENGTH] = match concat!($prefix, "_00000000000000000000000000").as_bytes().first_chunk() {
                    Some(blank) => *blank,
                    None => [b'0'; LENGTH],
                };
                f.write_str(write_base32(self.0, &mut { BLANK }))
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;

            fn from_str(text: &str) -> Result<Self, MalformedId> {
                text.strip_prefix($prefix)
                    .and_then(|rest| rest.strip_prefix('_'))
                    .and_then(parse_base32)
                    .map(Self)
                    .ok_or(MalformedId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

random_id!(
    /// One activation, from request to end.
    ///
    /// ```
    /// use hallpass::domain::id::ActivationId;
    /// let id = ActivationId::from_random([7; 16]);
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// assert!(id.to_string().starts_with("act_"));
    /// ```
    ActivationId,
    "act"
);
random_id!(
    /// One eligible or active assignment.
    AssignmentId,
    "asg"
);
random_id!(
    /// One submitted command; every record it caused carries it.
    CommandId,
    "cmd"
);

const BASE32: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const BASE32_LENGTH: usize = 26;
/// Prefix, underscore and digits.
const LENGTH: usize = 4 + BASE32_LENGTH;

/// Writes the digits over the end of `text`, which already holds the prefix; whole, because ids are written often.
fn write_base32(mut value: u128, text: &mut [u8; LENGTH]) -> &str {
    for letter in text.iter_mut().rev().take(BASE32_LENGTH) {
        let digit = usize::try_from(value & 31).unwrap_or(0);
        *letter = BASE32.get(digit).copied().unwrap_or(b'0');
        value >>= 5;
    }
    std::str::from_utf8(text).unwrap_or_default()
}

fn parse_base32(text: &str) -> Option<u128> {
    if text.len() != BASE32_LENGTH {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = BASE32.iter().position(|letter| *letter == byte)?;
        // 26 letters carry 130 bits: the first may use only three of its five
        value.checked_mul(32)?.checked_add(u128::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_at_both_ends_of_the_range() {
        for bits in [[0; 16], [255; 16], [1; 16]] {
            let id = ActivationId::from_random(bits);
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(id.to_bytes(), bits);
        }
    }

    #[test]
    fn strangers_are_refused() {
        let id = ActivationId::from_random([9; 16]).to_string();
        let asg = id.replace("act", "asg");
        for text in ["", "act_", "act", &id.to_uppercase(), &format!("{id}0"), &asg, "act_zzzzzzzzzzzzzzzzzzzzzzzzzz"] {
            assert!(text.parse::<ActivationId>().is_err(), "{text}");
        }
    }
}
