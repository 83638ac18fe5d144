//! A run that was killed and resumed ends as one that was not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use bagcert_trainer::{checkpoint::Checkpoint, config::Config, run::load};
use common::{
    command, run, text, train, trees::write_folder, write_config, write_config_with, write_dataset,
};

fn epochs_logged(folder: &Path) -> Vec<serde_json::Value> {
    let log = fs::read_to_string(folder.join("log.jsonl")).unwrap_or_default();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What writes that did not end have left in a run's folder.
fn unfinished(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .contains("unfinished")
        })
        .collect()
}

fn arguments<'a>(config: &'a Path, data: &'a Path, output: &'a Path) -> Vec<&'a str> {
    let paths = [("--config", config), ("--data", data), ("--output", output)];
    let paths = paths
        .into_iter()
        .flat_map(|(name, path)| [name, text(path)]);
    ["train", "--resume"].into_iter().chain(paths).collect()
}

/// Starts a run and kills it when `now` holds; false where it ended before.
fn kill_when(arguments: &[&str], mut now: impl FnMut() -> bool) -> bool {
    let mut child: Child = command(arguments)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !now() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// The same run once whole and once killed; both end with the same checkpoint and log.
fn expect_the_same(config: &Path, data: &Path, kill: impl Fn(&[&str], &Path)) {
    let (whole, killed) = (data.join("whole"), data.join("killed"));
    let (output, errors) = run(&arguments(config, data, &whole));
    assert!(output.status.success(), "{errors}");
    let resumed = arguments(config, data, &killed);
    kill(&resumed, &killed);
    let (output, errors) = run(&resumed);
    assert!(output.status.success(), "{errors}");
    assert!(unfinished(&killed).is_empty(), "leftovers");

    let bytes = |run: &Path| fs::read(run.join("checkpoint.safetensors")).unwrap();
    assert!(bytes(&whole) == bytes(&killed), "the checkpoints differ");
    let (first, second) = (epochs_logged(&whole), epochs_logged(&killed));
    assert_eq!(first.len(), second.len());
    for (first, second) in first.iter().zip(&second) {
        for key in ["epoch", "loss", "learning_rate", "validation"] {
            assert_eq!(first[key], second[key], "{key}");
        }
    }
    // It learnt something: the made-up classes differ in brightness.
    let loss = |entry: Option<&serde_json::Value>| entry.unwrap()["loss"].as_f64().unwrap();
    let (start, end) = (loss(first.first()), loss(first.last()));
    assert!(end < start - 0.02, "{start} then {end}");
}

/// Killed at an arbitrary moment after the second epoch, three times over.
fn kill_three_times(resumed: &[&str], folder: &Path) {
    for kill in 1..=3 {
        kill_when(resumed, || epochs_logged(folder).len() >= 3 * kill);
    }
    assert!(
        epochs_logged(folder).len() < 12,
        "the kills came too late to mean anything"
    );
}

#[test]
fn a_killed_run_resumes_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let config = write_config_with(folder.path(), 12, &[]);
    expect_the_same(&config, folder.path(), kill_three_times);
}

#[test]
fn so_does_one_that_was_to_stop_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 40);
    let seldom = "ema = 0.9\ncheckpoint_every = 4\nvalidate_every = 4";
    let config = write_config_with(folder.path(), 12, &[("training", seldom)]);
    expect_the_same(&config, folder.path(), |resumed, folder| {
        // The third time there is nothing to do, and beyond its end a run does not go.
        for (until, epochs) in [("2", 2), ("7", 7), ("3", 7), ("99", 12)] {
            let (result, errors) = run(&[resumed, &["--until", until]].concat());
            assert!(result.status.success(), "{errors}");
            let checkpoint = Checkpoint::read(&folder.join("checkpoint.safetensors")).unwrap();
            assert_eq!(checkpoint.header.epoch, epochs);
            assert_eq!(epochs_logged(folder).len(), epochs);
        }
    });
}

#[test]
fn so_does_one_with_every_option() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 60);
    let extra = [
        (
            "loss",
            "margin_kind = \"worst-pair\"\npatches = [\"1x1\", \"2x2\"]",
        ),
        (
            "training",
            "ema = 0.9\nclip_norm = 0.5\nweight_decay = 0.5\nprecision = \"bf16\"\nchannels_last = true",
        ),
        (
            "",
            "[augmentation]\ncutout = 6\noperations = 2\nmagnitude = 0.2\nrotation = 9.0\nzoom = 0.2\nepochs = 7",
        ),
    ];
    let config = write_config_with(folder.path(), 12, &extra);
    expect_the_same(&config, folder.path(), kill_three_times);
    // What is read as a network is the average; the weights being trained stand beside it.
    let path = folder.path().join("whole/checkpoint.safetensors");
    let (_, network, _) = load(&path, tch::Device::Cpu).unwrap();
    let data = fs::read(&path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&data).unwrap();
    let trained = tensors.tensor("training.parameters").unwrap();
    let trained: Vec<f32> = trained
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let average = Vec::<f32>::try_from(&network.parameters.flat.detach()).unwrap();
    assert_eq!(trained.len(), average.len());
    let apart = trained
        .iter()
        .zip(&average)
        .filter(|(one, other)| one != other);
    assert!(
        apart.count() > average.len() / 2,
        "the average is the last step"
    );
}

