//! Each bad input is a clear error that names it; nothing half-written is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_trainer::{
    checkpoint::{Checkpoint, save, sha256},
    run::build,
};
use common::{
    changed::{misstate, spoil},
    limited, records, run, text, train,
    untrained::header,
    write_config, write_config_with, write_dataset,
};
use tch::Device;

/// Trains in `folder/run`; the error text.
fn fails(folder: &Path, config: &Path, more: &[&str]) -> String {
    let output = folder.join("run");
    let (result, errors) = train(config, folder, &output, more);
    assert!(!result.status.success(), "it should have failed");
    errors
}

fn expect(errors: &str, parts: &[&str]) {
    for part in parts {
        assert!(errors.contains(part), "{part:?} is not in: {errors}");
    }
}

/// What the system says stands once in an error, and what lies behind an error stands in it.
#[test]
fn each_reason_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let inside = nowhere.join("m.onnx");
    let checkpoint = folder.path().join("c.safetensors");
    let header = header(toml::from_str("width = 8\nkernels = [1]").unwrap());
    let (network, _) = build(&header, Device::Cpu).unwrap();
    save(&checkpoint, &header, &network, None).unwrap();
    let config = write_config(folder.path(), 1, "");
    let missing = "No such file or directory";
    let (data, output) = (text(&nowhere), text(folder.path()));
    for (arguments, reason) in [
        (
            &[
                "train", "--config", data, "--data", data, "--output", output,
            ][..],
            missing,
        ),
        (
            &[
                "train",
                "--config",
                text(&config),
                "--data",
                data,
                "--output",
                output,
            ],
            missing,
        ),
        (&["eval", "--model", text(&inside), "--data", data], missing),
        (
            &[
                "export",
                "--checkpoint",
                text(&checkpoint),
                "--output",
                text(&inside),
            ],
            "there is no folder",
        ),
    ] {
        let (found, errors) = run(arguments);
        assert_eq!(found.status.code(), Some(1), "{errors}");
        assert_eq!(errors.matches(reason).count(), 1, "{errors}");
        assert!(!errors.contains("unfinished"), "{errors}");
    }
}

#[test]
fn a_patch_that_is_none_is_wrong_usage() {
    for patch in ["5xa", "55", "0x5"] {
        for command in ["eval", "attack"] {
            let (found, errors) = run(&[command, "--model", "m", "--data", "d", "--patch", patch]);
            assert_eq!(found.status.code(), Some(2), "{errors}");
            expect(&errors, &[&format!("'{patch}'"), "--patch"]);
        }
    }
}

#[test]
fn an_unknown_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "depht = 3");
    expect(
        &fails(folder.path(), &config, &[]),
        &["config.toml", "depht"],
    );
}

#[test]
fn a_value_out_of_range_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 0, "");
    expect(
        &fails(folder.path(), &config, &[]),
        &["training.epochs", "0"],
    );
}

#[test]
fn a_configuration_without_end_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    expect(
        &fails(folder.path(), Path::new("/dev/zero"), &[]),
        &["/dev/zero", "not a regular file"],
    );
    let long = folder.path().join("long.toml");
    fs::write(&long, "# a comment\n".repeat(100_000)).unwrap();
    expect(
        &fails(folder.path(), &long, &[]),
        &["long.toml", "more than 1048576 bytes"],
    );
}

#[test]
fn damaged_data_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let third = folder.path().join("data_batch_3.bin");

    let mut odd = records(20, 1);
    odd.pop();
    fs::write(&third, odd).unwrap();
    expect(
        &fails(folder.path(), &config, &[]),
        &["data_batch_3.bin", "3073"],
    );

    let mut label = records(20, 1);
    label[3073 * 4] = 10;
    fs::write(&third, label).unwrap();
    expect(
        &fails(folder.path(), &config, &[]),
        &["data_batch_3.bin", "record 4", "label 10"],
    );

    fs::remove_file(&third).unwrap();
    expect(
        &fails(folder.path(), &config, &[]),
        &["data_batch_3.bin", "neither"],
    );

    fs::write(
        folder.path().join("data_batch_3.bin.xz"),
        b"\xfd7zXZ\x00 cut",
    )
    .unwrap();
    expect(
        &fails(folder.path(), &config, &[]),
        &["data_batch_3.bin.xz", "damaged, cut short"],
    );
}

/// A run of one epoch on data in `folder`: its configuration and its own folder.
fn one_epoch(folder: &Path) -> (PathBuf, PathBuf) {
    write_dataset(folder, 20);
    let config = write_config(folder, 1, "");
    let output = folder.join("run");
    let (result, errors) = train(&config, folder, &output, &[]);
    assert!(result.status.success(), "{errors}");
    (config, output)
}

