//! A run that was killed and resumed ends as one that was not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use common::{command, run, text, write_config, write_dataset};

fn epochs_logged(folder: &Path) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_killed_run_resumes_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let config = write_config(folder.path(), 12, "");
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let arguments = |output: &Path| {
        [
            "train",
            "--config",
            text(&config),
            "--data",
            text(folder.path()),
            "--output",
            text(output),
        ]
        .map(String::from)
        .to_vec()
    };
    let (output, errors) = run(&arguments(&whole)
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>());
    assert!(output.status.success(), "{errors}");

    // Killed at an arbitrary moment after the second epoch, three times over.
    let mut resumed = arguments(&killed);
    for kill in 1..=3 {
        let mut child = command(&resumed.iter().map(String::as_str).collect::<Vec<_>>())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while epochs_logged(&killed).len() < 3 * kill && child.try_wait().unwrap().is_none() {
            assert!(started.elapsed() < Duration::from_secs(120), "no progress");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if kill == 1 {
            resumed.push("--resume".into());
        }
    }
    assert!(
        epochs_logged(&killed).len() < 12,
        "the kills came too late to mean anything"
    );
    let (output, errors) = run(&resumed.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{errors}");

    let bytes = |run: &Path| fs::read(run.join("checkpoint.safetensors")).unwrap();
    assert!(bytes(&whole) == bytes(&killed), "the checkpoints differ");
    let (first, second) = (epochs_logged(&whole), epochs_logged(&killed));
    assert_eq!(first.len(), 12);
    for (first, second) in first.iter().zip(&second) {
        for key in ["epoch", "loss", "learning_rate", "validation"] {
            assert_eq!(first[key], second[key], "{key}");
        }
    }
    // It learnt something: the made-up classes differ in brightness.
    let loss = |entry: &serde_json::Value| entry["loss"].as_f64().unwrap();
    assert!(
        loss(&first[11]) < loss(&first[0]) - 0.02,
        "{} then {}",
        loss(&first[0]),
        loss(&first[11])
    );
}
