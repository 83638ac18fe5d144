//! The commands on a GPU; left out where there is none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, path::Path};

use bagcert_trainer::{checkpoint::Checkpoint, device::DeviceChoice};
use common::{run, text, train, write_config_with, write_dataset};

fn succeeds(arguments: &[&str]) -> String {
    let (output, errors) = run(arguments);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The share of images before `%` in the line that begins with `words`.
fn percent(printed: &str, words: &str) -> f64 {
    let line = printed.lines().find(|line| line.starts_with(words));
    let rest = line.unwrap_or_else(|| panic!("no {words:?} in {printed}"));
    let number = rest[words.len()..].split('%').next().unwrap().trim();
    number.parse().unwrap()
}

fn losses(folder: &Path) -> Vec<f64> {
    let log = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let lines = log.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(
            line["share_of_matrix_rate"].as_f64().unwrap() > 0.0,
            "{line}"
        );
        line["loss"].as_f64().unwrap()
    });
    lines.collect()
}

#[test]
fn a_run_learns_goes_on_and_is_measured_and_attacked_there_as_on_a_processor() {
    if let Err(reason) = DeviceChoice::Cuda.open() {
        eprintln!("skipped: {reason}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let options =
        "ema = 0.9\nclip_norm = 1.0\nprecision = \"bf16\"\nchannels_last = true\ncell_stride = 2";
    let more =
        "[augmentation]\ncutout = 6\noperations = 1\nmagnitude = 0.2\nrotation = 9.0\nzoom = 0.2";
    let config = write_config_with(folder.path(), 12, &[("training", options), ("", more)]);
    let output = folder.path().join("run");
    for part in [&["--until", "7"][..], &["--resume"]] {
        let arguments = [&["--device", "cuda"], part].concat();
        let (result, errors) = train(&config, folder.path(), &output, &arguments);
        assert!(result.status.success(), "{errors}");
    }
    let losses = losses(&output);
    assert_eq!(losses.len(), 12);
    assert!(losses[11] < losses[0] - 0.02, "{losses:?}");
    let checkpoint = output.join("checkpoint.safetensors");
    assert_eq!(Checkpoint::read(&checkpoint).unwrap().header.epoch, 12);

    let on = |command: &str, device: &str, more: &[&str]| {
        let data = [
            "--checkpoint",
            text(&checkpoint),
            "--data",
            text(folder.path()),
        ];
        succeeds(&[&[command, "--device", device], &data[..], more].concat())
    };
    let clean = ["cpu", "cuda"].map(|device| percent(&on("eval", device, &[]), "clean accuracy"));
    // Of 160 images a few lie where the arithmetic decides.
    assert!((clean[0] - clean[1]).abs() < 3.0, "{clean:?}");
    let steps = ["--steps", "5", "--limit", "60"];
    let attacked = on("attack", "cuda", &steps);
    assert!(attacked.contains("certificates broken: 0"), "{attacked}");
}
