//! The configuration a command works on.

use std::path::PathBuf;

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::terminal::{Streams, safe};
use crate::config::{self, Config, Sources};

/// Where the configuration is
#[derive(Debug, Clone, Args)]
pub struct Files {
    /// A file, or a folder of *.toml files; repeat it to lay several over each other
    #[arg(long = "config", value_name = "PATH", required = true, env = "HALLPASS_CONFIG", hide_env_values = true)]
    pub paths: Vec<PathBuf>,
}

impl Files {
    pub(super) fn sources(&self) -> Sources {
        Sources::of_process(self.paths.iter().cloned())
    }

    /// Reads it; everything that is wrong with it is the failure.
    pub(super) fn load(&self) -> Result<Config, Failure> {
        config::load(&self.sources()).map_err(|problems| Failure::Configuration(problems.into()))
    }

    /// Reads it, and tells what somebody should look at.
    pub(super) fn load_and_warn(&self, streams: &mut Streams<'_>) -> Result<Config, Failure> {
        let config = self.load()?;
        for warning in &config.warnings {
            for line in warning.to_string().lines() {
                writeln!(streams.err, "{}", safe(line))?;
            }
        }
        Ok(config)
    }
}
