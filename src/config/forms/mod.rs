//! Values that are written as text and mean something: spans, sizes, addresses, names.
//!
//! Each form has a name that stands as `format` in the JSON Schema; by it `check` finds the reader and tells what is wrong
//! before anything is resolved.

mod route;
mod secret;
mod web;

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock;
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};
use crate::server::Bind;

pub(crate) use route::{Host, Method, PathPattern};
pub(crate) use secret::Hidden;
pub use web::Origin;
pub(crate) use web::{Application, Url, clash, is_local};

/// A value with a text form.
pub(crate) trait Form: Sized {
    /// The name of the form in the schema.
    const NAME: &'static str;
    /// What the form is, for the schema.
    const MEANING: &'static str;
    /// A text of this form; stands in where one is missing, so that everything else can still be judged.
    const EXAMPLE: &'static str;

    /// Reads the text, or says what is wrong with it.
    fn read(text: &str) -> Result<Self, String>;

    /// Writes the one canonical text.
    fn write(&self) -> String;
}

/// A value of some form, as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Form> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.write())
    }
}

impl<'de, T: Form> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        T::read(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl<T: Form> JsonSchema for Text<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": T::NAME, "description": T::MEANING, "examples": [T::EXAMPLE] })
    }
}

/// What is wrong with `text` as the form called `name`; nothing for forms that have no reader here.
pub(crate) fn fault(name: &str, text: &str) -> Option<String> {
    fn of<T: Form>(text: &str) -> Option<String> {
        T::read(text).err()
    }
    let reader = match name {
        Span::NAME => of::<Span>,
        Timestamp::NAME => of::<Timestamp>,
        Size::NAME => of::<Size>,
        Bind::NAME => of::<Bind>,
        Application::NAME => of::<Application>,
        Origin::NAME => of::<Origin>,
        Url::NAME => of::<Url>,
        RoleId::NAME => of::<RoleId>,
        Name::NAME => of::<Name>,
        IpNet::NAME => of::<IpNet>,
        Method::NAME => of::<Method>,
        Host::NAME => of::<Host>,
        PathPattern::NAME => of::<PathPattern>,
        Filled::NAME => of::<Filled>,
        Hidden::NAME => of::<Hidden>,
        _ => return None,
    };
    reader(text)
}

impl Form for Span {
    const NAME: &'static str = "span";
    const MEANING: &'static str =
        "A length of time in whole seconds, like `8h 30m`, `90s` or `14d`; a day is 24 hours.";
    const EXAMPLE: &'static str = "1h";

