//! Addresses to listen on, origins and urls.

use std::fmt;
use std::net::IpAddr;

use crate::config::forms::Form;
use crate::server::Bind;

/// Whether only this machine can reach what listens there.
pub(crate) const fn is_local(bind: &Bind) -> bool {
    match bind {
        Bind::Tcp(address) => address.ip().is_loopback(),
        Bind::Unix(_) => true,
    }
}

/// Whether two listeners cannot have both: the same port, where one takes all addresses or both take the same.
pub(crate) fn clash(one: &Bind, other: &Bind) -> bool {
    match (one, other) {
        (Bind::Tcp(one), Bind::Tcp(other)) => {
            let overlap = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
            one.port() != 0 && one.port() == other.port() && overlap
        }
        (Bind::Unix(one), Bind::Unix(other)) => one == other,
        (Bind::Tcp(_), Bind::Unix(_)) | (Bind::Unix(_), Bind::Tcp(_)) => false,
    }
}

impl Form for Bind {
    const NAME: &'static str = "address";
    const MEANING: &'static str =
        "Where to listen: `127.0.0.1:8080`, `[::1]:8080` or `unix:///run/hallpass.sock`; port 0 takes a free one.";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn read(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            let absolute = path.starts_with('/');
            let malformed =
                || format!("`{text}` is not a socket like `unix:///run/hallpass.sock`: the path begins with `/`");
            return if absolute { Ok(Self::Unix(path.into())) } else { Err(malformed()) };
        }
        if text.starts_with("fd:") {
            return Err(format!("`{text}`: sockets handed over by another program are not supported"));
        }
        let hint = if text.starts_with(':') { "; every address is `0.0.0.0` or `[::]`" } else { "" };
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("`{text}` is neither an address like `127.0.0.1:8080` nor a socket like `unix:///run/hallpass.sock`{hint}")
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// Scheme, host and port: what a browser takes for one site.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Lower case; an IPv6 address in brackets.
    pub host: String,
    /// As written, or the scheme's own.
    pub port: u16,
}

impl Origin {
    /// Whether the host is this machine, so that nothing travels over a wire.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        if self.port != standard_port(self.scheme) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

fn standard_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

impl Form for Origin {
    const NAME: &'static str = "origin";
    const MEANING: &'static str = "Scheme, host and port, like `https://shop.example`; no path.";
    const EXAMPLE: &'static str = "https://shop.example";

    fn read(text: &str) -> Result<Self, String> {
        let malformed = |why| format!("`{text}` is not an origin like `https://shop.example`: {why}");
        let url: http::Uri = text.parse().map_err(|_| malformed("it cannot be read"))?;
        let scheme = match url.scheme_str() {
            Some("https") => "https",
            Some("http") => "http",
            _ => return Err(malformed("it must begin with `https://` or `http://`")),
        };
        let authority = url.authority().ok_or_else(|| malformed("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err("a url holds no user name or password".to_owned());
        }
        if url.path() != "/" || url.query().is_some() || text.contains('#') {
            return Err(malformed("it has no path"));
        }
        let host = authority.host().to_ascii_lowercase();
        let port_text = authority.as_str().get(authority.host().len()..).unwrap_or_default();
        let port = match port_text.strip_prefix(':') {
            None => standard_port(scheme),
            Some(port) => port.parse().map_err(|_| malformed("the port cannot be read"))?,
        };
        if host.is_empty() {
            return Err(malformed("the host is missing"));
        }
        Ok(Self { scheme, host, port })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A web address with scheme and host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url(pub(crate) String);

impl Form for Url {
    const NAME: &'static str = "url";
    const MEANING: &'static str = "A web address, like `https://id.example/keys`.";
    const EXAMPLE: &'static str = "https://id.example";

    fn read(text: &str) -> Result<Self, String> {
        let malformed = || format!("`{text}` is not a web address like `https://id.example`");
        let url: http::Uri = text.parse().map_err(|_| malformed())?;
        let authority = url.authority().filter(|_| matches!(url.scheme_str(), Some("https" | "http")));
        if authority.ok_or_else(malformed)?.as_str().contains('@') {
            return Err("a url holds no user name or password".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// Where an application is: an origin, or a Unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Application {
    Origin(Origin),
    Socket(String),
}

impl Form for Application {
    const NAME: &'static str = "application";
    const MEANING: &'static str =
        "Where an application is: `http://127.0.0.1:9000`, `https://app.example` or `unix:///run/app.sock`.";
    const EXAMPLE: &'static str = "http://127.0.0.1:9000";

    fn read(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::Socket(text.to_owned())),
            Some(_) => Err(format!("`{text}` is not a socket like `unix:///run/app.sock`: the path begins with `/`")),
            None => Origin::read(text).map(Self::Origin),
        }
    }

    fn write(&self) -> String {
        match self {
            Self::Origin(origin) => origin.to_string(),
            Self::Socket(text) => text.clone(),
        }
    }
}
