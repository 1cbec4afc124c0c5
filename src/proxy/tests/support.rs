//! A gate with a real store, real tokens and real sockets; time stands still until a test moves it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::clock::{Clock, ManualClock};
use crate::domain::activation::Requested;
use crate::domain::assignment::{Assignment, AssignmentEnding, AssignmentKind, Origin};
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::{ActivationId, AssignmentId, CommandId};
use crate::domain::principal::{Group, Party, Principal};
use crate::domain::rule::{Demand, Enforcement, Rule};
use crate::domain::time::{Span, Timestamp, Window};
use crate::identity::{Authenticator, IssuerSettings, KeySource, SignIns};
use crate::proxy::canonical::Underscores;
use crate::proxy::headers::TrustedProxies;
use crate::proxy::route::{RouteOptions, RouteSettings};
use crate::proxy::{ListenerSettings, RunningGate, Services, Settings, UpstreamSettings};
use crate::server::Limits;
use crate::standings::Standings;
use crate::store::tests::terms;
use crate::store::{self, Appender, Header, Opened};
use crate::telemetry::Metrics;
use crate::telemetry::lines::Lines;
use crate::telemetry::sink::Sink;
use crate::uses::{self, UseReader, UseRecorder};

pub(super) const ISSUER: &str = "https://id.example";

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

/// A gate and everything it stands on.
pub(super) struct House {
    pub(super) gate: RunningGate,
    pub(super) settings: Settings,
    pub(super) clock: ManualClock,
    pub(super) metrics: Metrics,
    pub(super) log: Sink,
    pub(super) used: UseReader,
    store: RefCell<Appender>,
    pub(super) standings: Standings,
    signer: Ed25519KeyPair,
    _folder: TempDir,
}

/// One upstream named `app`, and a route for each way in.
pub(super) fn settings(upstream: &str) -> Settings {
    let role = || vec!["shop/vault".parse().unwrap()];
    let shadow = Rule { enforcement: Enforcement::Shadow, ..Rule::enforce(Demand::AnyRole(role())) };
    let rules = [
        ("open", "/open/**", Rule::enforce(Demand::Public)),
        ("me", "/me/**", Rule::enforce(Demand::SignedIn)),
        ("vault", "/vault/**", Rule::enforce(Demand::AnyRole(role()))),
        ("shut", "/shut/**", Rule::enforce(Demand::Nobody)),
        ("shadow", "/shadow/**", shadow),
    ];
    Settings {
        cores: 1,
        listeners: vec![ListenerSettings {
            bind: "127.0.0.1:0".parse().unwrap(),
            public_url: "http://shop.test".to_owned(),
            tls: None,
            trusted_origins: vec!["https://friend.test".to_owned()],
            limits: Limits::default(),
        }],
        upstreams: vec![UpstreamSettings::new("app", upstream)],
        routes: rules.into_iter().map(|(name, path, rule)| route(name, path, rule)).collect(),
        portal_url: "https://pass.test".to_owned(),
        trusted_proxies: TrustedProxies::default(),
        underscores: Underscores::Refuse,
        upgrades: vec!["echo".into()],
        names: crate::identity::names::IssuerNames::new([("demo".into(), ISSUER.into())]),
        tokens_max: 1000,
        // longer than any test waits: what ends a stream is never this
        body_timeout: Duration::from_secs(600),
        assertion_key_file: "assertion.key".into(),
    }
}

pub(super) fn route(name: &str, path: &str, rule: Rule) -> RouteSettings {
    RouteSettings {
        name: name.to_owned(),
        host: None,
        path: path.to_owned(),
        methods: Vec::new(),
        rule,
        upstream: "app".to_owned(),
        options: RouteOptions::default(),
    }
}

impl House {
    pub(super) fn new(upstream: &str) -> Self {
        Self::with(settings(upstream))
    }

    pub(super) fn with(settings: Settings) -> Self {
        Self::recording(settings, None)
    }

