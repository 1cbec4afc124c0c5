//! No stale allow through the whole gate: readers on warm and cold connections, while the role they use comes and goes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use hallpass::demo::issuer::{ADA, Person};
use serde_json::json;

use crate::support::{House, Who, eventually};

const PEOPLE: [&str; 6] = ["p1", "p2", "p3", "p4", "p5", "p6"];
const ROUNDS: usize = 40;
const READERS_EACH: usize = 2;

/// What the readers of one person saw.
#[derive(Default)]
struct Seen {
    passed: AtomicU64,
    refused: AtomicU64,
}

/// The activations of one person whose end was answered.
type Ended = Arc<Mutex<Vec<String>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_passes_under_an_activation_whose_end_was_answered() {
    let more = "[portal.limits]\ncommands_per_second = 10000\ncommands_burst = 10000\n";
    let house = House::with(more).await;
    let stories = PEOPLE.map(|subject| {
        let person = Person { subject, ..ADA };
        let who = Who::new(&house, &person);
        async move {
            let (ended, done, seen) = (Ended::default(), AtomicBool::new(false), Seen::default());
            let readers = (0..READERS_EACH).map(|_| read(&who, &ended, &done, &seen));
            let writer = come_and_go(&who, &ended, &done, &seen);
            futures_util::future::join(writer, futures_util::future::join_all(readers)).await;
        }
    });
    futures_util::future::join_all(stories).await;
    house.stop().await;
}

/// Each time the readers see it as well, however seldom they get their turn.
async fn come_and_go(who: &Who<'_>, ended: &Ended, done: &AtomicBool, seen: &Seen) {
    let one_more = async |count: &AtomicU64| {
        let before = count.load(Ordering::Relaxed);
        eventually("a reader sees it", || count.load(Ordering::Relaxed) > before).await;
    };

    for _ in 0..ROUNDS {
        let activation = crate::support::id(&who.request("shop/records-editor", "10m").await);
        who.get("/fast/x").await.expect(200);
        one_more(&seen.passed).await;
        who.post(&format!("/activations/{activation}/deactivate"), json!({})).await.expect(200);
        ended.lock().expect("a list").push(activation);
        who.get("/fast/x").await.expect(403);
        one_more(&seen.refused).await;
    }
    done.store(true, Ordering::Release);
}

async fn read(who: &Who<'_>, ended: &Ended, done: &AtomicBool, seen: &Seen) {
    while !done.load(Ordering::Acquire) {
        // whatever was answered before the request is sent must bind it
        let over = ended.lock().expect("a list").clone();
        let answer = who.get("/fast/x").await;
        match answer.status {
            200 => {
                seen.passed.fetch_add(1, Ordering::Relaxed);
                let stale = over.iter().find(|activation| answer.text.contains(activation.as_str()));
                assert_eq!(stale, None, "passed under an activation that had ended");
            }
            403 => {
                seen.refused.fetch_add(1, Ordering::Relaxed);
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
}
