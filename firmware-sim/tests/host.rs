//! The command `bagcert-firmware-sim` as its users run it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bench;

use std::path::Path;

use bench::*;

#[test]
fn sound_frames_are_certified_or_not_as_they_deserve() {
    let bench = Bench::new();
    let ran = bench.run(&["--format", "jsonl", "--cycles", "6"]).ended(0);
    let cycles = ran.cycles();
    assert_eq!(cycles.len(), 6);
    for (number, cycle) in cycles.iter().enumerate() {
        assert_eq!(cycle["cycle"], number);
        assert_eq!(cycle["counter"], number);
        assert_eq!(cycle["class_name"], "red");
        assert!(cycle["latency_us"].as_f64().unwrap() > 0.0);
        if number % 2 == 0 {
            // 256 votes against 0; each of the nine cells of a patch is worth two.
            assert_eq!(cycle["outcome"], "certified");
            assert_eq!(cycle["slack"], 256 - 2 * 9);
        } else {
            // A tie of 128 votes; the five red cells under a patch are worth two each, and the four
            // green ones are green already.
            assert_eq!(cycle["outcome"], "not-certified");
            assert_eq!(cycle["slack"], -2 * 5);
        }
    }
    ran.says(&["6 cycles of 2s in simulated time", "p99.9"]);
    // The median and the longest time of the summary are those of the cycles, to three digits.
    let mut times: Vec<f64> = cycles
        .iter()
        .map(|c| c["latency_us"].as_f64().unwrap())
        .collect();
    times.sort_by(f64::total_cmp);
    let row = ran
        .stderr
        .lines()
        .find(|line| line.starts_with("capture to verdict"))
        .unwrap();
    let told: Vec<f64> = row
        .split_whitespace()
        .skip(3)
        .map(|n| n.parse().unwrap())
        .collect();
    for (told, measured) in [(told[0], times[2]), (told[3], times[5])] {
        assert!((told / measured - 1.0).abs() < 0.005, "{row}: {times:?}");
    }
    let table = bench.run(&[]).ended(0);
    assert!(
        table.stdout.contains("capture to verdict"),
        "{}",
        table.stdout
    );
}

#[test]
fn every_injected_fault_is_detected_in_its_own_cycle() {
    let bench = Bench::new();
    let scenario = bench.scenario(
        r#"
        seed = 7
        [[fault]]
        kind = "drop"
        at = [2, 3]
        [[fault]]
        kind = "repeat"
        at = [6, 30]
        [[fault]]
        kind = "nan"
        at = [8, 30]
        [[fault]]
        kind = "flip"
        at = [10]
        [[fault]]
        kind = "flip"
        bits = 9
        at = [12]
        [[fault]]
        kind = "late"
        delay_ms = 2100
        at = [14]
        [[fault]]
        kind = "overrun"
        delay_ms = 2001
        at = [20]
        "#,
    );
    let ran = bench
        .run(&[
            "--format",
            "jsonl",
            "--cycles",
            "40",
            "--scenario",
            &scenario,
        ])
        .ended(0);
    let expected = |cycle| match cycle {
        2 | 3 | 14 => Some("missing"),
        6 => Some("repeated"),
        8 => Some("non-finite"),
        10 | 12 => Some("corrupt"),
        20 => Some("overrun"),
        // Both at once: what came was the frame before, which is sound.
        30 => Some("repeated"),
        _ => None,
    };
    for (number, cycle) in ran.cycles().iter().enumerate() {
        assert_eq!(cycle["reason"].as_str(), expected(number), "{cycle}");
        if expected(number).is_none() {
            let word = ["certified", "not-certified"][number % 2];
            assert_eq!(cycle["outcome"], word, "{cycle}");
        } else {
            assert!(cycle["class"].is_null() && !cycle["injected"].as_array().unwrap().is_empty());
        }
    }
    assert_eq!(ran.cycles()[4]["lost"], 2);
    ran.says(&[
        "undetected",
        "cycle 6: fault (repeated)",
        "cycle 4: 2 frames lost",
    ]);
}

#[test]
fn a_delay_within_the_deadline_is_no_fault() {
    let bench = Bench::new();
    let scenario = bench.scenario("[[fault]]\nkind = \"late\"\ndelay_ms = 100\nevery = 2\n");
    let ran = bench
        .run(&[
            "--format",
            "jsonl",
            "--cycles",
            "6",
            "--scenario",
            &scenario,
        ])
        .ended(0);
    for cycle in ran.cycles() {
        assert!(cycle["reason"].is_null(), "{cycle}");
    }
    assert!(ran.cycles()[2]["latency_us"].as_f64().unwrap() > 100_000.0);
}

