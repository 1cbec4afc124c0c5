//! TLS at a listener.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use super::{Served, locally, soon, until_closed};
use crate::private_file::{self, PrivateFileError};
use crate::server::Limits;
use crate::server::tls::{Certificate, CertificateError, Settings};

fn write(folder: &Path, name: &str) -> (Settings, CertifiedKey<KeyPair>) {
    let made = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let settings =
        Settings { certificate_file: folder.join(format!("{name}.crt")), key_file: folder.join(format!("{name}.key")) };
    std::fs::write(&settings.certificate_file, made.cert.pem()).unwrap();
    private_file::make(&settings.key_file, made.signing_key.serialize_pem().as_bytes()).unwrap();
    (settings, made)
}

async fn ask(served: &Served, name: &str, trusted: &CertifiedKey<KeyPair>) -> Result<String, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = soon(TlsConnector::from(Arc::new(config)).connect(name, served.connect().await)).await?;
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
    Ok(until_closed(&mut stream).await)
}

#[tokio::test]
async fn a_new_certificate_is_used_for_the_next_connection() {
    locally(async {
        let folder = tempfile::tempdir().unwrap();
        let ((one, one_made), (two, two_made)) = (write(folder.path(), "one.test"), write(folder.path(), "two.test"));
        let certificate = Arc::new(Certificate::load(&one).unwrap());
        let served = Served::new(Limits::default(), Some(Arc::clone(&certificate)));
        assert!(ask(&served, "one.test", &one_made).await.unwrap().ends_with("/a 0 true"));
        assert!(ask(&served, "two.test", &two_made).await.is_err());
        certificate.replace(Certificate::load(&two).unwrap());
        assert!(ask(&served, "two.test", &two_made).await.unwrap().ends_with("/a 0 true"));
        assert!(ask(&served, "one.test", &one_made).await.is_err());
    })
    .await;
}

#[test]
fn a_certificate_tells_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec!["one.test".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2031, 2, 3);
    let key = KeyPair::generate().unwrap();
    let settings = Settings { certificate_file: folder.path().join("a.crt"), key_file: folder.path().join("a.key") };
    std::fs::write(&settings.certificate_file, parameters.self_signed(&key).unwrap().pem()).unwrap();
    private_file::make(&settings.key_file, key.serialize_pem().as_bytes()).unwrap();
    let (file, ends_at) = Certificate::load(&settings).unwrap().validity();
    assert_eq!(file, settings.certificate_file);
    assert_eq!(ends_at, crate::clock::parse_rfc3339("2031-02-03T00:00:00Z").ok());
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ((one, _), (two, _)) = (write(folder.path(), "one.test"), write(folder.path(), "two.test"));
    let mixed = Settings { certificate_file: one.certificate_file.clone(), key_file: two.key_file.clone() };
    assert!(matches!(Certificate::load(&mixed), Err(CertificateError::Unusable(_))));
    let missing = Settings { key_file: folder.path().join("none"), ..one.clone() };
    assert!(matches!(Certificate::load(&missing), Err(CertificateError::Missing(_))));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    let nothing = Settings { certificate_file: empty, ..one };
    assert!(matches!(Certificate::load(&nothing), Err(CertificateError::Empty(_))));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (settings, _) = write(folder.path(), "one.test");
    let mode = |mode| std::fs::set_permissions(&settings.key_file, Permissions::from_mode(mode)).unwrap();
    for open in [0o640, 0o644, 0o604, 0o660] {
        mode(open);
        let refused = Certificate::load(&settings).unwrap_err();
        assert!(matches!(refused, CertificateError::Key(PrivateFileError::Permissions { .. })), "{open:o}: {refused}");
        let told = refused.to_string();
        assert!(told.contains("one.test.key") && told.contains("chmod 600"), "{told}");
    }
    mode(0o400);
    assert!(Certificate::load(&settings).is_ok());
    mode(0o600);
    std::fs::write(&settings.key_file, "no key").unwrap();
    assert!(matches!(Certificate::load(&settings), Err(CertificateError::Unreadable { .. })));
}

#[tokio::test]
async fn a_handshake_that_fails_or_never_ends_holds_no_place() {
    locally(async {
        let folder = tempfile::tempdir().unwrap();
        let (settings, _) = write(folder.path(), "one.test");
        let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::default() };
        let served = Served::new(limits, Some(Arc::new(Certificate::load(&settings).unwrap())));
        let plain = served.raw(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(!plain.contains("HTTP"), "{plain}");
        until_closed(&mut served.connect().await).await;
        served.ended().await;
        assert_eq!(served.gauges.handshakes_failed.get(), 2);
    })
    .await;
}
