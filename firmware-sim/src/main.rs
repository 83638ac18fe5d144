//! The command `bagcert-firmware-sim`: the vehicle's loop on a host, over frames from files, in
//! simulated time and with faults of a scenario.
//!
//! Results go to the standard output, the log to the standard error. Exit status: 0 done; 1 the
//! results could not be written, or an injected fault went undetected; 2 wrong usage; 3 the model
//! was refused; 4 an input could not be read (its cycles have no frame).

mod host;

use std::process::ExitCode;

fn main() -> ExitCode {
    host::run()
}
