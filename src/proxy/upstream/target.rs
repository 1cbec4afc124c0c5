//! Where an upstream is, and how to connect to it.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::proxy::settings::SettingsError;

/// One application behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name, for routes and logs.
    pub name: String,
    /// `http://host:port`, `https://host:port` or `unix:///path`; without a path of its own.
    pub url: String,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long the head of an answer may take after the request was sent.
    pub response_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections each core keeps.
    pub idle_max: usize,
    /// Whether the application sees the `Authorization` header.
    pub forward_authorization: bool,
    /// The audience of the signed assertions it is sent; `None` when it is sent none.
    pub assertion_audience: Option<String>,
    /// PEM of the authorities to trust instead of the platform's.
    pub authorities_file: Option<PathBuf>,
}

impl UpstreamSettings {
    /// An upstream with the usual limits.
    #[must_use]
    pub fn new(name: &str, url: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            idle_max: 64,
            forward_authorization: false,
            assertion_audience: None,
            authorities_file: None,
        }
    }
}

/// An upstream whose address was understood.
#[derive(Debug)]
pub(in crate::proxy) struct Target {
    pub(in crate::proxy) settings: UpstreamSettings,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Tcp { host: String, port: u16 },
    Tls { host: String, port: u16, name: ServerName<'static>, config: Arc<ClientConfig> },
    Unix(PathBuf),
}

impl Target {
    pub(in crate::proxy) fn resolve(settings: &UpstreamSettings) -> Result<Self, SettingsError> {
        let problem =
            |problem: &str| SettingsError::Upstream { name: settings.name.clone(), problem: problem.to_owned() };
        let place = if let Some(path) = settings.url.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(problem("a Unix socket is written `unix:///path`"));
            }
            Place::Unix(path.into())
        } else {
            let url: Uri = settings.url.parse().map_err(|_| problem("its url cannot be read"))?;
            let authority = url.authority().ok_or_else(|| problem("its url names no host"))?;
            if !matches!(url.path(), "" | "/") || url.query().is_some() || authority.as_str().contains('@') {
                return Err(problem("its url may hold scheme, host and port only"));
            }
            let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
            match url.scheme_str() {
                Some("http") => Place::Tcp { host, port: authority.port_u16().unwrap_or(80) },
                Some("https") => Place::Tls {
                    name: ServerName::try_from(host.clone()).map_err(|_| problem("its host is no name for TLS"))?,
                    port: authority.port_u16().unwrap_or(443),
                    host,
                    config: client_config(settings).map_err(|error| problem(&error))?,
                },
                _ => return Err(problem("its url must begin with http, https or unix")),
            }
        };
        Ok(Self { settings: settings.clone(), place })
    }

    /// Connects, within the connect timeout.
    pub(super) async fn connect(&self, heard: Arc<AtomicBool>) -> io::Result<Wire> {
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        let transport = tokio::time::timeout(self.settings.connect_timeout, self.open()).await.map_err(timed_out)??;
        Ok(Wire { transport, heard })
    }

    async fn open(&self) -> io::Result<Transport> {
        match &self.place {
            Place::Tcp { host, port } => Ok(Transport::Tcp(open_tcp(host, *port).await?)),
            Place::Tls { host, port, name, config } => {
                let stream = open_tcp(host, *port).await?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name.clone(), stream).await?;
                Ok(Transport::Tls(Box::new(stream)))
            }
            Place::Unix(path) => Ok(Transport::Unix(UnixStream::connect(path).await?)),
        }
    }
}

async fn open_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn client_config(settings: &UpstreamSettings) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &settings.authorities_file {
        None => builder.with_platform_verifier().map_err(|error| error.to_string())?,
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            let found =
                CertificateDer::pem_file_iter(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            for authority in found {
                let authority = authority.map_err(|error| format!("`{}`: {error}", path.display()))?;
                roots.add(authority).map_err(|error| error.to_string())?;
            }
            if roots.is_empty() {
                return Err(format!("`{}` holds no certificate", path.display()));
            }
            builder.with_root_certificates(roots)
        }
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The bytes to and from an upstream; remembers whether any came back.
#[derive(Debug)]
pub(super) struct Wire {
    transport: Transport,
    heard: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

macro_rules! transport {
    ($wire:expr, $inner:ident => $call:expr) => {
        match &mut $wire.transport {
            Transport::Tcp($inner) => $call,
            Transport::Tls($inner) => $call,
            Transport::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let result = transport!(self, inner => Pin::new(inner).poll_read(cx, buffer));
        if buffer.filled().len() > filled {
            self.heard.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        transport!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        transport!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Tcp(inner) => inner.is_write_vectored(),
            Transport::Tls(inner) => inner.is_write_vectored(),
            Transport::Unix(inner) => inner.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        transport!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}
