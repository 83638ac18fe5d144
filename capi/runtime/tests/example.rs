//! The example in C answers on the sample frames as `bagcert certify` does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../support/c.rs"]
mod c;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bagcert::frames::{Picture, Size};

fn root() -> PathBuf {
    c::folder().parent().unwrap().to_path_buf()
}

/// Writes the sample frames as PPM files, named as they are, into a folder.
fn frames(folder: &Path) -> Vec<PathBuf> {
    let size = Size {
        width: 32,
        height: 32,
    };
    let mut sources: Vec<PathBuf> = fs::read_dir(root().join("models/frames"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "png"))
        .collect();
    sources.sort();
    let write = |source: &PathBuf| {
        let picture = Picture::read(source, size).unwrap();
        let mut bytes = b"P6\n32 32\n255\n".to_vec();
        for pixel in 0..1024 {
            let channel = |plane: usize| (picture.planes()[plane * 1024 + pixel] * 255.0).round();
            bytes.extend([0, 1, 2].map(|plane| channel(plane) as u8));
        }
        let path = folder
            .join(source.file_stem().unwrap())
            .with_extension("ppm");
        fs::write(&path, bytes).unwrap();
        path
    };
    sources.iter().map(write).collect()
}

fn compile(folder: &Path, extra: &[&str], library: &str) -> PathBuf {
    let program = folder.join("frames");
    let library = c::library(library);
    let mut compile = c::compiler("cc", "c99");
    compile
        .args(extra)
        .arg(c::folder().join("examples/frames.c"))
        .arg(&library)
        .arg(format!(
            "-Wl,-rpath,{}",
            library.parent().unwrap().display()
        ))
        .args(["-lm", "-o"])
        .arg(&program);
    c::successful(&mut compile);
    program
}

/// A run of the example on the shipped model, without a key, for patches of 5x5.
fn run(program: &Path, condition: &str, frames: &[PathBuf]) -> Command {
    let mut run = Command::new(program);
    run.arg(root().join("models/cifar10-rf8.onnx"))
        .args(["-", condition, "5", "5"])
        .args(frames);
    run
}

/// What the example must write, from the recorded answers of `bagcert certify` (which
/// `tests/tests/shipped.rs` holds against the program).
fn recorded(frames: &[PathBuf]) -> Vec<String> {
    let golden = fs::read_to_string(root().join("tests/golden/cifar10-rf8.jsonl")).unwrap();
    let mut lines = Vec::new();
    for frame in frames {
        let name = frame.file_stem().unwrap().to_str().unwrap();
        let line = golden.lines().find(|line| line.contains(name)).unwrap();
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let certified = if line["certified"] == true {
            "certified"
        } else {
            "not-certified"
        };
        let votes: Vec<String> = line["votes"]
            .as_array()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        lines.push(format!(
            "{} {} {} {certified} slack {} rival {} worst {},{} square SQUARE votes {}",
            frame.display(),
            line["predicted"],
            line["predicted_name"].as_str().unwrap(),
            line["slack"],
            line["rival"],
            line["worst"]["x"],
            line["worst"]["y"],
            votes.join(" ")
        ));
    }
    lines
}

/// Lines with the largest square taken out, and those squares with what the verdict says.
fn without_squares(text: &str) -> (Vec<String>, Vec<(bool, u32)>) {
    text.lines()
        .map(|line| {
            let (before, after) = line.split_once(" square ").unwrap();
            let (square, votes) = after.split_once(' ').unwrap();
            let certified = line.contains(" certified ");
            (
                format!("{before} square SQUARE {votes}"),
                (certified, square.parse().unwrap()),
            )
        })
        .unzip()
}

#[test]
fn the_example_answers_as_the_command_does() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let frames = frames(folder.path());
    assert!(frames.len() >= 20);
    for library in ["libbagcert_c.so", "libbagcert_c.a"] {
        let program = compile(folder.path(), &[], library);
        let output = c::successful(&mut run(&program, "2", &frames));
        let text = String::from_utf8(output.stdout).unwrap();
        let (lines, squares) = without_squares(&text);
        assert_eq!(lines, recorded(&frames), "{library}");
        for (certified, square) in squares {
            // Condition 3.2 for 5x5 is one of the squares.
            assert_eq!(certified, square >= 5, "{library}: {text}");
        }
        assert!(text.contains(" certified ") && text.contains(" not-certified "));
    }
}

/// What a lead takes from every slack, and from the certificates that have no more than that.
#[test]
fn the_example_asks_for_a_lead() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let frames = frames(folder.path());
    let program = compile(folder.path(), &[], "libbagcert_c.so");
    let answers = |condition: &str| -> Vec<(String, bool, i64)> {
        let output = c::successful(&mut run(&program, condition, &frames));
        let text = String::from_utf8(output.stdout).unwrap();
        let answer = |line: &str| {
            let (before, after) = line.split_once(" slack ").unwrap();
            let predicted = before.split(' ').nth(1).unwrap();
            let (slack, _) = after.split_once(' ').unwrap();
            let certified = before.ends_with(" certified");
            (predicted.to_owned(), certified, slack.parse().unwrap())
        };
        text.lines().map(answer).collect()
    };
    let (without, with) = (answers("5"), answers("5+10"));
    let mut lost = 0;
    for (before, after) in without.iter().zip(&with) {
        assert_eq!(after.1, after.2 > 0);
        if before.0 == after.0 {
            assert_eq!(after.2, before.2 - 10);
        }
        // What is certified with a lead is certified, and the same, without.
        assert!(!after.1 || (before.1 && before.0 == after.0));
        lost += usize::from(before.1 && !after.1);
    }
    assert!(lost > 0 && with.iter().any(|answer| answer.1));
}

/// Memory errors, leaks and undefined behaviour on either side of the boundary.
#[test]
fn the_example_runs_clean_with_sanitizers() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(flags) = c::sanitizers(folder.path()) else {
        return;
    };
    let frames = &frames(folder.path())[..2];
    let program = compile(folder.path(), &flags, "libbagcert_c.a");
    let output = c::successful(&mut run(&program, "5+10", frames));
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 2);
}

/// Whatever the program gets wrong is said in words and with a status, and nothing is certified.
#[test]
fn what_the_example_cannot_use() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let frames = &frames(folder.path())[..1];
    let program = compile(folder.path(), &[], "libbagcert_c.so");
    let fails = |run: &mut Command, status: i32, words: &str| {
        let output = run.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{run:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(words), "{text}");
    };
    fails(&mut run(&program, "9", frames), 4, "query.condition");
    fails(&mut run(&program, "2+10", frames), 4, "query.lead");
    // A PPM file of another size, and none at all.
    let small = folder.path().join("small.ppm");
    fs::write(&small, b"P6\n1 1\n255\nabc").unwrap();
    fails(&mut run(&program, "2", &[small]), 4, "no PPM file");
    let mut other = Command::new(&program);
    other.args(["no-such.onnx", "-", "2", "5", "5"]);
    fails(&mut other, 3, "no-such.onnx");
}
