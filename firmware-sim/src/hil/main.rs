//! The command `bagcert-hil`: a test with the hardware in the loop. It sends score maps or frames to a
//! target on a serial line, checks every verdict that comes back against this machine's, and reports
//! times, lost and refused messages; it writes the maps of a model to a file; and on a computer that
//! runs the network it is the target itself.
//!
//! Exit status: 0 done; 1 a verdict differs from this machine's, a damaged message was answered with
//! one, or something else failed; 2 wrong usage; 3 the model was refused; 4 a frame could not be read.

mod args;
mod export;
mod inject;
mod judge;
#[path = "../host/model.rs"]
mod model;
mod picture;
mod port;
#[path = "../host/progress.rs"]
mod progress;
mod report;
mod run;
mod source;
#[path = "../host/stop.rs"]
#[allow(dead_code, reason = "each program stops in its own ways")]
mod stop;
mod target;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Task};
use stop::Stop;

fn main() -> ExitCode {
    let done = match Args::parse().task {
        Task::Maps(task) => export::run(&task).map_err(Stop::from),
        Task::Run(task) => run::run(&task),
        Task::Target(task) => target::run(&task),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(stop) => {
            say(&stop.to_string());
            ExitCode::from(stop.status())
        }
    }
}

/// One line on the standard error. A closed or full standard error is not worth dying for.
fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "bagcert-hil: {line}"));
}
