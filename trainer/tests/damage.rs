//! Files that were damaged, lost or are no files: each is told by its name, and nothing is written over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    io::Read,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use common::{changed::spoil, command, run, text, train, write_config, write_dataset};
use tempfile::TempDir;

/// Two epochs of a run of three: the images, the configuration of three epochs, the folder of the run.
fn begun() -> (TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 3, "");
    let output = folder.path().join("run");
    let (result, errors) = train(&config, folder.path(), &output, &["--until", "2"]);
    assert!(result.status.success(), "{errors}");
    (folder, config, output)
}

fn refused(arguments: &[&str], parts: &[&str]) {
    let (result, errors) = run(arguments);
    assert_eq!(result.status.code(), Some(1), "{errors}");
    for part in parts {
        assert!(errors.contains(part), "{part:?} is not in: {errors}");
    }
}

fn resume<'a>(config: &'a Path, data: &'a Path, output: &'a Path) -> [&'a str; 8] {
    let (config, data, output) = (text(config), text(data), text(output));
    [
        "train", "--config", config, "--data", data, "--output", output, "--resume",
    ]
}

/// safetensors checks where its tensors lie, not what they hold.
#[test]
fn one_bit_that_flipped_in_a_checkpoint_is_noticed() {
    let (folder, config, output) = begun();
    let checkpoint = output.join("checkpoint.safetensors");
    let mut bytes = fs::read(&checkpoint).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 4;
    fs::write(&checkpoint, &bytes).unwrap();
    let words = ["checkpoint.safetensors", "not what was written"];
    refused(&resume(&config, folder.path(), &output), &words);
    let data = ["--data", text(folder.path())];
    let network = ["--checkpoint", text(&checkpoint)];
    refused(&[&["eval"], &data[..], &network].concat(), &words);
    assert_eq!(fs::read(&checkpoint).unwrap(), bytes);
    // Of what it says of itself, too.
    bytes[at] ^= 4;
    let place = bytes.windows(6).position(|part| part == b"0.4914");
    bytes[place.unwrap() + 2] ^= 1;
    fs::write(&checkpoint, &bytes).unwrap();
    refused(&[&["eval"], &data[..], &network].concat(), &words);
}

/// What is no number would come out as a run that diverged.
#[test]
fn a_network_of_no_numbers_is_named_where_it_is_read() {
    let (folder, config, output) = begun();
    let checkpoint = output.join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    for (tensor, value) in [("head.weight", f32::NAN), ("stem.variance", -1.0)] {
        fs::write(&checkpoint, &whole).unwrap();
        spoil(&checkpoint, tensor, value);
        let words = ["checkpoint.safetensors", tensor, &value.to_string()];
        refused(&resume(&config, folder.path(), &output), &words);
        let other = folder.path().join("other.toml");
        let given = fs::read_to_string(&config).unwrap();
        for (key, table) in [
            (
                "training.initial",
                given.replace(
                    "[training]\n",
                    &format!("[training]\ninitial = {checkpoint:?}\n"),
                ),
            ),
            (
                "distillation.teacher",
                format!("{given}[distillation]\nteacher = {checkpoint:?}\nweight = 0.5\n"),
            ),
        ] {
            fs::write(&other, table).unwrap();
            let beside = folder.path().join("beside");
            let arguments = resume(&other, folder.path(), &beside);
            refused(&arguments[..7], &[&[key], &words[..]].concat());
        }
    }
}

/// Nothing would say what the checkpoint was trained by; another seed or rate would be gone on with.
#[test]
fn a_run_without_its_configuration_is_not_gone_on_with() {
    let (folder, config, output) = begun();
    fs::remove_file(output.join("config.toml")).unwrap();
    let words = ["config.toml is not there", "training.initial"];
    refused(&resume(&config, folder.path(), &output), &words);
    assert!(!output.join("config.toml").exists());
    // Nor does the advice on one that is damaged lead there.
    fs::write(output.join("config.toml"), "seed = ").unwrap();
    let arguments = resume(&config, folder.path(), &output);
    refused(&arguments, &["config.toml is damaged", "training.initial"]);
    let (_, errors) = run(&arguments);
    assert!(!errors.contains("move it out"), "{errors}");
}

