//! How access ends: by somebody's word, felt by a feed that is already open, and by itself at the promised instant.

use std::time::Instant;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use http::{HeaderValue, Method, header};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::clock::{Clock, awake, parse_rfc3339};
use crate::demo::stage::PATIENCE;
use crate::demo::tour::Cast;
use crate::demo::tour::asking::{ACTIVATIONS, Case, VAULT};
use crate::demo::tour::narrator::{Door, Narrator, NotAsTold, Voice};

pub(super) async fn revoked(narrator: &mut Narrator<'_>, cast: &Cast, case: &Case) -> anyhow::Result<()> {
    narrator.step("A live feed from the vault, over a WebSocket")?;
    let mut feed = opened(narrator, &cast.ada).await?;
    for _ in 0..3 {
        let text = timeout(PATIENCE, ticked(&mut feed)).await.context("the feed does not tick")??;
        narrator.fact("feed", &text)?;
    }

    narrator.step("The administrator revokes: the feed is cut, not only the next request")?;
    let mut watching = JoinSet::new();
    watching.spawn(async move { cut(feed).await });
    let asked_at = awake();
    let reason = json!({ "justification": "the count is over" });
    let answer = narrator.post(&cast.root, Door::Portal, &case.path("/revoke"), reason, 200).await?;
    let answered_in = asked_at.elapsed();
    let (cut_at, how) = timeout(PATIENCE, watching.join_next())
        .await
        .map_err(|_| NotAsTold("the feed must be cut, and still ticks".to_owned()))?
        .context("nobody watches the feed")??;
    answer.must_be("/state", "ended")?;
    answer.must_be("/ending", "revoked")?;
    narrator.members(&answer, &["/state", "/ending"])?;
    narrator.fact("feed", &how)?;
    let millis = |span: std::time::Duration| format!("{:.1} ms", span.as_secs_f64() * 1000.0);
    narrator.fact("measured", &format!("feed cut {} after the request", millis(cut_at.duration_since(asked_at))))?;
    narrator.fact("", &format!("revocation durable and answered {} after it", millis(answered_in)))?;

    narrator.step("The same token is refused again")?;
    let answer = narrator.get(&cast.ada, Door::Gate, VAULT, 403).await?;
    narrator.members(&answer, &["/role"])
}

pub(super) async fn expired(narrator: &mut Narrator<'_>, cast: &Cast) -> anyhow::Result<()> {
    narrator.step("A role that needs no approval, for two seconds: it ends by itself")?;
    edit(narrator, &cast.ada, 403).await?;
    let wish = json!({ "role": "shop/records-editor", "duration": "2s", "justification": "one typing error in the rye bread" });
    let answer = narrator.post(&cast.ada, Door::Portal, ACTIVATIONS, wish, 201).await?;
    answer.must_be("/state", "active")?;
    narrator.members(&answer, &["/state", "/window/ends_at"])?;
    let ends_at = parse_rfc3339(answer.text("/window/ends_at")?)?;
    edit(narrator, &cast.ada, 200).await?;
    let clock = Clock::system();
    clock.wait_until(ends_at).await;
    let late = clock.now().millis_since(ends_at);
    edit(narrator, &cast.ada, 403).await?;
    narrator.fact("measured", &format!("asked {late} ms after the end: refused"))
}

async fn edit(narrator: &mut Narrator<'_>, who: &Voice, told: u16) -> anyhow::Result<()> {
    let text = json!("rye, water, salt, two nights");
    narrator.exchange(who, Method::PUT, Door::Gate, "/records/rye-bread", Some(text), told).await?;
    Ok(())
}

struct Feed(WebSocketStream<MaybeTlsStream<TcpStream>>);

async fn opened(narrator: &mut Narrator<'_>, who: &Voice) -> anyhow::Result<Feed> {
    let url = format!("{}/vault/feed", narrator.origin(Door::Gate).replacen("http", "ws", 1));
    let mut request = url.into_client_request()?;
    let token = who.token.as_deref().unwrap_or_default();
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {token}"))?);
    let opening = timeout(PATIENCE, connect_async(request)).await.context("the feed does not open")?;
    let (status, socket) = match opening {
        Ok((socket, answer)) => (answer.status(), Some(socket)),
        Err(tungstenite::Error::Http(answer)) => (answer.status(), None),
        Err(error) => return Err(error.into()),
    };
    narrator.show(who, "GET gate/vault/feed (WebSocket)", status.as_u16(), 101, None)?;
    socket.map(Feed).ok_or_else(|| NotAsTold(format!("the feed must open, and was answered {status}")).into())
}

/// The next tick.
async fn ticked(feed: &mut Feed) -> anyhow::Result<String> {
    while let Some(message) = feed.0.next().await {
        if let Message::Text(text) = message?
            && text.contains("tick")
        {
            return Ok(text.to_string());
        }
    }
    Err(NotAsTold("the feed must tick, and ended".to_owned()).into())
}

/// Reads until the feed is over: when that was, and how it looked.
async fn cut(mut feed: Feed) -> (Instant, String) {
    let mut how = "the connection was closed".to_owned();
    while let Some(message) = feed.0.next().await {
        match message {
            Ok(Message::Close(Some(frame))) => {
                return (awake(), format!("closed with {} {}", u16::from(frame.code), frame.reason));
            }
            Ok(_) => {}
            Err(error) => {
                how = format!("the connection was closed ({error})");
                break;
            }
        }
    }
    (awake(), how)
}
