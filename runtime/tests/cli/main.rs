//! The command `bagcert` as its users run it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../common/mod.rs"]
mod common;

mod bad_input;
mod bench;
mod certify;
mod eval;
mod figure;
mod folders;
mod inspect;
mod integrity;
mod masks;
mod model;
mod usage;
mod writing;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The command, not yet started.
pub(crate) fn bagcert<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bagcert"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the command to its end. Whatever it was given, it must not panic or die of a signal.
pub(crate) fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    finish(&mut bagcert(args))
}

pub(crate) fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let ran = Ran {
        status: output.status.code().expect("ended by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

impl Ran {
    /// Asserts the exit status, showing what was said if it is another.
    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Ran {
        assert_eq!(
            self.status, status,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    /// Asserts that the standard error says all of this.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "{word:?} is missing in: {}",
                self.stderr
            );
        }
    }

    /// Asserts that the standard error is empty, but for the word that a model of the tests has no golden frames.
    #[track_caller]
    pub(crate) fn is_silent(&self) {
        let said = self.stderr.lines();
        let other: Vec<_> = said
            .filter(|line| !line.contains("no golden frames"))
            .collect();
        assert!(other.is_empty(), "{other:?}");
    }

    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The committed sample of the CIFAR-10 test set: 100 records.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cifar10-sample.bin")
}
