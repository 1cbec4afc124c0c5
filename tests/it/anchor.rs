//! Stories of heads kept elsewhere: a journal that does not hold its newest one opens nothing.

use std::fs;
use std::path::Path;

use hallpass::clock::Clock;
use hallpass::demo::issuer::{ADA, Person, ROOT};
use hallpass::demo::upstream::Upstream;
use hallpass::journal::SignedCheckpoint;
use hallpass::journal::checkpoint::read_all;
use hallpass::store::{self, Settings, stopped};
use serde_json::json;

use crate::support::process::Program;

const ANCHORED: &str = "[anchor]\nfile = \"anchors\"\n";

/// A program whose head was anchored, killed, and the role that Ada held then.
async fn anchored() -> (Program, Upstream) {
    let upstream = Upstream::start().await.expect("an application");
    let mut program = Program::new(&upstream.url(), ANCHORED).await;
    program.start(&ADA).await;
    let ada = program.token(&ADA);
    let ask = json!({ "role": "shop/records-editor", "duration": "1h", "justification": "a correction, at last" });
    let (status, told) = program.post(&ada, "/activations", &ask).await.expect("an answer");
    assert_eq!(status, 201, "{told}");
    assert_eq!(edit(&program).await, 200, "the role opens its route");
    program.kill();
    (program, upstream)
}

async fn edit(program: &Program) -> u16 {
    let request = program.http.put(format!("{}/records/1", program.gate)).bearer_auth(program.token(&ADA));
    request.body("{}").send().await.expect("an answer").status().as_u16()
}

async fn text(program: &Program, url: String) -> (u16, String) {
    let answer = program.http.get(url).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}

/// Moves the journal on and lets its head be anchored.
async fn goes_on(program: &mut Program) {
    program.start(&ROOT).await;
    let root = program.token(&ROOT);
    for principal in ["demo:nobody-1", "demo:nobody-2"] {
        let lock = json!({ "justification": "only to write a record" });
        let (status, told) =
            program.post(&root, &format!("/principals/{principal}/lock"), &lock).await.expect("an answer");
        assert!(status < 300, "{status}: {told}");
    }
    let (status, told) = program.post(&root, "/audit/anchors", &json!({})).await.expect("an answer");
    assert_eq!((status, &told["missed"]), (200, &json!([])), "{told}");
    assert_eq!(told["reached"], json!(["file"]), "the demo's log is too quiet for it");
    program.kill();
}

fn head_of(store: &Path) -> u64 {
    stopped::snapshot(store).and_then(|journal| journal.head()).expect("a store").position.0
}

fn newest(program: &Program) -> SignedCheckpoint {
    let file = fs::read_to_string(program.folder().join("anchors")).expect("anchors");
    read_all(&file).pop().expect("an anchor")
}

/// What everybody meets when the journal is in doubt.
async fn is_shut(program: &Program, why: &str) {
    let request = program.http.put(format!("{}/records/1", program.gate)).bearer_auth(program.token(&ADA)).body("{}");
    let refused = request.send().await.expect("an answer");
    assert_eq!(refused.status(), 503, "{why}: the role opens nothing");
    assert!(!refused.headers().contains_key("retry-after"), "trying again would not help");
    let told: serde_json::Value = refused.json().await.expect("a problem");
    assert_eq!(told["type"], "https://hallpass.dev/problems/journal_doubted", "{told}");
    let account = program.http.get(format!("{}/account", program.gate)).bearer_auth(program.token(&ADA));
    assert_eq!(account.send().await.expect("an answer").status(), 200, "{why}: whoever is signed in goes on");
    assert_eq!(text(program, format!("{}/", program.gate)).await.0, 200, "{why}: public routes go on");
    let ask = json!({ "role": "shop/records-editor", "justification": "it is urgent, really" });
    let (status, told) = program.post(&program.token(&ADA), "/activations", &ask).await.expect("an answer");
    assert_eq!((status, told["type"].as_str()), (503, Some("https://hallpass.dev/problems/journal_doubted")), "{told}");
    let (ready, reason) = text(program, format!("{}/readyz", program.admin)).await;
    assert_eq!(ready, 503, "{why}: {reason}");
    for told in [told["detail"].as_str().unwrap_or_default(), &reason] {
        assert!(told.contains(why), "{why} in {told}");
    }
    program.expect_logged(why).await;
    let (_, metrics) = text(program, format!("{}/metrics", program.admin)).await;
    assert!(metrics.contains("hallpass_journal_doubted 1\n"), "{metrics}");
    commands_say_so(program, why);
    let root = program.token(&ROOT);
    let (status, told) = program.post(&root, "/audit/anchors", &json!({})).await.expect("an answer");
    // a journal that only just began has no administrators, and in doubt it gets none
    let expected = if why == "this is journal" { 403 } else { 503 };
    assert_eq!(status, expected, "{why}: a head in doubt is told to nobody: {told}");
}

