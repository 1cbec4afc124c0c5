//! The record of uses on a disk that fills up: what a role opens is refused, readiness says why, and it mends by itself.

use std::os::unix::fs::symlink;

use hallpass::demo::issuer::{ADA, ROOT};
use hallpass::demo::upstream::Upstream;
use serde_json::json;

use crate::process::Program;
use crate::volume::{Volume, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uses_that_cannot_be_written_show_in_readiness_until_they_can() {
    let upstream = Upstream::start().await.expect("an application");
    let mut program = Program::new(&upstream.url(), "").await;
    let Some(volume) = Volume::mount(program.folder(), 4, "uses on a disk that fills up") else { return };
    symlink(volume.path().join("uses"), program.folder().join("demo.uses")).expect("a link");
    program.start(&ROOT).await;
    let ada = program.token(&ADA);
    let wish = json!({ "role": "shop/records-editor", "justification": "as long as there is room" });
    let (status, held) = program.post(&ada, "/activations", &wish).await.expect("an answer");
    assert_eq!(status, 201, "{held}");
    let put = async || {
        let url = format!("{}/records/soup?for={}", program.gate, "room".repeat(100));
        let answer = program.http.put(url).bearer_auth(&ada).body("salt").send().await.expect("an answer");
        answer.status().as_u16()
    };
    let at_rest = async || program.http.get(format!("{}/account", program.gate)).bearer_auth(&ada).send().await;
    let mut passed = 0_u64;
    assert!(matches!(put().await, 200..300));
    passed += 1;
    eventually("readiness says that all is well", || async { program.admin("/readyz").await.0 == 200 }).await;

    let filler = volume.fill();
    let refused = loop {
        match put().await {
            200..300 => passed += 1,
            status => break status,
        }
        assert!(passed < 20_000, "uses were never refused");
    };
    assert_eq!(refused, 503, "after {passed} uses");
    eventually("readiness names uses", || async {
        let (status, report) = program.admin("/readyz").await;
        status == 503
            && report.contains("uses: uses cannot be written down; requests that pass because of an activation")
    })
    .await;
    let metrics = program.admin("/metrics").await.1;
    assert!(metrics.contains("hallpass_uses_out 1"), "{metrics}");
    assert_eq!(at_rest().await.expect("an answer").status(), 200, "what needs no activation goes on");
    assert_eq!(put().await, 503, "what does is still refused");

    std::fs::remove_file(filler).expect("removed");
    eventually("readiness is well again", || async { program.admin("/readyz").await.0 == 200 }).await;
    assert!(matches!(put().await, 200..300));
    passed += 1;
    let metrics = program.admin("/metrics").await.1;
    assert!(metrics.contains("hallpass_uses_out 0") && metrics.contains("hallpass_uses_lost_total 0"), "{metrics}");

    // all that passed was written down, each once, whatever the disk said in between
    let id = held["id"].as_str().expect("an id");
    eventually("each use is there once", || async {
        let mut counted = 0;
        let mut path = format!("/uses?activation={id}&limit=200");
        loop {
            let (status, page) = program.read(&ada, &path).await;
            assert_eq!(status, 200, "{page}");
            counted += page["items"].as_array().map_or(0, Vec::len) as u64;
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/uses?activation={id}&limit=200&cursor={next}");
        }
        counted == passed
    })
    .await;
}
