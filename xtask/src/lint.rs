//! `cargo xtask lint`: formatting, clippy and documentation.

use crate::exec;
use crate::libtorch::{self, Site};
use anyhow::{Context, Result};
use serde_json::Value;

/// Checks formatting first (it takes a second), then all code with clippy and rustdoc.
pub(crate) fn run(site: &Site) -> Result<()> {
    exec::run(exec::cargo().args(["fmt", "--all", "--check"]))?;
    libtorch::ensure(site)?;
    // In the release profile, so that C and C++ compiled by build scripts
    // (libtorch's wrapper, xz) is compiled once for lints and tests together.
    exec::run(site.apply(exec::cargo().args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])))?;
    exec::run(
        site.apply(exec::cargo().args(["doc", "--release", "--workspace", "--no-deps"]))
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    // Features only add: without them each published crate must still stand.
    for package in published()? {
        exec::run(site.apply(exec::cargo().args([
            "check",
            "--release",
            "--no-default-features",
            "--package",
            &package,
        ])))?;
    }
    Ok(())
}

/// The crates of the workspace that are meant to be published.
fn published() -> Result<Vec<String>> {
    let metadata = exec::metadata()?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let names: Vec<String> = packages
        .context("`cargo metadata` names no packages")?
        .iter()
        // `publish = false` shows as an empty list of registries.
        .filter(|package| package.get("publish").is_none_or(Value::is_null))
        .filter_map(|package| package.get("name")?.as_str().map(str::to_owned))
        .collect();
    anyhow::ensure!(!names.is_empty(), "no crate is meant to be published");
    Ok(names)
}
