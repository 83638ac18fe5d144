//! `cargo xtask coverage`: which lines of the certifier and of admission the tests run.

use crate::exec;
use crate::libtorch::Site;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Set where this program stands in for the compiler, see [`wrap`].
pub(crate) const WRAPPER: &str = "BAGCERT_COVERAGE_WRAPPER";
/// What is measured: the code that a wrong "certified" could come from.
const MEASURED: [(&str, &str); 3] = [
    ("certifier", "certifier/src/"),
    ("admission", "runtime/src/admission/"),
    ("engine", "runtime/src/engine/"),
];
/// What must have enough of its lines run. Much of the engine answers failures of the library below it,
/// which no test can bring about.
const BOUND: [&str; 2] = ["certifier", "admission"];

/// Compiles one crate of the workspace with counters in it.
///
/// Cargo calls this in place of the compiler, for crates of the workspace only: dependencies are
/// those of every other build and need not be built again.
pub(crate) fn wrap() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(rustc) = arguments.next() else {
        return ExitCode::FAILURE;
    };
    let status = Command::new(rustc)
        .args(arguments)
        .arg("-Cinstrument-coverage")
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Runs the tests of the certifier and the runtime with counters, and fails where the certifier or
/// admission has fewer than `least` per cent of its lines run.
pub(crate) fn run(site: &Site, least: f64) -> Result<()> {
    let tools = Tools::find()?;
    let folder = exec::target_dir()?.join("coverage");
    let counts = folder.join("counts");
    if counts.exists() {
        std::fs::remove_dir_all(&counts).context("could not remove earlier counts")?;
    }
    std::fs::create_dir_all(&counts).context("could not make a folder for the counts")?;
    let cargo = |more: &[&str]| -> Result<Command> {
        let mut command = exec::cargo();
        command
            .args([
                "test",
                "--release",
                "-p",
                "bagcert-certifier",
                "-p",
                "bagcert",
            ])
            .args(["--lib", "--bins", "--tests"])
            .args(more)
            .env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?)
            .env(WRAPPER, "1")
            .env("LLVM_PROFILE_FILE", counts.join("%p-%m.profraw"));
        site.apply(&mut command);
        Ok(command)
    };
    exec::run(&mut cargo(&[])?)?;
    let built = exec::answer(&mut cargo(&["--no-run", "--message-format", "json"])?)
        .context("cargo did not say what it had built")?;
    let programs = programs(&built);
    if programs.is_empty() {
        bail!("cargo named no test program");
    }
    let merged = folder.join("merged.profdata");
    exec::run(
        Command::new(&tools.profdata)
            // A test may end a program before it has written its counts.
            .args(["merge", "-sparse", "-failure-mode=all", "-o"])
            .arg(&merged)
            .arg(&counts),
    )?;
    let cov = |verb: &str| {
        let mut command = Command::new(&tools.cov);
        command.arg(verb).arg("-instr-profile").arg(&merged);
        for program in &programs {
            command.arg("-object").arg(program);
        }
        command.arg("-sources");
        command.args(MEASURED.map(|(_, path)| exec::root().join(path)));
        command
    };
    let summary = exec::answer(cov("export").args(["-summary-only", "-skip-functions"]))
        .context("llvm-cov could not read the counts")?;
    let pages = folder.join("html");
    exec::run(
        cov("show")
            .args(["-format=html", "-output-dir"])
            .arg(&pages),
    )?;
    let parts = report(&serde_json::from_str(&summary)?)?;
    println!("line by line: {}", pages.join("index.html").display());
    let mut bound = parts.iter().filter(|part| BOUND.contains(&part.name));
    match bound.find(|part| part.percent() < least) {
        Some(part) => bail!(
            "{} has {:.1} % of its lines run by tests, fewer than {least} %",
            part.name,
            part.percent()
        ),
        None => Ok(()),
    }
}

/// The tools of the compiler's own LLVM release.
struct Tools {
    profdata: PathBuf,
    cov: PathBuf,
}

