//! Where everything listens: on the familiar ports, or on free ones where somebody else is there already.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Which ports to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ports {
    /// 8080 to 8084, and a free one for each that is taken.
    #[default]
    Familiar,
    /// Whatever is free.
    Free,
}

/// One part of the demo that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Gate,
    Portal,
    Admin,
    Issuer,
    Upstream,
}

/// A socket held for a part until it starts.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) part: Part,
    pub(super) address: SocketAddr,
    /// Somebody else was on the familiar port.
    pub(super) moved_from: Option<u16>,
    listener: TcpListener,
}

impl Part {
    /// In the order of their ports.
    pub(super) const ALL: [Self; 5] = [Self::Gate, Self::Portal, Self::Admin, Self::Issuer, Self::Upstream];

    const fn familiar_port(self) -> u16 {
        match self {
            Self::Gate => 8080,
            Self::Portal => 8081,
            Self::Admin => 8082,
            Self::Issuer => 8083,
            Self::Upstream => 8084,
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Gate => "the application, through hallpass",
            Self::Portal => "the portal",
            Self::Admin => "health and metrics",
            Self::Issuer => "the identity provider",
            Self::Upstream => "the application itself",
        }
    }
}

impl Place {
    /// Holds a socket on loopback for `part`.
    pub(super) async fn hold(part: Part, ports: Ports) -> anyhow::Result<Self> {
        let familiar = part.familiar_port();
        let wished = match ports {
            Ports::Familiar => TcpListener::bind((Ipv4Addr::LOCALHOST, familiar)).await.ok(),
            Ports::Free => None,
        };
        let moved_from = (ports == Ports::Familiar && wished.is_none()).then_some(familiar);
        let listener = match wished {
            Some(listener) => listener,
            None => TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .with_context(|| format!("no port of loopback is free for {}", part.title()))?,
        };
        Ok(Self { part, address: listener.local_addr()?, moved_from, listener })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The socket, for a part that takes one.
    pub(super) fn into_listener(self) -> TcpListener {
        self.listener
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_left_alone_and_another_is_found() {
        // whether 8080 is free on this machine does not matter: after the first hold it is taken
        let first = Place::hold(Part::Gate, Ports::Familiar).await.unwrap();
        let second = Place::hold(Part::Gate, Ports::Familiar).await.unwrap();
        assert_eq!(second.moved_from, Some(8080));
        assert_ne!(first.address, second.address);
        assert!(second.address.ip().is_loopback());
        let free = Place::hold(Part::Gate, Ports::Free).await.unwrap();
        assert_eq!(free.moved_from, None);
        assert_ne!(free.address.port(), 8080);
    }
}
