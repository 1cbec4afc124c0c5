//! The host a request was sent to, in one spelling.
//!
//! Lower case, one trailing dot gone, the port apart. Nothing is translated: a name beyond ASCII is refused, never folded.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::HeaderValue;

/// A host in one spelling: lower case, no trailing dot, the port apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `name` or `name:port`; the value that was read, when it was canonical.
    authority: HeaderValue,
    name_length: usize,
    port: Option<u16>,
}

/// The value names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a host name or address with an optional port, as in `shop.example:8443`")]
pub struct MalformedHost;

impl Host {
    /// Reads a `Host` header or the authority of a target.
    ///
    /// # Errors
    /// [`MalformedHost`] for anything but a name or address and an optional port from 1 to 65535.
    pub fn parse(value: &HeaderValue) -> Result<Self, MalformedHost> {
        let text = value.to_str().map_err(|_| MalformedHost)?;
        let (written, port) = split_port(text)?;
        let name = canonical_name(written)?;
        let unchanged = name == written;
        let authority = match port {
            _ if unchanged => value.clone(),
            Some(port) => header_value(&format!("{name}:{port}"))?,
            None => header_value(&name)?,
        };
        Ok(Self { authority, name_length: name.len(), port })
    }

    /// The name or address, without port.
    #[must_use]
    pub fn name(&self) -> &str {
        self.authority.to_str().ok().and_then(|text| text.get(..self.name_length)).unwrap_or_default()
    }

    /// Name and port.
    #[must_use]
    pub fn text(&self) -> &str {
        self.authority.to_str().unwrap_or_default()
    }

    /// The port, when one was given.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Name and port, as `Host` upstream.
    #[must_use]
    pub fn authority(&self) -> HeaderValue {
        self.authority.clone()
    }
}

fn header_value(text: &str) -> Result<HeaderValue, MalformedHost> {
    HeaderValue::from_str(text).map_err(|_| MalformedHost)
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), MalformedHost> {
    // an address in brackets holds colons of its own
    let name_end = if text.starts_with('[') { text.find(']').ok_or(MalformedHost)? + 1 } else { 0 };
    let (_, rest) = text.split_at_checked(name_end).ok_or(MalformedHost)?;
    match rest.split_once(':') {
        None => Ok((text, None)),
        Some((before, digits)) => {
            let plain =
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            let port: u16 = digits.parse().ok().filter(|_| plain).ok_or(MalformedHost)?;
            let name = text.get(..name_end + before.len()).ok_or(MalformedHost)?;
            Ok((name, Some(port)))
        }
    }
}

fn canonical_name(written: &str) -> Result<std::borrow::Cow<'_, str>, MalformedHost> {
    if let Some(inner) = written.strip_prefix('[') {
        let address: Ipv6Addr = inner.strip_suffix(']').and_then(|text| text.parse().ok()).ok_or(MalformedHost)?;
        let canonical = format!("[{address}]");
        return Ok(if canonical == written { written.into() } else { canonical.into() });
    }
    let name = written.strip_suffix('.').unwrap_or(written);
    let well_formed = name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label);
    if !well_formed || looks_like_address(name) && name.parse::<Ipv4Addr>().is_err() {
        return Err(MalformedHost);
    }
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Ok(name.to_ascii_lowercase().into());
    }
    Ok(name.into())
}

/// Letters, digits, `-` and `_`; the underscore is no host name by the book, but container networks use it.
fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A name whose last label is a number is an address to everybody who looks closely, so it must be one.
fn looks_like_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<(String, Option<u16>, String), MalformedHost> {
        let host = Host::parse(&HeaderValue::from_bytes(text.as_bytes()).unwrap())?;
        Ok((host.name().to_owned(), host.port(), host.authority().to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_host_has_one_spelling() {
        for (written, name, port, authority) in [
            ("shop.test", "shop.test", None, "shop.test"),
            ("Shop.Test", "shop.test", None, "shop.test"),
            ("shop.test.", "shop.test", None, "shop.test"),
            ("SHOP.test.:8443", "shop.test", Some(8443), "shop.test:8443"),
            ("shop.test:80", "shop.test", Some(80), "shop.test:80"),
            ("my_app:3000", "my_app", Some(3000), "my_app:3000"),
            ("127.0.0.1:8080", "127.0.0.1", Some(8080), "127.0.0.1:8080"),
            ("[::1]", "[::1]", None, "[::1]"),
            ("[0:0::0:1]:8080", "[::1]", Some(8080), "[::1]:8080"),
            ("[2001:DB8::A]", "[2001:db8::a]", None, "[2001:db8::a]"),
            ("xn--strae-oqa.test", "xn--strae-oqa.test", None, "xn--strae-oqa.test"),
        ] {
            assert_eq!(parse(written), Ok((name.to_owned(), port, authority.to_owned())), "{written}");
        }
    }

    #[test]
    fn junk_is_no_host() {
        let long_label = format!("{}.test", "a".repeat(64));
        let long_name = ["abcdefgh"; 29].join(".");
        for junk in [
            "",
            ".",
            "..",
            "shop..test",
            "shop.test..",
            ".shop.test",
            "shop.test:",
            "shop.test:0",
            "shop.test:080",
            "shop.test:65536",
            "shop.test:+80",
            "shop.test:80:80",
            "shop.test:8o",
            ":80",
            "user@shop.test",
            "shop test",
            "shop.test/vault",
            "shop.test,evil.test",
            "shop%2etest",
            "straße.test",
            "shop\u{ff0e}test",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]x:80",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "[]",
            "127.1",
            "0x7f.0x1",
            "127.0.0.0x1",
            "2130706433",
            "127.0.0.256",
            "shop.test\t",
            "*",
            &long_label,
            &long_name,
        ] {
            assert_eq!(parse(junk), Err(MalformedHost), "{junk}");
        }
    }

    #[test]
    fn reading_twice_changes_nothing() {
        for written in ["Shop.Test.", "[0:0::0:1]:8080", "127.0.0.1:80", "a-b_c.test:1"] {
            let once = Host::parse(&HeaderValue::from_static(written)).unwrap();
            assert_eq!(Host::parse(&once.authority()), Ok(once.clone()), "{written}");
        }
    }
}