#[test]
fn epochs_that_stand_twice_in_a_log_are_noticed() {
    let (folder, config, output) = begun();
    let log = output.join("log.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    let twice = format!("{lines}{lines}");
    fs::write(&log, &twice).unwrap();
    let words = ["log.jsonl", "line 3", "epoch 1 comes after 2"];
    refused(&resume(&config, folder.path(), &output), &words);
    assert_eq!(fs::read_to_string(&log).unwrap(), twice);
}

/// A pipe as a run's file would be waited for without end.
#[test]
fn pipes_are_not_read() {
    let (folder, config, output) = begun();
    let pipe = |path: &Path| {
        let _ = fs::remove_file(path);
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    let words = ["not a regular file"];
    for file in [
        "log.jsonl",
        "checkpoint.safetensors",
        "config.toml",
        ".lock",
    ] {
        pipe(&output.join(file));
        let words = [&words[..], &[file]].concat();
        refused(&resume(&config, folder.path(), &output), &words);
    }
    let [model, network] = ["m.onnx", "c.safetensors"].map(|name| folder.path().join(name));
    pipe(&model);
    pipe(&network);
    let data = ["--data", text(folder.path())];
    for network in [["--model", text(&model)], ["--checkpoint", text(&network)]] {
        let arguments = [&["eval"], &data[..], &network].concat();
        refused(&arguments, &words);
    }
    let figure = ["figure", "attacked", "--journal", text(&model)];
    refused(
        &[&figure[..], &["--output", text(folder.path())]].concat(),
        &words,
    );
}

/// A link stays one, and a pipe is written to: neither is replaced by a file.
#[test]
fn what_is_written_goes_through_links_and_into_pipes() {
    let (folder, _, output) = begun();
    let at = |name: &str| folder.path().join(name);
    let checkpoint = output.join("checkpoint.safetensors");
    let export = |output: &Path| {
        let network = ["export", "--checkpoint", text(&checkpoint)];
        let (result, errors) = run(&[&network[..], &["--output", text(output)]].concat());
        assert!(result.status.success(), "{errors}");
    };
    let (plain, target, link, pipe) = (at("plain.onnx"), at("target"), at("link.onnx"), at("pipe"));
    export(&plain);
    fs::write(&target, "before").unwrap();
    symlink(&target, &link).unwrap();
    export(&link);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let expected = fs::read(&plain).unwrap();
    assert_eq!(fs::read(&target).unwrap(), expected);
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reader = thread::spawn({
        let pipe = pipe.clone();
        move || {
            let mut found = Vec::new();
            fs::File::open(pipe)
                .unwrap()
                .read_to_end(&mut found)
                .unwrap();
            found
        }
    });
    export(&pipe);
    assert_eq!(reader.join().unwrap(), expected);
    assert!(!fs::symlink_metadata(&pipe).unwrap().is_file());
    fs::remove_file(&target).unwrap();
    let network = ["export", "--checkpoint", text(&checkpoint)];
    let nowhere = [&network[..], &["--output", text(&link)]].concat();
    refused(&nowhere, &["link.onnx", "leads nowhere"]);
}

/// Nor does a run that was copied by links write into the one that it was copied from.
#[test]
fn a_run_of_links_leaves_the_one_they_lead_to() {
    let (folder, config, output) = begun();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    let files = ["checkpoint.safetensors", "config.toml", "log.jsonl"];
    for file in files {
        symlink(output.join(file), copy.join(file)).unwrap();
    }
    let before = files.map(|file| fs::read(output.join(file)).unwrap());
    let (result, errors) = run(&resume(&config, folder.path(), &copy));
    assert!(result.status.success(), "{errors}");
    assert_eq!(
        files.map(|file| fs::read(output.join(file)).unwrap()),
        before
    );
    assert_ne!(fs::read(copy.join(files[0])).unwrap(), before[0]);
}

/// Progress that nobody reads any more, and results, stop no work.
#[test]
fn a_reader_that_has_gone_stops_no_run() {
    let (folder, config, output) = begun();
    let mut going = command(&resume(&config, folder.path(), &output));
    let mut going = going.stderr(Stdio::piped()).spawn().unwrap();
    drop(going.stderr.take());
    assert!(going.wait().unwrap().success());
    let log = fs::read_to_string(output.join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 3);
    let checkpoint = output.join("checkpoint.safetensors");
    let network = [
        "--checkpoint",
        text(&checkpoint),
        "--data",
        text(folder.path()),
    ];
    let mut measured = command(&[&["eval"], &network[..]].concat());
    let measured = measured.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut measured = measured.spawn().unwrap();
    drop(measured.stdout.take());
    let result = measured.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut measured = command(&[&["eval"], &network[..]].concat());
    let result = measured.stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{errors}");
    assert!(errors.contains("the standard output"), "{errors}");
}

/// Before memory is taken for it.
#[test]
fn a_network_too_large_to_export_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 1, "");
    let text_of = fs::read_to_string(&config).unwrap();
    let kernels = vec!["3"; 64].join(", ");
    let large = text_of
        .replace("width = 8", "width = 8192\npaths = 2")
        .replace("kernels = [3, 1]", &format!("kernels = [{kernels}]"))
        .replace("strides = [2, 1]\n", "");
    fs::write(&config, large).unwrap();
    let output = folder.path().join("run");
    let arguments = resume(&config, folder.path(), &output);
    refused(
        &arguments[..7],
        &["network.width", "parameters", "500000000"],
    );
}
