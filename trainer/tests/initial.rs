//! Runs that begin with the weights of another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_trainer::{
    checkpoint::sha256,
    import::import,
    network::Mode,
    run::{build, load},
};
use common::{run, text, write_config_with, write_dataset};
use tch::{Device, Kind, Tensor};

fn succeeds(arguments: &[&str]) {
    let (output, errors) = run(arguments);
    assert!(output.status.success(), "{errors}");
}

fn train<'a>(config: &'a Path, data: &'a Path, output: &'a Path) -> Vec<&'a str> {
    let paths = [("--config", config), ("--data", data), ("--output", output)];
    let paths = paths
        .into_iter()
        .flat_map(|(name, path)| [name, text(path)]);
    ["train"].into_iter().chain(paths).collect()
}

/// The checkpoint of a run of two epochs, on images that it writes into `data`.
fn first_run(data: &Path) -> PathBuf {
    write_dataset(data, 40);
    let folder = data.join("first");
    succeeds(&train(&write_config_with(data, 2, &[]), data, &folder));
    folder.join("checkpoint.safetensors")
}

/// What makes steps of no size to speak of.
const STILL: (&str, &str) = ("learning_rate = 0.01", "learning_rate = 1e-12");
/// What puts a block before the two.
const GROWN: [(&str, &str); 2] = [
    ("kernels = [3, 1]", "kernels = [1, 3, 1]"),
    ("strides = [2, 1]", "strides = [1, 2, 1]"),
];

/// The checkpoint of a run of one epoch in the folder `name` that has these lines in its table `[training]`, and its
/// configuration these words changed.
fn begin(data: &Path, name: &str, training: &str, changes: &[(&str, &str)]) -> PathBuf {
    let config = write_config_with(data, 1, &[("training", training)]);
    change(&config, changes);
    let output = data.join(name);
    succeeds(&train(&config, data, &output));
    output.join("checkpoint.safetensors")
}

/// Resumes the run in a folder, by its own configuration, for a second epoch.
fn go_on(data: &Path, output: &Path) {
    let config = output.join("config.toml");
    let resumed = train(&config, data, output);
    succeeds(&[&resumed[..], &["--resume", "--epochs", "2"]].concat());
}

/// Changes words that are there.
fn change(config: &Path, changes: &[(&str, &str)]) {
    let mut written = fs::read_to_string(config).unwrap();
    for (from, to) in changes {
        assert!(written.contains(from), "{from} is not in: {written}");
        written = written.replace(from, to);
    }
    fs::write(config, written).unwrap();
}

/// Weights and statistics of the network in a checkpoint.
fn numbers(path: &Path) -> [Tensor; 2] {
    let (_, network, _) = load(path, Device::Cpu).unwrap();
    let parameters = network.parameters;
    [parameters.flat.detach(), parameters.statistics]
}

/// Statistics that no batch has been seen for.
fn fresh(path: &Path) -> Tensor {
    let (header, ..) = load(path, Device::Cpu).unwrap();
    let (network, _) = build(&header, Device::Cpu).unwrap();
    network.parameters.statistics
}

fn apart(one: &Tensor, other: &Tensor) -> f64 {
    (one - other)
        .square()
        .sum(Kind::Double)
        .sqrt()
        .double_value(&[])
}

#[test]
fn a_run_begins_with_the_network_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let first = data.join("first");
    let config = write_config_with(data, 3, &[("training", "ema = 0.9")]);
    succeeds(&train(&config, data, &first));
    let whole = first.join("checkpoint.safetensors");

    // The network alone: smaller, and the same.
    let network = data.join("network.safetensors");
    let arguments = ["--checkpoint", text(&whole), "--output", text(&network)];
    succeeds(&[&["export"], &arguments[..]].concat());
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(length(&network) * 2 < length(&whole));
    let before = numbers(&network);
    assert_eq!(numbers(&whole), before);

    // With steps of no size to speak of, weights and average end where they began, another seed or not.
    let initial = format!("initial = {:?}\nema = 0.9", text(&network));
    let config = write_config_with(data, 1, &[("training", &initial)]);
    change(&config, &[STILL, ("seed = 7", "seed = 8")]);
    let second = data.join("second");
    succeeds(&train(&config, data, &second));
    let second = second.join("checkpoint.safetensors");
    let after = numbers(&second);
    assert!(apart(&before[0], &after[0]) < 1e-6);
    // Statistics drift with the batches, from where they were.
    let drift = apart(&before[1], &after[1]);
    assert!(drift < 0.3 * apart(&before[1], &fresh(&network)), "{drift}");

    // How paths were mixed is no matter of what was learnt.
    let unmixed = [("training", initial.as_str()), ("network", "shake = false")];
    let config_unmixed = write_config_with(data, 1, &unmixed);
    change(&config_unmixed, &[STILL]);
    let third = data.join("third");
    succeeds(&train(&config_unmixed, data, &third));
    let third = numbers(&third.join("checkpoint.safetensors"));
    assert!(apart(&before[0], &third[0]) < 1e-6);
    let config = write_config_with(data, 1, &[("training", &initial)]);
    change(&config, &[STILL, ("seed = 7", "seed = 8")]);

    // What was begun is resumed from its own checkpoint, whatever became of the other.
    fs::remove_file(&network).unwrap();
    let output = data.join("second");
    let more = [
        &train(&config, data, &output)[..],
        &["--resume", "--epochs", "2"],
    ]
    .concat();
    succeeds(&more);

    // A network alone is no run to go on with, and does not take the place of one.
    let alone = data.join("alone.safetensors");
    let export = |output| ["export", "--checkpoint", text(&second), "--output", output];
    let (result, errors) = run(&export(text(&second)));
    assert!(
        !result.status.success() && errors.contains("is the checkpoint itself"),
        "{errors}"
    );
    // Nor does ONNX take the place of what it is made of, whatever its name.
    let odd = data.join("odd");
    fs::copy(&second, &odd).unwrap();
    let (result, errors) = run(&["export", "--checkpoint", text(&odd), "--output", text(&odd)]);
    assert!(
        !result.status.success() && errors.contains("is the checkpoint itself"),
        "{errors}"
    );
    assert!(fs::read(&odd).unwrap() == fs::read(&second).unwrap());
    succeeds(&export(text(&alone)));
    fs::copy(&alone, &second).unwrap();
    let more = [&more[..more.len() - 1], &["3"]].concat();
    let (result, errors) = run(&more);
    assert!(
        !result.status.success() && errors.contains("training.initial"),
        "{errors}"
    );
}