#[test]
fn a_run_is_never_overwritten_or_mixed_with_another() {
    let folder = tempfile::tempdir().unwrap();
    let (config, output) = one_epoch(folder.path());
    let checkpoint = output.join("checkpoint.safetensors");
    let before = fs::read(&checkpoint).unwrap();

    expect(
        &fails(folder.path(), &config, &[]),
        &["already holds a run", "--resume"],
    );
    let other = write_config(folder.path(), 1, "paths = 1");
    expect(
        &fails(folder.path(), &other, &["--resume"]),
        &["another configuration: network.paths was 2 and is 1 now;"],
    );
    // What is written out is no other network.
    let same = write_config(folder.path(), 1, "widths = [8, 8]\ndilations = [1, 1]");
    let (result, errors) = train(&same, folder.path(), &output, &["--resume"]);
    assert!(result.status.success(), "{errors}");
    let other = write_config(folder.path(), 1, "paths = 1");
    // Where the saved configuration was exchanged, the checkpoint itself tells.
    let exchanged = |other: &Path| {
        fs::copy(other, output.join("config.toml")).unwrap();
        fails(folder.path(), other, &["--resume"])
    };
    expect(
        &exchanged(&other),
        &["checkpoint.safetensors", "another network"],
    );
    // Its tensors would fit.
    let other = write_config(folder.path(), 1, "dilations = [2, 1]");
    expect(
        &exchanged(&other),
        &["checkpoint.safetensors", "another network", "[2, 1]"],
    );
    // What is wrong with the other network beside comes second.
    let tables = [("network", "paths = 1"), ("training", "cell_stride = 3")];
    let other = write_config_with(folder.path(), 1, &tables);
    expect(
        &exchanged(&other),
        &["checkpoint.safetensors", "another network"],
    );
    assert!(fs::read(&checkpoint).unwrap() == before);

    let cut = folder.path().join("cut.safetensors");
    fs::write(&cut, &before[..before.len() - 5]).unwrap();
    let onnx = folder.path().join("out.onnx");
    let (result, errors) = run(&[
        "export",
        "--checkpoint",
        text(&cut),
        "--output",
        text(&onnx),
    ]);
    assert!(!result.status.success() && !onnx.exists());
    expect(&errors, &["cut.safetensors", "damaged"]);
}

/// libtorch's bindings panic then.
#[test]
fn too_little_memory_is_an_error_that_says_what_may_help() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 320);
    // The first layer's outputs alone have 17 GB in training, 10 GB in eval.
    let wide = "stem_kernel = 1\nkernels = [1]\nwidths = [8]\npaths = 1";
    let network = format!("width = 8192\n{wide}");
    let config = folder.path().join("config.toml");
    let tables = format!(
        "seed = 7\n[data]\nvalidation = 20\n[network]\n{network}\n[loss]\nmargin = 0.5\n\
         [training]\nepochs = 1\nbatch = 512\nlearning_rate = 0.01\n"
    );
    fs::write(&config, tables).unwrap();
    let header = header(toml::from_str(&network).unwrap());
    let (network, _) = build(&header, Device::Cpu).unwrap();
    let checkpoint = folder.path().join("wide.safetensors");
    save(&checkpoint, &header, &network, None).unwrap();
    let output = folder.path().join("run");
    let data = ["--data", text(folder.path())];
    let trained = ["--config", text(&config), "--output", text(&output)];
    let measured = ["--checkpoint", text(&checkpoint), "--batch", "320"];
    for (command, given, helps) in [
        ("train", &trained, "training.batch"),
        ("eval", &measured, "--batch"),
    ] {
        let arguments = [&[command], &data[..], given].concat();
        let result = limited("ulimit -v 8000000", &arguments);
        let errors = String::from_utf8_lossy(&result.stderr);
        assert_eq!(result.status.code(), Some(1), "{errors}");
        expect(
            &errors,
            &["error: libtorch failed", "memory", ".rs:", helps],
        );
        assert!(!errors.contains("panicked"), "{errors}");
        // Before it a run says what it works on; warnings of libtorch begin with [W.
        let said = errors
            .lines()
            .skip_while(|line| !line.starts_with("error:"));
        let said = said.filter(|line| !line.starts_with("[W"));
        assert_eq!(said.count(), 1, "{errors}");
    }
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let output = folder.path().join("run");
    // A file-size limit stands for the full disk: writing past it fails in the same place.
    let limited = |arguments: &[&str], kibibytes: u32| {
        limited(&format!("trap '' XFSZ; ulimit -f {kibibytes}"), arguments)
    };
    let arguments = [
        "train",
        "--config",
        text(&config),
        "--data",
        text(folder.path()),
        "--output",
        text(&output),
    ];
    let result = limited(&arguments, 4);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(!result.status.success());
    expect(&errors, &["cannot write", "checkpoint.safetensors"]);
    let left: Vec<_> = fs::read_dir(&output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left.iter().any(|name| name == "checkpoint.safetensors"),
        "{left:?}"
    );
    assert_eq!(
        left.len(),
        3,
        "config.toml, log.jsonl and .lock, no leftovers: {left:?}"
    );

    // The epoch in the log has no checkpoint; still, a new run does not take its place unasked.
    let (result, errors) = run(&arguments);
    assert!(!result.status.success());
    expect(&errors, &["already holds a run", "--resume"]);
    assert!(
        run(&[&arguments[..], &["--resume"]].concat())
            .0
            .status
            .success()
    );
    let (checkpoint, onnx) = (
        output.join("checkpoint.safetensors"),
        folder.path().join("out.onnx"),
    );
    fs::write(&onnx, b"older").unwrap();
    let result = limited(
        &[
            "export",
            "--checkpoint",
            text(&checkpoint),
            "--output",
            text(&onnx),
        ],
        4,
    );
    assert!(!result.status.success());
    assert_eq!(fs::read(&onnx).unwrap(), b"older");
}

