//! Arguments, simulation and output of `bagcert-firmware-sim`.

mod args;
mod camera;
mod damage;
mod drive;
mod expect;
mod line;
mod model;
mod output;
mod perception;
mod picture;
mod progress;
mod real;
mod scenario;
mod simulated;
mod stop;
mod summary;
mod supervisor;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

use args::{Args, Format};
use drive::Drive;
use output::Output;
use scenario::Scenario;
use stop::Stop;

/// Parses the arguments, runs the simulation and says how it ended.
pub(crate) fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version go to the standard output and are no error.
            let status = if error.use_stderr() { stop::USAGE } else { 0 };
            drop(error.print());
            return ExitCode::from(status);
        }
    };
    match simulate(&args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(failures) => {
            let them = if failures == 1 { "input" } else { "inputs" };
            say(&format!(
                "bagcert-firmware-sim: {failures} {them} could not be used; their cycles had no frame"
            ));
            ExitCode::from(stop::INPUT)
        }
        Err(Stop::ReaderGone) => ExitCode::SUCCESS,
        Err(stop) => {
            say(&format!("bagcert-firmware-sim: {stop}"));
            ExitCode::from(stop.status())
        }
    }
}

/// The whole run; the number of inputs that could not be used.
fn simulate(args: &Args) -> Result<usize, Stop> {
    let timing = args.timing()?;
    let scenario = match &args.scenario {
        Some(path) => Scenario::read(path)?,
        None => Scenario::default(),
    };
    let drive = Drive::new(args, timing, scenario)?;
    let mut output = Output::new();
    let summary = drive.run(args, &mut |line| match args.format {
        Format::Table => Ok(()),
        Format::Jsonl => output.write(&line.json()?),
    })?;
    match args.format {
        Format::Table => output.write(&summary.table())?,
        // The standard output is for the cycles alone.
        Format::Jsonl => say(&summary.table()),
    }
    output.finish()?;
    if let Some(path) = &args.picture {
        let picture = picture::draw(&summary);
        std::fs::write(path, picture)
            .with_context(|| format!("{}: the picture could not be written", path.display()))?;
    }
    if summary.undetected() > 0 {
        return Err(Stop::Failed(anyhow::anyhow!(
            "{} injected faults were not answered as they must be",
            summary.undetected()
        )));
    }
    Ok(summary.failures)
}

/// One line on the standard error. A closed or full standard error is not worth dying for.
pub(crate) fn say(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}
