//! What comes out of the command's cycles: modes, trust, messages, and the reaction to every fault.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bench;

use std::path::PathBuf;

use bench::*;
use serde_json::Value;

/// The cycles of a scenario over frames that are certified (even cycles) and not (odd ones) in turn.
fn cycles(scenario: &str, count: u32, more: &[&str]) -> Vec<Value> {
    ran(scenario, count, more, 0).cycles()
}

fn ran(scenario: &str, count: u32, more: &[&str], status: i32) -> Ran {
    let bench = Bench::new();
    let scenario = bench.scenario(scenario);
    let count = count.to_string();
    let mut args = vec![
        "--format",
        "jsonl",
        "--cycles",
        &count,
        "--scenario",
        &scenario,
    ];
    args.extend(more);
    bench.run(&args).ended(status)
}

/// Mode, trust and class of a cycle's answer.
fn answer(cycle: &Value) -> (&str, &str, Option<u64>) {
    let text = |name: &str| cycle[name].as_str().unwrap();
    (text("mode"), text("trust"), cycle["answer"].as_u64())
}

fn fault(kind: &str) -> String {
    format!("seed = 5\n[[fault]]\nat = [6]\n{kind}\n")
}

#[test]
fn the_start_a_fault_and_the_way_back() {
    // With noise: else the picture after the lost one is that before it.
    let cycles = cycles(&fault("kind = \"drop\""), 12, &["--road", "1"]);
    for cycle in &cycles[..2] {
        assert_eq!(answer(cycle), ("init", "none", None));
    }
    assert_eq!(answer(&cycles[2]), ("nominal", "none", None));
    assert_eq!(answer(&cycles[3]), ("nominal", "unverified", Some(0)));
    assert_eq!(answer(&cycles[4]), ("nominal", "confirmed", Some(0)));
    assert_eq!(answer(&cycles[6]), ("degraded", "none", None));
    // Degraded: a certificate still counts, the primary perception alone does not.
    assert_eq!(answer(&cycles[7]), ("degraded", "none", None));
    assert_eq!(answer(&cycles[8]), ("degraded", "confirmed", Some(0)));
    assert_eq!(answer(&cycles[9]), ("nominal", "none", None));
    assert_eq!(answer(&cycles[10]), ("nominal", "confirmed", Some(0)));
    for cycle in &cycles {
        assert_eq!(cycle["received"], "ok");
        // Length 20, data id, and the cycle's number as the counter.
        let message = cycle["message"].as_str().unwrap();
        let counter = cycle["cycle"].as_u64().unwrap();
        assert_eq!(message.len(), 40);
        assert!(
            message.starts_with(&format!("0014{counter:04x}0ba6ce28")),
            "{message}"
        );
    }
}

#[test]
fn each_fault_alone_is_answered_in_its_own_cycle() {
    for (kind, reason, mode) in [
        ("kind = \"drop\"", "missing", "degraded"),
        ("kind = \"repeat\"", "repeated", "degraded"),
        ("kind = \"late\"\ndelay_ms = 2100", "missing", "degraded"),
        ("kind = \"overrun\"\ndelay_ms = 2001", "overrun", "degraded"),
        ("kind = \"nan\"", "non-finite", "degraded"),
        ("kind = \"flip\"", "corrupt", "degraded"),
        ("kind = \"frozen\"", "frozen", "degraded"),
        ("kind = \"torn\"", "corrupt", "degraded"),
        ("kind = \"flip-picture\"", "corrupt", "degraded"),
        ("kind = \"hang\"\ndelay_ms = 2100", "hang", "degraded"),
        (
            "kind = \"clock-back\"\ndelay_ms = 3000",
            "clock-backwards",
            "safe-state",
        ),
        ("kind = \"flip-scores\"\nbits = 300", "memory", "safe-state"),
        ("kind = \"flip-table\"\nbits = 9000", "memory", "safe-state"),
    ] {
        let cycles = cycles(&fault(kind), 20, &["--watchdog-ms", "1000"]);
        assert_eq!(cycles[6]["reason"], reason, "{kind}: {}", cycles[6]);
        let trust = if mode == "degraded" {
            "none"
        } else {
            "safe-stop"
        };
        assert_eq!(answer(&cycles[6]), (mode, trust, None), "{kind}");
        for cycle in &cycles[..6] {
            assert!(cycle["reason"].is_null(), "{kind}: {cycle}");
        }
        // What latches stays; all else has healed at the end.
        let last = answer(&cycles[18]);
        if mode == "degraded" {
            assert_eq!(last, ("nominal", "confirmed", Some(0)), "{kind}");
        } else {
            assert_eq!(last, ("safe-state", "safe-stop", None), "{kind}");
        }
    }
}