/// What commands say of a journal in doubt.
fn commands_say_so(program: &Program, why: &str) {
    let run = |who: &Person, arguments: &[&str]| {
        let token = program.folder().join("a-token");
        fs::write(&token, program.token(who)).expect("written");
        let portal = ["--portal", &program.portal, "--token-file", token.to_str().expect("a path")];
        program.run(&[arguments, &portal].concat())
    };
    let (code, told) = run(&ADA, &["request", "shop/records-editor", "--because", "it is urgent, really"]);
    assert!(code == 70 && told.contains("not now: ") && told.contains("trying again does not help"), "{code}: {told}");
    assert!(!told.contains("try again in") && told.matches("what to do").count() == 1, "{told}");
    let (code, told) = run(&ADA, &["list"]);
    assert!(code == 0 && told.contains("No role opens anything at present"), "{code}: {told}");
    // a journal that only just began has no administrators
    if why == "this is journal" {
        return;
    }
    let (code, told) = run(&ROOT, &["audit", "verify"]);
    assert!(
        code == 1 && told.contains("the portal doubts that this is its journal") && told.contains(why),
        "{code}: {told}"
    );
    assert!(!told.contains("verified  "), "{told}");
    let (code, json) = run(&ROOT, &["audit", "verify", "--json"]);
    assert!(code == 1 && json.contains("\"verified\": false") | json.contains("\"verified\":false"), "{code}: {json}");
    let backup = program.folder().join("backup-in-doubt");
    let to = backup.to_str().expect("a path");
    let (code, told) = run(&ROOT, &["backup", "--to", to]);
    assert!(code == 1 && told.contains("since the portal doubts its journal") && told.contains(why), "{code}: {told}");
    assert!(backup.exists() && !told.contains("ask the portal"), "{told}");
    let again = program.folder().join("again.redb");
    let (code, told) = program.run(&["restore", "--from", to, "--to", again.to_str().expect("a path")]);
    assert!(code == 1 && told.contains("--unsigned-end") && !again.exists(), "{code}: {told}");
    fs::remove_file(backup).expect("removed");
}

