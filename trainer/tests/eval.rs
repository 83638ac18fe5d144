//! What `eval` says of a checkpoint it says of the model that was exported from it.
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
};

/// What it printed of accuracy: without how long it was trained, and how long it took.
fn eval(network: [&str; 2], data: &Path) -> String {
    let patches = ["--patch", "2x2", "--patch", "5x5"];
    let (output, errors) = run(&[&["eval", "--data", text(data)], &network[..], &patches].concat());
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (accuracies, _) = said.trim_end().rsplit_once('\n').unwrap();
    let (first, rest) = accuracies.split_once('\n').unwrap();
    format!("{}\n{rest}", first.split(", after").next().unwrap())
}

/// Whether all words are the same, and no numbers further apart than 1: with its normalisation folded in a network adds in
/// another order, and an image at the border may fall to the other side; one of 100 is a point.
fn nearly(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|text| text.split_whitespace().collect::<Vec<_>>());
    let number = |word: &str| word.trim_matches(['(', ')', ',', '%']).parse::<f64>();
    one.len() == other.len()
        && one
            .iter()
            .zip(&other)
            .all(|(one, other)| match (number(one), number(other)) {
                (Ok(one), Ok(other)) => (one - other).abs() <= 1.0,
                _ => one == other,
            })
}

#[test]
fn an_exported_model_has_the_figures_of_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = manifest.join("../runtime/tests/data/cifar10-sample.bin");
    fs::copy(sample, folder.path().join("test_batch.bin")).unwrap();
    let (checkpoint, model) = (checkpoint(), folder.path().join("m.onnx"));
    let paths = [
        ["--checkpoint", text(&checkpoint)],
        ["--output", text(&model)],
    ];
    let (output, errors) = run(&[&["export"], &*paths.concat()].concat());
    assert!(output.status.success(), "{errors}");

    for (data, least) in [(folder.path(), 5.0), (TRAINED.path(), 25.0)] {
        let found = eval(["--model", text(&model)], data);
        let before = eval(["--checkpoint", text(&checkpoint)], data);
        assert!(nearly(&found, &before), "{found}\n{before}");
        let clean = found.split("clean accuracy ").nth(1).unwrap();
        let clean: f64 = clean.split(' ').next().unwrap().parse().unwrap();
        assert!(clean > least, "{found}");
    }
    // A shipped one, whose checkpoint is not here.
    let shipped = manifest.join("../models/cifar10-rf8.onnx");
    let found = eval(["--model", text(&shipped)], folder.path());
    assert!(
        found.starts_with("100 test images of CIFAR-10\n"),
        "{found}"
    );
    // Of another network the figures are others.
    let other = eval(["--checkpoint", text(&checkpoint)], folder.path());
    assert!(!nearly(&found, &other), "{found}\n{other}");
}

/// What it says of double masking with a lead is what an attack of no step says of its images.
#[test]
fn a_lead_is_asked_for_as_the_attack_does() {
    let checkpoint = checkpoint();
    let common = ["--checkpoint", text(&checkpoint), "--patch", "5x5"];
    let said = |command: &str, more: &[&str]| {
        let data = ["--data", text(TRAINED.path())];
        let (output, errors) = run(&[&[command], &data[..], &common, more].concat());
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut different = Vec::new();
    for lead in ["0", "12"] {
        let measured = said("eval", &["--lead", lead]);
        let broken = TRAINED.path().join("broken");
        let masked = ["--condition", "double-mask", "--steps", "0"];
        let more = ["--lead", lead, "--broken", text(&broken)];
        let attacked = said("attack", &[&masked[..], &more].concat());
        let of = |name: &str| {
            let (_, rest) = attacked.split_once(name).unwrap();
            rest.trim_start().split_once(" %").unwrap().0.to_owned()
        };
        let name = match lead {
            "0" => "double masking".to_owned(),
            lead => format!("double masking with a lead of {lead}"),
        };
        let (clean, certified) = (of("clean accuracy"), of("certified accuracy"));
        let words = format!("5x5, {name}: clean {clean} %, certified and right {certified} %,");
        assert!(measured.contains(&words), "{words}\n{measured}");
        different.push(certified);
    }
    assert_ne!(different[0], different[1]);
}

/// The images that were kept aside are the last ones of the training files.
#[test]
fn what_was_kept_aside_is_measured_in_place_of_the_test_images() {
    let checkpoint = checkpoint();
    let measured = |data: &Path, count: &[&str]| {
        let network = ["--checkpoint", text(&checkpoint), "--data", text(data)];
        run(&[&["eval", "--patch", "5x5"], &network[..], count].concat())
    };
    let said = |data: &Path, count: &[&str]| {
        let (output, errors) = measured(data, count);
        assert!(output.status.success(), "{errors}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let (accuracies, _) = lines.trim_end().rsplit_once('\n').unwrap();
        accuracies.to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let last = fs::read(TRAINED.path().join("data_batch_5.bin")).unwrap();
    let kept = &last[last.len() - 30 * 3073..];
    fs::write(folder.path().join("test_batch.bin"), kept).unwrap();
    let aside = said(TRAINED.path(), &["--validation", "30"]);
    assert!(aside.starts_with("30 validation images"), "{aside}");
    let aside = aside.replace(" validation ", " test ");
    assert_eq!(aside, said(folder.path(), &[]));
    assert_ne!(aside, said(TRAINED.path(), &["--limit", "30"]));
    let (output, errors) = measured(TRAINED.path(), &["--validation", "1000000"]);
    assert!(
        !output.status.success() && errors.contains("training images"),
        "{errors}"
    );
    // By the run's own configuration, which kept 20 aside, others were trained on.
    let config = text(TRAINED.path()).to_owned() + "/config.toml";
    let by_config = |count| ["--config", config.as_str(), "--validation", count];
    let (output, errors) = measured(TRAINED.path(), &by_config("21"));
    assert!(!output.status.success());
    assert!(errors.contains("keeps 20 aside"), "{errors}");
    said(TRAINED.path(), &by_config("20"));
    // A folder that is not there is not taken for one of other images.
    let nowhere = folder.path().join("nowhere");
    let (output, errors) = measured(&nowhere, &[]);
    assert!(!output.status.success());
    assert!(errors.contains("no such folder"), "{errors}");
}

#[test]
fn a_model_is_no_checkpoint_and_says_where_it_belongs() {
    let data = ["--data", text(TRAINED.path())];
    let fails = |command: &str, network: &[&str]| {
        let (output, errors) = run(&[&[command], &data[..], network].concat());
        assert!(!output.status.success());
        errors
    };
    for command in ["eval", "attack"] {
        let errors = fails(command, &["--checkpoint", "shipped.onnx"]);
        assert!(
            errors.contains("shipped.onnx") && errors.contains("--model"),
            "{errors}"
        );
        let both = ["--checkpoint", "a.safetensors", "--model", "b.onnx"];
        assert!(fails(command, &both).contains("cannot be used with"));
        assert!(fails(command, &[]).contains("--model"));
    }
}

#[test]
fn counts_of_nothing_are_refused() {
    let path = checkpoint();
    let [checkpoint, data] = [path.as_path(), TRAINED.path()].map(text);
    for (command, option) in [
        ("eval", "--limit"),
        ("attack", "--limit"),
        ("attack", "--certified"),
    ] {
        for count in ["0", "-3"] {
            let given = format!("{option}={count}");
            let (result, errors) =
                run(&[command, "--checkpoint", checkpoint, "--data", data, &given]);
            assert!(!result.status.success(), "{command} {given}");
            assert!(
                errors.contains(option) && errors.contains(count),
                "{errors}"
            );
        }
    }
}
