//! How long the portal's pages take with 10,000 roles and 100,000 past activations: each page asked for many times by somebody
//! who is signed in, over loopback, one after the other.
//!
//! `TESTS_PAGES_ROLES` and `TESTS_PAGES_ACTIVATIONS` say other numbers.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found")]

#[path = "stage/policy.rs"]
mod policy;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hallpass::app::App;
use hallpass::clock::{Clock, awake};
use hallpass::config::{self, Source, Sources};
use hallpass::demo::issuer::{ADA, Issuer, Person, ROOT, TokenOptions};
use hallpass::domain::assignment::AssignmentKind;
use hallpass::domain::command::{Caller, Command, Declared};
use hallpass::domain::id::{ActivationId, AssignmentId};
use hallpass::domain::identity::{Assurance, Identity};
use hallpass::domain::policy::{PendingLimits, Policies};
use hallpass::domain::principal::{Group, Principal};
use hallpass::domain::role::RoleId;
use hallpass::domain::time::Timestamp;
use hallpass::standings::Standings;
use hallpass::store;
use hallpass::telemetry::Metrics;
use hallpass::writer::{self, Purpose, Submission, Writer};
use policy::policy;
use tokio::task::JoinSet;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measured(number("TESTS_PAGES_ROLES", 10_000), number("TESTS_PAGES_ACTIVATIONS", 100_000)));
}

#[expect(clippy::disallowed_methods, reason = "whoever measures says how much")]
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().map_or(default, |text| text.parse().unwrap())
}

async fn measured(roles: usize, activations: usize) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::system());
    let issuer = Issuer::start(clock.clone()).await.unwrap();
    let file = folder.path().join("hallpass.toml");
    std::fs::write(&file, configuration(folder.path(), &issuer, roles)).unwrap();
    let config = config::load(&Sources { sources: vec![Source::Path(file)], environment: Vec::new() }).unwrap();
    let began = awake();
    let last = lived_through(folder.path(), &clock, issuer.url(), activations).await;
    println!("{activations} activations are over, written in {:.1} s", began.elapsed().as_secs_f64());

    let began = awake();
    let app = App::start(config, clock).await.unwrap();
    println!("started with {roles} roles in {:.1} s", began.elapsed().as_secs_f64());
    let portal = format!("http://{}", app.addresses().portal);
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let token = |person: &Person| issuer.token(person, &TokenOptions::default()).unwrap();
    let (ada, root) = (token(&ADA), token(&ROOT));
    while http.get(format!("{portal}/api/v1/me")).bearer_auth(&ada).send().await.unwrap().status() == 503 {
        tokio::task::yield_now().await;
    }

    println!("{:<46} {:>9} {:>9} {:>9}", "page", "median", "slowest", "KiB");
    for (who, path) in [
        (&ada, "/".to_owned()),
        (&ada, "/?search=role-00777".to_owned()),
        (&ada, "/?search=nothing-like-it".to_owned()),
        (&ada, "/activate".to_owned()),
        (&ada, format!("/activate?role={}", role(3))),
        (&ada, format!("/activations/{last}")),
        (&ada, "/approvals".to_owned()),
        (&ada, "/roles".to_owned()),
        (&ada, "/roles?search=role-00777".to_owned()),
        (&ada, "/history".to_owned()),
        (&root, "/".to_owned()),
        (&root, "/history".to_owned()),
        (&root, "/history?principal=demo:ada".to_owned()),
        (&root, format!("/history?role={}", role(3))),
        (&root, "/history?app=app&outcome=deactivated".to_owned()),
        (&root, "/history?outcome=denied".to_owned()),
        (&root, format!("/history/{last}")),
        (&root, "/history/records".to_owned()),
        (&root, "/history/journal".to_owned()),
        (&root, "/assignments".to_owned()),
        (&root, format!("/assignments?role={}", role(9_999))),
        (&root, "/assignments/person?who=demo:ada".to_owned()),
        (&root, "/roles".to_owned()),
    ] {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let began = awake();
            let answer = http.get(format!("{portal}{path}")).bearer_auth(who).send().await.unwrap();
            assert!(answer.status() == 200, "{path}: {}", answer.status());
            bytes = answer.bytes().await.unwrap().len();
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let shown = |time: Option<&Duration>| format!("{:.1} ms", time.unwrap().as_secs_f64() * 1e3);
        let (median, slowest) = (shown(times.get(ROUNDS / 2)), shown(times.last()));
        let name = if std::ptr::eq(who, &raw const root) { format!("{path} (administrator)") } else { path };
        println!("{name:<46} {median:>9} {slowest:>9} {:>9}", bytes >> 10);
    }
    app.shutdown().await;
}

