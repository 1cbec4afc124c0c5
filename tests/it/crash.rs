//! `kill -9` at random moments under load: what was answered is there, and the chain verifies.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hallpass::demo::issuer::{ADA, Person, ROOT};
use serde_json::json;

use crate::seeds::{seed, setting};
use crate::support::process::Program;

const ROUNDS: u64 = 50;
const WORKERS: [Person; 4] = [
    Person { subject: "worker-1", ..ADA },
    Person { subject: "worker-2", ..ADA },
    Person { subject: "worker-3", ..ADA },
    Person { subject: "worker-4", ..ADA },
];

/// What the service has answered about each activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answered {
    Active,
    Ended,
}

type Answers = Arc<Mutex<HashMap<String, Answered>>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_being_killed() {
    let seed = seed("TESTS_CRASH_SEED");
    let rounds = setting("TESTS_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    let answers: Answers = Arc::default();
    let seen = AtomicU64::new(0);
    let mut moment = seed;
    for round in 0..rounds {
        if round > 0 && round.is_multiple_of(100) {
            println!("{round} of {rounds} rounds, {} activations", seen.load(Ordering::Relaxed));
        }
        program.start(&ROOT).await;
        check(&program, &answers, round).await;
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let load = WORKERS.iter().map(|worker| work(&program, worker, &answers, &seen));
        let load = futures_util::future::join_all(load);
        let fatal = Duration::from_millis(5 + (moment >> 33) % 250);
        let _ = tokio::time::timeout(fatal, load).await;
        program.kill();
        let store = program.store();
        let (code, said) = program.run(&["audit", "verify", "--store", store.to_str().expect("a path")]);
        assert_eq!(code, 0, "round {round}: {said}");
    }
    program.start(&ROOT).await;
    check(&program, &answers, rounds).await;
    let seen = seen.load(Ordering::Relaxed);
    println!("{rounds} rounds, {seen} activations");
    assert!(seen > rounds, "there was load: {seen} activations in {rounds} rounds");
}

/// Takes and hands back a role, again and again, and notes what was answered.
async fn work(program: &Program, worker: &Person, answers: &Answers, seen: &AtomicU64) {
    let token = program.token(worker);
    loop {
        let ask = json!({ "role": "shop/records-editor", "justification": "to be interrupted any moment" });
        let Some((201, activation)) = program.post(&token, "/activations", &ask).await else { continue };
        let id = activation["id"].as_str().expect("an id").to_owned();
        note(answers, &id, Answered::Active);
        seen.fetch_add(1, Ordering::Relaxed);
        if let Some((200, _)) = program.post(&token, &format!("/activations/{id}/deactivate"), &json!({})).await {
            note(answers, &id, Answered::Ended);
        }
    }
}

fn note(answers: &Answers, id: &str, answered: Answered) {
    answers.lock().expect("answers").insert(id.to_owned(), answered);
}

/// What was answered is so; what was asked and not answered may be.
async fn check(program: &Program, answers: &Answers, round: u64) {
    let token = program.token(&ROOT);
    let answered = answers.lock().expect("answers").clone();
    for (id, answered) in answered {
        let (status, activation) = program.read(&token, &format!("/activations/{id}")).await;
        assert_eq!(status, 200, "round {round}: {id} is gone");
        let state = activation["state"].as_str().unwrap_or_default();
        let kept = match answered {
            // one taken while another was still held begins at its end
            Answered::Active => matches!(state, "active" | "scheduled" | "ended"),
            Answered::Ended => state == "ended",
        };
        assert!(kept, "round {round}: {id} was answered {answered:?} and is {state}");
        if answered == Answered::Ended {
            // looked at once after it ended is enough: ended stays ended is the model's to prove
            answers.lock().expect("answers").remove(&id);
        }
    }
}