#[tokio::test]
async fn an_old_copy_opens_nothing_until_it_is_confirmed_or_restored() {
    let (mut program, _upstream) = anchored().await;
    let (store, kept) = (program.store(), program.folder().join("true.redb"));
    let old = fs::read(&store).expect("a store");
    goes_on(&mut program).await;
    fs::rename(&store, &kept).expect("moved");
    fs::write(&store, &old).expect("written");
    let anchor = newest(&program);

    // nothing is written but what somebody asks for that ends a right: it stays the old copy that it is
    let head = head_of(&store);
    program.edit("max = \"1h\", default", "max = \"50m\", default");
    for _ in 0..2 {
        program.start(&ADA).await;
        is_shut(&program, "an old copy, or its end was cut").await;
        assert_eq!(newest(&program), anchor, "the newest anchor stays the one that was right");
        program.kill();
        assert_eq!(head_of(&store), head, "nothing was written");
    }
    program.start(&ADA).await;
    let lock = json!({ "justification": "while nobody knows which journal is right" });
    let (status, told) =
        program.post(&program.token(&ROOT), "/principals/demo:nobody-3/lock", &lock).await.expect("an answer");
    assert!(status < 300, "{status}: {told}");
    program.kill();
    assert!(head_of(&store) > head, "what ends a right is written");

    // the true one comes back
    let forked = fs::read(&store).expect("a store");
    fs::copy(&kept, &store).expect("restored");
    program.start(&ADA).await;
    assert_eq!(edit(&program).await, 200);
    let (_, metrics) = text(&program, format!("{}/metrics", program.admin)).await;
    assert!(
        metrics.contains("hallpass_journal_doubted 0\n")
            && metrics.contains("hallpass_anchor_age_seconds{target=\"file\"}")
    );
    program.kill();

    // or the operator goes on with the other
    let anchor = newest(&program);
    fs::write(&store, &forked).expect("written");
    let store = store.display().to_string();
    let (config, anchors) = (program.config(), program.folder().join("anchors").display().to_string());
    let verify = |program: &Program| program.run(&["audit", "verify", &store, "--anchor", &anchors]);
    assert_eq!(verify(&program).0, 1);
    let confirm = ["anchor", "confirm", "--config", &config, "--because", "the disk of shop 4 burnt"];
    let (code, told) = program.run(&confirm);
    assert!(code == 2 && told.contains("--yes"), "{code}: {told}");
    let (code, told) = program.run(&[&confirm[..], &["--yes"]].concat());
    assert!(code == 0 && told.contains("confirmed by record"), "{code}: {told}");
    program.start(&ADA).await;
    assert_eq!(edit(&program).await, 200, "{}", program.log());
    let root = program.token(&ROOT);
    let (_, page) = program.read(&root, "/audit?event=anchor_confirmed").await;
    let record = &page["items"][0];
    assert_eq!(record["actor"]["type"], "operator", "{page}");
    assert_eq!(record["detail"]["justification"], "the disk of shop 4 burnt");
    assert_eq!(record["event"]["expected"]["sequence"], anchor.checkpoint.sequence);
    program.kill();
    let (code, told) = verify(&program);
    assert!(code == 0 && told.contains("confirmed"), "{code}: {told}");
    let (code, told) = program.run(&confirm);
    assert!(code == 0 && told.contains("nothing to confirm"), "{code}: {told}");
}

#[tokio::test]
async fn every_other_journal_in_its_place_is_noticed() {
    let (mut program, _upstream) = anchored().await;
    let old = fs::read(program.store()).expect("a store");
    goes_on(&mut program).await;
    let whole = fs::read(program.store()).expect("a store");

    // deleted: hallpass does not even start, and whoever begins anew on purpose is met by the anchor
    fs::remove_file(program.store()).expect("removed");
    let (code, told) = program.run(&["serve", "--config", &program.config()]);
    assert!(code == 70 && told.contains("is not at") && !program.store().exists(), "{code}: {told}");
    let pin = program.folder().join("demo.key.journal");
    let own_pin = fs::read(&pin).expect("a pin");
    fs::remove_file(&pin).expect("removed");
    program.start(&ADA).await;
    is_shut(&program, "this is journal").await;
    program.kill();

    // foreign, with a key of its own
    let elsewhere = tempfile::tempdir().expect("a folder");
    let other = Settings { path: elsewhere.path().join("store"), key_path: elsewhere.path().join("key") };
    drop(store::open(&other, Clock::system().now()).expect("a store"));
    let key = program.folder().join("demo.key");
    let own_key = fs::read(&key).expect("a key");
    fs::copy(&other.path, program.store()).expect("copied");
    fs::copy(&other.key_path, &key).expect("copied");
    let (code, told) = program.run(&["serve", "--config", &program.config()]);
    assert!(code == 70 && told.contains("is bound to"), "{code}: {told}");
    fs::copy(elsewhere.path().join("key.journal"), &pin).expect("copied");
    program.start(&ADA).await;
    is_shut(&program, "this is journal").await;
    program.kill();
    fs::write(&key, &own_key).expect("written");
    fs::write(&pin, &own_pin).expect("written");

    // forked: an old copy that went on in another way, past the anchored record
    fs::write(program.store(), &old).expect("written");
    let settings = Settings { path: program.store(), key_path: key.clone() };
    go_on_alone(&settings, newest(&program).checkpoint.sequence + 5);
    program.start(&ADA).await;
    is_shut(&program, "another record stands there in this journal").await;
    program.kill();

    // the file of anchors itself: damaged, and told by somebody without the key
    fs::write(program.store(), &whole).expect("written");
    let anchors = program.folder().join("anchors");
    let true_anchors = fs::read_to_string(&anchors).expect("anchors");
    fs::write(&anchors, "something else\n").expect("written");
    program.start(&ADA).await;
    is_shut(&program, "the file of anchors holds no whole anchor").await;
    program.kill();
    let sequence = newest_of(&true_anchors).checkpoint.sequence;
    let forged =
        newest_of(&true_anchors).to_string().replacen(&format!("\n{sequence}\n"), &format!("\n{}\n", sequence - 1), 1);
    fs::write(&anchors, forged).expect("written");
    program.start(&ADA).await;
    is_shut(&program, "no key of this journal signed it").await;
    program.kill();

    // emptied, or no store at all: hallpass does not even start
    fs::write(&anchors, &true_anchors).expect("written");
    for bytes in [&b""[..], &[0; 8192]] {
        fs::write(program.store(), bytes).expect("written");
        let (code, told) = program.run(&["serve", "--config", &program.config()]);
        assert!(code == 70 && told.contains("damaged"), "{code}: {told}");
        assert_eq!(fs::read(program.store()).expect("a store"), bytes, "nothing is put in its place");
    }

    // the true one with its true anchors
    fs::write(program.store(), &whole).expect("written");
    program.start(&ADA).await;
    assert_eq!(edit(&program).await, 200, "{}", program.log());
}

