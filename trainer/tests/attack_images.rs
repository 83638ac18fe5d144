//! Attacks on the images of class folders and records.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_trainer::attack::Record;
use common::{records, run, text, trees::write_folder, write_dataset};

/// A configuration, the data it is for, and a network that learnt from it, as checkpoint and as ONNX.
#[derive(Clone)]
struct Trained {
    config: PathBuf,
    data: PathBuf,
    checkpoint: PathBuf,
    model: PathBuf,
}

fn trained(folder: &Path, data: &Path, kind: &str, epochs: usize) -> Trained {
    let trained = Trained {
        config: folder.join("config.toml"),
        data: data.into(),
        checkpoint: folder.join("run/checkpoint.safetensors"),
        model: folder.join("model.onnx"),
    };
    let table = format!(
        "seed = 3\n[data]\n{kind}\n[network]\nwidth = 8\nkernels = [3, 1]\nstrides = [2, 1]\n\
         [loss]\nmargin = 0.5\n[training]\nepochs = {epochs}\nbatch = 8\nlearning_rate = 0.01\n"
    );
    fs::write(&trained.config, table).unwrap();
    let output = folder.join("run");
    let asked = [
        vec!["train", "--output", text(&output)],
        vec!["--config", text(&trained.config), "--data", text(data)],
    ];
    let (result, errors) = run(&asked.concat());
    assert!(result.status.success(), "{errors}");
    let (checkpoint, model) = (text(&trained.checkpoint), text(&trained.model));
    let (result, errors) = run(&["export", "--checkpoint", checkpoint, "--output", model]);
    assert!(result.status.success(), "{errors}");
    trained
}

impl Trained {
    /// Exit status, what was printed, and the errors.
    fn asked(&self, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let common = [command, "--data", text(&self.data), "--patch", "5x5"];
        let (output, errors) = run(&[&common, more].concat());
        let printed = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), printed, errors)
    }
}

