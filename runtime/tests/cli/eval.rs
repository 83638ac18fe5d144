//! `eval`: its counts, and that they depend on nothing but the data.

use std::fs;
use std::path::Path;

use crate::model::{colour_model, overflowing_model, small_model};
use crate::{bagcert, finish, run, sample, text};

fn sample_data() -> String {
    format!("cifar10:{}", text(&sample()))
}

/// The four counts and the slacks of one patch size, from JSON lines.
fn count(lines: &[serde_json::Value], patch: &serde_json::Value) -> ([u64; 4], Vec<i64>) {
    let mut counts = [0; 4];
    let mut slacks = Vec::new();
    for line in lines.iter().filter(|line| line["patch"] == *patch) {
        let right = line["predicted"] == line["label"];
        let certified = line["certified"].as_bool().unwrap();
        let kind = match (certified, right) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        counts[kind] += 1;
        slacks.push(line["slack"].as_i64().unwrap());
    }
    slacks.sort_unstable();
    (counts, slacks)
}

#[test]
fn the_summary_counts_what_the_lines_say() {
    summary_of("3.2", "1", "0");
    let words = summary_of("double-mask", "2", "30");
    let words_wanted = "condition double-mask with a mask step of 2 and a lead of 30, ";
    assert!(words.contains(words_wanted), "{words}");
}

/// The summary as a table, once it was held against the lines.
fn summary_of(condition: &str, mask_step: &str, lead: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = sample_data();
    let common = [
        "eval",
        "--model",
        &model,
        "--data",
        &data,
        "--patch",
        "5x5",
        "--patch",
        "9x3",
        "--condition",
        condition,
        "--mask-step",
        mask_step,
        "--lead",
        lead,
    ];
    let lines = run(common.iter().chain(&["--format", "jsonl"])).ended(0);
    let summary = run(common.iter().chain(&["--format", "json"])).ended(0);
    assert_eq!(lines.json().len(), 200);
    let summary = &summary.json()[0];
    assert_eq!(summary["frames"], 100);
    assert_eq!(summary["failures"], 0);
    for said in lines.json().iter().chain([summary]) {
        assert_eq!(said["condition"], condition);
        assert_eq!(said["mask_step"].to_string(), mask_step);
        assert_eq!(said["lead"].to_string(), lead);
    }
    let patches = summary["patches"].as_array().unwrap();
    assert_eq!(patches.len(), 2);
    let mut seen = [0; 4];
    for patch in patches {
        let (counts, slacks) = count(&lines.json(), &patch["patch"]);
        let [both, wrong, open, neither] = counts;
        assert_eq!(patch["certified"], both + wrong);
        assert_eq!(patch["certified_right"], both);
        assert_eq!(patch["certified_wrong"], wrong);
        assert_eq!(patch["right_not_certified"], open);
        assert_eq!(patch["wrong_not_certified"], neither);
        assert_eq!(patch["certified_accuracy"], both as f64 / 100.0);
        assert_eq!(summary["right"], both + open);
        assert_eq!(summary["clean_accuracy"], (both + open) as f64 / 100.0);
        assert_eq!(
            patch["median_slack"],
            (slacks[49] + slacks[50]) as f64 / 2.0
        );
        for (seen, count) in seen.iter_mut().zip(counts) {
            *seen += count;
        }
    }
    // Every kind occurs, or the comparison would say little.
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");

    let table = run(common).ended(0);
    let clean = format!("({} of 100)", summary["right"]);
    assert!(table.stdout.contains(&clean), "{}", table.stdout);
    for patch in patches {
        let [w, h] = [&patch["patch"][0], &patch["patch"][1]];
        let row = table
            .stdout
            .lines()
            .find(|l| l.starts_with(&format!("{w}x{h} ")))
            .unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        for (cell, key) in [
            (1, "certified"),
            (4, "certified_right"),
            (5, "certified_wrong"),
            (6, "right_not_certified"),
            (7, "wrong_not_certified"),
        ] {
            assert_eq!(cells[cell], patch[key].to_string(), "{row}");
        }
    }
    // The summary of the lines goes to the standard error.
    lines.says(&["clean accuracy", "certified and wrong"]);
    table.stdout
}

