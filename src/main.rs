//! Parse, run, exit code.

use std::io::{self, BufReader, BufWriter, IsTerminal};
use std::process::ExitCode;

use hallpass::cli::{self, Streams};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (out, mut err, input) = (io::stdout(), io::stderr(), io::stdin());
    let (out_is_terminal, input_is_terminal) = (out.is_terminal(), input.is_terminal());
    // nothing is locked for the whole run: logs are written to the same streams from other threads
    let mut streams = Streams {
        out: &mut BufWriter::new(out),
        err: &mut err,
        input: &mut BufReader::new(input),
        out_is_terminal,
        input_is_terminal,
    };
    cli::run(std::env::args_os(), &mut streams).into()
}
