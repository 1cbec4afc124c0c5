//! A whole gate for benches: a journal with activations, an issuer, uses, metrics and access lines, on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hallpass::clock::Clock;
use hallpass::demo::issuer::{ADA, AUDIENCE, Issuer, TokenOptions};
use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::command::{Caller, Command, Declared};
use hallpass::domain::id::{ActivationId, AssignmentId};
use hallpass::domain::identity::{Assurance, Identity};
use hallpass::domain::policy::{PendingLimits, Policies};
use hallpass::domain::principal::{Group, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::rule::{Demand, Rule};
use hallpass::domain::time::Timestamp;
use hallpass::identity::names::IssuerNames;
use hallpass::identity::{self, Authenticator, IssuerSettings, KeySource, SignIns};
use hallpass::proxy::canonical::Underscores;
use hallpass::proxy::headers::TrustedProxies;
use hallpass::proxy::route::{RouteOptions, RouteSettings};
use hallpass::proxy::{ListenerSettings, RunningGate, Services, Settings, UpstreamSettings};
use hallpass::server::Limits;
use hallpass::standings::Standings;
use hallpass::store;
use hallpass::telemetry::Metrics;
use hallpass::telemetry::lines::Lines;
use hallpass::uses;
use hallpass::writer::{self, Purpose, Submission, Writer};
use serde_json::json;

mod policy;
use policy::policy;

/// That of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Everything a request meets.
pub(crate) struct Stage {
    pub(crate) gate: SocketAddr,
    pub(crate) metrics: Arc<Metrics>,
    _running: RunningGate,
    issuer: Issuer,
    writer: Writer,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// A gate before `upstream`; the role of its one route needs no approval.
    pub(crate) async fn set(upstream: SocketAddr, cores: usize) -> Self {
        let (folder, clock, metrics) = (tempfile::tempdir().expect("a folder"), Clock::system(), Metrics::default());
        let issuer = Issuer::start(clock.clone()).await.expect("an issuer");
        let keys = folder.path().join("keys.json");
        std::fs::write(&keys, issuer.keys().to_string()).expect("written");
        let trusted = IssuerSettings::new("demo", issuer.url(), vec![AUDIENCE.to_owned()], KeySource::File(keys));
        let settings = identity::Settings { issuers: vec![trusted] };
        let (authenticator, _) = Authenticator::new(settings, clock.clone(), &metrics).expect("an authenticator");

        let paths = store::Settings { path: folder.path().join("s.redb"), key_path: folder.path().join("s.key") };
        let opened = store::open(&paths, clock.now()).expect("a store");
        let standings = Standings::new(opened.reader, 100_000).expect("standings");
        let policies = Arc::new(ArcSwap::from_pointee(Policies::new([policy(role())], PendingLimits::default())));
        let limits = writer::Settings { policies, clock_behind_max: Duration::from_secs(5), aside: Vec::new() };
        let (writer, _) =
            writer::start(opened.appender, standings.clone(), clock.clone(), limits, &metrics).expect("a writer");
        let eligible = Declared {
            id: AssignmentId::from_random([1; 16]),
            kind: AssignmentKind::Eligible,
            role: role(),
            party: Group::new(issuer.url(), "engineers").into(),
            starts_at: None,
            ends_at: None,
        };
        submit(&writer, Caller::Configuration, Command::Reconcile { declared: vec![eligible], digest: String::new() })
            .await;

        let (uses, ..) =
            uses::start(&folder.path().join("s.uses"), uses::Settings::default(), &metrics).expect("a record of uses");
        let lines = Lines::start(std::io::sink(), &metrics).expect("a log");
        let (sign_ins, _) = SignIns::new(authenticator.clone(), folder.path().join("s.sessions")).expect("sign-ins");
        let (policies, paces) = (Arc::default(), Arc::default());
        let services = Services { authenticator, sign_ins, standings, clock, uses, lines, policies, paces };
        let running = RunningGate::start(&gate(upstream, issuer.url(), cores), &services, &metrics).expect("a gate");
        let gate = running.addresses().first().and_then(|address| address.tcp()).expect("an address");
        Self { gate, metrics: Arc::new(metrics), _running: running, issuer, writer, _folder: folder }
    }

    /// A token of somebody who holds the role by an activation, and that activation.
    pub(crate) async fn holder(&self, name: &str) -> (String, ActivationId) {
        let id = fresh();
        let (duration, starts_at, justification, ticket) = (None, None, None, None);
        let request =
            Command::RequestActivation { id, role: role(), duration, starts_at, justification, ticket, wanted: None };
        submit(&self.writer, self.caller(name), request).await;
        let claims = json!({ "sub": name }).as_object().cloned().unwrap_or_default();
        let options = TokenOptions { claims, ..TokenOptions::default() };
        (self.issuer.token(&ADA, &options).expect("a token"), id)
    }

    /// Ends a right; answered when it is in force.
    pub(crate) async fn end(&self, name: &str, id: ActivationId) {
        submit(&self.writer, self.caller(name), Command::Deactivate { id }).await;
    }

    fn caller(&self, name: &str) -> Caller {
        Caller::Identity(Arc::new(Identity {
            principal: Principal::new(self.issuer.url(), name),
            name: None,
            mail: None,
            groups: vec![Group::new(self.issuer.url(), "engineers")],
            assurance: Assurance::default(),
            issued_at: None,
            ends_at: Timestamp::MAX,
        }))
    }
}

fn gate(upstream: SocketAddr, issuer: &str, cores: usize) -> Settings {
    Settings {
        cores,
        listeners: vec![ListenerSettings {
            bind: "127.0.0.1:0".parse().expect("an address"),
            public_url: "http://shop.test".to_owned(),
            tls: None,
            trusted_origins: Vec::new(),
            limits: Limits::default(),
        }],
        upstreams: vec![UpstreamSettings::new("app", &format!("http://{upstream}"))],
        routes: vec![RouteSettings {
            name: "vault".to_owned(),
            host: None,
            path: "/vault/**".to_owned(),
            methods: Vec::new(),
            rule: Rule::enforce(Demand::AnyRole(vec![role()])),
            upstream: "app".to_owned(),
            options: RouteOptions::default(),
        }],
        portal_url: "https://pass.test".to_owned(),
        trusted_proxies: TrustedProxies::default(),
        underscores: Underscores::Refuse,
        upgrades: Vec::new(),
        names: IssuerNames::new([("demo".into(), issuer.into())]),
        tokens_max: 10_000,
        body_timeout: Duration::from_secs(30),
        assertion_key_file: "assertion.key".into(),
    }
}

async fn submit(writer: &Writer, caller: Caller, command: Command) {
    let submission = Submission { caller, command, idempotency: None, purpose: Purpose::Commit };
    writer.submit(submission).await.expect("accepted");
}

fn fresh() -> ActivationId {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).expect("random bits");
    ActivationId::from_random(bits)
}

fn role() -> RoleId {
    "shop/vault".parse().expect("a role")
}
