//! Where a command that talks to the portal works: the client, the streams, the present instant.

use std::io;

use crate::cli::client::{Answer, Client, Options};
use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe_json};
use crate::clock::Clock;
use crate::domain::time::Timestamp;

pub(super) struct Desk<'d, 's> {
    pub(super) client: Client,
    pub(super) streams: &'d mut Streams<'s>,
    /// Whether answers are printed as they came.
    pub(super) json: bool,
    pub(super) clock: Clock,
}

impl<'d, 's> Desk<'d, 's> {
    pub(super) fn new(options: &Options, streams: &'d mut Streams<'s>) -> Result<Self, Failure> {
        Ok(Self { client: Client::new(options)?, streams, json: options.json, clock: Clock::system() })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Prints an answer as it came.
    pub(super) fn print_raw(&mut self, answer: &Answer) -> io::Result<()> {
        print_json(self.streams, &answer.text())
    }
}

/// Prints JSON as it is; on a terminal, with what could steer it escaped.
pub(super) fn print_json(streams: &mut Streams<'_>, json: &str) -> io::Result<()> {
    let json = json.trim_end();
    if streams.out_is_terminal { writeln!(streams.out, "{}", safe_json(json)) } else { writeln!(streams.out, "{json}") }
}
