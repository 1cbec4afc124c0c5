//! How a command ends: exit codes, and failures told so that a tired human knows what to do.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::cli::client::problem::Problem;
use crate::cli::terminal::safe;

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done, or true.
    Done,
    /// Refused, or false.
    Refused,
    /// The command line makes no sense.
    Usage,
    /// The other side could not be reached, or is not what it should be.
    Unreachable,
    /// The portal was reached, and cannot do it at present, or has not yet written it down.
    NotNow,
    /// hallpass itself is at fault, or what it works on cannot be used.
    Internal,
    /// The configuration is wrong.
    Configuration,
}

impl Exit {
    /// The number, as in `sysexits.h` where it has one.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Usage => 2,
            Self::Unreachable => 69,
            Self::Internal => 70,
            Self::NotNow => 75,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The portal said no, and why.
    #[error("refused: {}", problem.headline())]
    Refused {
        /// What it said.
        problem: Box<Problem>,
        /// Its words as they came.
        body: Vec<u8>,
    },
    /// The answer to the question is no.
    #[error("{0}")]
    False(String),
    /// Nobody answered, or not the one who should.
    #[error("{0}")]
    Unreachable(String),
    /// The configuration is wrong; every problem is told.
    #[error("{0:#}")]
    Configuration(anyhow::Error),
    /// A file or store is in use, missing, or not to be read or written.
    #[error("{0}")]
    Unusable(String),
    /// hallpass itself is at fault.
    #[error("{0:#}")]
    Internal(anyhow::Error),
    /// What was to be told could not be written.
    #[error("could not write the output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The exit code that says it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Refused { problem, .. } => problem.exit(),
            Self::False(_) => Exit::Refused,
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Configuration(_) => Exit::Configuration,
            Self::Unusable(_) | Self::Internal(_) => Exit::Internal,
            // whoever closed the pipe has read enough, yet was not told everything
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Refused,
            Self::Output(_) => Exit::Internal,
        }
    }

    /// Tells it: what is wrong, and what to do.
    ///
    /// # Errors
    /// When `err` cannot be written.
    pub fn tell(&self, err: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Refused { problem, .. } => problem.tell(err),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            // many lines, each meant as such, and each problem begins with its own word
            Self::Configuration(_) => {
                for line in self.to_string().lines() {
                    writeln!(err, "{}", safe(line))?;
                }
                Ok(())
            }
            Self::Usage(_)
            | Self::False(_)
            | Self::Unreachable(_)
            | Self::Unusable(_)
            | Self::Internal(_)
            | Self::Output(_) => {
                writeln!(err, "error: {}", safe(&self.to_string()))
            }
        }
    }
}
