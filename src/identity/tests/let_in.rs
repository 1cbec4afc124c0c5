//! For tests of other floors: somebody who is signed in, without a provider to go to.

use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;

use crate::domain::identity::Assurance;
use crate::domain::time::Span;
use crate::identity::session::Content;
use crate::identity::{SignIns, Site};

impl SignIns {
    /// The cookie of a fresh session of `subject` at `site`, with the first issuer people sign in with.
    pub(crate) fn let_in(&self, site: &Site, subject: &str) -> HeaderMap {
        let now = self.shared.now();
        let settings = self.shared.authenticator.settings();
        let issuer = settings.iter().find(|issuer| issuer.sign_in.is_some()).unwrap();
        let content = Content {
            site: site.origin().to_owned(),
            issuer: Arc::clone(&issuer.issuer),
            client_id: issuer.sign_in.as_ref().unwrap().client_id.clone(),
            subject: subject.into(),
            name: None,
            mail: None,
            groups: Vec::new(),
            assurance: Assurance { auth_time: Some(now), ..Assurance::default() },
            sid: None,
            signed_in_at: now,
            proven_at: now,
            proven_until: now.plus(Span::minutes(5)),
            told_at: now,
            refresh_token: None,
            id_token: None,
        };
        let secret = self.shared.sessions.start(&content, now).unwrap().secret;
        let cookie = site.set_session(&secret, 60);
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(COOKIE, pair.parse().unwrap())])
    }
}
