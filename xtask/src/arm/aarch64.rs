//! `cargo xtask arm --only linux`: the runtime for aarch64 Linux, run under qemu-user and compared with this
//! machine's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::ArmArgs;
use super::difference::{Logits, Verdicts};
use super::tools;
use crate::{exec, test};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const COMPILER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-aarch64";
/// The processor: of the class that the computers of cars and the Raspberry Pi 4 have.
const CPU: &str = "cortex-a72";
/// Where Debian keeps the C library of the target.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";
/// The program that is a target.
const HIL: &str = "bagcert-hil";
/// The conditions whose verdicts are compared.
const CONDITIONS: [&str; 3] = ["3.2", "mask", "double-mask"];

/// Builds `bagcert` for aarch64, and compares what it answers with this machine's answers: on the
/// sample frames, and on the first test images where `BAGCERT_DATA` names CIFAR-10, by each model. Then it is
/// the target of a test with the hardware in the loop; what that test says, `look` gets line by line.
///
/// # Errors
/// Where something is missing, with what to install; where a build fails; where logits differ by more
/// than rounding, or verdicts though no score does; where that test fails.
pub(crate) fn run(args: &ArmArgs, look: impl FnMut(&str)) -> Result<()> {
    let site = Site::new()?;
    let start = Instant::now();
    build(&site)?;
    eprintln!("built in {:.0} s", start.elapsed().as_secs_f64());
    if args.unit_tests {
        exec::run(site.cargo(Processor::Aarch64).args([
            "test",
            "--release",
            "--package",
            "bagcert-certifier",
            "--tests",
        ]))?;
    }
    let data = std::env::var_os("BAGCERT_DATA");
    let images = data.map(|data| Input::Cifar10(data.into(), args.images));
    for model in &args.models {
        site.compare(model, "sample frames", &Input::Frames)?;
        match &images {
            Some(images) => site.compare(model, "CIFAR-10 test images", images)?,
            None => println!("skipped: CIFAR-10 test images: BAGCERT_DATA names no folder"),
        }
    }
    site.in_the_loop(args.images, look)
}

/// What is missing here, and how to get it; with `install` it is installed first where that is possible.
pub(crate) fn missing(install: bool, left_out: &mut Vec<String>) -> Option<String> {
    let there = |program: &str| exec::answer(Command::new(program).arg("--version")).is_some();
    for (program, package) in [(COMPILER, "gcc-aarch64-linux-gnu"), (EMULATOR, "qemu-user")] {
        if !there(program) && install {
            tools::debian(package, left_out);
        }
        if !there(program) {
            return Some(format!(
                "{program} is not installed (on Debian: apt-get install {package}; `cargo xtask arm --setup` does it)"
            ));
        }
    }
    // Its headers: the compiler's package brings the library without them.
    let library = "libc6-dev-arm64-cross";
    let headers = Path::new(SYSROOT).join("include/stdio.h");
    if !headers.is_file() && install {
        tools::debian(library, left_out);
    }
    if !headers.is_file() {
        return Some(format!(
            "there is no {} (on Debian: apt-get install {library}; `cargo xtask arm --setup` does it)",
            headers.display()
        ));
    }
    test::rust_target(TARGET).err()
}

/// The programs for both processors; the target of the loop for aarch64 alone.
fn build(site: &Site) -> Result<()> {
    for processor in [Processor::Here, Processor::Aarch64] {
        let mut build = site.cargo(processor);
        build.args(["build", "--release", "--package", "bagcert"]);
        build.args(["--bin", "bagcert", "--example", "logits"]);
        if processor == Processor::Aarch64 {
            build.args(["--package", "bagcert-firmware-sim", "--bin", HIL]);
        }
        exec::run(&mut build)?;
    }
    Ok(())
}

