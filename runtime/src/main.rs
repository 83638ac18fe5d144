//! The command `bagcert`: certified answers of region-score networks from the shell.
//!
//! Results go to the standard output, everything else to the standard error. Exit status: 0 done;
//! 1 the results could not be written; 2 wrong usage; 3 the model was refused; 4 an input could not
//! be read (the others are done).

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
