//! A portal over a temporary store, and people with tokens. Every answer is compared with the OpenAPI document.

use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::body::Body;
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::schema;
use crate::anchor;
use crate::clock::{Clock, ManualClock};
use crate::domain::assignment::AssignmentKind;
use crate::domain::command::{Caller, Command, Declared};
use crate::domain::id::{ActivationId, AssignmentId};
use crate::domain::identity::{Assurance, Identity};
use crate::domain::policy::{
    ActivationLimits, ApprovalRule, AssignmentLimits, AssuranceRule, ExtensionRule, JustificationRule, Need,
    OwnRequest, PendingLimits, Permanence, Policies, PolicyRevision, RolePolicy, Stage, TicketRule,
};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::role::RoleId;
use crate::domain::time::{Span, Timestamp};
use crate::identity::names::IssuerNames;
use crate::identity::{Authenticator, IssuerSettings, KeySource, Settings as IdentitySettings};
use crate::journal::SigningKey;
use crate::portal::{Limits, Parts, Portal, RoutesByRole, Settings, router};
use crate::standings::Standings;
use crate::store::tests::disk::Disk;
use crate::store::{self, open_backend};
use crate::telemetry::Metrics;
use crate::uses::{self, UseRecorder};
use crate::writer::{self, Purpose, Submission, Writer};

pub(super) const ISSUER: &str = "https://id.example";
pub(super) const PORTAL: &str = "https://pim.example";
pub(super) const VAULT: &str = "shop/vault-reader";
pub(super) const TILL: &str = "shop/till";
pub(super) const WHY: &str = "the till of shop 4 is stuck";
pub(super) const NOW: i64 = 1_795_404_600;

/// A portal and all below it.
pub(super) struct World {
    pub(super) portal: Portal,
    pub(super) router: axum::Router,
    pub(super) clock: ManualClock,
    pub(super) stop: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
    pub(super) writer: Writer,
    pub(super) recorder: UseRecorder,
    pub(super) disk: Disk,
    key: Ed25519KeyPair,
    pub(super) folder: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
}

/// Somebody, and how they signed in.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) subject: &'static str,
    pub(super) groups: &'static [&'static str],
    pub(super) amr: &'static [&'static str],
}

