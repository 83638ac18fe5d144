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
    // Features only add: without them all must still stand. With all targets again, so that
    // dependencies are those of the first run and need not be looked at once more.
    exec::run(site.apply(exec::cargo().args([
        "check",
        "--release",
        "--workspace",
        "--all-targets",
        "--no-default-features",
    ])))?;
    Ok(())
}