#[test]
fn asking_for_cuda_where_there_is_none_is_an_error() {
    if tch::Cuda::is_available() {
        eprintln!("skipped: this machine has CUDA");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    expect(
        &fails(folder.path(), &config, &["--device", "cuda"]),
        &["--device cuda", "--device cpu"],
    );
    assert!(!folder.path().join("run").exists());
}

/// Every class is voted for in no cell, and the gradient there is 0.
#[test]
fn a_collapsed_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let output = folder.path().join("run");
    let train = |more: &[&str]| {
        let paths = [("--config", &config), ("--output", &output)];
        let mut arguments = vec!["train", "--data", text(folder.path())];
        arguments.extend(paths.iter().flat_map(|(name, path)| [*name, text(path)]));
        arguments.extend(more);
        run(&arguments)
    };
    assert!(train(&[]).0.status.success());
    let path = output.join("checkpoint.safetensors");
    spoil(&path, "head.bias", -1e4);
    let fails = || {
        let (output, errors) = train(&["--resume", "--epochs", "9"]);
        assert!(!output.status.success());
        for part in ["collapsed", "epoch 4 and the 2 before", "learning_rate"] {
            assert!(errors.contains(part), "{errors}");
        }
    };
    fails();
    // All that was done is in the log, and nothing more comes of trying again.
    let log = || fs::read_to_string(output.join("log.jsonl")).unwrap();
    let before = log();
    assert_eq!(before.lines().count(), 4);
    fails();
    assert_eq!(before, log());
    // So too where all is done; lines of epochs that were lost are taken out before.
    let lost = before.lines().last().unwrap();
    let lost = lost.replace("\"epoch\":4", "\"epoch\":5");
    fs::write(output.join("log.jsonl"), format!("{before}{lost}\n")).unwrap();
    assert_ne!(before, log());
    let (result, errors) = train(&["--resume", "--epochs", "4"]);
    assert!(
        !result.status.success() && errors.contains("collapsed"),
        "{errors}"
    );
    assert_eq!(before, log());
}

/// What a damaged header asks for is not built.
#[test]
fn a_checkpoint_of_an_impossible_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, output) = one_epoch(folder.path());
    let path = output.join("checkpoint.safetensors");
    misstate(&path, |header| header["network"]["width"] = 0.into());
    let [checkpoint, data] = [path.as_path(), folder.path()].map(text);
    let (result, errors) = run(&["eval", "--checkpoint", checkpoint, "--data", data]);
    assert_eq!(result.status.code(), Some(1));
    expect(&errors, &["checkpoint.safetensors", "network.width = 0"]);
}

/// Two runs would write each other's checkpoints over.
#[test]
fn a_folder_has_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let output = folder.path().join("run");
    fs::create_dir(&output).unwrap();
    let lock = fs::File::create(output.join(".lock")).unwrap();
    lock.lock().unwrap();
    for more in [&[][..], &["--resume"]] {
        let errors = fails(folder.path(), &config, more);
        expect(&errors, &["at work", "run"]);
    }
    assert_eq!(fs::read_dir(&output).unwrap().count(), 1);
    // A run that was killed holds nothing.
    drop(lock);
    let (result, errors) = train(&config, folder.path(), &output, &[]);
    assert!(result.status.success(), "{errors}");
}

