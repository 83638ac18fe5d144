//! `cargo xtask mutants`: changes the code at one place at a time, and says which changes no test
//! notices.

use crate::exec;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// A part of the code, and the tests that can notice a change in it.
struct Part {
    name: &'static str,
    package: &'static str,
    files: &'static [&'static str],
    /// Test programs, and the unit tests as `--lib`.
    tests: &'static [&'static str],
}

/// The code that a wrong "certified" could come from.
const PARTS: [Part; 4] = [
    Part {
        name: "certifier",
        package: "bagcert-certifier",
        files: &[
            "certifier/src/aggregation.rs",
            "certifier/src/certifier.rs",
            "certifier/src/fault.rs",
            "certifier/src/geometry.rs",
            "certifier/src/geometry_error.rs",
            "certifier/src/patch.rs",
            "certifier/src/pieces.rs",
            "certifier/src/score_map.rs",
            "certifier/src/search.rs",
            "certifier/src/shape.rs",
            "certifier/src/table.rs",
            "certifier/src/vector.rs",
            "certifier/src/verdict.rs",
        ],
        tests: &[
            "--test=random",
            "--test=counterexamples",
            "--test=aggregations",
            "--test=faults",
            "--test=messages",
            "--test=large",
        ],
    },
    Part {
        name: "masks",
        package: "bagcert-certifier",
        files: &[
            "certifier/src/lane.rs",
            "certifier/src/mask_set.rs",
            "certifier/src/masks.rs",
            "certifier/src/masks/*.rs",
            "certifier/src/overlay.rs",
            "certifier/src/plane.rs",
            "certifier/src/sweep.rs",
            "certifier/src/unanimous.rs",
        ],
        tests: &[
            "--test=masks_random",
            "--test=masks_large",
            "--test=masks_exhaustive",
            "--test=faults",
            "--test=messages",
            "--test=random",
        ],
    },
    Part {
        name: "admission",
        package: "bagcert",
        files: &["runtime/src/admission/**/*.rs"],
        tests: &[
            "--lib",
            "--test=admission_contract",
            "--test=admission_files",
            "--test=admission_local",
            "--test=admission_random",
            "--test=admission_refused",
            "--test=limits",
        ],
    },
    Part {
        name: "proof",
        package: "bagcert",
        files: &["runtime/src/engine/proof/**/*.rs"],
        tests: &["--lib", "--test=engine", "--test=admission_random"],
    },
];

/// Runs the mutants of one part, or of each. `shard` is a part of them, as `k/n`.
pub(crate) fn run(part: Option<&str>, shard: Option<&str>) -> Result<()> {
    if exec::answer(exec::cargo().args(["mutants", "--version"])).is_none() {
        bail!("cargo-mutants is missing: `cargo install cargo-mutants --locked`");
    }
    let chosen: Vec<&Part> = match part {
        None => PARTS.iter().collect(),
        Some(name) => vec![
            PARTS
                .iter()
                .find(|part| part.name == name)
                .with_context(|| {
                    let names = PARTS.map(|part| part.name).join(", ");
                    format!("there is no part {name}; there are {names}")
                })?,
        ],
    };
    // Files are changed in place, so that nothing but the changed crate is compiled.
    let mut status = std::process::Command::new("git");
    status.current_dir(exec::root());
    let changes =
        exec::answer(status.args(["status", "--porcelain", "--", "certifier", "runtime"]));
    match changes.as_deref() {
        Some("") => {}
        Some(_) => bail!("there are changes in certifier/ or runtime/; commit or stash them first"),
        None => bail!("git does not say whether there are changes; run this in a checkout"),
    }
    let output = exec::target_dir()?.join("mutants");
    let mut missed = Vec::new();
    for part in chosen {
        let folder = output.join(part.name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        if !run_part(part, &folder, shard)? {
            missed.push(folder.join("mutants.out/missed.txt").display().to_string());
        }
    }
    if !missed.is_empty() {
        bail!("some mutants were missed: see {}", missed.join(", "));
    }
    Ok(())
}

/// Whether no mutant was missed.
fn run_part(part: &Part, folder: &Path, shard: Option<&str>) -> Result<bool> {
    let mut command = exec::cargo();
    command
        .args(["mutants", "--in-place", "--profile=release", "--package"])
        .arg(part.package)
        .arg("--output")
        .arg(folder)
        .args(part.files.iter().flat_map(|file| ["--file", file]))
        .args(shard.iter().flat_map(|shard| ["--shard", shard]))
        .arg("--")
        .args(part.tests)
        .env("CARGO_INCREMENTAL", "1");
    let line = exec::shown(&command);
    eprintln!("==> {line}");
    let status = command
        .status()
        .with_context(|| format!("could not start `{line}`"))?;
    match status.code() {
        Some(0) => Ok(true),
        // Missed; and some that ran without end, which counts as caught.
        Some(2) => Ok(false),
        Some(3) => Ok(true),
        _ => bail!("`{line}` failed ({status})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file or test that was given another name would be left out without a word.
    #[test]
    fn files_and_tests_exist() {
        let root = exec::root();
        for part in &PARTS {
            for file in part.files {
                let fixed = file.split('*').next().unwrap_or(file);
                assert!(root.join(fixed).exists(), "{file}");
            }
            let package = if part.package == "bagcert" {
                "runtime"
            } else {
                "certifier"
            };
            for test in part.tests {
                let Some(name) = test.strip_prefix("--test=") else {
                    continue;
                };
                let path = root.join(package).join("tests").join(name);
                assert!(path.with_extension("rs").exists(), "{test}");
            }
        }
    }

    /// Every file of the certifier is in one part.
    #[test]
    fn no_file_is_left_out() -> Result<()> {
        for entry in std::fs::read_dir(exec::root().join("certifier/src"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let path = format!("certifier/src/{name}");
            if !name.ends_with(".rs") || name == "lib.rs" {
                continue;
            }
            let parts = PARTS
                .iter()
                .filter(|part| part.files.contains(&path.as_str()));
            assert_eq!(parts.count(), 1, "{path}");
        }
        Ok(())
    }
}
