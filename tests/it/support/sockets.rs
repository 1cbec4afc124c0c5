//! Raw sockets and WebSockets: what a client library would hide.

use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::PATIENCE;
use super::people::Who;

pub type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a WebSocket at the gate.
pub async fn open(gate: &str, path: &str, who: &Who<'_>) -> Result<WebSocket, u16> {
    let mut request = format!("{}{path}", gate.replace("http:", "ws:")).into_client_request().expect("a request");
    let bearer = format!("Bearer {}", who.token).parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(refused)) => Err(refused.status().as_u16()),
        Err(error) => panic!("no answer: {error}"),
    }
}

/// The close code (if a close frame came), once the socket is over.
pub async fn until_cut(socket: &mut WebSocket) -> Option<u16> {
    let over = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("the socket was never cut")
}

/// Reads an answer that would go on for ever, until it is cut.
pub async fn until_over(stream: &mut reqwest::Response) {
    let rest = async { while matches!(stream.chunk().await, Ok(Some(_))) {} };
    let ended = tokio::time::timeout(PATIENCE, rest).await;
    assert!(ended.is_ok(), "never cut: {}", stream.url());
}

/// Sends bytes as they are and reads until the other side closes.
pub async fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).await.expect("a connection");
    stream.write_all(bytes).await.expect("written");
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _ = reading.await.expect("the connection was never closed");
    String::from_utf8_lossy(&answer).into_owned()
}
