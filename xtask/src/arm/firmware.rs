//! The builds of the firmware: which target runs on which boards, and the links that must fail.

use crate::exec;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

use super::tools::Std;

const PACKAGE: &str = "bagcert-firmware-sim";
const PROGRAMS: [&str; 3] = [
    "bagcert-firmware",
    "bagcert-firmware-maps",
    "bagcert-firmware-link",
];
const GATE: &str = "bagcert-firmware-gate";
/// What the gate's panic handler calls, and no linker finds.
const MISSING: &str = "a_panic_can_be_reached";

/// One target, and the boards that its programs run on.
#[derive(Debug)]
pub(crate) struct Build {
    pub(crate) target: &'static str,
    pub(crate) cores: &'static str,
    pub(crate) boards: &'static [&'static str],
    /// What the cores have and the target does not take for granted.
    flags: &'static str,
}

pub(crate) const BUILDS: [Build; 3] = [
    Build {
        target: "thumbv7em-none-eabihf",
        cores: "Cortex-M4F and M7",
        boards: &["m4f", "m7"],
        flags: "",
    },
    Build {
        target: "thumbv8m.main-none-eabihf",
        cores: "Cortex-M55",
        boards: &["m55"],
        flags: "",
    },
    Build {
        target: "armv7r-none-eabihf",
        cores: "Cortex-R5F",
        boards: &["r5f"],
        // It divides by an instruction. A function that does it takes more steps for some numbers than for others.
        flags: " -Ctarget-cpu=cortex-r5",
    },
];

/// Where all of them are built: apart from other builds, whose flags are others.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(exec::target_dir()?.join("arm"))
}

impl Build {
    fn cargo(&self, verb: &str, std: Std) -> Result<Command> {
        let mut command = exec::cargo();
        command
            .args([verb, "--package", PACKAGE, "--no-default-features"])
            .args(["--profile", "firmware", "--target", self.target])
            .arg("--target-dir")
            .arg(folder()?)
            // Lets this compiler write each function's frame size, and build the core library of a
            // target that is not installed. Neither changes the code that it makes.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", format!("-Zemit-stack-sizes{}", self.flags))
            .env("DEFMT_LOG", "info");
        if std == Std::Built {
            command.arg("-Zbuild-std=core");
        }
        Ok(command)
    }

    /// Clippy over everything that is for bare metal, which no other build looks at.
    pub(crate) fn lint(&self, std: Std) -> Result<()> {
        exec::run(
            self.cargo("clippy", std)?
                .args(["--features", "firmware,gate", "--lib", "--bins"])
                .args(["--", "-D", "warnings"]),
        )
    }

    /// Builds the programs that run.
    pub(crate) fn programs(&self, std: Std) -> Result<()> {
        let mut command = self.cargo("build", std)?;
        command.args(["--features", "firmware"]);
        for program in PROGRAMS {
            command.args(["--bin", program]);
        }
        exec::run(&mut command)
    }

    fn link(&self, std: Std, feature: &str) -> Result<Command> {
        let mut command = self.cargo("build", std)?;
        command.args(["--features", feature, "--bin", GATE]);
        Ok(command)
    }

    /// Links the program that holds the certifying path and no panic.
    pub(crate) fn gate(&self, std: Std) -> Result<()> {
        exec::run(&mut self.link(std, "gate")?).with_context(|| {
            format!(
                "{GATE} does not link for {}: where `{MISSING}` is undefined, the certifying path \
                 can panic",
                self.target
            )
        })
    }

    /// Sees that it does not link with a panic in it, for that reason and no other.
    pub(crate) fn gate_fails(&self, std: Std) -> Result<()> {
        let mut command = self.link(std, "reachable-panic")?;
        let line = exec::shown(&command);
        eprintln!("==> {line} (which must fail)");
        let output = command
            .output()
            .with_context(|| format!("could not start `{line}`"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            bail!("`{line}` linked a program with a panic: the gate shows nothing");
        }
        if !errors.contains(&format!("undefined symbol: {MISSING}")) {
            bail!("`{line}` failed for another reason than the panic:\n{errors}");
        }
        Ok(())
    }
}
