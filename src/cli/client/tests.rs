//! The client against sockets that misbehave; how it speaks to a portal that behaves is told in `tests/cli`.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;
use crate::cli::failure::Exit;

const PATIENT: Duration = Duration::from_secs(20);

fn client(listener: &TcpListener, patience: Duration) -> Client {
    let base = read_base(&format!("http://{}/hallpass/", listener.local_addr().unwrap()), false).unwrap();
    let token = TokenSource::Given(HeaderValue::from_static("Bearer token-of-ada"));
    Client::speaking_to(base, token, patience).unwrap()
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// Reads one request's head and body.
async fn hear(socket: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&heard);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return text.into_owned();
            }
        }
        assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0, "cut in the middle of a request");
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|it| it.1)
}

#[tokio::test]
async fn a_command_lost_with_its_connection_is_sent_once_more_with_the_same_key() {
    let listener = listener().await;
    let client = client(&listener, PATIENT);
    let mut portal = JoinSet::new();
    portal.spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let lost = hear(&mut first).await;
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        let kept = hear(&mut second).await;
        second.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        (lost, kept)
    });
    let answer = client.post("/activations", &[], &json!({ "role": "shop/vault-reader" })).await.unwrap();
    assert_eq!(answer.text(), "{}");
    let (lost, kept) = portal.join_next().await.unwrap().unwrap();
    assert!(lost.starts_with("POST /hallpass/api/v1/activations HTTP/1.1"), "{lost}");
    assert_eq!(header(&lost, "authorization"), Some("Bearer token-of-ada"));
    let key = header(&lost, "idempotency-key").unwrap();
    assert_eq!(key.len(), 32);
    assert_eq!(header(&kept, "idempotency-key"), Some(key), "the same key");
    assert_eq!(lost.split_once("\r\n\r\n").unwrap().1, r#"{"role":"shop/vault-reader"}"#);
}

#[tokio::test]
async fn two_commands_have_two_keys() {
    assert_ne!(fresh_key().unwrap(), fresh_key().unwrap());
}

#[tokio::test]
async fn a_portal_that_drops_every_connection_is_tried_twice_and_no_more() {
    let listener = listener().await;
    let client = client(&listener, PATIENT);
    let mut portal = JoinSet::new();
    portal.spawn(async move {
        let mut count = 0;
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let last = hear(&mut socket).await.starts_with("GET");
            if last {
                return count;
            }
            count += 1;
        }
    });
    let failure = client.post("/activations", &[], &json!({})).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.to_string().contains("not known whether the command was carried out"), "{failure}");
    // tells the counting portal that this was all
    let _ = client.get("/me", &[]).await;
    assert_eq!(portal.join_next().await.unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_silent_portal_is_unreachable() {
    // connections are taken by the kernel, and nobody answers
    let listener = listener().await;
    let failure = client(&listener, Duration::from_millis(100)).get("/me", &[]).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.to_string().contains("did not answer"), "{failure}");
    let failure = client(&listener, Duration::from_millis(100)).open(events::PATH, &[], None).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let listener = listener().await;
    let client = client(&listener, PATIENT);
    let mut portal = JoinSet::new();
    portal.spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        hear(&mut socket).await;
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"principal\":").await.unwrap();
    });
    let failure = client.get("/me", &[]).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.to_string().contains("broke off"), "{failure}");
}

#[test]
fn the_token_travels_unprotected_only_on_this_machine_or_when_told() {
    for (portal, plain) in [("http://127.0.0.1:8081", false), ("http://[::1]", false), ("http://localhost:1", false)] {
        assert!(read_base(portal, plain).is_ok(), "{portal}");
    }
    assert!(read_base("https://portal.example/base", false).is_ok());
    assert!(read_base("http://portal.example", true).is_ok());
    for portal in [
        "http://portal.example",
        "http://127.0.0.1.portal.example",
        "ftp://portal.example",
        "portal.example",
        "https://ada:secret@portal.example",
        "https://portal.example/?x=1",
    ] {
        assert_eq!(read_base(portal, false).unwrap_err().exit(), Exit::Usage, "{portal}");
    }
}