#[test]
fn the_safe_state_is_left_by_a_reset() {
    for kind in [
        "kind = \"clock-back\"\ndelay_ms = 3000",
        "kind = \"flip-table\"\nbits = 9000",
        "kind = \"flip-logic\"",
    ] {
        let cycles = cycles(&fault(kind), 14, &["--reset-after", "2"]);
        assert_eq!(answer(&cycles[6]).1, "safe-stop", "{kind}");
        assert_eq!(answer(&cycles[7]).1, "safe-stop", "{kind}");
        assert_eq!(cycles[7]["reset"], "init", "{kind}");
        assert_eq!(answer(&cycles[8]), ("init", "none", None), "{kind}");
        assert_eq!(
            answer(&cycles[12]),
            ("nominal", "confirmed", Some(0)),
            "{kind}"
        );
    }
    // Without one, never.
    let cycles = cycles(&fault("kind = \"flip-logic\""), 40, &[]);
    for cycle in &cycles[6..] {
        assert_eq!(answer(cycle), ("safe-state", "safe-stop", None));
    }
}

#[test]
fn faults_that_come_again_and_again_latch() {
    let scenario = "[[fault]]\nkind = \"nan\"\nevery = 2\n";
    let cycles = cycles(scenario, 40, &["--strikes", "4", "--window", "8"]);
    assert_eq!(answer(&cycles[7]).0, "init");
    for cycle in &cycles[8..] {
        assert_eq!(answer(cycle), ("safe-state", "safe-stop", None));
    }
}

#[test]
fn a_model_that_is_damaged_in_memory_is_noticed_at_the_next_known_answer() {
    let scenario = "seed = 3\n[[fault]]\nkind = \"flip-model\"\nat = [6]\n";
    let every = ["--known-answer-every", "5", "--reset-after", "1"];
    let found = ran(scenario, 20, &every, 0);
    let cycles = found.cycles();
    for cycle in &cycles[..10] {
        assert_ne!(cycle["reason"], "model", "{cycle}");
    }
    assert_eq!(cycles[10]["reason"], "model");
    assert_eq!(answer(&cycles[10]), ("safe-state", "safe-stop", None));
    assert_eq!(cycles[10]["reset"], "init");
    assert_eq!(answer(&cycles[16]).0, "nominal");
    found.says(&["1 damaged models noticed, the last of them 4 cycles after"]);
    // Nobody looks: it is not noticed, and that is said.
    let never = ["--known-answer-every", "0"];
    ran(scenario, 20, &never, 1).says(&["0 damaged models noticed", "1 not in time"]);
}

#[test]
fn a_primary_perception_that_lies_is_overruled_where_there_is_a_certificate() {
    let scenario = "[[fault]]\nkind = \"lie\"\nclass = 2\nat = [6, 9]\n[[fault]]\nkind = \"silent\"\nat = [16, 17]\n";
    let cycles = cycles(scenario, 20, &["--primary", "label"]);
    assert_eq!(cycles[4]["primary"], 0);
    assert_eq!(cycles[6]["event"], "contradicted");
    assert_eq!(answer(&cycles[6]), ("degraded", "overrides", Some(0)));
    // Not certified: nobody can tell, and the class is passed on as what it is, if at all.
    assert_eq!(cycles[9]["event"], "unverified");
    assert_eq!(cycles[9]["outcome"], "not-certified");
    assert_ne!(answer(&cycles[9]).1, "confirmed");
    assert_eq!(answer(&cycles[11]), ("nominal", "unverified", Some(0)));
    assert_eq!(answer(&cycles[16]), ("degraded", "fallback", Some(0)));
    assert_eq!(answer(&cycles[17]), ("degraded", "none", None));
    // A class that there is none of counts as nothing said.
    let scenario = "[[fault]]\nkind = \"lie\"\nclass = 99\nat = [6]\n";
    let found = ran(scenario, 8, &[], 0);
    assert_eq!(found.cycles()[6]["event"], "fallback-only");
}

#[test]
fn messages_that_are_lost_damaged_or_repeated_are_not_taken() {
    let scenario = "seed = 1\n[[fault]]\nkind = \"flip-message\"\nat = [4]\n\
                    [[fault]]\nkind = \"drop-message\"\nat = [6]\n\
                    [[fault]]\nkind = \"repeat-message\"\nat = [8]\n";
    let cycles = cycles(scenario, 12, &[]);
    let statuses: Vec<&str> = cycles
        .iter()
        .map(|cycle| cycle["received"].as_str().unwrap())
        .collect();
    let expected = [
        "ok",
        "ok",
        "ok",
        "ok",
        "error",
        "ok-some-lost",
        "no-new-data",
        "ok-some-lost",
        "repeated",
        "ok-some-lost",
        "ok",
        "ok",
    ];
    assert_eq!(statuses, expected);
}