/// Activations that were asked for, held and handed back, by many people; the last one of Ada.
async fn lived_through(folder: &Path, clock: &Clock, issuer: &str, activations: usize) -> ActivationId {
    let paths = store::Settings { path: folder.join("hallpass.redb"), key_path: folder.join("signing.key") };
    let opened = store::open(&paths, clock.now()).unwrap();
    let standings = Standings::new(opened.reader, 100_000).unwrap();
    let policies = Policies::new((0..ROLES_USED).map(role).map(policy), PendingLimits::default());
    let settings = writer::Settings {
        policies: Arc::new(ArcSwap::from_pointee(policies)),
        clock_behind_max: Duration::from_secs(5),
        aside: Vec::new(),
    };
    let (writer, running) =
        writer::start(opened.appender, standings, clock.clone(), settings, &Metrics::default()).unwrap();
    let declared = (0..ROLES_USED).map(|number| Declared {
        id: AssignmentId::from_random(fresh()),
        kind: AssignmentKind::Eligible,
        role: role(number),
        party: Group::new(issuer, "engineers").into(),
        starts_at: None,
        ends_at: None,
    });
    let command = Command::Reconcile { declared: declared.collect(), digest: String::new() };
    submit(&writer, Caller::Configuration, command).await;
    let mut last = ActivationId::from_random(fresh());
    let mut done = 0;
    while done < activations {
        let batch = PEOPLE.min(activations - done);
        let mut lives = JoinSet::new();
        for person in 0..batch {
            let (writer, caller) = (writer.clone(), caller(issuer, person));
            let (id, role) = (ActivationId::from_random(fresh()), role((person + done / PEOPLE) % ROLES_USED));
            if person == 0 {
                last = id;
            }
            lives.spawn(async move {
                let justification = Some("stock count for the cellar".to_owned());
                let (duration, starts_at, ticket, wanted) = (None, None, None, None);
                let request =
                    Command::RequestActivation { id, role, duration, starts_at, justification, ticket, wanted };
                submit(&writer, caller.clone(), request).await;
                submit(&writer, caller, Command::Deactivate { id }).await;
            });
        }
        while let Some(life) = lives.join_next().await {
            life.unwrap();
        }
        done += batch;
    }
    drop(writer);
    running.join();
    last
}

async fn submit(writer: &Writer, caller: Caller, command: Command) {
    let submission = Submission { caller, command, idempotency: None, purpose: Purpose::Commit };
    writer.submit(submission).await.unwrap();
}

fn caller(issuer: &str, person: usize) -> Caller {
    let subject = if person == 0 { "ada".to_owned() } else { format!("engineer-{person:03}") };
    Caller::Identity(Arc::new(Identity {
        principal: Principal::new(issuer, &subject),
        name: Some(subject.as_str().into()),
        mail: None,
        groups: vec![Group::new(issuer, "engineers")],
        assurance: Assurance::default(),
        issued_at: None,
        ends_at: Timestamp::MAX,
    }))
}

fn fresh() -> [u8; 16] {
    let mut bits = [0; 16];
    aws_lc_rs::rand::fill(&mut bits).unwrap();
    bits
}

fn role(number: usize) -> RoleId {
    format!("app/role-{number:05}").parse().unwrap()
}

/// The demo's configuration with many more roles, on the store that was filled.
fn configuration(folder: &Path, issuer: &Issuer, roles: usize) -> String {
    let mut text = include_str!("../config/demo.toml")
        .replace("http://127.0.0.1:8080", "http://gate.localhost")
        .replace("http://127.0.0.1:8081", "http://portal.localhost")
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0")
        .replace("127.0.0.1:8082", "127.0.0.1:0")
        .replace(r#""http://127.0.0.1:8083/keys""#, &format!("\"{}\"", issuer.keys_url()))
        .replace(r#""http://127.0.0.1:8083""#, &format!("\"{}\"", issuer.url()))
        .replace("\"demo.redb\"", &format!("{:?}", folder.join("hallpass.redb")))
        .replace("\"demo.key\"", &format!("{:?}", folder.join("signing.key")));
    for number in 0..roles {
        let role = role(number);
        let _ = write!(
            text,
            "\n[[role]]\nname = \"{role}\"\ndescription = \"Does what number {number} does\"\neligible_assignments = [{{ group = \"demo:engineers\" }}]\n"
        );
    }
    text
}

const ROUNDS: usize = 21;
const PEOPLE: usize = 500;
/// Roles that were ever used.
const ROLES_USED: usize = 100;