/// The start of a command that runs a program of the target.
fn emulator() -> [&'static str; 5] {
    [EMULATOR, "-cpu", CPU, "-L", SYSROOT]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Processor {
    Here,
    Aarch64,
}

/// What is certified.
#[derive(Debug)]
enum Input {
    /// The shipped sample frames.
    Frames,
    /// The first test images of CIFAR-10.
    Cifar10(PathBuf, usize),
}

/// Where things lie.
#[derive(Debug)]
struct Site {
    target: PathBuf,
}

impl Site {
    fn new() -> Result<Self> {
        Ok(Self {
            target: exec::target_dir()?,
        })
    }

    /// The target folder of cross builds: its own, so that they do not hold up the others.
    fn cross(&self) -> PathBuf {
        self.target.join("arm64")
    }

    /// A program of the cross build.
    fn crossed(&self, name: &str) -> PathBuf {
        self.cross().join(TARGET).join("release").join(name)
    }

    fn cargo(&self, processor: Processor) -> Command {
        let mut cargo = exec::cargo();
        if processor == Processor::Aarch64 {
            cargo
                .env("CARGO_TARGET_DIR", self.cross())
                .env("CARGO_BUILD_TARGET", TARGET)
                .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", COMPILER)
                .env(
                    "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
                    emulator().join(" "),
                )
                .env("CC_aarch64_unknown_linux_gnu", COMPILER);
        }
        cargo
    }

    /// A program of the build for a processor, to be run in the root of the repository.
    fn program(&self, processor: Processor, name: &str) -> Command {
        let mut command = match processor {
            Processor::Here => Command::new(self.target.join("release").join(name)),
            Processor::Aarch64 => {
                let [program, arguments @ ..] = emulator();
                let mut emulator = Command::new(program);
                emulator.args(arguments).arg(self.crossed(name));
                emulator
            }
        };
        command.current_dir(exec::root());
        command
    }

    /// The tests of the target, which runs under the emulator; the harness runs here.
    fn in_the_loop(&self, images: usize, look: impl FnMut(&str)) -> Result<()> {
        let target = self.crossed(HIL);
        let target = target.to_str().context("the target folder is not UTF-8")?;
        let start = [&emulator()[..], &[target]].concat().join("\n");
        let mut test = exec::cargo();
        test.args(["test", "--release", "--package", "bagcert-firmware-sim"])
            .args(["--test", "hil", "--", "--show-output"])
            .args(["--test-threads", "2"])
            .env("BAGCERT_HIL_TARGET", start)
            .env("BAGCERT_HIL_IMAGES", images.to_string());
        exec::run_watched(&mut test, look)
    }

    /// Logits and verdicts of both processors.
    fn compare(&self, model: &Path, what: &str, input: &Input) -> Result<()> {
        let what = format!("{}, {what}", model.display());
        let folder = self.cross().join("answers");
        std::fs::create_dir_all(&folder)?;
        let [here, there] = [Processor::Here, Processor::Aarch64].map(|processor| {
            let start = Instant::now();
            let logits = self.logits(processor, model, input, &folder);
            eprintln!(
                "{what}, {processor:?}: {:.1} s",
                start.elapsed().as_secs_f64()
            );
            logits
        });
        let (here, there) = (here?, there?);
        let verdicts = CONDITIONS.map(|condition| {
            let verdicts = |processor| self.verdicts(processor, model, input, condition, &folder);
            Ok::<_, anyhow::Error>((verdicts(Processor::Here)?, verdicts(Processor::Aarch64)?))
        });
        let mut turned = None;
        for (condition, verdicts) in CONDITIONS.into_iter().zip(verdicts) {
            let (verdicts, others) = verdicts?;
            let frames = verdicts.lines().count();
            let logits = match &turned {
                Some(logits) => logits,
                None => {
                    let found = Logits::compare(&here, &there, frames, classes(&verdicts)?)?;
                    println!("{what}: {frames} frames, x86-64 against aarch64 ({CPU})");
                    println!(
                        "  logits: {} of {} with other bits, by {:.1e} of the largest of their class \
                         at most",
                        found.other_bits, found.count, found.largest
                    );
                    println!(
                        "  scores: {} of {} turned, in {} frames",
                        found.turned,
                        found.count,
                        found.frames.len()
                    );
                    turned.insert(found)
                }
            };
            let found = Verdicts::compare(&verdicts, &others, &logits.frames)?;
            println!(
                "  condition {condition}: {} of {} certified here; other class {}, certified on one \
                 side only {}, other slack {} (by {} votes at most), any difference {}",
                found.certified,
                found.count,
                found.class,
                found.certificate,
                found.slack,
                found.most,
                found.any
            );
        }
        Ok(())
    }

    fn logits(
        &self,
        processor: Processor,
        model: &Path,
        input: &Input,
        folder: &Path,
    ) -> Result<Vec<f32>> {
        let output = folder.join(format!("{processor:?}.f32"));
        let mut command = self.program(processor, "examples/logits");
        command.arg(model).arg(&output);
        match input {
            Input::Frames => command.arg(usize::MAX.to_string()).arg("models/frames"),
            Input::Cifar10(data, images) => command.arg(images.to_string()).arg(cifar10(data)?),
        };
        exec::run(&mut command)?;
        let bytes = std::fs::read(&output)?;
        let words = bytes.as_chunks::<4>().0.iter();
        Ok(words.map(|word| f32::from_le_bytes(*word)).collect())
    }

    /// Verdicts as JSON lines. The manifest's golden frames are asked first: an engine that answers
    /// them otherwise is refused here, and the error says which.
    fn verdicts(
        &self,
        processor: Processor,
        model: &Path,
        input: &Input,
        condition: &str,
        folder: &Path,
    ) -> Result<String> {
        let output = folder.join(format!("{processor:?}.jsonl"));
        let mut command = self.program(processor, "bagcert");
        match input {
            Input::Frames => command.arg("certify"),
            Input::Cifar10(..) => command.arg("eval"),
        };
        // Relative to the root: the same name on both sides.
        command
            .arg("--model")
            .arg(model)
            .args(["--patch", "5x5"])
            .args(["--condition", condition, "--format", "jsonl", "--output"])
            .arg(&output);
        match input {
            Input::Frames => command.arg("models/frames"),
            Input::Cifar10(data, images) => command
                .arg("--data")
                .arg(cifar10(data)?)
                .args(["--limit", &images.to_string()]),
        };
        exec::run(&mut command)?;
        std::fs::read_to_string(&output).with_context(|| format!("{}", output.display()))
    }
}

/// Classes of the model: as many as have votes in a verdict.
fn classes(verdicts: &str) -> Result<usize> {
    let first = verdicts.lines().next().context("no verdict")?;
    let first: serde_json::Value = serde_json::from_str(first)?;
    let votes = first.get("votes").and_then(serde_json::Value::as_array);
    Ok(votes.context("no votes in a verdict")?.len())
}

/// The folder as `bagcert` takes it.
fn cifar10(data: &Path) -> Result<String> {
    let data = data.to_str().context("BAGCERT_DATA is not UTF-8")?;
    Ok(format!("cifar10:{data}"))
}
