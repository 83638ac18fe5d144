//! The corpus of the fuzz targets, through the very functions that are fuzzed: each input ends,
//! without a panic, and soon.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, missing_docs)]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use bagcert_tests::repository;

/// Far more than any input needs on a busy machine.
const HANG: Duration = Duration::from_secs(60);

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 10] = [
    ("cifar10", targets::cifar10),
    ("class_image", targets::class_image),
    ("graph", targets::graph),
    ("key", targets::key),
    ("manifest", targets::manifest),
    ("model", targets::model),
    ("picture", targets::picture),
    ("records", targets::records),
    ("scenario", targets::scenario),
    ("trainer_config", targets::trainer_config),
];

/// What fails, if anything: a panic or too long a time.
fn replay(target: Target, bytes: Vec<u8>) -> Result<(), String> {
    let (done, wait) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        target(&bytes);
        // Nobody waits any more where it took too long.
        let _ = done.send(());
    });
    match wait.recv_timeout(HANG) {
        Ok(()) => Ok(()),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(format!("took more than {HANG:?}")),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            thread.join().map_err(|_| "it panicked".to_string())
        }
    }
}

fn folder() -> std::path::PathBuf {
    repository::root().join("fuzz").join("corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_input_of_the_corpus_ends() {
    let mut failures = Vec::new();
    for (name, target) in TARGETS {
        let folder = folder().join(name);
        let inputs = names(&folder);
        assert!(inputs.len() >= 10, "{name} has {} inputs", inputs.len());
        for input in inputs {
            let bytes = fs::read(folder.join(&input)).unwrap();
            if let Err(reason) = replay(target, bytes) {
                failures.push(format!("{name}/{input}: {reason}"));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn every_target_is_replayed_and_the_corpus_is_small() {
    let replayed: BTreeSet<String> = TARGETS.map(|(name, _)| name.to_string()).into();
    assert_eq!(names(&folder()), replayed);
    let targets = names(&repository::root().join("fuzz").join("fuzz_targets"));
    let sources: BTreeSet<String> = replayed.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(targets, sources);
    let size: u64 = replayed
        .iter()
        .flat_map(|name| fs::read_dir(folder().join(name)).unwrap())
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 256 << 10, "the corpus has {size} bytes");
}

/// A check that cannot fail would be none.
#[test]
fn a_panic_is_a_failure() {
    assert!(replay(|_| panic!("on purpose"), Vec::new()).is_err());
    assert!(replay(drop_all, vec![1]).is_ok());
}

fn drop_all(_: &[u8]) {}
