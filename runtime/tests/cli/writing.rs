//! Results go where they should, whole or not at all.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::model::{BLUE, GREEN, RED, colour_model, confetti, plain, small_model};
use crate::{bagcert, finish, run, sample, text};

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Runs the command where no file may grow past `blocks` blocks of 512 or 1024 bytes.
fn run_on_small_disk(blocks: u32, args: &[&str]) -> crate::Ran {
    let mut command = Command::new("sh");
    command
        .arg("-c")
        // A file too large is an error like a full disk then, and no signal.
        .arg(format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""
        ))
        .arg(env!("CARGO_BIN_EXE_bagcert"))
        .args(args);
    finish(&mut command)
}

#[test]
fn an_output_file_holds_what_the_standard_output_would() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = format!("cifar10:{}", text(&sample()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let file = out.join("results");
    for format in ["jsonl", "csv"] {
        let args = [
            "certify", "--model", &model, "--patch", "5x5", "--format", format, &data,
        ];
        let shown = run(args).ended(0).stdout;
        let written = run(args.iter().chain(&["--output", &text(&file)])).ended(0);
        assert_eq!(written.stdout, "");
        assert_eq!(fs::read_to_string(&file).unwrap(), shown);
        assert_eq!(names(&out), ["results"]);
    }
    // A device is written in place.
    run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        &data,
        "--output",
        "/dev/null",
    ])
    .ended(0);
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    // A folder is no file.
    let ran = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        &data,
        "--output",
        &text(&out),
    ]);
    ran.ended(2).says(&["folder"]);
    // A link stays a link.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    fs::write(&file, "old").unwrap();
    run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        &data,
        "--output",
        &text(&link),
    ])
    .ended(0);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_ne!(fs::read_to_string(&file).unwrap(), "old");
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = format!("cifar10:{}", text(&sample()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let file = text(&out.join("results.jsonl"));
    let args = [
        "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &data, "--output",
        &file,
    ];
    let ran = run_on_small_disk(2, &args).ended(1);
    ran.says(&[&file, "--output"]);
    assert!(names(&out).is_empty());
    // What was there before stays.
    fs::write(&file, "earlier").unwrap();
    run_on_small_disk(2, &args).ended(1);
    assert_eq!(names(&out), ["results.jsonl"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "earlier");
    // The check can fail: with room enough the same command does write.
    run_on_small_disk(2000, &args).ended(0);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 100);
}

#[test]
fn what_a_command_reads_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    let frame = text(&plain(&frames, "a.png", RED));
    let other = text(&plain(folder.path(), "b.png", BLUE));
    let records = text(&folder.path().join("test_batch.bin"));
    fs::copy(sample(), &records).unwrap();
    let data = format!("cifar10:{records}");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&model, &link).unwrap();
    let manifest = model.replace(".onnx", ".toml");
    let linked = folder.path().join("linked");
    fs::create_dir(&linked).unwrap();
    std::os::unix::fs::symlink(&other, linked.join("c.png")).unwrap();
    let (link, frames, linked) = (text(&link), text(&frames), text(&linked));
    let certify = ["certify", "--model", &model, "--patch", "5x5"];
    let eval = ["eval", "--model", &model, "--patch", "5x5", "--data", &data];
    for (command, input, output) in [
        (&certify[..], &frame, &model),
        (&certify, &frame, &link),
        (&certify, &frame, &manifest),
        (&certify, &frame, &frame),
        (&certify, &frames, &frame),
        (&certify, &linked, &other),
        (&certify, &data, &records),
        (&eval, &String::new(), &records),
        (&eval, &String::new(), &model),
    ] {
        let before = fs::read(output).unwrap();
        let inputs = [input.as_str()];
        let inputs = inputs.iter().filter(|input| !input.is_empty());
        let to = ["--output", output];
        let ran = run(command.iter().chain(inputs).chain(&to)).ended(2);
        ran.says(&["--output", output, "reads that file"]);
        assert!(fs::read(output).unwrap() == before, "{output}");
    }
    // Another image, and results among the frames, are the user's to replace.
    for output in [&other, &format!("{frames}/results.csv")] {
        let to = [frames.as_str(), "--output", output];
        run(certify.iter().chain(&to)).ended(0);
        assert!(fs::read_to_string(output).unwrap().contains("red"));
    }
}

#[test]
fn a_folder_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let file = text(&folder.path().join("no/such/results.csv"));
    let ran = run([
        "certify", "--model", &model, "--patch", "5x5", &frame, "--output", &file,
    ])
    .ended(1);
    ran.says(&[&file]);
    // A report is a folder, and those around it are made with it; where they cannot be, no frame is looked at.
    let report = text(&folder.path().join("new/folder/report"));
    let args = ["certify", "--model", &model, "--patch", "5x5", &frame];
    run(args.iter().chain(&["--report", &report])).ended(0);
    assert_eq!(names(Path::new(&report)), ["index.html"]);
    let inside = format!("{frame}/inside/report");
    let ran = run(args.iter().chain(&["--report", &inside])).ended(1);
    ran.says(&["--report", &inside]);
    assert_eq!(ran.stderr.matches("os error").count(), 1, "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_full_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let data = format!("cifar10:{}", text(&sample()));
    let commands: [&[&str]; 5] = [
        &["certify", "--model", &model, "--patch", "5x5", &frame],
        &[
            "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &frame,
        ],
        &["eval", "--model", &model, "--patch", "5x5", "--data", &data],
        &["inspect", &model],
        &["bench", &model, "--frames", "3"],
    ];
    for command in commands {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let ran = finish(bagcert(command).stdout(full)).ended(1);
        ran.says(&["standard output"]);
        // With no room for words either, the status still tells.
        let full = || {
            fs::OpenOptions::new()
                .write(true)
                .open("/dev/full")
                .unwrap()
        };
        finish(bagcert(command).stdout(full()).stderr(full())).ended(1);
    }
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    finish(bagcert(["certify"]).stderr(full)).ended(2);
}

