//! C programs for the tests: compiled, linked with the library of the running test, run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Warnings that no C of ours may give.
const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];

/// The folder `capi`.
pub(crate) fn folder() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap().to_path_buf()
}

/// A library as cargo has built it for the running test, `.../deps/NAME`. It has no hash in its name,
/// for the crate is a `cdylib` too: never that of an older build.
#[allow(dead_code, reason = "not every test links")]
pub(crate) fn library(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// Whether a program is there; says what is skipped where it is not.
pub(crate) fn have(program: &str, what: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        println!("skipped: {what}: there is no {program}");
    }
    there
}

/// A compiler with the warnings as errors, for one standard of the language, optimised. It also finds
/// the headers.
pub(crate) fn compiler(program: &str, standard: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .args(["-O2", "-g", "-I"])
        .arg(folder().join("include"))
        .arg("-I")
        .arg(folder().join("examples"));
    command
}

/// Flags for address and undefined behaviour sanitizers, where the compiler has them; says what is
/// skipped where not. `folder` is for a program that tries them.
#[allow(dead_code, reason = "not every test sanitizes")]
pub(crate) fn sanitizers(folder: &Path) -> Option<[&'static str; 2]> {
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let source = folder.join("probe.c");
    std::fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let mut compile = compiler("cc", "c99");
    compile.args(flags).arg(&source).arg("-o");
    let there = compile.arg(folder.join("probe")).output().unwrap();
    if !there.status.success() {
        println!("skipped: running with sanitizers: cc has none");
        return None;
    }
    Some(flags)
}

/// Runs a command that must succeed.
pub(crate) fn successful(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