/// A network that learns where its cells lie begins as one that does not know it, and says the same.
#[test]
fn a_position_embedding_can_be_added() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let first = first_run(data);
    let initial = format!("initial = {:?}", text(&first));
    let tables = [
        ("training", initial.as_str()),
        ("network", "position_embedding = true"),
    ];
    let config = write_config_with(data, 1, &tables);
    let second = data.join("second");
    change(&config, &[STILL]);
    succeeds(&train(&config, data, &second));
    let second = second.join("checkpoint.safetensors");
    // Statistics follow the batches and are left out.
    let trained = |path: &Path| {
        let mut named = load(path, Device::Cpu).unwrap().1.parameters.named();
        named.retain(|(name, _)| !name.ends_with(".mean") && !name.ends_with(".variance"));
        named
    };
    let (before, after) = (trained(&first), trained(&second));
    let (embeddings, after): (Vec<_>, Vec<_>) = after
        .into_iter()
        .partition(|(name, _)| name.ends_with(".place.value"));
    let sizes: Vec<_> = embeddings.iter().map(|(_, tensor)| tensor.size()).collect();
    assert_eq!(sizes, [[8, 32, 32], [8, 16, 16], [8, 16, 16]]);
    for (name, tensor) in &embeddings {
        assert!(apart(tensor, &tensor.zeros_like()) < 1e-6, "{name}");
    }
    assert_eq!(before.len(), after.len());
    for ((name, one), (same, other)) in before.iter().zip(&after) {
        assert_eq!(name, same);
        assert!(apart(one, other) < 1e-6, "{name}");
    }

    // The way back would lose what was learnt.
    let initial = format!("initial = {:?}", text(&second));
    let config = write_config_with(data, 1, &[("training", &initial)]);
    let (result, errors) = run(&train(&config, data, &data.join("third")));
    assert!(
        !result.status.success() && errors.contains("another network"),
        "{errors}"
    );
}

/// Blocks are added to a trained network; what it was grown from is known by its SHA-256.
#[test]
fn a_network_can_grow() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let first = first_run(data);
    let blocks = load(&first, Device::Cpu).unwrap().0.network.kernels;
    assert_eq!(blocks, [3, 1]);
    let initial = format!("initial = {:?}\ninitial_blocks = [2, 3]", text(&first));
    let second = begin(data, "second", &initial, &[&GROWN[..], &[STILL]].concat());
    let (header, network, _) = load(&second, Device::Cpu).unwrap();
    assert_eq!(header.initial, Some(sha256(&first).unwrap()));
    let after = network.parameters.named();
    for (name, before) in load(&first, Device::Cpu).unwrap().1.parameters.named() {
        if name.ends_with(".mean") || name.ends_with(".variance") {
            continue;
        }
        let name = name.replace("b2.", "b3.").replace("b1.", "b2.");
        let found = after.iter().find(|(same, _)| *same == name);
        assert!(apart(&before, &found.unwrap().1) < 1e-6, "{name}");
    }

    // What it began with is still known after it was resumed.
    go_on(data, second.parent().unwrap());
    let resumed = load(&second, Device::Cpu).unwrap().0;
    assert_eq!((resumed.epoch, resumed.initial), (2, header.initial));
}

