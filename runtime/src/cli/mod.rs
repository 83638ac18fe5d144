//! Arguments, commands and output of `bagcert`.

mod args;
mod bench;
mod certify;
mod eval;
mod figure;
mod inspect;
mod labelled;
mod manifest;
mod output;
mod page;
mod predictor;
mod rows;
mod sign;
mod stop;
mod table;
mod targets;
mod trust;
mod workers;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use stop::Stop;

/// Parses the arguments, runs the command and says how it ended.
pub(crate) fn run() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Help and version go to the standard output and are no error.
            let status = if error.use_stderr() { stop::USAGE } else { 0 };
            // A reader that has gone away is no reason to fail louder.
            drop(error.print());
            return ExitCode::from(status);
        }
    };
    let done = match command {
        Command::Certify(args) => certify::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Figure(args) => figure::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Manifest(args) => manifest::run(&args),
        Command::Sign(args) => sign::sign(&args),
        Command::Verify(args) => sign::verify(&args),
    };
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            let them = if failures == 1 { "input" } else { "inputs" };
            say(&format!(
                "bagcert: {failures} {them} could not be used; the others are done"
            ));
            ExitCode::from(stop::INPUT)
        }
        Err(Stop::ReaderGone) => ExitCode::SUCCESS,
        Err(stop) => {
            say(&format!("bagcert: {stop}"));
            ExitCode::from(stop.status())
        }
    }
}

/// One message on the standard error. A closed or full standard error is not worth dying for.
pub(crate) fn say(message: &str) {
    for line in message.lines() {
        drop(writeln!(std::io::stderr(), "{}", printable(line)));
    }
}

/// Text from a file name or a model that cannot steer the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}
