//! `cargo xtask test`: every test of every crate.

use crate::libtorch::{self, Site};
use crate::{exec, peers};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// The ARM target that the certifier is built for: a Cortex-M4 or M7 with an FPU.
const ARM: &str = "thumbv7em-none-eabihf";

/// Sets up what is missing, runs all tests, and ends with what was left out.
pub(crate) fn run(site: &Site) -> Result<()> {
    libtorch::ensure(site)?;
    let mut tally = Tally::default();
    if let Err(error) = peers::install_small() {
        // Not having the packages costs the conformance tests, not the others.
        tally.skipped.push(format!(
            "conformance with onnxruntime: its packages could not be installed: {error:#}"
        ));
    }

    // What passing tests print is shown too, so that what they skip is seen.
    tally.cargo_test(site, &["--release", "--workspace"])?;
    // Again with overflow checks and debug assertions.
    tally.cargo_test(site, &["--package", "bagcert-certifier"])?;
    match rust_target(ARM) {
        Ok(()) => exec::run(exec::cargo().args([
            "build",
            "--release",
            "--package",
            "bagcert-certifier",
            "--target",
            ARM,
        ]))?,
        Err(reason) => tally
            .skipped
            .push(format!("the certifier's build for {ARM}: {reason}")),
    }
    tally.report()
}

/// Adds a target of the compiler where it is missing; the reason where it cannot be had.
pub(crate) fn rust_target(target: &str) -> Result<(), String> {
    let present = || {
        exec::answer(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
            .is_some_and(|dir| Path::new(&dir).is_dir())
    };
    if present() {
        return Ok(());
    }
    let added = exec::run(
        Command::new("rustup")
            .args(["target", "add", target])
            .current_dir(exec::root()),
    );
    if present() {
        return Ok(());
    }
    Err(match added {
        Ok(()) => "rustup added the target, but rustc does not find it".to_owned(),
        Err(error) => format!("the target is not installed and could not be added: {error:#}"),
    })
}

/// What the tests said.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    ignored: u64,
    skipped: Vec<String>,
}

impl Tally {
    fn cargo_test(&mut self, site: &Site, what: &[&str]) -> Result<()> {
        let mut command = exec::cargo();
        command.arg("test").args(what).args(["--", "--show-output"]);
        exec::run_watched(site.apply(&mut command), |line| self.look(line))
    }

    /// Reads one line of a test run: a summary, or a test's word that it skips something.
    fn look(&mut self, line: &str) {
        if let Some(summary) = line.strip_prefix("test result: ") {
            self.passed += number_before(summary, " passed");
            self.ignored += number_before(summary, " ignored");
        } else if is_skip(line) {
            let line = line.trim().to_owned();
            if !self.skipped.contains(&line) {
                self.skipped.push(line);
            }
        }
    }

    fn report(&self) -> Result<()> {
        eprintln!();
        eprintln!("{} tests passed, {} ignored", self.passed, self.ignored);
        for line in &self.skipped {
            eprintln!("left out: {line}");
        }
        if self.passed == 0 {
            bail!("no test ran at all: the test runs above did not report as expected");
        }
        Ok(())
    }
}

/// Tests say what they leave out in a line that begins with "skip".
fn is_skip(line: &str) -> bool {
    line.trim_start()
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case("skip"))
}

/// The number right before `unit` in a text like "ok. 12 passed; 0 failed".
fn number_before(text: &str, unit: &str) -> u64 {
    text.find(unit)
        .and_then(|end| text.get(..end))
        .and_then(|before| before.rsplit(' ').next())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_and_skips_are_read() {
        let mut tally = Tally::default();
        tally.look("test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 1 filtered out");
        tally.look("test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.look("skipped: no BAGCERT_DATA");
        tally.look("Skipping the full test set");
        tally.look("skipped: no BAGCERT_DATA");
        tally.look("test skip_is_a_word_in_a_test_name ... ok");
        assert_eq!((tally.passed, tally.ignored), (17, 3));
        assert_eq!(
            tally.skipped,
            ["skipped: no BAGCERT_DATA", "Skipping the full test set"]
        );
    }

    #[test]
    fn a_run_without_a_test_is_an_error() {
        assert!(Tally::default().report().is_err());
    }
}
