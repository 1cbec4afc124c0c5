//! Of whom the application hears, and in what words, where a shadow route lets everybody pass.

use axum::Router;
use axum::extract::Request;
use axum::routing::any;

use super::support::{House, Upstream, ada, at, settings};
use crate::domain::time::Span;

/// Answers with the names of what speaks for somebody.
fn mirror() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let spoken = ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-hallpass-assertion"];
        axum::Json(spoken.map(|name| request.headers().contains_key(name)))
    }))
}

struct Seen {
    house: House,
    _folder: tempfile::TempDir,
    _upstream: Upstream,
}

impl Seen {
    async fn new() -> Self {
        let upstream = Upstream::app(mirror()).await;
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(&upstream.url);
        settings.assertion_key_file = folder.path().join("assertion.key");
        settings.upstreams[0].assertion_audience = Some("app".to_owned());
        Self { house: House::with(settings), _folder: folder, _upstream: upstream }
    }

    /// Whether a shadow route told the application anything of whoever sends `token`.
    async fn is_told_of(&self, token: &str) -> bool {
        let request = reqwest::Client::new().get(self.house.url("/shadow/x")).bearer_auth(token);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "a shadow route only records");
        let told: [bool; 4] = answer.json().await.unwrap();
        assert!(told[0] == told[3], "by header and by assertion alike: {told:?}");
        told.into_iter().any(|told| told)
    }
}

#[tokio::test]
async fn a_shadow_route_vouches_for_whom_it_would_have_refused_for_want_of_a_role() {
    let seen = Seen::new().await;
    let token = seen.house.token("ada");
    assert!(seen.is_told_of(&token).await, "she is who she says, whatever she holds");
    seen.house.lock(ada());
    assert!(
        seen.is_told_of(&token).await,
        "also when locked: what that means there is the rule's to say, and it is in shadow"
    );
}

#[tokio::test]
async fn a_shadow_route_vouches_for_no_revoked_credential() {
    let seen = Seen::new().await;
    let (stolen, other) = (seen.house.token("ada"), seen.house.token("grace"));
    assert!(seen.is_told_of(&stolen).await);
    seen.house.clock.advance(Span::seconds(2));
    seen.house.revoke_credentials(ada(), at(2));
    assert!(!seen.is_told_of(&stolen).await, "whoever sends it may be anybody");
    assert!(seen.is_told_of(&seen.house.token("ada")).await, "a new token is hers again");
    assert!(seen.is_told_of(&other).await);
    assert!(!seen.is_told_of("no.such.token").await);
}