#[test]
fn an_input_that_cannot_be_read_is_a_missing_frame_and_status_4() {
    let bench = Bench::new();
    std::fs::write(bench.path("frames/2-bad.png"), "no picture").unwrap();
    let ran = bench.run(&["--format", "jsonl", "--cycles", "12"]).ended(4);
    ran.says(&["2-bad.png", "1 input could not be used"]);
    let cycles = ran.cycles();
    for at in [2, 2 + FRAMES + 1] {
        assert_eq!(cycles[at]["reason"], "missing");
    }
    assert_eq!(cycles[3]["outcome"], "certified");

    let model = bench.text("colours.onnx");
    let nowhere = bench.text("nowhere");
    run(&["--model", &model, "--no-card", "--patch", "3x3", &nowhere])
        .ended(4)
        .says(&["nowhere", "no frame to run on"]);
}

/// Nothing would show that this machine computes as the one that measured the model.
#[test]
fn a_manifest_without_golden_frames_is_refused() {
    use bagcert::integrity::{Fingerprint, Manifest};
    let bench = Bench::new();
    let (model, frames) = (bench.text("colours.onnx"), bench.text("frames"));
    let print = Fingerprint::of(&std::fs::read(&model).unwrap());
    let manifest = Manifest::new(print, vec![]).unwrap().to_toml().unwrap();
    std::fs::write(bench.path("colours.toml"), manifest).unwrap();
    run(&[
        "--model", &model, "--patch", "3x3", "--cycles", "2", &frames,
    ])
    .ended(3)
    .says(&["colours.onnx", "no golden frames"]);
}

#[test]
fn wrong_usage_is_status_2() {
    let bench = Bench::new();
    bench.run(&["--patch", "0x3"]).ended(2);
    bench.run(&["--rate", "0"]).ended(2);
    bench.run(&["--rate", "1e300"]).ended(2).says(&["--rate"]);
    bench
        .run(&["--deadline-ms", "2001"])
        .ended(2)
        .says(&["--deadline-ms"]);
    let model = bench.text("colours.onnx");
    let frames = bench.text("frames");
    run(&["--model", &model, "--no-card", "--patch", "17x1", &frames])
        .ended(2)
        .says(&["17x1", "16x16"]);
    for (text, word) in [
        ("[[fault]]\nkind = \"drop\"\n", "at = [cycles]"),
        ("[[fault]]\nkind = \"explode\"\nat = [1]\n", "explode"),
        ("[[fault]]\nkind = \"late\"\nat = [1]\n", "delay_ms"),
        (
            "[[fault]]\nkind = \"late\"\nat = [1]\ndelay_ms = nan\n",
            "delay_ms",
        ),
        ("[[fault]]\nkind = \"flip\"\nat = [1]\nbits = 0\n", "bits"),
        ("[[fault]]\nkind = \"drop\"\nat = [1]\nbits = 1\n", "bits"),
        ("[[fault]]\nkind = \"drop\"\nevery = 0\n", "every"),
        ("[[fault]]\nkind = \"repeat\"\nat = [0]\n", "before cycle 0"),
        ("[[fault]]\nkind = \"frozen\"\nat = [0]\n", "before cycle 0"),
        ("[[fault]]\nkind = \"hang\"\nat = [1]\n", "delay_ms"),
        ("[[fault]]\nkind = \"drop\"\nat = [1]\nclass = 1\n", "class"),
        ("colour = 1\n", "colour"),
        ("[[fault\n", "scenario.toml"),
    ] {
        let scenario = bench.scenario(text);
        bench
            .run(&["--scenario", &scenario])
            .ended(2)
            .says(&["scenario.toml", word]);
    }
    // A device that never ends, and a text of more than a mebibyte.
    bench
        .run(&["--scenario", "/dev/zero"])
        .ended(2)
        .says(&["not a regular file"]);
    let long = bench.scenario(&"# a comment\n".repeat(100_000));
    bench
        .run(&["--scenario", &long])
        .ended(2)
        .says(&["scenario.toml", "more than 1048576 bytes"]);
    let missing = bench.text("missing.toml");
    bench
        .run(&["--scenario", &missing])
        .ended(2)
        .says(&["missing.toml"]);
}

#[test]
fn a_model_that_is_none_is_status_3() {
    let bench = Bench::new();
    std::fs::write(bench.path("colours.onnx"), "no model").unwrap();
    bench.run(&[]).ended(3).says(&["colours.onnx"]);
    std::fs::remove_file(Path::new(&bench.text("colours.onnx"))).unwrap();
    bench.run(&[]).ended(3).says(&["colours.onnx"]);
}