#[test]
fn validation_patches_that_do_not_fit_are_named_before_the_first_epoch() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let patches = |list: &str| {
        let line = format!("validation_patches = {list}");
        write_config_with(folder.path(), 1, &[("training", &line)])
    };
    let errors = fails(folder.path(), &patches("[\"5x5\", \"33x1\"]"), &[]);
    expect(&errors, &["training.validation_patches", "33x1", "32x32"]);
    assert!(!folder.path().join("run/log.jsonl").exists());
    let errors = fails(folder.path(), &patches("[]"), &[]);
    expect(&errors, &["training.validation_patches", "at least one"]);

    // What is named is what is logged, and said.
    let (config, output) = (patches("[\"3x4\"]"), folder.path().join("run"));
    let (result, errors) = train(&config, folder.path(), &output, &[]);
    assert!(result.status.success(), "{errors}");
    expect(&errors, &["certified at 3x4"]);
    let log = fs::read_to_string(output.join("log.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.trim()).unwrap();
    let found = line["validation"]["patches"].as_array().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["patch"], serde_json::json!([3, 4]));
}

#[test]
fn a_diverged_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 3, "");
    let output = folder.path().join("run");
    let short = [
        "train",
        "--config",
        text(&config),
        "--data",
        text(folder.path()),
        "--output",
        text(&output),
    ];
    let (result, errors) = run(&[&short[..], &["--until", "2"]].concat());
    assert!(result.status.success(), "{errors}");
    // The next step leaves weights that are no numbers.
    let path = output.join("checkpoint.safetensors");
    spoil(&path, "adam.first", -3e38);
    let bytes = fs::read(&path).unwrap();
    expect(
        &fails(folder.path(), &config, &["--resume"]),
        &[
            "diverged",
            "epoch 3",
            "learning_rate",
            "checkpoint of epoch 2",
        ],
    );
    assert!(
        fs::read(&path).unwrap() == bytes,
        "the checkpoint was overwritten"
    );
}

/// A loss of numbers hides statistics that are none, by which every answer would be the same.
#[test]
fn statistics_that_are_no_numbers_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (config, output) = one_epoch(folder.path());
    let path = output.join("checkpoint.safetensors");
    // The variance of what the stem says of a batch is beyond f32.
    spoil(&path, "stem.weight", 1e22);
    let before = fs::read(&path).unwrap();
    let errors = fails(folder.path(), &config, &["--resume", "--epochs", "2"]);
    let words = [
        "diverged",
        "statistic of batch normalisation was inf",
        "epoch 2",
    ];
    expect(&errors, &words);
    assert!(fs::read(&path).unwrap() == before);
}

/// Weights may be numbers and what they say none: then nothing of the epoch is worth keeping.
#[test]
fn a_network_that_says_no_numbers_leaves_the_checkpoint_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, output) = one_epoch(folder.path());
    let path = output.join("checkpoint.safetensors");
    // Training goes by the statistics of its batches.
    spoil(&path, "stem.mean", -3e38);
    let (before, log) = (fs::read(&path).unwrap(), output.join("log.jsonl"));
    let errors = fails(folder.path(), &config, &["--resume", "--epochs", "2"]);
    expect(&errors, &["validation failed", "image 0"]);
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(fs::read_to_string(log).unwrap().lines().count(), 1);
}

/// What the error says is there to be done.
#[test]
fn a_diverged_run_names_a_way_out_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let (config, output) = one_epoch(folder.path());
    // The optimiser's state makes the next step one of no numbers; the weights are whole.
    let path = output.join("checkpoint.safetensors");
    spoil(&path, "adam.first", 3e38);
    let errors = fails(folder.path(), &config, &["--resume", "--epochs", "2"]);
    expect(
        &errors,
        &["diverged", "epoch 2", "checkpoint of epoch 1", "new run"],
    );
    let (_, way) = errors.split_once("training.initial = ").expect(&errors);
    let file = way.split('"').nth(1).unwrap();
    assert_eq!(Path::new(file), path);

    let lines = format!("initial = {file:?}");
    let config = write_config_with(folder.path(), 1, &[("training", &lines)]);
    let slower = fs::read_to_string(&config)
        .unwrap()
        .replace("learning_rate = 0.01", "learning_rate = 0.005");
    fs::write(&config, slower).unwrap();
    let again = folder.path().join("again");
    let (result, errors) = train(&config, folder.path(), &again, &[]);
    assert!(result.status.success(), "{errors}");
    let begun = Checkpoint::read(&again.join("checkpoint.safetensors")).unwrap();
    assert_eq!(begun.header.initial, Some(sha256(&path).unwrap()));
}
