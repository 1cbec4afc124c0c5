//! The real program under a clock that somebody sets: across a restart, and while it runs.
//!
//! The clock is libfaketime's; without it the stories are left out, and say so.

use std::path::PathBuf;

use hallpass::demo::issuer::{ADA, Person, ROOT, TokenOptions};
use hallpass::domain::time::Span;
use serde_json::{Value, json};

use crate::process::Program;
use crate::volume::eventually;

const WORKER: Person = Person { subject: "worker-1", ..ADA };
const OTHER: Person = Person { subject: "worker-2", ..ADA };
const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A program whose clock follows what a file says.
struct Shifted {
    program: Program,
    file: PathBuf,
}

impl Shifted {
    async fn new() -> Option<Self> {
        let Some(library) = LIBRARIES.iter().find(|library| std::path::Path::new(library).exists()) else {
            println!("LEFT OUT, because there is no libfaketime: a clock that somebody sets");
            return None;
        };
        let mut program = Program::new("http://127.0.0.1:9", "").await;
        let file = program.folder().join("shift");
        program.environment = vec![
            ("LD_PRELOAD", (*library).to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let shifted = Self { program, file };
        shifted.shift("+0");
        Some(shifted)
    }

    /// Sets the clock: from now on it is so much ahead or behind.
    fn shift(&self, by: &str) {
        let next = self.file.with_extension("next");
        std::fs::write(&next, by).expect("written");
        std::fs::rename(next, &self.file).expect("in place");
    }

    fn token(&self, who: &Person) -> String {
        let options = TokenOptions { lifetime: Span::hours(6), ..TokenOptions::default() };
        self.program.issuer.token(who, &options).expect("a token")
    }

    async fn ask(&self, who: &Person) -> (u16, Value) {
        let wish = json!({ "role": "shop/records-editor", "justification": "whatever the clock says" });
        self.program.post(&self.token(who), "/activations", &wish).await.expect("an answer")
    }

    /// Changes something at the gate, which that role alone may.
    async fn edit(&self, token: &str) -> (u16, String) {
        let url = format!("{}/records/1", self.program.gate);
        let answer = self.program.http.put(url).bearer_auth(token).body("{}").send().await.expect("an answer");
        let status = answer.status().as_u16();
        let told: Value = answer.json().await.unwrap_or_default();
        (status, told["type"].as_str().and_then(|of| of.rsplit('/').next()).unwrap_or_default().to_owned())
    }

    async fn end(&self, who: &Person, id: &str, how: &str) -> u16 {
        let path = format!("/activations/{id}/{how}");
        self.program.post(&self.token(who), &path, &json!({})).await.expect("an answer").0
    }

    async fn has_record(&self, event: &str) -> bool {
        let (status, found) = self.program.read(&self.token(&ROOT), &format!("/audit?event={event}")).await;
        assert_eq!(status, 200, "{found}");
        found.to_string().contains(&format!("\"{event}\""))
    }

    async fn state_of(&self, id: &str) -> String {
        let (status, activation) = self.program.read(&self.token(&ROOT), &format!("/activations/{id}")).await;
        assert_eq!(status, 200, "{activation}");
        activation["state"].as_str().expect("a state").to_owned()
    }

    /// The alarm rings everywhere, and nothing new is granted.
    async fn expect_alarm(&self, told: &str) {
        let refused = self.ask(&OTHER).await;
        let code = refused.1["type"].as_str().unwrap_or_default();
        assert!(refused.0 == 503 && code.ends_with("/clock_behind"), "{refused:?}");
        eventually("readiness says so", || async {
            let (status, report) = self.program.admin("/readyz").await;
            status == 503 && report.contains("clock: the clock lies ")
        })
        .await;
        let metrics = self.program.admin("/metrics").await.1;
        let behind = metrics.lines().find_map(|line| line.strip_prefix("hallpass_clock_behind_seconds "));
        let behind: f64 = behind.and_then(|text| text.parse().ok()).expect("a metric");
        assert!(behind > 3000.0, "{behind}");
        self.program.expect_logged(told).await;
    }
}

fn id(answer: &(u16, Value)) -> String {
    assert_eq!(answer.0, 201, "{answer:?}");
    answer.1["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_across_a_restart_revives_nothing_and_grants_nothing() {
    let Some(mut shifted) = Shifted::new().await else { return };
    shifted.program.start(&ROOT).await;
    let over = id(&shifted.ask(&WORKER).await);
    assert_eq!(shifted.end(&WORKER, &over, "deactivate").await, 200);
    let held = id(&shifted.ask(&OTHER).await);
    let other = shifted.token(&OTHER);
    assert_eq!(shifted.edit(&other).await.0, PASSED);
    shifted.program.kill();

    shifted.shift("-1h");
    shifted.program.start(&ROOT).await;
    assert_eq!(shifted.state_of(&over).await, "ended", "what ended stays ended");
    let refused = (503, "clock_behind".to_owned());
    assert_eq!(shifted.edit(&other).await, refused, "nobody can tell whether this right has ended meanwhile");
    shifted.expect_alarm("the clock lies behind the newest record of the journal").await;
    // the clock is corrected, and then wrong again: now it is known how much time passes
    shifted.shift("+0");
    eventually("roles open again", || async { shifted.edit(&other).await.0 == PASSED }).await;
    eventually("it is ready", || async { shifted.program.admin("/readyz").await.0 == 200 }).await;
    shifted.shift("-1h");
    shifted.expect_alarm(SET_BACK).await;
    assert_eq!(shifted.edit(&other).await.0, PASSED, "what is held is held");
    // ending is never made to wait for the clock
    assert_eq!(shifted.end(&ROOT, &held, "revoke").await, 200);
    shifted.program.kill();

    shifted.shift("+0");
    shifted.program.start(&ROOT).await;
    assert_eq!(shifted.state_of(&held).await, "ended");
    id(&shifted.ask(&WORKER).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_forward_and_back_while_running_leaves_ended_what_it_ended() {
    let Some(mut shifted) = Shifted::new().await else { return };
    shifted.program.start(&ROOT).await;
    let held = id(&shifted.ask(&WORKER).await);
    assert_eq!(shifted.state_of(&held).await, "active");

    shifted.shift("+2h");
    eventually("it is over", || async { shifted.state_of(&held).await == "ended" }).await;
    // at once, so that nobody may have looked at the clock meanwhile but whoever asked
    shifted.shift("+0");
    assert_eq!(shifted.state_of(&held).await, "ended");
    eventually("its end is written down", || async { shifted.has_record("activation_ended").await }).await;
    shifted.expect_alarm(SET_BACK).await;

    // also after a restart: the journal remembers how late it was
    shifted.program.kill();
    shifted.program.start(&ROOT).await;
    assert_eq!(shifted.state_of(&held).await, "ended");
    shifted.expect_alarm("the clock lies behind the newest record of the journal").await;
    // and when real time has caught up, rights are granted again
    shifted.shift("+3h");
    eventually("rights are granted again", || async { shifted.ask(&WORKER).await.0 == 201 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_slept_over_an_end_wakes_to_a_refusal() {
    let Some(mut shifted) = Shifted::new().await else { return };
    shifted.program.start(&ROOT).await;
    id(&shifted.ask(&WORKER).await);
    let token = shifted.token(&WORKER);
    assert_eq!(shifted.edit(&token).await.0, PASSED);

    shifted.program.signal("STOP");
    // sent while it sleeps: the first thing it finds when it wakes
    let wakes = async {
        shifted.shift("+2h");
        shifted.program.signal("CONT");
    };
    let (first, ()) = tokio::join!(shifted.edit(&token), wakes);
    assert_eq!(first, (403, "role_not_active".to_owned()), "the right ended while nobody looked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_while_the_clock_is_set_back_ends_in_time() {
    let Some(mut shifted) = Shifted::new().await else { return };
    shifted
        .program
        .edit(r#"activation = { max = "1h", default = "30m" }"#, r#"activation = { min = "1s", max = "1h" }"#);
    shifted.program.start(&ROOT).await;
    let options = TokenOptions { lifetime: Span::seconds(6), ..TokenOptions::default() };
    let brief = shifted.program.issuer.token(&OTHER, &options).expect("a token");
    id(&shifted.ask(&OTHER).await);
    let wish = json!({ "role": "shop/records-editor", "justification": "for a moment only", "duration": "6s" });
    let worker = shifted.token(&WORKER);
    let held = shifted.program.post(&worker, "/activations", &wish).await.expect("an answer");
    let held = id(&held);
    shifted.shift("-1h");
    eventually("the right ends", || async { shifted.edit(&worker).await == (403, "role_not_active".to_owned()) }).await;
    eventually("the token ends", || async { shifted.edit(&brief).await == (401, "invalid_token".to_owned()) }).await;
    assert_eq!(shifted.edit(&shifted.token(&OTHER)).await.0, PASSED, "and nothing that is not over");
    eventually("its end is written down", || async { shifted.has_record("activation_ended").await }).await;
    shifted.expect_alarm(SET_BACK).await;

    // nor does it come back when the clock does
    shifted.shift("+0");
    assert_eq!(shifted.state_of(&held).await, "ended");
    assert_eq!(shifted.edit(&worker).await, (403, "role_not_active".to_owned()));
    assert_eq!(shifted.edit(&brief).await, (401, "invalid_token".to_owned()));
}

/// It came through, and there is no application behind the gate.
const PASSED: u16 = 502;
const SET_BACK: &str = "the clock was set back";