#[test]
fn no_patch_brings_about_a_certified_answer_of_its_own() {
    let scenario = "seed = 9\n[[fault]]\nkind = \"patch\"\nevery = 1\n";
    let found = ran(scenario, 200, &["--road", "2"], 0);
    // The first cycle is before the first of every one.
    let certified = found.cycles()[1..]
        .iter()
        .filter(|cycle| cycle["outcome"] == "certified")
        .count();
    assert!(certified >= 90, "{certified}");
    let words =
        format!("certified under a patch: {certified} with the class of the scene without it, 0");
    found.says(&[&words]);
}

#[test]
fn patches_from_a_file() {
    let bench = Bench::new();
    let line = |patch: &str, pixels: usize| {
        let pixels = vec!["1.0"; pixels].join(",");
        format!(
            "{{\"image\":0,\"attack\":{{\"x\":13,\"y\":13}},\"patch\":{patch},\"pixels\":[{pixels}]}}\n"
        )
    };
    for (line, status, word) in [
        (line("[3,3]", 27), 0, "certified under a patch"),
        (line("[4,3]", 36), 2, "larger than"),
        (line("[3,3]", 26), 2, "three values"),
        (line("[0,3]", 0), 2, "empty"),
        ("no patch\n".to_owned(), 2, "line 1"),
        (line("[3,3]", 27).replace("13", "14"), 2, "lie in the image"),
    ] {
        std::fs::write(bench.path("patches.jsonl"), line).unwrap();
        let scenario =
            bench.scenario("patches = \"patches.jsonl\"\n[[fault]]\nkind = \"patch\"\nevery = 2\n");
        let args = [
            "--format",
            "jsonl",
            "--cycles",
            "8",
            "--scenario",
            &scenario,
        ];
        bench.run(&args).ended(status).says(&[word]);
    }
}

#[test]
fn a_file_of_patches_that_is_not_there() {
    let bench = Bench::new();
    let scenario = bench.scenario("patches = \"nowhere.jsonl\"\n");
    bench
        .run(&["--scenario", &scenario])
        .ended(2)
        .says(&["nowhere.jsonl", "cannot be read"]);
}

/// The shipped model with its manifest and golden frames, and the patches that were found for the
/// sample frames by gradient.
#[test]
fn the_shipped_model_under_the_patches_that_were_found() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let text = |path: &str| root.join(path).to_str().unwrap().to_owned();
    let patches = text("tests/attacked/cifar10-rf8.jsonl");
    let bench = Bench::new();
    let scenario = bench.scenario(&format!(
        "patches = {patches:?}\n[[fault]]\nkind = \"patch\"\nevery = 1\n"
    ));
    let model = text("models/cifar10-rf8.onnx");
    let frames = text("models/frames");
    let args = [
        "--model",
        &model,
        "--patch",
        "5x5",
        "--rate",
        "0.2",
        "--scenario",
        &scenario,
    ];
    let args = [&args[..], &["--format", "jsonl", &frames]].concat();
    let found = run(&args).ended(0);
    let cycles = found.cycles();
    assert_eq!(cycles.len(), 20);
    // Some of the patches do turn answers, none of which is certified.
    let wrong = cycles
        .iter()
        .filter(|cycle| {
            !cycle["id"]
                .as_str()
                .unwrap()
                .contains(cycle["class_name"].as_str().unwrap())
        })
        .count();
    assert!(wrong >= 5, "{wrong}");
    for cycle in &cycles {
        let class = cycle["class_name"].as_str().unwrap();
        let right = cycle["id"].as_str().unwrap().contains(class);
        assert!(right || cycle["outcome"] != "certified", "{cycle}");
    }
    // Random patches leave some frames certified.
    let scenario = bench.scenario("[[fault]]\nkind = \"patch\"\nevery = 1\n");
    let args = [
        "--model",
        &model,
        "--patch",
        "5x5",
        "--rate",
        "0.2",
        "--scenario",
        &scenario,
    ];
    let args = [&args[..], &["--road", "5", &frames]].concat();
    let found = run(&args).ended(0);
    let held = found
        .stdout
        .split("certified under a patch: ")
        .nth(1)
        .unwrap();
    assert!(
        !held.starts_with("0 ") && held.contains(", 0 with another"),
        "{held}"
    );
}

