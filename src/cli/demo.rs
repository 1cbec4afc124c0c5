//! `hallpass demo`: all of hallpass on this machine, to try out or to watch.

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::terminal::Streams;
use crate::demo::{self, Colour, Options, Outcome, Ports};
use crate::telemetry::logs;

/// Run everything on this machine, to try it out; gone when it ends
#[derive(Debug, Args)]
pub struct Arguments {
    /// Play the whole story in the terminal; exits with 1 when a step is not as told
    #[arg(long)]
    pub tour: bool,
    /// Listen on any free ports instead of 8080 to 8084
    #[arg(long)]
    pub free_ports: bool,
}

pub(super) async fn run(arguments: &Arguments, streams: &mut Streams<'_>) -> Result<(), Failure> {
    let failed = |error: anyhow::Error| Failure::Internal(error);
    // what the demo's configuration leaves open is no news to whoever tries it
    let settings = logs::Settings { format: logs::Format::Text, filter: "error".to_owned() };
    let _log = logs::start(&settings).map_err(|error| failed(error.into()))?;
    let wants_colour = streams.out_is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let options = Options {
        ports: if arguments.free_ports { Ports::Free } else { Ports::Familiar },
        colour: if wants_colour { Colour::On } else { Colour::Off },
    };
    if !arguments.tour {
        return demo::run(options, streams.out).await.map_err(failed);
    }
    match demo::tour(options, streams.out).await.map_err(failed)? {
        Outcome::AsTold => Ok(()),
        Outcome::NotAsTold => Err(Failure::False("a step was not as told".to_owned())),
    }
}
