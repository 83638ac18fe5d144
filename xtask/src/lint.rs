//! `cargo xtask lint`: formatting, clippy and documentation.

use crate::exec;
use crate::libtorch::{self, Site};
use anyhow::Result;

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
    for package in ["bagcert-certifier", "bagcert", "bagcert-trainer"] {
        exec::run(site.apply(exec::cargo().args([
            "check",
            "--release",
            "--no-default-features",
            "--package",
            package,
        ])))?;
    }
    Ok(())
}