/// Which rectangle a step is about is drawn from the seed and the epoch as well.
#[test]
fn so_does_one_of_the_worst_window_of_random_rectangles() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let margin = "margin_kind = \"worst-window\"\npaper_epochs = 2\npatch_areas = [1, 6]\npatch_shape = \"rectangle\"";
    let config = write_config_with(folder.path(), 12, &[("loss", margin)]);
    expect_the_same(&config, folder.path(), kill_three_times);
}

#[test]
fn a_run_killed_while_it_writes_a_checkpoint_resumes_too() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 16);
    // 1.6 million parameters, four times over: most of the time goes into writing.
    let extra = [
        ("network", "widths = [400, 400]"),
        ("training", "ema = 0.9\ncell_stride = 2"),
    ];
    let config = write_config_with(folder.path(), 10, &extra);
    expect_the_same(&config, folder.path(), |resumed, folder| {
        let mut halfway = 0;
        for kill in 1..=4 {
            let checkpoint = folder.join("checkpoint.safetensors");
            let large = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.len() > 100_000);
            // In the middle of a checkpoint, after some epochs.
            kill_when(resumed, || {
                epochs_logged(folder).len() >= 2 * kill && unfinished(folder).iter().any(large)
            });
            halfway += usize::from(!unfinished(folder).is_empty());
            let found = Checkpoint::read(&checkpoint).unwrap();
            assert!(found.header.epoch >= 2 * kill - 1, "an older checkpoint");
        }
        assert!(halfway > 0, "no kill came while a file was being written");
    });
}

/// What is measured and written down on the way may change, and no weight with it.
#[test]
fn a_run_goes_on_measured_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 160);
    let aside = "validate_every = 5\nvalidation_patches = [\"3x4\"]\ncheckpoint_every = 4\npeak_tflops = 2.0";
    let write = |lines: &str| {
        let lines = format!("ema = 0.9\n{lines}");
        let extra = [
            ("training", lines.as_str()),
            ("network", "shake = true"),
            ("", "[augmentation]\noperations = 1\nmagnitude = 0.2"),
        ];
        write_config_with(data, 12, &extra)
    };
    let (whole, other) = (data.join("whole"), data.join("other"));
    let config = write("");
    let (output, errors) = run(&arguments(&config, data, &whole));
    assert!(output.status.success(), "{errors}");
    let resumed = arguments(&config, data, &other);
    assert!(kill_when(&resumed, || epochs_logged(&other).len() >= 3));
    let done = Checkpoint::read(&other.join("checkpoint.safetensors"));
    let done = done.unwrap().header.epoch;
    assert!(done < 12, "the kill came too late to mean anything");
    write(aside);
    let (output, errors) = run(&resumed);
    assert!(output.status.success(), "{errors}");

    let bytes = |run: &Path| fs::read(run.join("checkpoint.safetensors")).unwrap();
    assert!(bytes(&whole) == bytes(&other), "the checkpoints differ");
    // It did go on as it was told to.
    let measured = epochs_logged(&other).into_iter().skip(done);
    let measured = measured.map(|entry| {
        let patch = entry["validation"]["patches"][0]["patch"].clone();
        (entry["epoch"].as_u64().unwrap(), patch)
    });
    for (epoch, patch) in measured {
        let due = epoch % 5 == 0 || epoch == 12;
        let expected = due.then(|| serde_json::json!([3, 4]));
        assert_eq!(patch, expected.unwrap_or_default(), "epoch {epoch}");
    }
    let kept = |lines: &str| {
        let (kept, given) = (other.join("config.toml"), write(lines));
        assert_eq!(Config::read(&kept).unwrap(), Config::read(&given).unwrap());
    };
    kept(aside);
    write("");
    let (output, errors) = run(&resumed);
    assert!(output.status.success(), "{errors}");
    kept("");
}

