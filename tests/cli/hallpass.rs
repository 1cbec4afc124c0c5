//! The program itself, run as people run it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::portal::{ADA_TOKEN, Portal};

/// The program with a bare environment: nothing of the machine leaks into a story.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hallpass"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// As Ada, at this portal.
pub(crate) fn ada(portal: &Portal, arguments: &[&str]) -> Command {
    let mut command = program();
    command.env("HALLPASS_PORTAL", &portal.url).env("HALLPASS_TOKEN", ADA_TOKEN).args(arguments);
    command
}

/// How it ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn said(command: &mut Command) -> Said {
    command.output().unwrap().into()
}

/// With `input` on standard input.
pub(crate) fn told(command: &mut Command, input: &[u8]) -> Said {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().into()
}
