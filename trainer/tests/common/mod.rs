//! A made-up data set in CIFAR-10's layout, small enough to train on in a second.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod changed;
pub(crate) mod trained;
pub(crate) mod trees;
pub(crate) mod untrained;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, MutexGuard},
};

/// Held while random numbers are drawn that must be the same again: libtorch has one generator for all threads, and
/// `cargo test` runs the tests of a file at once. In such a file every test that draws holds it.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let lock = GENERATOR.lock();
    lock.unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// `count` records whose brightness depends on the label, with some noise.
pub(crate) fn records(count: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).max(1);
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    let mut bytes = Vec::with_capacity(count * 3073);
    for index in 0..count {
        let label = (index % 10) as u8;
        bytes.push(label);
        bytes.extend((0..3072).map(|_| label * 20 + noise() / 4));
    }
    bytes
}

/// The six files of the data set, `count` records each.
pub(crate) fn write_dataset(folder: &Path, count: usize) {
    for index in 1..=5 {
        fs::write(
            folder.join(format!("data_batch_{index}.bin")),
            records(count, index),
        )
        .unwrap();
    }
    fs::write(folder.join("test_batch.bin"), records(count, 9)).unwrap();
}

/// A configuration for the made-up data set, in a file; `extra` are keys of the table `[network]`.
pub(crate) fn write_config(folder: &Path, epochs: usize, extra: &str) -> PathBuf {
    write_config_with(folder, epochs, &[("network", extra)])
}

/// The same with more keys: (table, lines).
pub(crate) fn write_config_with(folder: &Path, epochs: usize, extra: &[(&str, &str)]) -> PathBuf {
    let path = folder.join("config.toml");
    let more = |table: &str| {
        let lines = extra.iter().filter(|(of, _)| *of == table);
        lines
            .map(|(_, lines)| format!("{lines}\n"))
            .collect::<String>()
    };
    let text = format!(
        "seed = 7\n[data]\nvalidation = 20\n{}[network]\nwidth = 8\nkernels = [3, 1]\nstrides = [2, 1]\n{}\
         [loss]\nmargin = 0.5\none_hot = 0.1\n{}[training]\nepochs = {epochs}\nbatch = 16\n\
         learning_rate = 0.01\nwarmup_epochs = 0.5\n{}{}",
        more("data"),
        more("network"),
        more("loss"),
        more("training"),
        more("")
    );
    fs::write(&path, text).unwrap();
    path
}

/// The command `bagcert-train`, on one thread.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bagcert-train"));
    command.args(args).env("OMP_NUM_THREADS", "1");
    command
}

/// The command behind these words of a shell, on one thread.
pub(crate) fn limited(limit: &str, arguments: &[&str]) -> Output {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("{limit}; exec \"$0\" \"$@\""));
    shell
        .arg(command(&[]).get_program())
        .args(arguments)
        .env("OMP_NUM_THREADS", "1");
    shell.output().unwrap()
}

/// Runs `bagcert-train`; its standard error as text.
pub(crate) fn run(args: &[&str]) -> (Output, String) {
    let output = command(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!text.contains("panicked"), "{text}");
    (output, text)
}

/// Runs `bagcert-train train`; its standard error as text.
pub(crate) fn train(config: &Path, data: &Path, output: &Path, more: &[&str]) -> (Output, String) {
    let mut arguments = vec!["train", "--config", text(config), "--data", text(data)];
    arguments.extend(["--output", text(output)]);
    arguments.extend(more);
    run(&arguments)
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