/// A run that would begin with `initial` and has these tables as well ends before its first checkpoint, with these words.
fn refused(data: &Path, initial: &Path, tables: &[(&str, &str)], words: &[&str]) {
    let initial = format!("initial = {:?}", text(initial));
    let tables = [&[("training", initial.as_str())], tables].concat();
    let config = write_config_with(data, 1, &tables);
    let output = data.join("refused");
    let (result, errors) = run(&train(&config, data, &output));
    assert!(!result.status.success());
    for word in words {
        assert!(errors.contains(word), "{word} is not in: {errors}");
    }
    assert!(!output.join("checkpoint.safetensors").exists());
}

#[test]
fn weights_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let path = first_run(data);
    let refused = |extra: &[(&str, &str)], words: &[&str]| refused(data, &path, extra, words);
    refused(&[("network", "stem_kernel = 2")], &["another network"]);
    let normalisation = "normalisation = [[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]]";
    refused(
        &[("data", normalisation)],
        &["training.initial", "normalised", "data.normalisation"],
    );
    let records = "kind = \"records\"\nlabels = 10\ntrain = [\"data_batch_1.bin\"]\ntest = [\"test_batch.bin\"]";
    refused(&[("data", records)], &["training.initial", "classes"]);
    fs::remove_file(&path).unwrap();
    refused(&[], &["cannot read", "checkpoint.safetensors"]);
}

/// The logits of a fixed image, by the network in an exported file.
fn exported_logits(path: &Path) -> Tensor {
    let (_, network, _) = import(path, Device::Cpu).unwrap();
    let options = (Kind::Float, Device::Cpu);
    let image = Tensor::linspace(0.0, 1.0, 3 * 32 * 32, options).view([1, 3, 32, 32]);
    network.forward(&image, Mode::Evaluate).detach()
}

/// How far the logits of `later` are from those of `earlier`, as a share of these. Statistics that have followed the batches of
/// an epoch make some of it.
fn off(later: &Path, earlier: &Path) -> f64 {
    let (after, before) = (exported_logits(later), exported_logits(earlier));
    apart(&after, &before) / apart(&before, &before.zeros_like())
}

/// The exported network of a run of two epochs, and its checkpoint, with images in `data`.
fn exported(data: &Path) -> (PathBuf, PathBuf) {
    let first = first_run(data);
    let model = data.join("model.onnx");
    export(&first, &model);
    (model, first)
}

fn export(checkpoint: &Path, output: &Path) {
    let arguments = ["--checkpoint", text(checkpoint), "--output", text(output)];
    succeeds(&[&["export"], &arguments[..]].concat());
}

/// Of a shipped model there is nothing but the ONNX file.
#[test]
fn a_run_begins_with_an_exported_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (model, _) = exported(data);
    let again = data.join("again.onnx");
    let initial = format!("initial = {:?}", text(&model));
    let checkpoint = begin(data, "second", &initial, &[STILL]);
    let (header, ..) = load(&checkpoint, Device::Cpu).unwrap();
    assert_eq!(header.initial, Some(sha256(&model).unwrap()));
    export(&checkpoint, &again);
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");

    // A run that begins with nothing is far away.
    let fresh = begin(data, "fresh", "", &[("seed = 7", "seed = 9")]);
    export(&fresh, &again);
    let distance = off(&again, &model);
    assert!(distance > 0.6, "{distance}");

    // It grows as a checkpoint does.
    let grown = format!("{initial}\ninitial_blocks = [2, 3]");
    let checkpoint = begin(data, "grown", &grown, &[&GROWN[..], &[STILL]].concat());
    export(&checkpoint, &again);
    let (header, ..) = import(&again, Device::Cpu).unwrap();
    assert_eq!(header.network.kernels, [1, 3, 1]);
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");
}

#[test]
fn a_run_begins_with_the_mean_of_two() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (model, first) = exported(data);
    let both = format!("initial = [{:?}, {:?}]", text(&first), text(&model));
    let checkpoint = begin(data, "mean", &both, &[STILL]);
    let (header, ..) = load(&checkpoint, Device::Cpu).unwrap();
    let digests = [&first, &model].map(|path| sha256(path).unwrap());
    assert_eq!(header.initial, Some(digests.join(", ")));
    let again = data.join("again.onnx");
    export(&checkpoint, &again);
    // Both are the same network, and so is their mean.
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");
    // The configuration that is kept with the run names both.
    go_on(data, &data.join("mean"));
}

#[test]
fn exported_networks_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let (model, _) = exported(data);
    let refused = |extra: &[(&str, &str)], words: &[&str]| {
        let named = ["training.initial", "model.onnx"];
        refused(data, &model, extra, &[&named[..], words].concat());
    };
    refused(
        &[("network", "stem_kernel = 2")],
        &["another network", "stem"],
    );
    let normalisation = "normalisation = [[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]]";
    refused(&[("data", normalisation)], &["normalised"]);
    fs::write(&model, b"no model").unwrap();
    refused(&[], &["no ONNX file"]);
}