    /// With a recorder of uses of the test's own.
    pub(super) fn recording(settings: Settings, uses: Option<UseRecorder>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, manual) = Clock::manual(at(0));
        let metrics = Metrics::default();
        let signer = Ed25519KeyPair::generate().unwrap();
        let keys = folder.path().join("keys.json");
        let x = BASE64URL_NOPAD.encode(signer.public_key().as_ref());
        let jwk = json!({"kty":"OKP","crv":"Ed25519","kid":"k","alg":"EdDSA","use":"sig","x":x});
        std::fs::write(&keys, json!({ "keys": [jwk] }).to_string()).unwrap();
        let issuer = IssuerSettings::new("demo", ISSUER, vec!["hallpass".to_owned()], KeySource::File(keys));
        let (authenticator, _) =
            Authenticator::new(crate::identity::Settings { issuers: vec![issuer] }, clock.clone(), &metrics).unwrap();
        let paths =
            store::Settings { path: folder.path().join("hallpass.redb"), key_path: folder.path().join("journal.key") };
        let Opened { reader, appender } = store::open(&paths, at(0)).unwrap();
        let standings = Standings::new(reader, 100_000).unwrap();
        let log = Sink::default();
        // the writing thread ends when the gate is gone
        let lines = Lines::start(log.clone(), &metrics).unwrap();
        let (recorder, used, _) =
            uses::start(&folder.path().join("uses.redb"), uses::Settings::default(), &metrics).unwrap();
        let uses = uses.unwrap_or(recorder);
        let (sign_ins, _) = SignIns::new(authenticator.clone(), folder.path().join("sessions")).unwrap();
        let (policies, paces) = (Arc::default(), Arc::default());
        let standings_too = standings.clone();
        let services =
            Services { authenticator, sign_ins, standings: standings_too, clock, uses, lines, policies, paces };
        let gate = RunningGate::start(&settings, &services, &metrics).unwrap();
        Self {
            gate,
            settings,
            clock: manual,
            metrics,
            log,
            used,
            store: RefCell::new(appender),
            standings,
            signer,
            _folder: folder,
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.gate.addresses()[0].tcp().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    pub(super) fn token(&self, subject: &str) -> String {
        self.token_with(subject, &json!({}))
    }

    pub(super) fn token_with(&self, subject: &str, more: &Value) -> String {
        let now = self.clock.reading().as_seconds();
        let mut claims = json!({"iss": ISSUER, "aud": "hallpass", "sub": subject, "iat": now, "exp": now + 7200});
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({"alg":"EdDSA","kid":"k","typ":"JWT"});
        let [header, claims] = [header, claims].map(|part| BASE64URL_NOPAD.encode(part.to_string().as_bytes()));
        let message = format!("{header}.{claims}");
        format!("{message}.{}", BASE64URL_NOPAD.encode(self.signer.sign(message.as_bytes()).as_ref()))
    }

    /// Gives `party` the role `shop/vault`.
    pub(super) fn assign(&self, number: u8, party: impl Into<Party>, ends_at: Option<Timestamp>) {
        let window = Window { starts_at: at(0), ends_at };
        self.commit(&[Event::AssignmentMade {
            assignment: Assignment {
                id: AssignmentId::from_random([number; 16]),
                kind: AssignmentKind::Active,
                role: "shop/vault".parse().unwrap(),
                party: party.into(),
                window,
                origin: Origin::Administrator,
                ended: None,
            },
        }]);
    }

    /// Lets `ada` hold the role `shop/vault` by an activation.
    pub(super) fn activate(&self, number: u8, ends_at: Timestamp) -> ActivationId {
        let activation = ActivationId::from_random([number; 16]);
        let requested = Requested { starts_at: None, duration: Span::hours(1) };
        self.commit(&[
            Event::ActivationRequested {
                activation,
                principal: ada(),
                role: "shop/vault".parse().unwrap(),
                eligibility: AssignmentId::from_random([0; 16]),
                via: None,
                requested,
                lapses_at: at(3600),
                terms: Box::new(terms(Vec::new())),
            },
            Event::ActivationStarted { activation, window: Window::new(at(0), ends_at) },
        ]);
        activation
    }

    /// Takes it away.
    pub(super) fn remove(&self, number: u8) {
        self.commit(&[Event::AssignmentEnded {
            assignment: AssignmentId::from_random([number; 16]),
            ending: AssignmentEnding::Removed,
            at: self.clock.reading(),
        }]);
    }

    pub(super) fn lock(&self, principal: Principal) {
        self.commit(&[Event::PrincipalLocked { principal }]);
    }

    /// What was issued to `principal` before `issued_before` counts no more.
    pub(super) fn revoke_credentials(&self, principal: Principal, issued_before: Timestamp) {
        self.commit(&[Event::CredentialsRevoked { principal, issued_before }]);
    }

    fn commit(&self, events: &[Event]) {
        let mut store = self.store.borrow_mut();
        let mut command = [0; 16];
        aws_lc_rs::rand::fill(&mut command).unwrap();
        let header = Header {
            command: CommandId::from_random(command),
            time: self.clock.reading(),
            actor: Actor::Hallpass,
            idempotency: None,
        };
        let mut transaction = store.begin().unwrap();
        transaction.append(&header, events, &Detail::default()).unwrap();
        let committed = transaction.commit().unwrap();
        self.standings.publish(&committed.touched, committed.head.position);
    }

    /// One request as bytes, one answer as text; the connection is closed by `Connection: close`.
    pub(super) async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The access lines, once there are at least so many.
    pub(super) async fn lines(&self, count: usize) -> Vec<Value> {
        loop {
            let lines: Vec<_> = self.log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if lines.len() >= count {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// A way in which a right ends, and what the log calls it.
pub(super) struct Way {
    pub(super) reason: &'static str,
    pub(super) end: fn(&House),
}

impl Way {
    pub(super) fn new(reason: &'static str, end: fn(&House)) -> Self {
        Self { reason, end }
    }
}

pub(super) fn ada() -> Principal {
    Principal::new(ISSUER, "ada")
}

pub(super) fn engineers() -> Group {
    Group::new(ISSUER, "engineers")
}

/// An upstream whose connections are each served by a function of the test.
pub(super) struct Upstream {
    pub(super) url: String,
    _tasks: JoinSet<()>,
}

impl Upstream {
    /// Each connection is handed over as it is.
    pub(super) async fn raw<F>(serve: impl Fn(TcpStream, usize) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, number));
            }
        });
        Self { url, _tasks: tasks }
    }

    /// A whole application.
    pub(super) async fn app(router: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, _tasks: tasks }
    }

    /// Always the same bytes, once a head was read.
    pub(super) async fn says(answer: &'static str) -> Self {
        Self::raw(move |mut stream, _| async move {
            while read_head(&mut stream).await.is_some() {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        })
        .await
    }
}

/// One head, without what follows; `None` at the end.
pub(super) async fn read_head(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Waits for what must come, for so long that only what never comes is given up: a busy machine stalls for seconds.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it comes soon")
}
