//! The command `bagcert-train`.

// They panic where nobody reads any more; `cli::said` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(status) => status,
        Err(error) => {
            cli::said::note(&format!("error: {}", told(&error)));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes in one line, without those that an error before has in its own words already.
fn told(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}
