//! Listening sockets, one for each core.
//!
//! TCP listeners share a port by `SO_REUSEPORT`, so that the kernel spreads connections and no core wakes another. A Unix
//! socket has no such thing; there the cores accept from one queue.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::str::FromStr;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::ServerError;

/// Where to listen: `127.0.0.1:8080` or `unix:///run/hallpass.sock`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bind {
    /// An address and port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

/// The text names no place to listen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither `address:port` nor `unix:///path`")]
pub struct MalformedBind(String);

/// Where a listener really listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Address and the port that was taken.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// A listening socket, not yet owned by a runtime.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// Unix.
    Unix(std::os::unix::net::UnixListener),
}

/// Opens `count` sockets that share one address.
///
/// # Errors
/// [`ServerError::Listen`] when the address is taken or may not be used.
pub fn bind(bind: &Bind, count: usize) -> Result<(Address, Vec<Socket>), ServerError> {
    let failed = |source| ServerError::Listen { address: bind.to_string(), source };
    match bind {
        Bind::Tcp(address) => {
            let first = tcp(*address).map_err(failed)?;
            let taken = first.local_addr().map_err(failed)?;
            let mut sockets = vec![Socket::Tcp(first)];
            for _ in 1..count {
                sockets.push(Socket::Tcp(tcp(taken).map_err(failed)?));
            }
            Ok((Address::Tcp(taken), sockets))
        }
        Bind::Unix(path) => {
            remove_stale(path).map_err(failed)?;
            let first = std::os::unix::net::UnixListener::bind(path).map_err(failed)?;
            first.set_nonblocking(true).map_err(failed)?;
            let mut sockets = Vec::with_capacity(count);
            for _ in 1..count {
                sockets.push(Socket::Unix(first.try_clone().map_err(failed)?));
            }
            sockets.push(Socket::Unix(first));
            Ok((Address::Unix(path.clone()), sockets))
        }
    }
}

fn tcp(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A socket file that nobody listens on any more stands in the way of a restart; one in use is left alone.
fn remove_stale(path: &PathBuf) -> std::io::Result<()> {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

impl FromStr for Bind {
    type Err = MalformedBind;

    fn from_str(text: &str) -> Result<Self, MalformedBind> {
        match text.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(MalformedBind(text.to_owned())),
            None => text.parse().map(Self::Tcp).map_err(|_| MalformedBind(text.to_owned())),
        }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Address {
    /// Address and port, over TCP.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

const BACKLOG: i32 = 1024;