    fn read(text: &str) -> Result<Self, String> {
        clock::parse_span(text).map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Form for Timestamp {
    const NAME: &'static str = "instant";
    const MEANING: &'static str = "An instant with its offset, like `2026-11-23T08:30:00Z`.";
    const EXAMPLE: &'static str = "2026-11-23T08:30:00Z";

    fn read(text: &str) -> Result<Self, String> {
        clock::parse_rfc3339(text).map_err(|error| error.to_string())
    }

    fn write(&self) -> String {
        clock::format_rfc3339(*self)
    }
}

impl Form for RoleId {
    const NAME: &'static str = "role";
    const MEANING: &'static str = "The name of a role, `app/role`.";
    const EXAMPLE: &'static str = "app/role";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("`{text}` is no role: {error}"))
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl Form for IpNet {
    const NAME: &'static str = "network";
    const MEANING: &'static str = "An address or a network, like `10.0.0.7` or `10.0.0.0/8`.";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn read(text: &str) -> Result<Self, String> {
        let network = text.parse::<IpAddr>().map(Self::from).or_else(|_| text.parse::<Self>());
        let network = network.map_err(|_| format!("`{text}` is not an address or network like `10.0.0.0/8`"))?;
        if network.prefix_len() == 0 {
            return Err(format!("`{text}` is everybody: name the proxies that are trusted"));
        }
        Ok(network.trunc())
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A number of bytes, written like `64 KiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl Form for Size {
    const NAME: &'static str = "size";
    const MEANING: &'static str = "A number of bytes, like `512 B`, `64 KiB` or `1 MiB`.";
    const EXAMPLE: &'static str = "64 KiB";

    fn read(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a size like `64 KiB`; the units are B, KiB, MiB and GiB");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).ok_or_else(malformed)?;
        let factor: usize = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(malformed()),
        };
        number.parse::<usize>().ok().and_then(|number| number.checked_mul(factor)).map(Self).ok_or_else(malformed)
    }

    fn write(&self) -> String {
        let bytes = self.0;
        match bytes.trailing_zeros() / 10 {
            _ if bytes == 0 => "0 B".to_owned(),
            0 => format!("{bytes} B"),
            1 => format!("{} KiB", bytes >> 10),
            2 => format!("{} MiB", bytes >> 20),
            _ => format!("{} GiB", bytes >> 30),
        }
    }
}

/// Text that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filled(pub(crate) String);

impl Form for Filled {
    const NAME: &'static str = "filled";
    const MEANING: &'static str = "Text that is not empty.";
    const EXAMPLE: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("the text is empty".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// The name of an issuer, upstream, route or application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

impl Form for Name {
    const NAME: &'static str = "name";
    const MEANING: &'static str = "1 to 64 letters, digits, `-`, `_` or `.`.";
    const EXAMPLE: &'static str = "name";

    fn read(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if (1..=64).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is no name: 1 to 64 letters, digits, `-`, `_` or `.`"))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round<T: Form>(text: &str) -> String {
        T::read(text).unwrap_or_else(|fault| panic!("{text}: {fault}")).write()
    }

    #[test]
    fn every_form_reads_its_own_example_and_what_it_writes() {
        fn example<T: Form>() {
            assert_eq!(round::<T>(&round::<T>(T::EXAMPLE)), round::<T>(T::EXAMPLE), "{}", T::NAME);
            assert!(fault(T::NAME, T::EXAMPLE).is_none(), "{}", T::NAME);
            assert!(fault(T::NAME, "").is_some(), "{} accepts nothing at all", T::NAME);
        }
        example::<Span>();
        example::<Timestamp>();
        example::<Size>();
        example::<Bind>();
        example::<Application>();
        example::<Origin>();
        example::<Url>();
        example::<RoleId>();
        example::<Name>();
        example::<IpNet>();
        example::<Method>();
        example::<Host>();
        example::<PathPattern>();
        example::<Filled>();
    }

    #[test]
    fn sizes_are_written_in_the_largest_unit_that_fits() {
        for (text, written) in
            [("0 B", "0 B"), ("1024 B", "1 KiB"), ("1536KiB", "1536 KiB"), ("2048 KiB", "2 MiB"), ("3 GiB", "3 GiB")]
        {
            assert_eq!(round::<Size>(text), written);
        }
        for text in ["64", "64 kB", "KiB", "-1 B", "1.5 KiB", "99999999999999999999 B", "18446744073709551615 GiB"] {
            assert!(Size::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_compared_as_browsers_do() {
        assert_eq!(Origin::read("https://SHOP.example:443/"), Origin::read("https://shop.example"));
        assert_ne!(Origin::read("http://shop.example"), Origin::read("https://shop.example"));
        assert_eq!(round::<Origin>("http://[::1]:8080"), "http://[::1]:8080");
        for text in
            ["shop.example", "ftp://a", "https://a/b", "https://a?q", "https://a#f", "https://u:p@a", "https://:443"]
        {
            assert!(Origin::read(text).is_err(), "{text}");
        }
        for text in ["http://localhost:1", "http://127.0.0.9", "http://[::1]", "http://a.localhost"] {
            assert!(Origin::read(text).unwrap().is_loopback(), "{text}");
        }
        assert!(!Origin::read("http://localhost.example").unwrap().is_loopback());
    }

    #[test]
    fn listeners_clash_on_the_same_port_of_overlapping_addresses() {
        let bind = |text| Bind::read(text).unwrap();
        for (one, other, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", true),
            ("127.0.0.1:80", "127.0.0.2:80", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("unix:///a", "unix:///a", true),
            ("unix:///a", "unix:///b", false),
        ] {
            assert_eq!(clash(&bind(one), &bind(other)), expected, "{one} {other}");
        }
    }
}
