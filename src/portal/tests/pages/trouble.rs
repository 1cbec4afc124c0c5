//! While hallpass cannot do all it is there for, every page says what that means, and to those who run it why and what to do.

use http::Method;

use super::World;
use crate::domain::time::{Span, Timestamp};
use crate::portal::tests::world::{ADA, NOW, OTTO, ROOT, VAULT, WHY, Who};
use crate::store::tests::disk::Trouble;
use crate::writer::StoreState;

const PLACES: [&str; 8] =
    ["/", "/activate", "/approvals", "/assignments", "/history", "/history/journal", "/roles", "/nowhere"];

/// Everybody reads `means`; only those who look after hallpass read `reason` and `remedy`.
async fn is_told(world: &World, [means, reason, remedy]: [&str; 3]) {
    for (who, in_full) in [(&ADA, false), (&ROOT, true), (&OTTO, true)] {
        for place in PLACES {
            let text = world.page(who, place).await.text();
            assert_eq!(text.matches(means).count(), 1, "{place}: {text}");
            for part in [reason, remedy] {
                assert_eq!(text.contains(part), in_full, "{} at {place}: {part}: {text}", who.subject);
            }
        }
    }
}

async fn asks(world: &World, who: &Who) -> u16 {
    let fields = [("role", VAULT), ("preset", "30m"), ("justification", WHY)];
    world.form(who, "/activate", &fields).await.status.as_u16()
}

#[tokio::test]
async fn nothing_is_told_while_all_is_well() {
    let world = World::new().await;
    for place in PLACES {
        assert!(!world.page(&ROOT, place).await.text().contains("class=\"notice bad\""), "{place}");
    }
}

#[tokio::test]
async fn a_journal_in_doubt_is_told_with_the_command_that_decides() {
    let world = World::new().await;
    world.portal.shared.parts.standings.doubt("it ends at record 3, and record 9 was anchored");
    let reason = "It ends at record 3, and record 9 was anchored.";
    is_told(&world, ["the journal may not be the right one", reason, "<code>hallpass anchor confirm"]).await;
    assert_eq!(asks(&world, &ADA).await, 503);
}

#[tokio::test]
async fn a_full_disk_is_told() {
    let world = World::new().await;
    world.disk.suffer(Trouble::Full);
    assert_eq!(asks(&world, &ADA).await, 503);
    // what was set aside gives the store room to be reopened, and no more than that
    world.disk.suffer(Trouble::None);
    world.clock.rest(Span::minutes(1));
    let reopened = async {
        while world.writer.health().state() != StoreState::EndsOnly {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(std::time::Duration::from_secs(180), reopened).await.is_ok(), "never reopened");
    let told = ["there is no room left to write it down", "here is no room left for the journal", "Make room"];
    is_told(&world, told).await;
}

#[tokio::test]
async fn a_disk_that_fails_is_told_also_where_nothing_can_be_read() {
    let world = World::new().await;
    world.disk.suffer(Trouble::Writing);
    assert_eq!(asks(&world, &ADA).await, 503);
    for (who, place) in [(&ADA, "/"), (&ADA, "/roles"), (&ROOT, "/approvals")] {
        let text = world.page(who, place).await.text();
        assert_eq!(text.matches("the journal cannot be written").count(), 1, "{place}: {text}");
    }
    let unknown = world.visit(&ADA, Method::GET, "/").header("authorization", "Bearer x");
    let unknown = world.shown(unknown.body(axum::body::Body::empty()).unwrap()).await.text();
    assert!(!unknown.contains("the journal cannot be written"), "strangers learn nothing: {unknown}");
}

#[tokio::test]
async fn a_clock_that_was_set_back_is_told() {
    let world = World::new().await;
    world.page(&ADA, "/").await;
    world.clock.set(Timestamp::from_seconds(NOW - 60));
    let told = ["the clock of this machine was set back", "lies 60 seconds behind", "Correct the machine"];
    is_told(&world, told).await;
    assert_eq!(asks(&world, &ADA).await, 503);
}
