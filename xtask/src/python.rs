//! Python on this machine: pip, and the packages that the comparisons need.

use crate::exec;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python to use: `PYTHON` where it is set, else `python3`.
fn program() -> OsString {
    std::env::var_os("PYTHON")
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| "python3".into())
}

/// `python3 -m pip`, once it is sure that both are there.
pub(crate) fn pip() -> Result<Command> {
    let program = program();
    let shown = program.to_string_lossy().into_owned();
    if exec::answer(Command::new(&program).arg("--version")).is_none() {
        bail!(
            "`{shown}` was not found, and it is what fetches packages: install Python 3 \
             (on Debian: apt-get install python3 python3-pip), or set PYTHON to it"
        );
    }
    let mut command = Command::new(&program);
    command.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]);
    if exec::answer(Command::new(&program).args(["-m", "pip"]).arg("--version")).is_none() {
        bail!("`{shown}` has no pip: install it (on Debian: apt-get install python3-pip)");
    }
    Ok(command)
}

/// A virtual environment with pinned packages.
#[derive(Debug)]
pub(crate) struct Venv {
    dir: PathBuf,
}

impl Venv {
    /// Where it is, whether it exists or not.
    pub(crate) fn at(dir: PathBuf) -> Venv {
        Venv { dir }
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.dir.join("bin").join("python")
    }

    /// Makes the environment where it is missing and installs what `requirements` names.
    ///
    /// A copy of the requirements is left in the environment when pip is done,
    /// and while it is the same there is nothing to do.
    pub(crate) fn install(&self, requirements: &Path, extra: &[&str]) -> Result<()> {
        let wanted = fs::read_to_string(requirements)
            .with_context(|| format!("could not read {}", requirements.display()))?;
        let name = requirements.file_name().unwrap_or(requirements.as_os_str());
        let done = self.dir.join(name);
        let works = exec::answer(Command::new(self.python()).arg("--version")).is_some();
        if works && fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
            return Ok(());
        }
        if !works {
            // Without pip inside: Debian ships the part of venv that would put it
            // there as a package of its own, and pip can install from outside.
            exec::run(
                Command::new(program())
                    .args(["-m", "venv", "--clear", "--without-pip"])
                    .arg(&self.dir),
            )?;
        }
        exec::run(
            pip()?
                .arg("--python")
                .arg(self.python())
                .args(["install", "--quiet", "--only-binary=:all:"])
                .args(extra)
                .arg("--requirement")
                .arg(requirements),
        )?;
        fs::write(&done, wanted).with_context(|| format!("could not write {}", done.display()))
    }
}

/// Says which programs that some chores want are not there.
pub(crate) fn report_other_tools() {
    let tools = [
        ("g++", "needed to build the trainer and its tests"),
        ("gcc", "needed to build the reader of .xz files"),
        (
            "rustup",
            "optional: adds the ARM target that the tests build for",
        ),
        (
            "valgrind",
            "optional: counts instructions in the certifier's benchmarks",
        ),
    ];
    for (tool, purpose) in tools {
        if exec::answer(Command::new(tool).arg("--version")).is_none() {
            eprintln!("missing: {tool} ({purpose})");
        }
    }
}
