//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP. An IPv4 address that came in over IPv6 is written as IPv4.
    Network(SocketAddr),
    /// Over a Unix socket.
    Local,
}

impl Peer {
    /// Over TCP.
    #[must_use]
    pub fn network(address: SocketAddr) -> Self {
        Self::Network(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }

    /// The address, when there is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Network(address) => Some(address.ip()),
            Self::Local => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Local => f.write_str("unix"),
        }
    }
}
