//! Sockets: listeners for each core, connections with limits in time and size, TLS, and draining.
//!
//! Nothing here knows what a request means. A caller hands in a handler and may say of a connection that it is to be cut
//! when some future completes ([`Connection::cut_when`]); that is how the end of a right reaches the wire.

mod accept;
mod activity;
mod connection;
mod listen;
mod peer;
pub mod tls;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use accept::{Accepting, Gauges, serve};
pub use activity::Stream;
pub use connection::{Answered, Connection, Ticket};
pub use listen::{Address, Bind, MalformedBind, Socket, bind};
pub use peer::Peer;

/// Limits of one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections of the whole process on this listener; more are closed at once.
    pub connections_max: usize,
    /// Bytes of a request's head; more is answered 431.
    pub header_bytes_max: usize,
    /// Fields of a request's head; more is answered 431.
    pub header_fields_max: usize,
    /// How long a request's head may take, from its first byte or from the connection's start.
    pub header_timeout: Duration,
    /// How long a kept connection may stay without a request.
    pub idle_timeout: Duration,
    /// How long the other side may refuse to take bytes.
    pub write_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            header_bytes_max: 16 * 1024,
            header_fields_max: 100,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// The sockets failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A listener could not be opened.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key cannot be used.
    #[error("cannot use the certificate: {0}")]
    Certificate(#[from] tls::CertificateError),
}
