//! A token taken apart, before anybody vouches for it: strict about everything a lenient reader would let pass.
//!
//! The signature library is asked last. It does not look at `typ`, `crit`, member names that stand twice, or size.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::error::{AuthnError, invalid};
use super::json;

/// What a token says of itself.
pub(super) struct Unverified {
    /// How it claims to be signed.
    pub(super) algorithm: Algorithm,
    /// Which key it claims to be signed with.
    pub(super) key_id: Option<String>,
    /// The `typ` header in normal form; `jwt` when there is none.
    pub(super) typ: String,
    /// Its claims, nobody's word yet.
    pub(super) claims: Map<String, Value>,
}

/// Takes a token apart.
pub(super) fn read(token: &str) -> Result<Unverified, AuthnError> {
    if token.len() > TOKEN_BYTES_MAX {
        return invalid("longer than 16 KiB");
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return invalid("not of three parts");
    };
    // the decoder refuses padding, line ends and stray trailing bits: one token has one spelling
    let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes());
    let (Ok(header), Ok(payload), Ok(signature)) = (decode(header), decode(payload), decode(signature)) else {
        return invalid("not canonical base64url");
    };
    if signature.is_empty() {
        return invalid("without signature");
    }
    let Some(header) = json::object(&header) else { return invalid("the header is not one plain JSON object") };
    let Some(claims) = json::object(&payload) else { return invalid("the claims are not one plain JSON object") };
    // `jwk`, `jku`, `x5u` and `x5c` are not read at all: a token does not choose whom to believe
    if ["crit", "b64", "zip", "enc"].into_iter().any(|name| header.contains_key(name)) {
        return invalid("the header asks for an extension");
    }
    let Some(algorithm) = header.get("alg").and_then(Value::as_str).and_then(Algorithm::named) else {
        return invalid("the algorithm is none that is ever allowed");
    };
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= KEY_ID_BYTES_MAX => Some(id.clone()),
        Some(_) => return invalid("`kid` is not a short string"),
    };
    let typ = match header.get("typ") {
        None => "jwt".to_owned(),
        Some(Value::String(typ)) => normal_type(typ),
        Some(_) => return invalid("`typ` is not a string"),
    };
    Ok(Unverified { algorithm, key_id, typ, claims })
}

/// A media type as RFC 7515 section 4.1.9 compares it: lower case, `application/` left out.
pub(super) fn normal_type(typ: &str) -> String {
    let lower = typ.to_ascii_lowercase();
    match lower.strip_prefix("application/") {
        Some(short) if !short.contains('/') => short.to_owned(),
        _ => lower,
    }
}

const TOKEN_BYTES_MAX: usize = 16 * 1024;
pub(super) const KEY_ID_BYTES_MAX: usize = 256;
