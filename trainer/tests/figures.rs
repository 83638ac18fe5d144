//! Figures 7 and 8 from real journals and logs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{fs, path::Path};

use common::{
    run, text,
    trained::{TRAINED, checkpoint},
    write_config,
};

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

fn figure(arguments: &[&str], output: &Path) -> (Option<i32>, String) {
    let output = text(output);
    let all = [&["figure"], arguments, &["--output", output]].concat();
    let (result, errors) = run(&all);
    (result.status.code(), errors)
}

#[test]
fn attacked_accuracy_is_what_the_attack_printed() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = checkpoint();
    let mut printed = vec![];
    let journals = ["3.2", "double-mask"].map(|condition| {
        let journal = folder.path().join(format!("by-{condition}.jsonl"));
        let (result, errors) = run(&[
            "attack",
            "--checkpoint",
            text(&checkpoint),
            "--data",
            text(TRAINED.path()),
            "--patch",
            "12x12",
            "--steps",
            "5",
            "--step-size",
            "0.2",
            "--limit",
            "40",
            "--condition",
            condition,
            "--output",
            text(&journal),
        ]);
        assert!(result.status.success(), "{errors}");
        printed.push(String::from_utf8(result.stdout).unwrap());
        journal
    });
    let [first, second] = journals.each_ref().map(|path| text(path));
    let (status, errors) = figure(
        &["attacked", "--journal", first, "--journal", second],
        folder.path(),
    );
    assert_eq!(status, Some(0), "{errors}");
    let found = rows(&folder.path().join("attacked.csv"));
    for (row, printed) in found.iter().zip(&printed) {
        assert_eq!(row[2..4], ["12x12", "40"]);
        for value in &row[4..7] {
            assert!(
                printed.contains(&format!(" {value} %")),
                "{value}: {printed}"
            );
        }
        let share = |at: usize| row[at].parse::<f64>().unwrap();
        assert!(share(6) <= share(5) && share(5) <= share(4), "{row:?}");
    }
    assert_eq!(found[0][1], "3.2");
    assert_eq!(found[1][1], "double-mask");
    let svg = fs::read_to_string(folder.path().join("attacked.svg")).unwrap();
    for word in ["by-3.2", "by-double-mask", "certified accuracy"] {
        assert!(svg.contains(word), "{word}");
    }

    fs::write(folder.path().join("empty"), "").unwrap();
    for (name, word) in [
        ("missing", "missing"),
        ("empty", "no journal"),
        ("attacked.svg", "line 1"),
    ] {
        let journal = folder.path().join(name);
        let (status, errors) = figure(&["attacked", "--journal", text(&journal)], folder.path());
        assert_eq!(status, Some(1));
        assert!(errors.contains(name) && errors.contains(word), "{errors}");
    }
    let (status, _) = figure(&["attacked"], folder.path());
    assert_eq!(status, Some(2));
}

#[test]
fn scores_are_compared_epoch_by_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let softmax = folder.path().join("softmax");
    let config = write_config(folder.path(), 2, "");
    let text_of = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text_of.replace("[loss]", "[loss]\nscores = \"softmax\""),
    )
    .unwrap();
    let (result, errors) = run(&[
        "train",
        "--config",
        text(&config),
        "--data",
        text(TRAINED.path()),
        "--output",
        text(&softmax),
    ]);
    assert!(result.status.success(), "{errors}");
    let heaviside = TRAINED.path().join("run");
    let (status, errors) = figure(
        &["scores", "--run", text(&heaviside), "--run", text(&softmax)],
        folder.path(),
    );
    assert_eq!(status, Some(0), "{errors}");
    let found = rows(&folder.path().join("scores.csv"));
    assert_eq!(found.len(), 30 + 2);
    assert_eq!(found[0][..4], ["run", "Heaviside", "7", "1"]);
    assert_eq!(found[31][..4], ["softmax", "softmax", "7", "2"]);
    let log = fs::read_to_string(heaviside.join("log.jsonl")).unwrap();
    for (row, line) in found.iter().zip(log.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let percent = |value: &serde_json::Value| format!("{:.2}", 100.0 * value.as_f64().unwrap());
        let validation = &line["validation"];
        assert_eq!(row[4], percent(&validation["clean"]));
        assert_eq!(row[5], percent(&validation["patches"][1]["certified"]));
    }
    let svg = fs::read_to_string(folder.path().join("scores.svg")).unwrap();
    assert!(svg.contains("Heaviside, certified") && svg.contains("softmax, clean"));

    let (status, errors) = figure(
        &["scores", "--run", text(&softmax), "--patch", "3x4"],
        folder.path(),
    );
    assert_eq!(status, Some(1));
    for part in ["log.jsonl, line 1", "3x4", "validation_patches"] {
        assert!(errors.contains(part), "{errors}");
    }

    // An empty picture would look like a result.
    let begun = folder.path().join("begun.jsonl");
    let journal = TRAINED.path().join("figure.jsonl");
    let network = common::trained::checkpoint();
    let (attacked, _, errors) = common::trained::attack(
        ["--checkpoint", text(&network)],
        &["--limit", "1", "--output", text(&journal)],
    );
    assert_eq!(attacked, Some(0), "{errors}");
    let lines = fs::read_to_string(&journal).unwrap();
    fs::write(&begun, format!("{}\n", lines.lines().next().unwrap())).unwrap();
    let unmeasured = folder.path().join("unmeasured");
    fs::create_dir(&unmeasured).unwrap();
    fs::copy(softmax.join("config.toml"), unmeasured.join("config.toml")).unwrap();
    fs::write(unmeasured.join("log.jsonl"), "{\"epoch\": 1}\n").unwrap();
    for (given, said) in [
        (
            ["scores", "--run", text(&unmeasured)],
            "holds no epoch that was validated",
        ),
        (
            ["attacked", "--journal", text(&begun)],
            "holds no attacked image",
        ),
    ] {
        let (status, errors) = figure(&given, folder.path());
        assert_eq!(status, Some(1));
        assert!(errors.contains(said), "{errors}");
    }

    // What the other figure is about is not passed over.
    for (given, said) in [
        (
            ["scores", "--run", text(&softmax), "--journal", "j"],
            "--journal",
        ),
        (
            ["attacked", "--journal", "j", "--run", text(&softmax)],
            "--run",
        ),
        (["attacked", "--journal", "j", "--patch", "5x5"], "--patch"),
    ] {
        let (status, errors) = figure(&given, folder.path());
        assert_eq!(status, Some(1));
        assert!(
            errors.contains(said) && errors.contains("no effect"),
            "{errors}"
        );
    }

    fs::write(softmax.join("log.jsonl"), "{}\n").unwrap();
    let (status, errors) = figure(&["scores", "--run", text(&softmax)], folder.path());
    assert_eq!(status, Some(1));
    assert!(errors.contains("log.jsonl, line 1"), "{errors}");
    let (status, errors) = figure(&["scores", "--run", text(folder.path())], folder.path());
    assert_eq!(status, Some(1));
    assert!(errors.contains("log.jsonl"), "{errors}");
}