pub(super) const ADA: Who = Who { subject: "ada", groups: &["engineers"], amr: &["pwd", "otp"] };
pub(super) const BEN: Who = Who { subject: "ben", groups: &["engineers"], amr: &["pwd", "otp"] };
pub(super) const GRACE: Who = Who { subject: "grace", groups: &["leads"], amr: &["pwd", "otp"] };
pub(super) const ROOT: Who = Who { subject: "root", groups: &[], amr: &["pwd", "otp"] };
pub(super) const OTTO: Who = Who { subject: "otto", groups: &[], amr: &["pwd", "otp"] };
pub(super) const MALLORY: Who = Who { subject: "mallory", groups: &[], amr: &["pwd", "otp"] };

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        Self::over(limits, policies([]), |_| {}).await
    }

    /// Over a store in which `begin` has written before anybody came.
    pub(super) async fn over(limits: Limits, policies: Policies, begin: impl FnOnce(&mut store::Opened)) -> Self {
        let folder = TempDir::new().unwrap();
        let (clock, manual) = Clock::manual(Timestamp::from_seconds(NOW));
        let metrics = Arc::new(Metrics::default());
        let disk = Disk::new();
        let mut opened = open_backend(disk.clone(), SigningKey::generate().unwrap().0, clock.now()).unwrap();
        begin(&mut opened);
        manual.set(clock.now().max(opened.reader.head().unwrap().time));
        let standings = Standings::new(opened.reader.clone(), 1000).unwrap();
        let policies = Arc::new(ArcSwap::from_pointee(policies));
        let writer_settings = writer::Settings {
            policies: Arc::clone(&policies),
            clock_behind_max: std::time::Duration::from_secs(5),
            aside: Vec::new(),
        };
        let (writer, _) =
            writer::start(opened.appender, standings.clone(), clock.clone(), writer_settings, &metrics).unwrap();
        let key = Ed25519KeyPair::generate().unwrap();
        let authenticator = authenticator(&folder, &key, &clock, &metrics);
        let (sign_ins, worker) = super::notices::sign_ins(&authenticator, folder.path().join("store.sessions"));
        let (recorder, uses, _) = uses::start_on(&Disk::new(), uses::Settings::default(), &metrics);
        let stop = CancellationToken::new();
        let names = IssuerNames::new([("demo".into(), ISSUER.into())]);
        let anchor = anchor::Settings { file: None, webhook: None, interval: Span::minutes(5), records_max: 1000 };
        let head = standings.watch();
        let (anchors, publisher) =
            anchor::start(&anchor, &folder.path().join("store"), opened.reader.clone(), head, clock.clone(), &metrics)
                .unwrap();
        let running = TaskTracker::new();
        running.spawn(publisher.run(stop.clone()));
        running.spawn(worker.run(stop.clone()));
        let parts = Parts {
            anchors,
            writer: writer.clone(),
            uses,
            reader: opened.reader,
            standings,
            authenticator,
            sign_ins,
            names: Arc::new(ArcSwap::from_pointee(names)),
            policies,
            routes: Arc::new(ArcSwap::from_pointee(RoutesByRole::from([(role(VAULT), vec!["/vault/**".to_owned()])]))),
            paces: Arc::default(),
            clock,
            settings: Settings {
                public_url: PORTAL.to_owned(),
                gate_urls: vec!["https://shop.example".to_owned()],
                limits,
            },
            stop: stop.clone(),
        };
        let portal = Portal::new(parts, &metrics).unwrap();
        let world = Self {
            router: router(portal.clone()),
            portal,
            clock: manual,
            stop,
            metrics,
            writer,
            recorder,
            key,
            disk,
            folder,
        };
        world.declare().await;
        world
    }

    /// Who may do what when a story begins.
    async fn declare(&self) {
        let declared = |seed: u8, kind, name: &str, party| Declared {
            id: AssignmentId::from_random([seed; 16]),
            kind,
            role: role(name),
            party,
            starts_at: None,
            ends_at: None,
        };
        let person = |subject| Party::Principal(Principal::new(ISSUER, subject));
        let engineers = Party::Group(Group::new(ISSUER, "engineers"));
        let command = Command::Reconcile {
            declared: vec![
                declared(1, AssignmentKind::Active, "hallpass/administrator", person("root")),
                declared(2, AssignmentKind::Active, "hallpass/auditor", person("otto")),
                declared(3, AssignmentKind::Eligible, VAULT, engineers),
                declared(4, AssignmentKind::Eligible, TILL, person("ada")),
            ],
            digest: "00".repeat(32),
        };
        let submission =
            Submission { caller: Caller::Configuration, command, idempotency: None, purpose: Purpose::Commit };
        self.writer.submit(submission).await.unwrap();
    }

    /// A token of `who`, good for ten hours from now.
    pub(super) fn token(&self, who: &Who) -> String {
        let now = self.clock.reading().as_seconds();
        let header = json!({"alg": "EdDSA", "kid": "k", "typ": "JWT"});
        let claims = json!({
            "iss": ISSUER, "aud": "hallpass", "sub": who.subject, "name": who.subject.to_uppercase(),
            "email": format!("{}@shop.example", who.subject), "groups": who.groups, "amr": who.amr,
            "auth_time": now - 60, "iat": now, "exp": now + 36_000,
        });
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signature = BASE64URL_NOPAD.encode(self.key.sign(message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    pub(super) async fn get(&self, who: &Who, path: &str) -> Answer {
        self.ask(self.request(Some(who), Method::GET, path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, who: &Who, path: &str, body: &Value) -> Answer {
        self.send(who, Method::POST, path, body).await
    }

    pub(super) async fn send(&self, who: &Who, method: Method, path: &str, body: &Value) -> Answer {
        self.ask(self.json(who, method, path, body, &[])).await
    }

    pub(super) fn json(
        &self,
        who: &Who,
        method: Method,
        path: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Request<Body> {
        let mut request = self.request(Some(who), method, path).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body.to_string())).unwrap()
    }

    pub(super) fn request(&self, who: Option<&Who>, method: Method, path: &str) -> http::request::Builder {
        let path = if path.starts_with("/api") { path.to_owned() } else { format!("/api/v1{path}") };
        let request = Request::builder().method(method).uri(path);
        match who {
            Some(who) => request.header("authorization", format!("Bearer {}", self.token(who))),
            None => request,
        }
    }

    /// Asks, and compares the answer with the document.
    pub(super) async fn ask(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.ask_plainly(request).await;
        schema::check(&method, &path, &answer);
        answer
    }

    pub(super) async fn ask_plainly(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    /// Asks for `name`; the activation.
    pub(super) async fn requested(&self, who: &Who, name: &str) -> Value {
        let body = json!({"role": name, "duration": "1h", "justification": WHY});
        self.post(who, "/activations", &body).await.expect(201)
    }

    /// Ada asks for the till and hands it back, past the limits of the portal; how many records that took.
    pub(super) async fn ada_has_the_till_for_a_moment(&self) -> usize {
        let identity = Arc::new(Identity {
            principal: Principal::new(ISSUER, "ada"),
            name: None,
            mail: None,
            groups: Vec::new(),
            assurance: Assurance { amr: vec!["otp".to_owned()], acr: None, auth_time: None },
            issued_at: None,
            ends_at: Timestamp::MAX,
        });
        let mut bits = [0; 16];
        aws_lc_rs::rand::fill(&mut bits).unwrap();
        let id = ActivationId::from_random(bits);
        let request = Command::RequestActivation {
            id,
            role: role(TILL),
            duration: None,
            starts_at: None,
            justification: Some(WHY.to_owned()),
            ticket: None,
            wanted: None,
        };
        let mut records = 0;
        for command in [request, Command::Deactivate { id }] {
            let caller = Caller::Identity(Arc::clone(&identity));
            let submission = Submission { caller, command, idempotency: None, purpose: Purpose::Commit };
            records += self.writer.submit(submission).await.unwrap().events.len();
        }
        records
    }

    /// Ada holds the vault, approved by Grace; the activation.
    pub(super) async fn ada_holds_the_vault(&self) -> Value {
        let requested = self.requested(&ADA, VAULT).await;
        let path = format!("/activations/{}/approve", requested["id"].as_str().unwrap());
        let body = json!({"revision": requested["revision"], "justification": "go ahead, I am watching"});
        self.post(&GRACE, &path, &body).await.expect(200)
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}: {}", self.status, self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    #[track_caller]
    pub(super) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self.json()
    }

    /// The code of the problem, which must have this status.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(body["status"], status);
        body["type"].as_str().unwrap().strip_prefix("https://hallpass.dev/problems/").unwrap().to_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(super) fn role(name: &str) -> RoleId {
    name.parse().unwrap()
}

pub(super) fn id(thing: &Value) -> &str {
    thing["id"].as_str().unwrap()
}

fn authenticator(folder: &TempDir, key: &Ed25519KeyPair, clock: &Clock, metrics: &Metrics) -> Authenticator {
    let path = folder.path().join("jwks.json");
    let x = BASE64URL_NOPAD.encode(key.public_key().as_ref());
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "alg": "EdDSA", "use": "sig", "x": x}]});
    std::fs::write(&path, keys.to_string()).unwrap();
    let issuer = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], KeySource::File(path));
    let settings = IdentitySettings { issuers: vec![issuer] };
    Authenticator::new(settings, clock.clone(), metrics).unwrap().0
}

