//! The programs under test, as they were built, and Python with onnxruntime.

use crate::repository;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

/// The command `bagcert` of the same profile as the running test.
///
/// `cargo test --workspace` has built it. Where a test is run by itself the one
/// that lies there may be old, and is then built anew.
///
/// # Errors
/// Where it cannot be built.
pub fn bagcert() -> Result<PathBuf> {
    let program = beside_tests("bagcert")?;
    let sources = [
        "certifier/src",
        "charts/src",
        "images/src",
        "runtime/src",
        "Cargo.lock",
    ];
    let mut newest = SystemTime::UNIX_EPOCH;
    for source in sources {
        newest = newest.max(last_change(&repository::root().join(source))?);
    }
    let built = fs::metadata(&program).and_then(|meta| meta.modified());
    if built.is_ok_and(|time| time >= newest) {
        return Ok(program);
    }
    let mut build = cargo();
    build.args(["build", "--package", "bagcert", "--bin", "bagcert"]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    let output = build.output()?;
    if !output.status.success() {
        bail!(
            "bagcert could not be built: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(program)
}

/// A program of the workspace where this profile's lie, whether it is there or not.
///
/// # Errors
/// Where the running test does not know its own place.
pub fn beside_tests(name: &str) -> Result<PathBuf> {
    // .../release/deps/<test>: programs are one folder up.
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent);
    Ok(folder
        .context("the test has no folder")?
        .join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}

/// `cargo`, in the root of the repository.
#[must_use]
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository::root());
    command
}

/// Runs a command; an exit status other than 0 is an error with what it said.
///
/// # Errors
/// Where it cannot start or fails.
pub fn successful(command: &mut Command) -> Result<Output> {
    let output = command
        .output()
        .with_context(|| format!("could not start {command:?}"))?;
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

fn last_change(path: &Path) -> Result<SystemTime> {
    let meta = fs::metadata(path)?;
    let mut newest = meta.modified()?;
    if meta.is_dir() {
        for entry in fs::read_dir(path)? {
            newest = newest.max(last_change(&entry?.path())?);
        }
    }
    Ok(newest)
}

/// The Python of `.peers` if onnxruntime can be imported with it; else the reason why not.
///
/// # Errors
/// The reason, to be printed as what was skipped.
pub fn python_with_onnxruntime() -> Result<PathBuf, String> {
    let python = repository::root().join(".peers/bin/python");
    if !python.exists() {
        return Err(
            "there is no .peers; `cargo xtask peers --setup-only --no-torch` makes it".to_owned(),
        );
    }
    let imported = Command::new(&python)
        .args(["-c", "import numpy, onnx, onnxruntime"])
        .output();
    match imported {
        Ok(output) if output.status.success() => Ok(python),
        Ok(output) => Err(format!(
            "onnxruntime cannot be imported: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("the Python of .peers does not start: {error}")),
    }
}

/// The logits that onnxruntime gives for each image (`C x H x W` values), one after the other.
///
/// # Errors
/// Where the script fails or writes another number of values.
pub fn onnxruntime_logits(
    python: &Path,
    model: &Path,
    images: &[Vec<f32>],
) -> Result<Vec<Vec<f32>>> {
    let folder = tempfile::tempdir()?;
    let (input, output) = (folder.path().join("images"), folder.path().join("logits"));
    let bytes: Vec<u8> = images
        .iter()
        .flatten()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    fs::write(&input, bytes)?;
    successful(
        Command::new(python)
            .arg(repository::root().join("tests/peers/onnxruntime_scores.py"))
            .args([model, &input, &output]),
    )?;
    let bytes = fs::read(&output)?;
    let values: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| f32::from_le_bytes(*word))
        .collect();
    if images.is_empty() || values.is_empty() || !values.len().is_multiple_of(images.len()) {
        bail!("{} logits came for {} images", values.len(), images.len());
    }
    let each = values.len() / images.len();
    Ok(values.chunks_exact(each).map(<[f32]>::to_vec).collect())
}
