//! `cargo xtask fuzz`: the fuzz targets, one after the other.

use crate::exec;
use anyhow::{Result, bail};
use std::process::Command;

/// Each target and the length of its longest inputs in bytes.
const TARGETS: [(&str, u32); 10] = [
    ("model", 4096),
    ("graph", 1500),
    ("picture", 4096),
    ("cifar10", 8192),
    ("records", 8192),
    ("class_image", 4096),
    ("manifest", 4096),
    ("key", 1024),
    ("scenario", 1024),
    ("trainer_config", 1024),
];

/// Fuzzes one target, or all, each for so many seconds.
pub(crate) fn run(only: Option<&str>, seconds: u32) -> Result<()> {
    let chosen: Vec<_> = TARGETS
        .into_iter()
        .filter(|(name, _)| only.is_none_or(|only| only == *name))
        .collect();
    if chosen.is_empty() {
        let names = TARGETS.map(|(name, _)| name).join(", ");
        bail!("there is no such target; the targets are {names}");
    }
    if exec::answer(nightly().args(["fuzz", "--version"])).is_none() {
        bail!(
            "fuzzing needs a nightly compiler and cargo-fuzz: \
             `rustup toolchain install nightly` and `cargo install cargo-fuzz`"
        );
    }
    for (name, length) in chosen {
        // What is found goes into the first folder; the corpus of the repository stays as it is.
        let found = exec::target_dir()?.join("fuzz-corpus").join(name);
        std::fs::create_dir_all(&found)?;
        exec::run(
            nightly()
                .args(["fuzz", "run", "--release", "--sanitizer", "none", name])
                .arg(found)
                .arg(exec::root().join("fuzz").join("corpus").join(name))
                .arg("--")
                .arg(format!("-max_total_time={seconds}"))
                .arg(format!("-max_len={length}"))
                .args(["-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1"]),
        )?;
    }
    Ok(())
}

/// Cargo of the nightly toolchain, whatever this chore was built with.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command
        .args(["run", "nightly", "cargo"])
        .current_dir(exec::root())
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO");
    command
}
