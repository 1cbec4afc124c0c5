//! From arguments to an exit code.

use std::ffi::OsString;
use std::io;

use clap::Parser;

use crate::cli::arguments::{Cli, Command};
use crate::cli::desk::print_json;
use crate::cli::failure::{Exit, Failure};
use crate::cli::terminal::Streams;
use crate::cli::{
    anchor, audit, backup, configuration, decide, demo, end, erase, explain, healthcheck, key, list, papers, request,
    serve, store,
};

/// Does what `arguments` (the program's name first) ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>, streams: &mut Streams<'_>) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return explain_usage(&error, streams).unwrap_or(Exit::Internal),
    };
    let done = dispatch(&cli.command, streams).and_then(|()| Ok(streams.out.flush()?));
    match done {
        Ok(()) => Exit::Done,
        Err(failure) => {
            // a failure that cannot be told still shows in the exit code
            let _ = tell(&failure, &cli.command, streams);
            failure.exit()
        }
    }
}

fn dispatch(command: &Command, streams: &mut Streams<'_>) -> Result<(), Failure> {
    match command {
        Command::Serve(arguments) => block_on_many(serve::run(arguments)),
        Command::Demo(arguments) => block_on_many(demo::run(arguments, streams)),
        Command::List(arguments) => block_on(list::run(arguments, streams)),
        Command::Request(arguments) => block_on(request::run(arguments, streams)),
        Command::Approve(arguments) => block_on(decide::approve(arguments, streams)),
        Command::Deny(arguments) => block_on(decide::deny(arguments, streams)),
        Command::Cancel(arguments) => block_on(end::cancel(arguments, streams)),
        Command::Deactivate(arguments) => block_on(end::deactivate(arguments, streams)),
        Command::Extend(arguments) => block_on(end::extend(arguments, streams)),
        Command::Revoke(arguments) => block_on(end::revoke(arguments, streams)),
        Command::Explain(arguments) => block_on(explain::run(arguments, streams)),
        Command::Audit(arguments) => block_on(audit::run(arguments, streams)),
        Command::Erase(arguments) => block_on(erase::run(arguments, streams)),
        Command::Backup(arguments) => block_on(backup::run(arguments, streams)),
        Command::Restore(arguments) => backup::restore(arguments, streams),
        Command::Store(arguments) => store::run(arguments, streams),
        Command::Key(arguments) => key::run(arguments, streams),
        Command::Anchor(arguments) => anchor::run(arguments, streams),
        Command::Config(arguments) => configuration::run(arguments, streams),
        Command::Healthcheck(arguments) => block_on(healthcheck::run(arguments, streams)),
        Command::Completions(arguments) => papers::completions(arguments, streams),
        Command::Man => papers::man(streams),
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::Internal(error.into()))?.block_on(command)
}

/// The control plane has threads of its own; the gate makes its own runtimes.
fn block_on_many(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Internal(error.into()))?;
    let done = runtime.block_on(command);
    // whoever asked twice does not wait for what still runs
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

/// Help and version are answers; everything else clap has to say is a mistake.
fn explain_usage(error: &clap::Error, streams: &mut Streams<'_>) -> io::Result<Exit> {
    let text = error.render();
    if error.use_stderr() {
        write!(streams.err, "{text}")?;
        return Ok(Exit::Usage);
    }
    write!(streams.out, "{text}")?;
    streams.out.flush()?;
    Ok(Exit::Done)
}

fn tell(failure: &Failure, command: &Command, streams: &mut Streams<'_>) -> io::Result<()> {
    if let (Failure::Refused { body, .. }, Some(true)) = (failure, command.portal().map(|options| options.json)) {
        print_json(streams, &String::from_utf8_lossy(body))?;
        streams.out.flush()?;
    }
    failure.tell(streams.err)?;
    streams.err.flush()
}