/// The scenario of the picture on the page, with less haste: every kind of fault, none unanswered.
#[test]
fn the_scenario_of_every_fault() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let text = |path: &str| root.join(path).to_str().unwrap().to_owned();
    let scenario = text("firmware-sim/scenarios/every-fault.toml");
    let (model, frames) = (text("models/cifar10-rf8.onnx"), text("models/frames"));
    let args = [
        "--model", &model, "--patch", "5x5", "--rate", "1", "--cycles", "440", "--road", "25",
    ];
    let args = [
        &args[..],
        &["--scenario", &scenario, "--reset-after", "4", &frames],
    ]
    .concat();
    let found = run(&args).ended(0);
    let table = found.stdout.split("injected ").nth(1).unwrap();
    let kinds: Vec<&str> = table
        .lines()
        .skip(1)
        .map_while(|line| line.split(' ').next())
        .take_while(|kind| *kind != "certified")
        .collect();
    assert_eq!(kinds.len(), 21, "{kinds:?}");
    assert!(table.contains("1 damaged models noticed"), "{table}");
    assert!(!table.contains(": 0 with the class of"), "{table}");
}

#[test]
fn a_model_without_its_manifest_is_refused() {
    let bench = Bench::new();
    let model = bench.text("colours.onnx");
    let frames = bench.text("frames");
    run(&["--model", &model, "--patch", "3x3", &frames])
        .ended(3)
        .says(&["colours.toml", "manifest"]);
    let key = bench.text("nowhere.pem");
    run(&[
        "--model",
        &model,
        "--patch",
        "3x3",
        "--public-key",
        &key,
        &frames,
    ])
    .ended(2)
    .says(&["nowhere.pem"]);
    bench.run(&["--public-key", &key]).ended(2);
}

#[test]
fn a_road_of_the_inputs() {
    let found = ran("", 20, &["--road", "5"], 0);
    for (number, cycle) in found.cycles().iter().enumerate() {
        // No two pictures of the same object are the same.
        assert!(cycle["reason"].is_null(), "{cycle}");
        let name = format!("{}-red", number / 5 % FRAMES);
        assert!(cycle["id"].as_str().unwrap().contains(&name), "{cycle}");
    }
}

#[test]
fn the_same_picture_again_and_again_is_a_frozen_one() {
    for buffers in (1..FRAMES).rev() {
        let bench = Bench::new();
        for number in buffers..FRAMES {
            std::fs::remove_file(bench.path(&format!("frames/{number}-red.png"))).unwrap();
        }
        let ran = bench.run(&["--format", "jsonl", "--cycles", "12"]).ended(0);
        for (number, cycle) in ran.cycles().iter().enumerate() {
            // A camera with five buffers would have to be known as such.
            let frozen = number >= buffers && buffers < 5;
            assert_eq!(cycle["reason"] == "frozen", frozen, "{buffers}: {cycle}");
        }
    }
}

#[test]
fn a_run_in_real_time() {
    let scenario = r#"
        [[fault]]
        kind = "drop"
        at = [5]
        [[fault]]
        kind = "nan"
        at = [8]
        [[fault]]
        kind = "frozen"
        at = [10]
        [[fault]]
        kind = "hang"
        delay_ms = 1100
        at = [12]
    "#;
    // Four a second: a busy machine may miss one, and then says so.
    let more = ["--time", "real", "--rate", "4", "--watchdog-ms", "400"];
    let found = ran(scenario, 20, &more, 0);
    let cycles = found.cycles();
    for number in [5, 8, 10, 12] {
        let cycle = &cycles[number];
        assert_eq!(cycle["outcome"], "fault", "{cycle}");
        assert!(cycle["answer"].is_null(), "{cycle}");
    }
    let hung = |cycle: &&Value| cycle["reason"] == "hang";
    assert!(
        cycles[12..18].iter().any(|cycle| hung(&cycle)),
        "{cycles:?}"
    );
    assert!(cycles.iter().any(|cycle| cycle["outcome"] == "certified"));
    found.says(&["20 cycles of 250ms in real time"]);
}

#[test]
fn a_picture_of_the_run() {
    let bench = Bench::new();
    let picture = bench.text("run.svg");
    bench
        .run(&["--cycles", "8", "--picture", &picture])
        .ended(0);
    let svg = std::fs::read_to_string(&picture).unwrap();
    for word in [
        "<svg",
        "p50",
        "p99.9",
        "max",
        "deadline 2000.000 ms",
        "nominal",
        "8 cycles",
        "</svg>",
    ] {
        assert!(svg.contains(word), "{word}");
    }
    let nowhere = bench.text("nowhere/run.svg");
    bench
        .run(&["--cycles", "1", "--picture", &nowhere])
        .ended(1)
        .says(&["nowhere/run.svg"]);
}
