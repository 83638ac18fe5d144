//! The command `bagcert-hil`: a test with the hardware in the loop. It sends score maps to a target on
//! a serial line, checks every verdict that comes back against this machine's, and reports times, lost
//! and refused messages; and it writes the maps of a model to a file.
//!
//! Exit status: 0 done; 1 a verdict differs from this machine's, a damaged message was answered with
//! one, or something else failed; 2 wrong usage.

mod args;
mod export;
mod inject;
mod picture;
mod port;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Task};

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Maps(task) => export::run(&task),
        Task::Run(task) => run::run(&task),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bagcert-hil: {error:#}");
            ExitCode::FAILURE
        }
    }
}
