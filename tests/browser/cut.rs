//! Where the journal was cut: what an engineer with an old link sees, and an auditor at the end of a list.

use hallpass::domain::activation::{Ending, Requested};
use hallpass::domain::event::{Actor, Detail, Event};
use hallpass::domain::id::{ActivationId, AssignmentId, CommandId};
use hallpass::domain::principal::Principal;
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::Digest;
use hallpass::store::{self, Header, Opened, Planned, Settings, Wanted};

use crate::support::{Driver, House, Looks, Setting};
use crate::terms;

/// In 2020, and every other day.
fn day(number: u64) -> Timestamp {
    Timestamp::from_seconds(1_577_872_800).plus(Span::days(number))
}

fn case(number: u8) -> ActivationId {
    ActivationId::from_random([number; 16])
}

/// Ada asked for the vault four times and withdrew; the first three went with a cut, and so did the beginning of the last.
fn past(settings: &Settings, issuer: &str) {
    let Opened { reader, mut appender } = store::open(settings, day(0)).expect("a store");
    let mut append = |number: u8, time: Timestamp, event: Event| {
        let command = CommandId::from_random([number; 16]);
        let header = Header { command, time, actor: Actor::Hallpass, idempotency: None };
        let mut transaction = appender.begin().expect("a transaction");
        let detail = Detail { justification: Some("stock count for the cellar".to_owned()), ..Detail::default() };
        transaction.append(&header, &[event], &detail).expect("appended");
        transaction.commit().expect("committed");
    };
    for number in 1..=4 {
        let activation = case(number);
        let begun = day(u64::from(number));
        let requested = Event::ActivationRequested {
            activation,
            principal: Principal::new(issuer, "ada"),
            role: "shop/vault-reader".parse().expect("a role"),
            eligibility: AssignmentId::from_random([number; 16]),
            via: None,
            requested: Requested { starts_at: None, duration: Span::hours(1) },
            lapses_at: begun.plus(Span::days(30)),
            terms: Box::new(terms::approved_by(Principal::new(issuer, "grace"))),
        };
        append(number, begun, requested);
        let ended = if number == 4 { day(20) } else { begun.plus(Span::hours(1)) };
        append(number + 10, ended, Event::ActivationEnded { activation, ending: Ending::Cancelled, at: ended });
    }
    let wanted = Wanted::before(day(10), day(30));
    let snapshot = reader.snapshot().expect("a snapshot");
    let Planned::Cut(plan) = snapshot.plan_cut(&wanted, &mut |_, _| {}).expect("planned") else { panic!("nothing") };
    let mut archive = Vec::new();
    snapshot.write_archive(&plan, &mut archive, &mut |_, _| {}).expect("written");
    drop(snapshot);
    appender.cut(&plan, Digest::of(&[&archive]), day(30), (Actor::Operator, &Detail::default())).expect("cut");
}

#[tokio::test]
async fn an_old_link_and_every_list_lead_to_the_archive() {
    let (Some(driver), Some(looks)) = (Driver::start(), Looks::new()) else { return };
    let house = House::with_past(past).await;
    let portal = house.portal.clone();
    let root = driver.window(Setting::Ordinary).await;
    root.open(&format!("{portal}/history")).await;
    root.clicks("Sign in as Ruth Abara").await;
    root.arrives("the history", |address| address.contains("/history")).await;
    let mut faults = Vec::new();
    for (path, name, told) in [
        (format!("/activations/{}", case(1)), "cut-request-unknown", "Is the link an old one?"),
        (format!("/activations/{}", case(4)), "cut-request", "Its beginning is missing"),
        ("/history".to_owned(), "cut-history", "Older activations were cut from the journal"),
        ("/history/records".to_owned(), "cut-history-records", "were cut from the journal and stand in its archive"),
        (format!("/history/{}", case(4)), "cut-history-case", "Its beginning is missing"),
        ("/history/journal".to_owned(), "cut-history-journal", "old records were taken out"),
    ] {
        root.open(&format!("{portal}{path}")).await;
        root.sees(told).await;
        faults.extend(looks.over(&root, name).await);
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    root.closes().await;
    house.stop().await;
}
