//! A log whose reader stopped reading: lines are lost and counted, and nobody waits.

use std::fs::OpenOptions;
use std::process::Command;

use futures_util::future::join_all;
use hallpass::demo::issuer::{ADA, ROOT};
use serde_json::json;

use crate::process::Program;
use crate::volume::log_lines_lost;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stops_reading_the_log_holds_nobody_up() {
    let mut program = Program::new("http://127.0.0.1:9", "").await;
    program.edit("filter = \"warn\"", "filter = \"trace\"");
    let pipe = program.folder().join("log");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("a command").success());
    // open, or writing would be an error; never read
    let reader = OpenOptions::new().read(true).write(true).open(&pipe).expect("a pipe");
    program.start(&ROOT).await;
    let ada = program.token(&ADA);
    let mut asked = 0;
    while log_lines_lost(&program).await == 0 {
        let answers = join_all((0..50).map(|_| program.read(&ada, "/me"))).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        asked += 50;
        assert!(asked < 20_000, "so much is logged that some of it must be lost");
    }
    let wish = json!({ "role": "shop/records-editor", "justification": "although nobody reads the log" });
    let (status, held) = program.post(&ada, "/activations", &wish).await.expect("an answer");
    assert_eq!(status, 201, "{held}");
    let end = format!("/activations/{}/deactivate", held["id"].as_str().expect("an id"));
    assert_eq!(program.post(&ada, &end, &json!({})).await.expect("an answer").0, 200);
    program.signal("TERM");
    program.wait();
    drop(reader);
}
