//! TLS at a listener: certificate and key from files, replaced without a restart.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::domain::time::Timestamp;
use crate::private_file::{self, PrivateFileError};

/// Where certificate and key lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// PEM: the certificate first, then the chain.
    pub certificate_file: PathBuf,
    /// PEM: the private key.
    pub key_file: PathBuf,
}

/// Why a certificate and key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read as PEM.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// The key file cannot be used, or others may read it.
    #[error(transparent)]
    Key(#[from] PrivateFileError),
    /// There is no key file.
    #[error("the private key `{0}` is missing")]
    Missing(String),
    /// The certificate file holds no certificate.
    #[error("`{0}` holds no certificate")]
    Empty(String),
    /// The two do not belong together, or TLS cannot use them.
    #[error("certificate and key cannot be used together: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The certificate of one listener; the newest one is used for each new connection.
#[derive(Debug)]
pub struct Certificate {
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    file: PathBuf,
    ends_at: Option<Timestamp>,
}

impl Certificate {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`CertificateError`] when a file is unreadable or the two do not match.
    pub fn load(settings: &Settings) -> Result<Self, CertificateError> {
        Ok(Self { current: ArcSwap::from_pointee(read(settings)?) })
    }

    /// Takes the place of the present one; connections that are open keep what they began with.
    pub fn replace(&self, new: Self) {
        self.current.store(new.current.into_inner());
    }

    /// The file it was read from, and when it ends, if it says so in a way that can be read.
    #[must_use]
    pub fn validity(&self) -> (PathBuf, Option<Timestamp>) {
        let loaded = self.current.load();
        (loaded.file.clone(), loaded.ends_at)
    }

    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }
}

fn read(settings: &Settings) -> Result<Loaded, CertificateError> {
    let unreadable = |path: &PathBuf| {
        let path = path.display().to_string();
        |source| CertificateError::Unreadable { path, source }
    };
    let chain = CertificateDer::pem_file_iter(&settings.certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(unreadable(&settings.certificate_file))?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(settings.certificate_file.display().to_string()));
    }
    let ends_at = chain.first().and_then(|leaf| {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        Some(Timestamp::from_seconds(leaf.validity().not_after.timestamp()))
    });
    let key = private_file::read(&settings.key_file, KEY_BYTES_MAX)?;
    let key = key.ok_or_else(|| CertificateError::Missing(settings.key_file.display().to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(unreadable(&settings.key_file))?;
    // a new configuration brings a new session store and ticketer: nothing resumes under an old certificate.
    // `with_single_cert` refuses a key that does not belong to the certificate
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Loaded { config: Arc::new(config), file: settings.certificate_file.clone(), ends_at })
}

/// Room for the longest keys, and for the certificates that some keep in the same file.
const KEY_BYTES_MAX: usize = 256 * 1024;
