//! What the firmware's build and runs need, found or installed.

use crate::exec;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::firmware;

/// The Debian package of the machine that the firmware runs on.
const QEMU: (&str, &str) = ("qemu-system-arm", "qemu-system-arm");
/// The decoder of defmt's log, from crates.io, and its release.
const DEFMT_PRINT: (&str, &str) = ("defmt-print", "1.2.0");

/// Where a target's standard library comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Std {
    /// It is installed.
    Installed,
    /// Its core is built from the sources of this very compiler.
    Built,
}

#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) qemu: bool,
    pub(crate) defmt_print: Option<PathBuf>,
    targets: Vec<(&'static str, Std)>,
}

impl Tools {
    /// Looks for everything; with `install`, what is missing is installed first where that is possible.
    pub(crate) fn find(install: bool, left_out: &mut Vec<String>) -> Result<Tools> {
        let (program, package) = QEMU;
        let has_qemu = || exec::answer(Command::new(program).arg("--version")).is_some();
        if install && !has_qemu() {
            debian(package, left_out);
        }
        let qemu = has_qemu();
        if !qemu {
            left_out.push(format!(
                "{program} is not installed (on Debian: apt-get install {package}; `cargo xtask arm --setup` does it)"
            ));
        }
        let mut targets = Vec::new();
        for build in firmware::BUILDS {
            if let Some(std) = standard_library(build.target, install) {
                targets.push((build.target, std));
            }
        }
        let defmt_print = decoder(install).unwrap_or_else(|error| {
            left_out.push(format!("installing {}: {error:#}", DEFMT_PRINT.0));
            None
        });
        Ok(Tools {
            qemu,
            defmt_print,
            targets,
        })
    }

    pub(crate) fn std_for(&self, target: &str) -> Option<Std> {
        let found = self.targets.iter().find(|(name, _)| *name == target);
        found.map(|(_, std)| *std)
    }
}

/// Installs a Debian package; where that fails, says so among what is left out.
pub(crate) fn debian(package: &str, left_out: &mut Vec<String>) {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        exec::run(command.args(arguments))
    };
    // A machine that is new has no list of packages yet.
    let installed = apt(&["update"])
        .and_then(|()| apt(&["install", "--yes", "--no-install-recommends", package]));
    if let Err(error) = installed {
        left_out.push(format!("installing {package}: {error:#}"));
    }
}

/// The target's library, added by rustup where it is missing, or the sources to build it from.
fn standard_library(target: &str, install: bool) -> Option<Std> {
    let present = || {
        exec::answer(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
            .is_some_and(|dir| Path::new(&dir).is_dir())
    };
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        drop(exec::run(command.args(arguments).current_dir(exec::root())));
    };
    if !present() {
        rustup(&["target", "add", target]);
    }
    if present() {
        return Some(Std::Installed);
    }
    let sources = || {
        exec::answer(Command::new("rustc").args(["--print", "sysroot"])).is_some_and(|root| {
            Path::new(&root)
                .join("lib/rustlib/src/rust/library/core")
                .is_dir()
        })
    };
    if !sources() && install {
        rustup(&["component", "add", "rust-src"]);
    }
    sources().then_some(Std::Built)
}

/// The log's decoder, on the path or installed for this workspace.
fn decoder(install: bool) -> Result<Option<PathBuf>> {
    let (name, version) = DEFMT_PRINT;
    if exec::answer(Command::new(name).arg("--version")).is_some() {
        return Ok(Some(name.into()));
    }
    let tools = exec::target_dir()?.join("tools");
    let program = tools.join("bin").join(name);
    if !program.is_file() && install {
        exec::run(
            exec::cargo()
                .args(["install", "--locked", name, "--version", version, "--root"])
                .arg(&tools),
        )
        .with_context(|| format!("{name} decodes the log"))?;
    }
    Ok(program.is_file().then_some(program))
}