impl Tools {
    fn find() -> Result<Tools> {
        let about = exec::answer(Command::new("rustc").arg("-vV")).context("no rustc")?;
        let word = |key: &str| {
            about
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .map(str::trim)
                .context("rustc does not say its release of LLVM")
        };
        let host = word("host:")?;
        let version = word("LLVM version:")?;
        let major = version.split('.').next().unwrap_or(version);
        let sysroot = exec::answer(Command::new("rustc").args(["--print", "sysroot"]))
            .context("rustc does not say where it lies")?;
        let bundled = Path::new(&sysroot)
            .join("lib/rustlib")
            .join(host)
            .join("bin");
        let find = |name: &str| {
            [bundled.join(name), PathBuf::from(format!("{name}-{major}"))]
                .into_iter()
                .find(|tool| exec::answer(Command::new(tool).arg("--version")).is_some())
                .with_context(|| {
                    format!(
                        "{name} of LLVM {major} is missing: `rustup component add llvm-tools`, or \
                         the package llvm-{major} of the system"
                    )
                })
        };
        Ok(Tools {
            profdata: find("llvm-profdata")?,
            cov: find("llvm-cov")?,
        })
    }
}

/// Test programs and binaries in what cargo prints as JSON lines.
fn programs(built: &str) -> BTreeSet<PathBuf> {
    built
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .collect()
}

/// One part of the code: its lines, and how many of them ran.
#[derive(Debug, PartialEq)]
struct Part {
    name: &'static str,
    lines: u64,
    run: u64,
}

impl Part {
    fn percent(&self) -> f64 {
        if self.lines == 0 {
            return 0.0;
        }
        100.0 * self.run as f64 / self.lines as f64
    }
}

/// Prints a line per file and per part; gives the parts.
fn report(summary: &Value) -> Result<Vec<Part>> {
    let files = summary
        .pointer("/data/0/files")
        .and_then(Value::as_array)
        .context("llvm-cov's summary has another form than was expected")?;
    let mut parts = Vec::new();
    for (name, path) in MEASURED {
        let mut part = Part {
            name,
            lines: 0,
            run: 0,
        };
        for file in files {
            let Some(found) = file.get("filename").and_then(Value::as_str) else {
                continue;
            };
            let Some(at) = found.find(path) else { continue };
            // Unit tests in files of their own are not what is measured.
            if found.ends_with("/tests.rs") {
                continue;
            }
            let lines = |key: &str| {
                file.pointer(&format!("/summary/lines/{key}"))
                    .and_then(Value::as_u64)
                    .unwrap_or(0)
            };
            let (all, run) = (lines("count"), lines("covered"));
            println!(
                "{:6} of {:5}  {}",
                run,
                all,
                found.get(at..).unwrap_or(found)
            );
            part.lines += all;
            part.run += run;
        }
        println!("{name}: {:.1} % of {} lines", part.percent(), part.lines);
        parts.push(part);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_added_up_by_part() -> Result<()> {
        let file = |name: &str, count: u64, covered: u64| {
            serde_json::json!({
                "filename": name,
                "summary": { "lines": { "count": count, "covered": covered } }
            })
        };
        let summary = serde_json::json!({ "data": [{ "files": [
            file("/x/certifier/src/table.rs", 90, 90),
            file("/x/certifier/src/search.rs", 10, 5),
            file("/x/runtime/src/admission/walk.rs", 4, 1),
            file("/x/runtime/src/admission/tests.rs", 40, 40),
            file("/x/runtime/src/cli/mod.rs", 400, 0),
        ] }] });
        let parts = report(&summary)?;
        let percents: Vec<f64> = parts.iter().map(Part::percent).collect();
        // A part without a line is not covered, it is not measured.
        assert_eq!(percents, [95.0, 25.0, 0.0]);
        assert!(report(&serde_json::json!({})).is_err());
        Ok(())
    }

    #[test]
    fn programs_are_taken_from_what_cargo_says() {
        let built = "{\"reason\":\"compiler-artifact\",\"executable\":\"/x/a\"}\nnoise\n\
                     {\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                     {\"reason\":\"compiler-artifact\",\"executable\":\"/x/a\"}";
        assert_eq!(programs(built), BTreeSet::from(["/x/a".into()]));
    }
}