/// The roles of the stories, and `more`.
pub(super) fn policies(more: impl IntoIterator<Item = RolePolicy>) -> Policies {
    let group = |name| Party::Group(Group::new(ISSUER, name));
    let approved = ApprovalRule {
        stages: vec![Stage { approvers: vec![group("leads")], quorum: 1, deny_threshold: 1 }],
        justification: JustificationRule {
            need: Need::Required,
            characters_min: 5,
            characters_max: 500,
            pattern: None,
        },
        assurance: AssuranceRule::default(),
        own_request: OwnRequest::Forbidden,
    };
    let roles = [
        policy(VAULT, approved),
        policy(TILL, ApprovalRule::default()),
        policy("hallpass/administrator", ApprovalRule::default()),
        policy("hallpass/auditor", ApprovalRule::default()),
    ];
    Policies::new(roles.into_iter().chain(more), PendingLimits::default())
}

pub(super) fn policy(name: &str, approval: ApprovalRule) -> RolePolicy {
    let limits = AssignmentLimits { permanent: Permanence::Allowed, max: Span::days(365) };
    RolePolicy {
        role: role(name),
        description: format!("what {name} opens"),
        revision: PolicyRevision::new("aa"),
        activation: ActivationLimits {
            min: Span::minutes(5),
            max: Span::hours(8),
            default: Span::hours(1),
            total_max: Span::hours(24),
            start_ahead_max: Span::days(7),
        },
        justification: JustificationRule {
            need: Need::Required,
            characters_min: 10,
            characters_max: 1000,
            pattern: None,
        },
        ticket: TicketRule::default(),
        assurance: AssuranceRule { mfa_amr: vec!["otp".to_owned()], acr: Vec::new(), max_age: None },
        approval,
        extension: ExtensionRule::Free,
        pending_after: Span::hours(24),
        eligible: limits,
        active: limits,
    }
}
