//! A session that is renewed while somebody else does something about it, step by step.

use tempfile::TempDir;

use super::*;
use crate::clock::Clock;
use crate::identity::{IssuerSettings, KeySource, Settings};
use crate::telemetry::Metrics;

const ISSUER: &str = "https://id.test";
const SITE: &str = "https://shop.test";

/// Sessions of one issuer, and one that has begun.
struct One {
    sessions: Sessions,
    content: Content,
    cookie: String,
    _folder: TempDir,
}

impl One {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, _) = Clock::manual(Timestamp::from_seconds(1000));
        let keys = KeySource::Url(format!("{ISSUER}/keys"));
        let mut issuer = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], keys);
        issuer.sign_in = Some(SignInSettings::new("web"));
        let settings = Settings { issuers: vec![issuer] };
        let (authenticator, _) = Authenticator::new(settings, clock.clone(), &Metrics::default()).unwrap();
        let sessions = Sessions::new(authenticator, folder.path().join("sessions"));
        let now = clock.now();
        let content = Content {
            site: SITE.to_owned(),
            issuer: ISSUER.into(),
            client_id: "web".to_owned(),
            subject: "ada".into(),
            name: None,
            mail: None,
            groups: Vec::new(),
            assurance: crate::domain::identity::Assurance::default(),
            sid: None,
            signed_in_at: now,
            proven_at: now,
            proven_until: Timestamp::from_seconds(1300),
            told_at: now,
            refresh_token: None,
            id_token: None,
        };
        let cookie = sessions.start(&content, now).unwrap().secret;
        Self { sessions, content, cookie, _folder: folder }
    }

    fn found(&self) -> Option<Arc<Session>> {
        self.sessions.find(self.cookie.as_bytes(), SITE).unwrap()
    }
}

#[test]
fn whoever_ends_a_session_between_the_steps_of_a_renewal_wins() {
    let one = One::new();
    let session = one.found().unwrap();
    one.sessions.rewrite(&session, &one.content).unwrap();
    one.sessions.end(&[*session.key()]).unwrap();
    one.sessions.supersede(&session);
    assert!(one.found().is_none(), "it has ended");
    assert!(session.has_moved());
}

#[test]
fn whoever_finds_a_session_between_the_steps_of_a_renewal_is_told_that_it_moved() {
    let one = One::new();
    let session = one.found().unwrap();
    one.sessions.rewrite(&session, &one.content).unwrap();
    one.sessions.reconsider();
    let between = one.found().unwrap();
    one.sessions.supersede(&session);
    assert!(session.has_moved() && between.has_moved());
    assert!(!one.found().unwrap().has_moved(), "and finds it again");
}
