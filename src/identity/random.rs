//! Random bits from the system, as text that fits a cookie, a URL and a form.

use aws_lc_rs::rand;
use data_encoding::BASE64URL_NOPAD;

/// The system gives no random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bits")]
pub(super) struct NoRandomBits;

/// 256 random bits.
pub(super) fn bits() -> Result<[u8; 32], NoRandomBits> {
    let mut bits = [0; 32];
    rand::fill(&mut bits).map_err(|_| NoRandomBits)?;
    Ok(bits)
}

/// 256 random bits as 43 characters of base64url.
pub(super) fn text() -> Result<String, NoRandomBits> {
    Ok(BASE64URL_NOPAD.encode(&bits()?))
}

/// The bits that such a text stands for; `None` for any other text.
pub(super) fn read(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != TEXT_LENGTH {
        return None;
    }
    BASE64URL_NOPAD.decode(text).ok()?.try_into().ok()
}

const TEXT_LENGTH: usize = 43;