#[test]
fn threads_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&small_model(folder.path()));
    let data = sample_data();
    let with = |threads: &str| {
        run([
            "eval",
            "--model",
            &model,
            "--data",
            &data,
            "--area",
            "12",
            "--format",
            "jsonl",
            "--threads",
            threads,
        ])
        .ended(0)
        .stdout
    };
    let one = with("1");
    assert_eq!(one.lines().count(), 600);
    assert_eq!(one, with("4"));
    assert_eq!(one, with("200"));
}

#[test]
fn eval_and_certify_agree() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = sample_data();
    for format in ["jsonl", "csv"] {
        let tail = ["--patch", "4x7", "--condition", "3.3", "--format", format];
        let eval = run(["eval", "--model", &model, "--data", &data]
            .iter()
            .chain(&tail))
        .ended(0);
        let certify = run(["certify", "--model", &model, &data].iter().chain(&tail)).ended(0);
        assert_eq!(eval.stdout, certify.stdout);
    }
}

#[test]
fn a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    for (limit, frames) in [("7", 7), ("1", 1), ("1000", 100)] {
        let ran = run([
            "eval",
            "--model",
            &model,
            "--data",
            &sample_data(),
            "--patch",
            "5x5",
            "--limit",
            limit,
            "--format",
            "json",
        ])
        .ended(0);
        assert_eq!(ran.json()[0]["frames"], frames);
    }
}

/// A small set in the official layout: folder, nested folder, packed files, indices over all files.
#[test]
fn folders_of_data() {
    use std::io::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let bytes = fs::read(sample()).unwrap();
    let set = folder.path().join("cifar-10-batches-bin");
    fs::create_dir(&set).unwrap();
    fs::write(set.join("test_batch.bin"), &bytes[..3073 * 3]).unwrap();
    for batch in 1..=4 {
        fs::write(
            set.join(format!("data_batch_{batch}.bin")),
            &bytes[3073 * batch..][..3073],
        )
        .unwrap();
    }
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(&bytes[..3073]).unwrap();
    fs::write(set.join("data_batch_5.bin.xz"), encoder.finish().unwrap()).unwrap();
    let ids = |input: String| -> Vec<String> {
        run([
            "eval", "--model", &model, "--patch", "5x5", "--format", "jsonl", "--data", &input,
        ])
        .ended(0)
        .json()
        .iter()
        .map(|line| line["id"].as_str().unwrap().to_owned())
        .collect()
    };
    let test = ["0", "1", "2"];
    assert_eq!(ids(format!("cifar10:{}", text(&set))), test);
    assert_eq!(ids(format!("cifar10:{}", text(folder.path()))), test);
    assert_eq!(ids(format!("cifar10:{}:test", text(&set))), test);
    assert_eq!(
        ids(format!("cifar10:{}:train", text(&set))),
        ["0", "10000", "20000", "30000", "40000"]
    );
}

/// The whole set, where it is at hand.
#[test]
fn the_whole_test_set() {
    let Ok(data) = std::env::var("BAGCERT_DATA") else {
        eprintln!("skipped: BAGCERT_DATA names no folder with the CIFAR-10 binary files");
        return;
    };
    assert!(
        Path::new(&data).is_dir(),
        "BAGCERT_DATA={data} is no folder"
    );
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let eval = |data: String| {
        run([
            "eval", "--model", &model, "--patch", "5x5", "--data", &data, "--format", "json",
        ])
        .ended(0)
        .json()
        .remove(0)
    };
    let test = eval(format!("cifar10:{data}"));
    assert_eq!(test["frames"], 10_000);
    let train = eval(format!("cifar10:{data}:train"));
    assert_eq!(train["frames"], 50_000);
}

