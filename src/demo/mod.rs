//! The two-command promise: everything needed to see hallpass work, on loopback only, gone when it ends.
//!
//! [`issuer`] and [`upstream`] are the counterparts hallpass needs, a token issuer and an application worth protecting;
//! the integration tests use the same two. [`run`] sets all of it up and waits, [`tour`] plays the whole story by itself.

pub mod issuer;
mod places;
mod stage;
mod tour;
pub mod upstream;
mod welcome;

use std::io::Write;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub use places::Ports;
pub use tour::{Outcome, tour};

use crate::demo::stage::Stage;

/// How the demo shows itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Which ports to listen on.
    pub ports: Ports,
    /// Whether the reader sees colour.
    pub colour: Colour,
}

/// Whether the reader sees colour: a terminal does, a file does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Plain text.
    #[default]
    Off,
    /// With the escapes of terminals.
    On,
}

/// Sets everything up, says where to go and what to try, and runs until it is interrupted.
///
/// # Errors
/// When a part cannot start, or `out` cannot be written.
pub async fn run(options: Options, out: &mut dyn Write) -> anyhow::Result<()> {
    // before anything is started, so that an early interrupt cleans up too
    let mut interruption = Interruption::watch()?;
    let stage = Stage::start(options.ports).await?;
    welcome::write(&stage, options.colour, out)?;
    out.flush()?;
    interruption.came().await;
    stage.stop().await?;
    writeln!(out, "\nEverything is stopped and removed.")?;
    Ok(())
}

/// Somebody wants the demo to end: Ctrl-C, or the signal to terminate.
struct Interruption {
    interrupt: Signal,
    terminate: Signal,
}

impl Interruption {
    fn watch() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn came(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
