//! What a route is bound to: method, host, path.

use crate::config::forms::{Form, Name};

/// An HTTP method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method(pub(crate) String);

impl Form for Method {
    const NAME: &'static str = "method";
    const MEANING: &'static str = "An HTTP method in capital letters, like `GET`.";
    const EXAMPLE: &'static str = "GET";

    fn read(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-') {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a method in capital letters like `GET`"))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// The host a route is bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host(pub(crate) String);

impl Form for Host {
    const NAME: &'static str = "host";
    const MEANING: &'static str = "A host name in lower case without port, like `shop.example`.";
    const EXAMPLE: &'static str = "shop.example";

    fn read(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        let is_name = text.split('.').all(|label| !label.is_empty()) && text.bytes().all(fits);
        let is_six = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        if is_name || is_six {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("`{text}` is not a host in lower case without port like `shop.example`"))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// The paths a route covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathPattern(pub(crate) String);

impl PathPattern {
    /// The pattern with its parameters unnamed: two routes with the same one meet the same requests.
    pub(crate) fn meaning(&self) -> String {
        let unnamed = |segment: &str| if segment.starts_with('{') { "{}".to_owned() } else { segment.to_owned() };
        self.0.split('/').map(unnamed).collect::<Vec<_>>().join("/")
    }
}

impl Form for PathPattern {
    const NAME: &'static str = "path";
    const MEANING: &'static str =
        "A path: `/a/b` exactly, `{id}` for one segment, `/**` at the end for the path itself and everything below.";
    const EXAMPLE: &'static str = "/vault/**";

    fn read(text: &str) -> Result<Self, String> {
        let malformed = |why: &str| Err(format!("`{text}` is not a path like `/vault/**`: {why}"));
        let Some(rest) = text.strip_prefix('/') else {
            return malformed("it must begin with `/`");
        };
        let segments: Vec<&str> = rest.split('/').collect();
        let last = segments.len() - 1;
        for (place, segment) in segments.iter().enumerate() {
            let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            match *segment {
                "**" if place == last => {}
                "" if place == last => {}
                "" => return malformed("a segment is empty"),
                "." | ".." => return malformed("`.` and `..` never arrive"),
                _ if parameter.is_some_and(|name| Name::read(name).is_ok()) => {}
                segment if segment.contains(['{', '}']) => {
                    return malformed("a parameter is a whole segment with a name, `{id}`");
                }
                segment if segment.contains('*') => return malformed("`**` stands alone at the end, `*` nowhere"),
                segment
                    if segment.contains(['%', '?', '#', '\\', ';'])
                        || !segment.bytes().all(|b| b.is_ascii_graphic()) =>
                {
                    return malformed(
                        "it is compared with decoded paths: no `%`, `?`, `#`, `;`, `\\`, space or control",
                    );
                }
                _ => {}
            }
        }
        if segments.first() == Some(&".hallpass") {
            return malformed("`/.hallpass` is hallpass's own");
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}
