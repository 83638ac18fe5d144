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
    let written = fs::read_to_string(&config).unwrap();
    let still = written
        .replace("learning_rate = 0.01", "learning_rate = 1e-12")
        .replace("seed = 7", "seed = 8");
    assert_ne!(written, still);
    fs::write(&config, still).unwrap();
    let second = data.join("second");
    succeeds(&train(&config, data, &second));
    let second = second.join("checkpoint.safetensors");
    let after = numbers(&second);
    assert!(apart(&before[0], &after[0]) < 1e-6);
    // Statistics drift with the batches, from where they were.
    let drift = apart(&before[1], &after[1]);
    assert!(drift < 0.3 * apart(&before[1], &fresh(&network)), "{drift}");

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
    let written = fs::read_to_string(&config).unwrap();
    let learning = train(&config, data, &second);
    fs::write(
        &config,
        written.replace("learning_rate = 0.01", "learning_rate = 1e-12"),
    )
    .unwrap();
    succeeds(&learning);
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
    let config = write_config_with(data, 1, &[("training", &initial)]);
    let written = fs::read_to_string(&config).unwrap();
    let grown = written
        .replace("kernels = [3, 1]", "kernels = [1, 3, 1]")
        .replace("strides = [2, 1]", "strides = [1, 2, 1]")
        .replace("learning_rate = 0.01", "learning_rate = 1e-12");
    assert!(grown.contains("kernels = [1, 3, 1]"), "{written}");
    fs::write(&config, grown).unwrap();
    let second = data.join("second");
    succeeds(&train(&config, data, &second));
    let second = second.join("checkpoint.safetensors");
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
    let more = [
        &train(&config, data, second.parent().unwrap())[..],
        &["--resume", "--epochs", "2"],
    ]
    .concat();
    succeeds(&more);
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

/// Of a shipped model there is nothing but the ONNX file.
#[test]
fn a_run_begins_with_an_exported_network() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let first = first_run(data);
    let export = |checkpoint: &Path, output: &Path| {
        succeeds(&[
            "export",
            "--checkpoint",
            text(checkpoint),
            "--output",
            text(output),
        ]);
    };
    let model = data.join("model.onnx");
    export(&first, &model);
    let initial = format!("initial = {:?}", text(&model));
    let config = write_config_with(data, 1, &[("training", &initial)]);
    let written = fs::read_to_string(&config).unwrap();
    let still = written.replace("learning_rate = 0.01", "learning_rate = 1e-12");
    assert_ne!(written, still);
    fs::write(&config, &still).unwrap();
    let second = data.join("second");
    succeeds(&train(&config, data, &second));
    let checkpoint = second.join("checkpoint.safetensors");
    let (header, ..) = load(&checkpoint, Device::Cpu).unwrap();
    assert_eq!(header.initial, Some(sha256(&model).unwrap()));
    let again = data.join("again.onnx");
    export(&checkpoint, &again);
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");

    // A run that begins with nothing is far away.
    let config = write_config_with(data, 1, &[]);
    fs::write(
        &config,
        fs::read_to_string(&config)
            .unwrap()
            .replace("seed = 7", "seed = 9"),
    )
    .unwrap();
    let fresh = data.join("fresh");
    succeeds(&train(&config, data, &fresh));
    let other = data.join("other.onnx");
    export(&fresh.join("checkpoint.safetensors"), &other);
    let distance = off(&other, &model);
    assert!(distance > 0.6, "{distance}");

    // It grows as a checkpoint does.
    let grown = format!("{initial}\ninitial_blocks = [2, 3]");
    let config = write_config_with(data, 1, &[("training", &grown)]);
    let written = fs::read_to_string(&config).unwrap();
    let grown = written
        .replace("kernels = [3, 1]", "kernels = [1, 3, 1]")
        .replace("strides = [2, 1]", "strides = [1, 2, 1]")
        .replace("learning_rate = 0.01", "learning_rate = 1e-12");
    fs::write(&config, grown).unwrap();
    let third = data.join("third");
    succeeds(&train(&config, data, &third));
    export(&third.join("checkpoint.safetensors"), &again);
    assert_eq!(
        import(&again, Device::Cpu).unwrap().0.network.kernels,
        [1, 3, 1]
    );
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");

    // The mean of two files, of either kind.
    let both = format!("initial = [{:?}, {:?}]", text(&first), text(&model));
    let config = write_config_with(data, 1, &[("training", &both)]);
    let written = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        written.replace("learning_rate = 0.01", "learning_rate = 1e-12"),
    )
    .unwrap();
    let mean = data.join("mean");
    succeeds(&train(&config, data, &mean));
    let checkpoint = mean.join("checkpoint.safetensors");
    let (header, ..) = load(&checkpoint, Device::Cpu).unwrap();
    let digests = [&first, &model].map(|path| sha256(path).unwrap());
    assert_eq!(header.initial, Some(digests.join(", ")));
    export(&checkpoint, &again);
    let distance = off(&again, &model);
    assert!(distance < 0.3, "{distance}");

    // Another network, and a file of something else.
    let refused = |extra: &[(&str, &str)], words: &[&str]| refused(data, &model, extra, words);
    let named = ["training.initial", "model.onnx"];
    refused(
        &[("network", "stem_kernel = 2")],
        &[&named[..], &["another network", "stem"]].concat(),
    );
    let normalisation = "normalisation = [[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]]";
    refused(
        &[("data", normalisation)],
        &[&named[..], &["normalised"]].concat(),
    );
    fs::write(&model, b"no model").unwrap();
    refused(&[], &[&named[..], &["no ONNX file"]].concat());
}