fn journal(path: &Path) -> Vec<Record> {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().skip(1);
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The number after some words.
fn share(printed: &str, words: &str) -> f64 {
    let rest = printed.split(words).nth(1).expect(printed).trim_start();
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// Attacks all test images of both files; what is clean and certified is what `eval` says.
fn attack_all(trained: &Trained, count: usize, folder: &Path) -> Vec<Record> {
    let (checkpoint, model) = (text(&trained.checkpoint), text(&trained.model));
    let config = ["--config", text(&trained.config)];
    let eval = [&config[..], &["--checkpoint", checkpoint]].concat();
    let (status, measured, errors) = trained.asked("eval", &eval);
    assert_eq!(status, Some(0), "{errors}");
    let mut attacked = Vec::new();
    for network in [["--checkpoint", checkpoint], ["--model", model]] {
        let path = folder.join(format!("{}.jsonl", &network[0][2..]));
        let options = ["--steps", "3", "--batch", "7", "--output", text(&path)];
        let (status, printed, errors) =
            trained.asked("attack", &[&config[..], &network, &options].concat());
        assert_eq!(status, Some(0), "{errors}");
        attacked = journal(&path);
        assert_eq!(attacked.len(), count);
        assert!(
            printed.starts_with(&format!("{count} test images of ")),
            "{printed}"
        );
        let clean = share(&printed, "clean accuracy    ");
        assert_eq!(clean, share(&measured, "clean accuracy "), "{measured}");
        let certified = share(&printed, "certified accuracy");
        let same = share(&measured, "5x5: certified and right");
        assert_eq!(certified, same, "{measured}");
        assert!(certified > 0.0 && clean >= share(&printed, "attacked accuracy "));
        assert!(attacked.iter().any(|record| record.attack.is_some()));
    }
    attacked
}

#[test]
fn images_of_a_class_folder_are_attacked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("trees");
    write_folder(&data, 16);
    let kind = "kind = \"folder\"\nresize = 26\ncrop = 24";
    let trained = trained(folder.path(), &data, kind, 8);
    let attacked = attack_all(&trained, 24, folder.path());
    let labels: Vec<i64> = attacked.iter().map(|record| record.label).collect();
    // The classes take turns.
    assert_eq!(labels, [0, 1, 2].repeat(8));

    let config = ["--config", text(&trained.config)];
    let network = ["--model", text(&trained.model)];
    let ask = |more: &[&str]| trained.asked("attack", &[&network, more].concat());
    // One that is not there; what the images are, not said; and one that is damaged.
    let (status, _, errors) = ask(&[&config[..], &["--images", "24"]].concat());
    assert_eq!(status, Some(1));
    assert!(errors.contains("there are 24 test images"), "{errors}");
    let cifar = tempfile::tempdir().unwrap();
    write_dataset(cifar.path(), 20);
    let other = Trained {
        data: cifar.path().into(),
        ..trained.clone()
    };
    let (status, _, errors) = other.asked("attack", &network);
    assert_eq!(status, Some(1));
    for words in ["10 classes", "3 classes in 24", "--config"] {
        assert!(errors.contains(words), "{words:?} is not in {errors}");
    }
    // A journal is not gone on with where an image is gone: the ones after it have other numbers now.
    let bad = data.join("val/birch/003.JPEG");
    let (kept, begun) = (
        folder.path().join("kept"),
        folder.path().join("model.jsonl"),
    );
    fs::rename(&bad, &kept).unwrap();
    let before = fs::read(&begun).unwrap();
    let resume = ["--steps", "3", "--resume", "--output", text(&begun)];
    let (status, _, errors) = ask(&[&config[..], &resume].concat());
    assert_eq!(status, Some(1));
    let gone = "other images: the class \"birch\" had 8 images in val, now 7";
    assert!(errors.contains(gone), "{errors}");
    assert_eq!(fs::read(&begun).unwrap(), before);
    fs::rename(&kept, &bad).unwrap();
    // Nor with the same images cut out of larger ones.
    let table = fs::read_to_string(&trained.config).unwrap();
    let larger = folder.path().join("larger.toml");
    fs::write(&larger, table.replace("resize = 26", "resize = 30")).unwrap();
    let (status, _, errors) = ask(&[&["--config", text(&larger)], &resume[..]].concat());
    assert_eq!(status, Some(1));
    assert!(errors.contains("its data.resize is 26, not 30"), "{errors}");
    assert_eq!(fs::read(&begun).unwrap(), before);
    let (status, _, errors) = ask(&[&config[..], &resume].concat());
    assert_eq!(status, Some(0), "{errors}");
    let whole = fs::read(&bad).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let (status, _, errors) = ask(&config);
    assert_eq!(status, Some(1));
    for words in ["val/birch/003.JPEG", "cut short"] {
        assert!(errors.contains(words), "{words:?} is not in {errors}");
    }
    // Others are attacked all the same.
    let (status, printed, _) = ask(&[&config[..], &["--images", "0,23", "--steps", "1"]].concat());
    assert_eq!(status, Some(0));
    assert!(printed.starts_with("2 test images of trees"), "{printed}");
}

#[test]
fn records_are_attacked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("ten");
    fs::create_dir(&data).unwrap();
    // Two label bytes, the second of which is the class.
    let two_labels = |count, seed| -> Vec<u8> {
        let one = records(count, seed);
        one.chunks(3073)
            .flat_map(|record| [&[7], record].concat())
            .collect()
    };
    fs::write(data.join("train.bin"), two_labels(400, 1)).unwrap();
    fs::write(data.join("test.bin"), two_labels(30, 2)).unwrap();
    let kind = "kind = \"records\"\nlabels = 10\nlabel_bytes = 2\nvalidation = 10";
    let trained = trained(folder.path(), &data, kind, 8);
    let attacked = attack_all(&trained, 30, folder.path());
    let labels = attacked.iter().map(|record| record.label);
    assert!(labels.eq((0..30).map(|at| at % 10)));
}
