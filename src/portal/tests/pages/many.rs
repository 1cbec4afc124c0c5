//! Home where there are very many roles and a long past; how long they take is for `benches/pages.rs` to say.
//! `TESTS_PAGES_PAST=n` sets how many activations are past.

use regex::Regex;

use super::super::world::{ADA, ISSUER, NOW, TILL, WHY, World, policies, policy, role};
use crate::domain::activation::{Ending, Requested};
use crate::domain::assignment::{Assignment, AssignmentKind, Origin};
use crate::domain::event::{Actor, Detail, Event};
use crate::domain::id::{ActivationId, AssignmentId, CommandId};
use crate::domain::policy::{ApprovalRule, Terms};
use crate::domain::principal::{Group, Principal};
use crate::domain::time::{Span, Timestamp, Window};
use crate::portal::Limits;
use crate::store::{Appender, Header};

pub(super) const ROLES: u32 = 10_000;
const PAST: u32 = 2_000;

#[tokio::test]
async fn home_shows_a_page_of_many_roles_and_of_a_long_past() {
    let past = past();
    let roles = (0..ROLES).map(|number| policy(&name(number), ApprovalRule::default()));
    let world = World::over(patient(), policies(roles), |opened| write(&mut opened.appender, past)).await;
    let rows = |text: &str| Regex::new("role=\"rowheader\"").unwrap().find_iter(text).count();
    let text = |path: &'static str| {
        let world = &world;
        async move {
            let answer = world.page(&ADA, path).await;
            assert_eq!(answer.status, 200);
            answer.text()
        }
    };
    let home = text("/").await;
    assert_eq!(rows(&home), 20 + 1, "a page of roles, and the one role of the past");
    assert!(home.contains("app-0/role-0") || home.contains("role-0<"), "{home}");
    let next = Regex::new("href=\"(/\\?cursor=[^\"]+)\" rel=\"next\"").unwrap();
    let second = world.page(&ADA, &next.captures(&home).unwrap()[1]).await.text();
    assert_eq!(rows(&second), 20);
    let roles = |text: &str| -> Vec<String> {
        let link = Regex::new("href=\"/activate\\?role=([^\"&]+)\"").unwrap();
        link.captures_iter(text).map(|link| link[1].to_owned()).collect()
    };
    assert!(roles(&home).last() < roles(&second).first(), "goes on where it ended: {home} {second}");
    let found = text("/?search=ROLE-9999").await;
    assert_eq!(roles(&found), ["app%2D99%2Frole%2D9999"]);
    assert_eq!(rows(&text("/?search=nothing-of-this-name").await), 0);
    text("/activate").await;
}

/// Without optimisation, and on a machine with much to do, such a page may take its time.
pub(super) fn patient() -> Limits {
    Limits { request_timeout: std::time::Duration::from_secs(600), ..Limits::default() }
}

#[expect(clippy::disallowed_methods, reason = "how much a test does is set from outside")]
pub(super) fn past() -> u32 {
    std::env::var("TESTS_PAGES_PAST").ok().map_or(PAST, |past| past.parse().unwrap())
}

pub(super) fn name(number: u32) -> String {
    format!("app-{}/role-{number}", number / 100)
}

/// Ada's group may activate every role, and she has withdrawn many requests.
pub(super) fn write(appender: &mut Appender, past: u32) {
    let at = Timestamp::from_seconds(NOW);
    let terms = policy(TILL, ApprovalRule::default()).terms();
    let mut drawn = 0_u32;
    let mut draw = || {
        drawn += 1;
        let mut bits = [7; 16];
        bits[..4].copy_from_slice(&drawn.to_be_bytes());
        bits
    };
    let header =
        |bits| Header { command: CommandId::from_random(bits), time: at, actor: Actor::Hallpass, idempotency: None };
    let mut transaction = appender.begin().unwrap();
    for number in 0..ROLES {
        let assignment = Assignment {
            id: AssignmentId::from_random(draw()),
            kind: AssignmentKind::Eligible,
            role: role(&name(number)),
            party: Group::new(ISSUER, "engineers").into(),
            window: Window::permanent(at),
            origin: Origin::Administrator,
            ended: None,
        };
        transaction.append(&header(draw()), &[Event::AssignmentMade { assignment }], &Detail::default()).unwrap();
    }
    for _ in 0..past {
        let activation = ActivationId::from_random(draw());
        let requested = ada_asks(activation, at.plus(Span::days(1)), terms.clone());
        let ended = Event::ActivationEnded { activation, ending: Ending::Cancelled, at };
        let detail = Detail { justification: Some(WHY.to_owned()), ..Detail::default() };
        transaction.append(&header(draw()), &[requested, ended], &detail).unwrap();
    }
    transaction.commit().unwrap();
}

/// Ada asks for the till.
pub(in crate::portal::tests) fn ada_asks(activation: ActivationId, lapses_at: Timestamp, terms: Terms) -> Event {
    Event::ActivationRequested {
        activation,
        principal: Principal::new(ISSUER, "ada"),
        role: role(TILL),
        eligibility: AssignmentId::from_random([4; 16]),
        via: None,
        requested: Requested { starts_at: None, duration: Span::hours(1) },
        lapses_at,
        terms: Box::new(terms),
    }
}
