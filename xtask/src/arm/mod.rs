//! `cargo xtask arm`: the firmware for bare metal, built, held against its promises and run in QEMU, and
//! the runtime for aarch64 Linux.

mod aarch64;
mod difference;
mod firmware;
mod tools;

use std::path::PathBuf;

use crate::exec;
use anyhow::{Result, bail};
use clap::Args;
use tools::Tools;

/// What to run of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// The firmware, in QEMU.
    Bare,
    /// The runtime for aarch64 Linux, under qemu-user; its first build takes tens of minutes.
    Linux,
}

/// What ran, what was measured and what was left out.
#[derive(Debug, Default)]
struct Outcome {
    done: Vec<(String, &'static str)>,
    measured: Vec<String>,
    left_out: Vec<String>,
}

impl Outcome {
    fn done(&mut self, what: impl Into<String>, how: &'static str) {
        self.done.push((what.into(), how));
    }

    fn left_out(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.left_out.contains(&what) {
            self.left_out.push(what);
        }
    }

    /// Reads one line of a test run.
    fn look(&mut self, line: &str) {
        let line = line.trim();
        if let Some(measured) = line.strip_prefix("measured: ") {
            self.measured.push(measured.to_owned());
        } else if let Some(what) = line.strip_prefix("skipped: ") {
            self.left_out(what);
        }
    }

    fn print(&self) {
        eprintln!();
        for line in &self.measured {
            eprintln!("{line}");
        }
        eprintln!();
        for (what, how) in &self.done {
            eprintln!("{what:<58} {how}");
        }
        for what in &self.left_out {
            eprintln!("left out: {what}");
        }
    }
}

/// What to build and to run.
#[derive(Debug, Args)]
pub(crate) struct ArmArgs {
    /// First install what is missing: QEMU, cross compiler (apt-get), targets (rustup), the log's
    /// decoder (cargo).
    #[arg(long)]
    setup: bool,
    /// One of the two only.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// The model whose answers on aarch64 are compared, from the root of the repository; may be repeated.
    #[arg(
        long = "model",
        value_name = "M.onnx",
        default_value = "models/cifar10-rf8.onnx"
    )]
    models: Vec<PathBuf>,
    /// Test images that aarch64 compares, where BAGCERT_DATA names CIFAR-10.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    images: usize,
    /// Also run the certifier's tests on aarch64.
    #[arg(long)]
    unit_tests: bool,
}

/// Installs what is missing where `--setup` says so, then builds and runs all that can be.
///
/// What is missing on this machine is left out and named at the end, and is no error.
pub(crate) fn run(args: &ArmArgs) -> Result<()> {
    let mut outcome = Outcome::default();
    if args.only != Some(Part::Linux) {
        bare(args.setup, &mut outcome)?;
    }
    if args.only != Some(Part::Bare) {
        match aarch64::missing(args.setup, &mut outcome.left_out) {
            Some(what) => outcome.left_out(format!("the runtime for aarch64 Linux: {what}")),
            None => {
                aarch64::run(args, |line| outcome.look(line))?;
                outcome.done("aarch64 Linux: verdicts beside this machine's", "compared");
                outcome.done("aarch64 Linux: hardware in the loop", "passed");
            }
        }
    }
    outcome.print();
    Ok(())
}

/// The firmware.
fn bare(setup: bool, outcome: &mut Outcome) -> Result<()> {
    let tools = Tools::find(setup, &mut outcome.left_out)?;
    let mut boards = Vec::new();
    for build in firmware::BUILDS {
        let Some(std) = tools.std_for(build.target) else {
            outcome.left_out(format!(
                "{}: the target {} is not installed, and without rust-src its core cannot be built",
                build.cores, build.target
            ));
            continue;
        };
        build.gate(std)?;
        outcome.done(
            format!("{}: no panic can be reached", build.cores),
            "linked",
        );
        build.gate_fails(std)?;
        outcome.done(
            format!("{}: with a panic put in", build.cores),
            "does not link",
        );
        build.programs(std)?;
        outcome.done(format!("{}: firmware", build.cores), "built");
        boards.extend_from_slice(build.boards);
    }
    if let Some(build) = firmware::BUILDS.first()
        && let Some(std) = tools.std_for(build.target)
    {
        build.lint(std)?;
        outcome.done("firmware: clippy", "clean");
    }
    if boards.is_empty() {
        outcome.left_out("all runs in QEMU: no firmware was built");
    } else if !tools.qemu {
        outcome.left_out("all runs in QEMU: it is not installed");
    } else {
        let mut test = exec::cargo();
        test.args(["test", "--release", "--package", "bagcert-firmware-sim"])
            .args([
                "--test",
                "qemu",
                "--",
                "--show-output",
                "--test-threads",
                "2",
            ])
            .env("BAGCERT_ARM", firmware::folder()?)
            .env("BAGCERT_ARM_BOARDS", boards.join(","));
        if let Some(print) = &tools.defmt_print {
            test.env("BAGCERT_DEFMT_PRINT", print);
        }
        exec::run_watched(&mut test, |line| outcome.look(line))?;
        if outcome.measured.is_empty() {
            bail!("the runs in QEMU said nothing: the tests did not report as expected");
        }
        for board in boards {
            outcome.done(format!("{board}: all tests in QEMU"), "passed");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tests_say_is_read() {
        let mut outcome = Outcome::default();
        outcome.look("measured: m4f: 3.2: 1 to 2 instructions, bound 3");
        outcome.look("skipped: 1,000 test images (no BAGCERT_DATA)");
        outcome.look("skipped: 1,000 test images (no BAGCERT_DATA)");
        outcome.look("test counts::skipped ... ok");
        assert_eq!(outcome.measured.len(), 1);
        assert_eq!(outcome.left_out, ["1,000 test images (no BAGCERT_DATA)"]);
    }
}