/// A damaged image to choose by is known by its name alone until it was measured, whatever epochs lie between.
#[test]
fn a_damaged_image_may_be_put_right_after_further_epochs() {
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (folder.path().join("trees"), folder.path().join("run"));
    write_folder(&data, 8);
    let config = folder.path().join("config.toml");
    let train = |epochs: usize, validate_every: usize| {
        let tables = format!(
            "seed = 3\n[data]\nkind = \"folder\"\nresize = 24\ncrop = 24\n[network]\nwidth = 4\nkernels = [3]\nstrides = [2]\n\
             paths = 1\n[loss]\nmargin = 0.5\n[training]\nepochs = 1\nbatch = 8\nlearning_rate = 0.01\n\
             validate_every = {validate_every}\n"
        );
        fs::write(&config, tables).unwrap();
        let mut given = arguments(&config, &data, &output);
        given.extend(["--epochs", epochs.to_string().leak()]);
        given
    };
    let broken = data.join("val/cedar/002.png");
    let intact = fs::read(&broken).unwrap();
    fs::write(&broken, &intact[..intact.len() / 2]).unwrap();
    let (result, errors) = run(&train(1, 1));
    assert!(!result.status.success());
    assert!(errors.contains("epoch 1 is trained and kept"), "{errors}");
    // Nothing is measured on the way, and the damage stays.
    let further = train(100_000, 100_000);
    assert!(kill_when(&further, || epochs_logged(&output).len() >= 4));
    let done = Checkpoint::read(&output.join("checkpoint.safetensors"));
    let done = done.unwrap().header.epoch;
    assert!(done >= 2);
    fs::write(&broken, &intact).unwrap();
    let (result, errors) = run(&train(done + 1, 100_000));
    assert!(result.status.success(), "{errors}");

    // An epoch that is only measured when its run goes on says nothing of the time to come.
    fs::remove_dir_all(&output).unwrap();
    fs::write(&broken, &intact[..intact.len() / 2]).unwrap();
    let (result, errors) = run(&train(2, 1));
    assert!(!result.status.success(), "{errors}");
    fs::write(&broken, intact).unwrap();
    let (result, errors) = run(&train(2, 1));
    assert!(result.status.success(), "{errors}");
    assert!(
        errors.contains("after epoch 1\nepoch 1/2: ") && !errors.contains("min left"),
        "{errors}"
    );
}

/// What lies between two checkpoints is done again.
#[test]
fn so_does_one_with_a_checkpoint_after_every_tenth_epoch() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let extra = [
        ("training", "checkpoint_every = 10\ncell_stride = 2"),
        ("data", "padding_mode = \"reflect\""),
        ("network", "dilations = [2, 1]\nposition_embedding = true"),
    ];
    let config = write_config_with(folder.path(), 22, &extra);
    expect_the_same(&config, folder.path(), |resumed, folder| {
        let checkpoint = folder.join("checkpoint.safetensors");
        // Before the first checkpoint, and between the first and the second.
        let after = |epochs| epochs_logged(folder).len() >= epochs;
        assert!(kill_when(resumed, || after(2)) && !checkpoint.exists());
        assert!(kill_when(resumed, || after(12)));
        let epoch = Checkpoint::read(&checkpoint).unwrap().header.epoch;
        assert_eq!(epoch, 10);
    });
    let whole = folder.path().join("whole/checkpoint.safetensors");
    assert_eq!(Checkpoint::read(&whole).unwrap().header.epoch, 22);
}

/// A data file that was cut short, or the wrong network, is seen before hours have gone into it.
#[test]
fn a_run_says_what_it_works_on_and_from_where_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 12);
    let config = write_config(folder.path(), 2, "");
    let output = folder.path().join("run");
    let said = |more: &[&str]| {
        let (result, errors) = train(&config, folder.path(), &output, more);
        assert!(result.status.success(), "{errors}");
        errors
    };
    let first = said(&[]);
    let images = "CIFAR-10: 40 images to train on, 20 to choose by; 2 steps an epoch\n";
    let network = "receptive field 5x5, 16x16 cells, ";
    assert!(
        first.starts_with(images) && first.contains(network),
        "{first}"
    );
    assert!(!first.contains("going on"), "{first}");
    let left: Vec<bool> = first
        .lines()
        .filter(|line| line.starts_with("epoch "))
        .map(|line| line.ends_with(" min left"))
        .collect();
    assert_eq!(left, [true, false], "{first}");
    let more = said(&["--resume", "--epochs", "3"]);
    let going = "going on after epoch 2\n";
    assert!(more.starts_with(images) && more.contains(going), "{more}");
}

#[test]
fn a_log_that_cannot_be_understood_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let output = folder.path().join("run");
    let resumed = arguments(&config, folder.path(), &output);
    assert!(run(&resumed).0.status.success());
    let log = output.join("log.jsonl");
    let whole = fs::read(&log).unwrap();
    for damaged in [&whole[..whole.len() / 2], b"\xff\n"] {
        fs::write(&log, damaged).unwrap();
        let (result, errors) = run(&resumed);
        assert!(!result.status.success());
        assert!(errors.contains("log.jsonl"), "{errors}");
        assert_eq!(fs::read(&log).unwrap(), damaged);
    }
}