fn newest_of(anchors: &str) -> SignedCheckpoint {
    read_all(anchors).pop().expect("an anchor")
}

/// Appends records to a store until its head is `sequence`.
fn go_on_alone(settings: &Settings, sequence: u64) {
    use hallpass::domain::event::{Actor, Detail, Event};
    use hallpass::domain::id::CommandId;

    let mut opened = store::open(settings, Clock::system().now()).expect("a store");
    let mut transaction = opened.appender.begin().expect("a transaction");
    let time = transaction.head().time;
    while transaction.head().position.0 < sequence {
        let command = CommandId::from_random([7; 16]);
        let header = store::Header { command, time, actor: Actor::Configuration, idempotency: None };
        let event = Event::ConfigurationApplied { digest: "other".to_owned() };
        transaction.append(&header, &[event], &Detail::default()).expect("appended");
    }
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_file_of_anchors_that_is_gone_opens_nothing_until_it_is_back_or_the_journal_is_confirmed() {
    let (mut program, _upstream) = anchored().await;
    assert!(!program.log().contains("is not there, or empty"), "a first start only warns: {}", program.log());
    let (anchors, kept) = (program.folder().join("anchors"), program.folder().join("kept"));
    let store = program.store();
    let old = fs::read(&store).expect("a store");
    goes_on(&mut program).await;
    let expected = newest(&program).checkpoint.sequence;
    let whole = fs::read(&store).expect("a store");

    // the volume is not mounted, and the store is an old copy: nothing but the mark could tell
    fs::rename(&anchors, &kept).expect("moved");
    fs::write(&store, &old).expect("written");
    program.start(&ADA).await;
    is_shut(&program, "is not there, or empty: mount its volume, or restore it").await;
    assert!(program.log().contains(&format!("names record {expected} of journal")), "{}", program.log());
    assert!(!anchors.exists(), "a head in doubt is told to nobody");
    program.kill();
    fs::write(&anchors, "").expect("written");
    program.start(&ADA).await;
    is_shut(&program, "is not there, or empty: mount its volume, or restore it").await;
    program.kill();

    // mounted again
    fs::write(&store, &whole).expect("written");
    fs::rename(&kept, &anchors).expect("moved");
    program.start(&ADA).await;
    assert_eq!(edit(&program).await, 200, "{}", program.log());
    program.kill();

    // or lost for good, and the operator goes on
    fs::remove_file(&anchors).expect("removed");
    let confirm = ["anchor", "confirm", "--config", &program.config(), "--yes", "--because", "the volume burnt"];
    let (code, told) = program.run(&confirm);
    assert!(code == 0 && told.contains("is not there, or empty") && told.contains("confirmed by record"), "{told}");
    program.start(&ADA).await;
    assert_eq!(edit(&program).await, 200, "{}", program.log());
    program.kill();
    let (code, told) = program.run(&confirm);
    assert!(code == 0 && told.contains("nothing to confirm"), "{code}: {told}");

    // whoever takes the file out of the configuration is told that nothing is compared any more
    program.edit(ANCHORED, "");
    program.start(&ADA).await;
    assert!(program.log().contains("`anchor.file` is not configured any more"), "{}", program.log());
}