#[test]
fn a_reader_that_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    // More than a pipe holds.
    let data = format!("cifar10:{}", text(&sample()));
    let mut args = vec![
        "certify", "--model", &model, "--area", "12", "--format", "jsonl",
    ];
    args.extend([data.as_str(); 20]);
    let mut child = bagcert(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"id\":\"0\""));
    drop(reader);
    let end = child.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0));
    let said = String::from_utf8(end.stderr).unwrap();
    assert!(
        said.lines().all(|line| line.contains("no golden frames")),
        "{said}"
    );
}

#[test]
fn a_report() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 4));
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    plain(&frames, "1-green.png", GREEN);
    confetti(1).save(frames.join("2-red.png")).unwrap();
    plain(&frames, "3-<b>&.png", RED);
    let report = folder.path().join("report");
    let args = [
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        "--patch",
        "31x31",
        &text(&frames),
        "--report",
        &text(&report),
    ];
    let ran = run(args).ended(0);
    ran.says(&["index.html"]);
    assert_eq!(names(&report), ["index.html"]);
    let page = fs::read_to_string(report.join("index.html")).unwrap();
    assert!(page.contains("All 3 frames are shown"));
    assert_eq!(page.matches("<article>").count(), 3);
    // Four pictures for each frame, all of them inside the page.
    assert_eq!(page.matches("href=\"data:image/png;base64,").count(), 12);
    assert!(!page.contains("http"), "the page reaches for the network");
    // Names of files are text, not markup.
    assert!(page.contains("3-&lt;b&gt;&amp;.png") && !page.contains("<b>&.png"));
    assert!(page.contains("No 5x5 patch, anywhere in this frame, can change the answer green"));

    // An earlier report is replaced, whole.
    let again = run(args).ended(0);
    again.says(&["index.html"]);
    assert_eq!(names(&report), ["index.html"]);
    assert_eq!(
        names(folder.path()),
        ["colours.onnx", "colours.toml", "frames", "report"]
    );
}

#[test]
fn a_report_overwrites_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 4));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let report = folder.path().join("report");
    let args = [
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        &frame,
        "--report",
        &text(&report),
    ];
    fs::create_dir(&report).unwrap();
    fs::write(report.join("index.html"), "<html>my own page</html>").unwrap();
    run(args).ended(2).says(&[&text(&report)]);
    assert_eq!(
        fs::read_to_string(report.join("index.html")).unwrap(),
        "<html>my own page</html>"
    );
    fs::remove_file(report.join("index.html")).unwrap();
    // An empty folder may be used.
    run(args).ended(0);
    fs::write(report.join("thesis.txt"), "years of work").unwrap();
    run(args).ended(2);
    assert_eq!(names(&report), ["index.html", "thesis.txt"]);
    fs::remove_dir_all(&report).unwrap();
    fs::write(&report, "a file").unwrap();
    run(args).ended(2).says(&["not a folder"]);
    assert_eq!(fs::read_to_string(&report).unwrap(), "a file");
}

#[test]
fn a_full_disk_leaves_no_half_report() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let data = format!("cifar10:{}", text(&sample()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let report = text(&out.join("report"));
    let args = [
        "eval", "--model", &model, "--patch", "5x5", "--data", &data, "--report", &report,
    ];
    let ran = run_on_small_disk(8, &args).ended(1);
    ran.says(&[&report]);
    assert!(names(&out).is_empty());
    run(args).ended(0);
    let page = fs::read(out.join("report/index.html")).unwrap();
    run_on_small_disk(8, &args).ended(1);
    // The earlier report is still whole.
    assert_eq!(fs::read(out.join("report/index.html")).unwrap(), page);
    assert_eq!(names(&out), ["report"]);
}

/// Killed in the middle, the command leaves nothing under the file's name.
#[test]
fn a_kill_leaves_no_half_file() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&small_model(folder.path()));
    let data = format!("cifar10:{}", text(&sample()));
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    let file = text(&out.join("results.csv"));
    let mut args = vec![
        "certify", "--model", &model, "--area", "24", "--format", "csv", "--output", &file,
    ];
    args.extend([data.as_str(); 50]);
    let mut child = bagcert(&args).stderr(Stdio::null()).spawn().unwrap();
    // Something has reached the disk, so the kill comes in the middle.
    let in_the_middle = || {
        names(&out)
            .iter()
            .any(|name| fs::metadata(out.join(name)).is_ok_and(|file| file.len() > 0))
    };
    while !in_the_middle() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before it could be killed"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!Path::new(&file).exists());
    // What is left cannot be taken for results.
    assert!(
        names(&out)
            .iter()
            .all(|name| name.starts_with(".bagcert-") && name.ends_with(".part"))
    );
}
