//! The portal's event stream (server-sent events), kept open over lost connections.
//!
//! An event only wakes: what is true is asked anew. So a lost event costs time, never truth, and a portal without a stream
//! still works, more slowly.

use std::time::Duration;

use reqwest::Response;

use crate::cli::client::Client;

/// Below the API's base.
pub(in crate::cli) const PATH: &str = "/events";

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Patience {
    /// Before the first try to connect anew; doubled for each further one.
    pub(in crate::cli) reconnect_after: Duration,
    /// The longest such wait.
    pub(in crate::cli) reconnect_after_max: Duration,
    /// A stream silent for so long is dead: the portal sends a heartbeat every 15 s.
    pub(in crate::cli) silence_max: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            reconnect_after: Duration::from_secs(1),
            reconnect_after_max: Duration::from_secs(15),
            silence_max: Duration::from_secs(45),
        }
    }
}

/// Wakes whenever something may have happened.
#[derive(Debug)]
pub(in crate::cli) struct Events<'c> {
    client: &'c Client,
    patience: Patience,
    connection: Option<Connection>,
    last_event: Option<String>,
    pause: Duration,
}

#[derive(Debug)]
struct Connection {
    response: Response,
    parser: Parser,
}

impl<'c> Events<'c> {
    pub(in crate::cli) fn new(client: &'c Client, patience: Patience) -> Self {
        Self { client, patience, connection: None, last_event: None, pause: patience.reconnect_after }
    }

    /// Opens the stream where it was left, unless it is open. What happened before may have been missed: ask after this.
    pub(in crate::cli) async fn connect(&mut self) {
        if self.connection.is_some() {
            return;
        }
        if let Ok(response) = self.client.open(PATH, &[], self.last_event.as_deref()).await
            && is_event_stream(&response)
        {
            let parser = Parser { id: self.last_event.clone(), ..Parser::default() };
            self.connection = Some(Connection { response, parser });
        }
    }

    /// Returns when an event came, or when the stream was lost and it is time to connect again.
    pub(in crate::cli) async fn wake(&mut self) {
        while let Some(connection) = &mut self.connection {
            let chunk = tokio::time::timeout(self.patience.silence_max, connection.response.chunk()).await;
            let Ok(Ok(Some(chunk))) = chunk else {
                self.connection = None;
                break;
            };
            let Ok(heard) = connection.parser.read(&chunk) else {
                self.connection = None;
                break;
            };
            // it works: the next loss is a new one
            self.pause = self.patience.reconnect_after;
            if let Some(retry) = connection.parser.retry {
                self.pause = retry.clamp(self.patience.reconnect_after, self.patience.reconnect_after_max);
            }
            self.last_event.clone_from(&connection.parser.id);
            if heard == Heard::Event {
                return;
            }
        }
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.patience.reconnect_after_max);
        tokio::time::sleep(pause).await;
    }
}

fn is_event_stream(response: &Response) -> bool {
    let kind = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Whether a piece of the stream ended an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Event,
    Nothing,
}

/// A line longer than any portal writes.
#[derive(Debug, PartialEq, Eq)]
struct LineTooLong;

/// Reads the stream's lines as the HTML standard describes them. Payloads are not kept: nobody reads them.
#[derive(Debug, Default)]
struct Parser {
    line: Vec<u8>,
    after_return: bool,
    pending_id: Option<String>,
    has_data: bool,
    id: Option<String>,
    retry: Option<Duration>,
}

const LINE_BYTES_MAX: usize = 1 << 20;

impl Parser {
    fn read(&mut self, chunk: &[u8]) -> Result<Heard, LineTooLong> {
        let mut heard = Heard::Nothing;
        for byte in chunk {
            let second_of_pair = std::mem::replace(&mut self.after_return, *byte == b'\r') && *byte == b'\n';
            if second_of_pair {
                continue;
            }
            if matches!(byte, b'\r' | b'\n') {
                let line = std::mem::take(&mut self.line);
                if self.end_line(&String::from_utf8_lossy(&line)) == Heard::Event {
                    heard = Heard::Event;
                }
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(*byte);
            } else {
                return Err(LineTooLong);
            }
        }
        Ok(heard)
    }

    fn end_line(&mut self, line: &str) -> Heard {
        if line.is_empty() {
            if let Some(id) = self.pending_id.take() {
                self.id = Some(id).filter(|id| !id.is_empty());
            }
            let had_data = std::mem::take(&mut self.has_data);
            return if had_data { Heard::Event } else { Heard::Nothing };
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.has_data = true,
            "id" if !value.contains('\0') => self.pending_id = Some(value.to_owned()),
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry),
            _ => {}
        }
        Heard::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_heard_however_the_bytes_are_cut() {
        let stream =
            b": hello\r\n\r\nevent: activation\r\nid: 17\r\ndata: {}\r\n\r\nretry: 250\ndata\n\nid: 18\rdata: x\r\r";
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let heard: Vec<Heard> = stream.chunks(size).map(|chunk| parser.read(chunk).unwrap()).collect();
            assert!(heard.contains(&Heard::Event), "pieces of {size}");
            assert_eq!(parser.id.as_deref(), Some("18"), "pieces of {size}");
            assert_eq!(parser.retry, Some(Duration::from_millis(250)), "pieces of {size}");
        }
        let mut parser = Parser::default();
        let events = stream.iter().filter(|byte| parser.read(&[**byte]) == Ok(Heard::Event)).count();
        assert_eq!(events, 3, "comments and empty blocks are no events");
    }

    #[test]
    fn an_unfinished_event_moves_nothing() {
        let mut parser = Parser::default();
        assert_eq!(parser.read(b"id: 4\ndata: x\n"), Ok(Heard::Nothing));
        assert_eq!(parser.id, None, "an id counts when its event is whole");
        assert_eq!(parser.read(b"\n"), Ok(Heard::Event));
        assert_eq!(parser.id.as_deref(), Some("4"));
    }

    #[test]
    fn an_endless_line_is_given_up() {
        let mut parser = Parser::default();
        assert_eq!(parser.read(&vec![b'x'; LINE_BYTES_MAX + 1]), Err(LineTooLong));
    }
}