/// A setting of the engine's library in the environment could make it non-local.
#[test]
fn settings_of_the_engine_in_the_environment_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = sample_data();
    let mut command = bagcert(["eval", "--model", &model, "--data", &data, "--patch", "5x5"]);
    let ran = finish(command.env("TRACT_AVGPOOL_SEPARABLE", "1")).ended(3);
    assert_eq!(ran.stdout, "");
    ran.says(&["TRACT_AVGPOOL_SEPARABLE", "unset"]);
}

/// No model gains by failing on hard frames: they count as wrong and not certified.
#[test]
fn frames_without_a_verdict_stay_in_the_denominators() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&overflowing_model(folder.path()));
    // Class 1 on black frames; on white ones a logit overflows, which is a fault.
    let record = |label: u8, value: u8| {
        let mut bytes = vec![value; 3073];
        bytes[0] = label;
        bytes
    };
    let data = folder.path().join("four.bin");
    let records = [record(1, 0), record(0, 255), record(1, 255), record(1, 255)];
    fs::write(&data, records.concat()).unwrap();
    let data = format!("cifar10:{}", text(&data));
    let common = ["eval", "--model", &model, "--data", &data, "--patch", "5x5"];
    let summary = &run(common.iter().chain(&["--format", "json"]))
        .ended(4)
        .json()[0];
    assert_eq!(summary["frames"], 4);
    assert_eq!(summary["without_verdict"], 3);
    assert_eq!(summary["clean_accuracy"], 0.25);
    let patch = &summary["patches"][0];
    assert_eq!(patch["certified_accuracy"], 0.25);
    assert_eq!(patch["wrong_not_certified"], 3);
    let table = run(common).ended(4);
    assert!(table.stdout.contains("(1 of 4)"), "{}", table.stdout);
    assert!(
        table.stdout.contains("3 frames got no verdict"),
        "{}",
        table.stdout
    );
}

/// The images of the sample under two label bytes and twenty classes, for a model of as many.
#[test]
fn records_with_other_labels() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 20));
    let records = folder.path().join("test.bin");
    let sample = fs::read(sample()).unwrap();
    let mut other = Vec::new();
    for record in sample.chunks(3073) {
        other.extend([7, record[0] + 10]);
        other.extend(&record[1..]);
    }
    fs::write(&records, &other).unwrap();
    let eval = |data: String| {
        run([
            "eval", "--model", &model, "--data", &data, "--patch", "3x3", "--format", "jsonl",
        ])
    };
    let lines = eval(format!("records:20/2:{}", text(&records)))
        .ended(0)
        .json();
    let ten = folder.path().join("ten");
    fs::create_dir(&ten).unwrap();
    let ten = text(&colour_model(&ten, 32, 10));
    let data = sample_data();
    let plain = run([
        "eval", "--model", &ten, "--data", &data, "--patch", "3x3", "--format", "jsonl",
    ]);
    let plain = plain.ended(0).json();
    assert_eq!(lines.len(), plain.len());
    for (line, plain) in lines.iter().zip(&plain) {
        assert_eq!(
            line["label"].as_u64().unwrap(),
            plain["label"].as_u64().unwrap() + 10
        );
        assert_eq!(line["predicted"], plain["predicted"]);
        assert_eq!(line["id"], plain["id"]);
    }
    // Other classes than the model's, a label beyond them, and what is no layout.
    eval(format!("records:10/2:{}", text(&records)))
        .ended(2)
        .says(&["10 classes"]);
    let beyond = folder.path().join("beyond.bin");
    fs::write(&beyond, [&[1, 20], &other[2..3074]].concat()).unwrap();
    eval(format!("records:20/2:{}", text(&beyond)))
        .ended(4)
        .says(&["label 20"]);
    eval(format!("records:20/1:{}", text(&records)))
        .ended(4)
        .says(&["whole number"]);
    for layout in [
        "records:20/0:a",
        "records:1/1:a",
        "records:twenty/1:a",
        "records:a",
    ] {
        eval(layout.into()).ended(2).says(&["CLASSES/BYTES"]);
    }
}
