//! Stories of heads that are published: to a file that stays bounded, and to a webhook that is asked until it has taken one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use data_encoding::BASE64;
use hallpass::domain::time::{Span, Timestamp};
use hallpass::journal::SignedCheckpoint;
use hallpass::journal::checkpoint::read_all;
use serde_json::{Value, json};

use crate::support::{House, eventually};

/// Somebody else's server: it refuses for as long as it is told to, and keeps what it took.
#[derive(Clone, Default)]
struct Hook {
    refuses: Arc<Mutex<bool>>,
    asked: Arc<Mutex<Vec<(HeaderMap, String)>>>,
}

impl Hook {
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = axum::Router::new().route("/anchors", post(take)).with_state(self.clone());
        tokio::task::spawn_local(async move { axum::serve(listener, router).await });
        format!("http://{address}/anchors")
    }

    fn asked(&self) -> Vec<(HeaderMap, String)> {
        self.asked.lock().expect("asked").clone()
    }
}

async fn take(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    hook.asked.lock().expect("asked").push((headers, body));
    if *hook.refuses.lock().expect("refuses") { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT }
}

#[tokio::test]
async fn heads_reach_file_and_webhook_at_an_interval_and_again_until_they_are_taken() {
    tokio::task::LocalSet::new().run_until(heads_are_published()).await;
}

async fn heads_are_published() {
    let hook = Hook::default();
    *hook.refuses.lock().expect("refuses") = true;
    let folder = tempfile::tempdir().expect("a folder");
    let (anchors, secret) = (folder.path().join("anchors"), folder.path().join("secret"));
    let bytes = [3; 32];
    fs::write(&secret, format!("whsec_{}\n", BASE64.encode(&bytes))).expect("written");
    for mode in [0o644, 0o640] {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).expect("set");
        let refused = hallpass::anchor::Secret::read(&secret).err().map(anyhow::Error::new).expect("a refusal");
        assert!(format!("{refused:#}").contains(&format!("has mode {mode:04o}")), "{refused:#}");
    }
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("set");
    let more = format!(
        "[anchor]\nfile = \"{}\"\ninterval = \"1m\"\nrecords_max = 3\n[anchor.webhook]\nurl = \"{}\"\nsecret_file = \"{}\"\n",
        anchors.display(),
        hook.start().await,
        secret.display()
    );
    let house = House::with(&more).await;
    let in_file = || fs::read_to_string(&anchors).map(|text| read_all(&text)).unwrap_or_default();
    eventually("an anchor at the start", || in_file().len() == 1).await;
    eventually("the webhook is asked", || hook.asked().len() == 1).await;

    // refused: asked again after a pause, with the present head
    *hook.refuses.lock().expect("refuses") = false;
    house.pass_until("the webhook is asked again", Span::seconds(1), async || hook.asked().len() > 1).await;
    let (headers, body) = hook.asked().pop().expect("a message");
    let header = |name: &str| headers[name].to_str().expect("text").to_owned();
    let signed = format!("{}.{}.{body}", header("webhook-id"), header("webhook-timestamp"));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &bytes);
    let signature = BASE64.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()).as_ref());
    assert_eq!(header("webhook-signature"), format!("v1,{signature}"));
    let told: Value = serde_json::from_str(&body).expect("JSON");
    let note: SignedCheckpoint = told["data"]["checkpoint"].as_str().expect("a note").parse().expect("a checkpoint");
    assert_eq!(
        (&told["type"], told["data"]["sequence"].as_u64()),
        (&json!("journal.anchored"), Some(note.checkpoint.sequence))
    );

    // three records are many enough
    let seen = hook.asked().len();
    house.ada_holds_the_vault("10m").await;
    eventually("an anchor after so many records", || hook.asked().len() > seen).await;

    // an interval
    let seen = hook.asked().len();
    house.pass_until("an anchor after the interval", Span::seconds(20), async || hook.asked().len() > seen).await;

    // and on demand
    let vera = house.vera();
    let (told, head) = loop {
        let told = vera.post("/audit/anchors", json!({})).await.expect(200).json();
        assert_eq!(told["reached"], json!(["file", "webhook"]), "{told}");
        let head = vera.read("/audit/head").await.expect(200).json();
        // what ran out in the time that passed may still be being written down
        if told["sequence"] == head["sequence"] {
            break (told, head);
        }
    };
    assert_eq!(told["hash"], head["hash"]);
    assert_eq!(house.ada().post("/audit/anchors", json!({})).await.status, 403, "not for everybody");
    let note = vera.read("/audit/checkpoint").await.expect(200);
    let note: SignedCheckpoint = note.text.parse().expect("a checkpoint");
    assert!(note.is_by(&head["signing_key"].as_str().expect("a key").parse().expect("a key")));
    assert_eq!(house.ada().read("/audit/checkpoint").await.status, 403);
    let newest = in_file().pop().expect("an anchor");
    assert_eq!(newest.checkpoint.sequence, head["sequence"].as_u64().expect("a number"));
    house.stop().await;
}

#[test]
fn a_file_of_anchors_stays_bounded_and_survives_a_torn_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("anchors");
    let (key, _) = hallpass::journal::SigningKey::generate().expect("a key");
    let note = |sequence| {
        let time = Timestamp::from_seconds(1_795_000_000);
        hallpass::journal::Checkpoint { realm: "00ff".into(), sequence, hash: [1; 32], time }.sign(&key)
    };
    let newest = |path: &Path| match hallpass::anchor::newest(path).expect("read") {
        hallpass::anchor::Newest::Note(note) => Some(note.checkpoint.sequence),
        _ => None,
    };
    let file = hallpass::anchor::AnchorFile::new(&path, &folder.path().join("store"));
    assert_eq!((newest(&path), file.mark().expect("read")), (None, None));
    for sequence in 1..=3 {
        file.append(&note(sequence)).expect("appended");
        assert_eq!(newest(&path), Some(sequence));
    }
    // cut off inside the newest: the one before counts, and the next one is whole
    let whole = fs::read(&path).expect("read");
    fs::write(&path, &whole[..whole.len() - 20]).expect("cut");
    assert_eq!(newest(&path), Some(2));
    file.append(&note(4)).expect("appended");
    assert_eq!(newest(&path), Some(4));
    // grown: put aside, and still found there when the new file is lost
    fs::write(&path, [fs::read(&path).expect("read"), vec![b'\n'; 1 << 20]].concat()).expect("grown");
    file.append(&note(5)).expect("appended");
    let length = fs::metadata(&path).expect("a file").len();
    assert!(length < 1000 && newest(&path) == Some(5), "{length}");
    file.append(&note(6)).expect("appended");
    fs::remove_file(&path).expect("lost");
    fs::write(folder.path().join("anchors.1"), &whole).expect("written");
    assert_eq!(newest(&path), Some(3));
    let mark = file.mark().expect("read").expect("a mark");
    assert_eq!((mark.path, mark.last), (path, Some(note(6))));
    let mode = fs::metadata(folder.path().join("store.anchored")).expect("a mark").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
