//! Bad models (exit status 3) and bad frames (exit status 4).

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use image::{Rgba, RgbaImage};

use crate::common::manifest::with_manifest;
use crate::common::onnx::Builder;
use crate::model::{RED, colour_model, confetti, plain, pooling_model};
use crate::{run, sample, text};

fn cut(from: &Path, to: &Path, keep: usize) {
    let bytes = fs::read(from).unwrap();
    assert!(keep < bytes.len());
    fs::write(to, &bytes[..keep]).unwrap();
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn models_that_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let good = colour_model(folder.path(), 32, 3);
    let frame = text(&plain(folder.path(), "a.png", RED));
    fs::write(path("text.onnx"), "this is no model\n").unwrap();
    fs::write(path("empty.onnx"), "").unwrap();
    fs::create_dir(path("folder.onnx")).unwrap();
    cut(&good, &path("cut.onnx"), 150);
    let models: Vec<(PathBuf, Vec<&str>)> = vec![
        (with_manifest(path("text.onnx")), vec!["not a whole ONNX"]),
        (with_manifest(path("empty.onnx")), vec!["is empty"]),
        (path("folder.onnx"), vec!["regular file"]),
        (with_manifest(path("cut.onnx")), vec!["not a whole ONNX"]),
        (path("missing.onnx"), vec!["cannot be read"]),
        (with_manifest(path("a.png")), vec!["not a whole ONNX"]),
        (pooling_model(folder.path()), vec!["squeeze"]),
    ];
    let data = format!("cifar10:{}", text(&sample()));
    for (model, mut words) in models {
        let model = text(&model);
        words.push(&model);
        let commands: [&[&str]; 4] = [
            &["certify", "--model", &model, "--patch", "5x5", &frame],
            &["eval", "--model", &model, "--patch", "5x5", "--data", &data],
            &["inspect", &model],
            &["bench", &model],
        ];
        for command in commands {
            let ran = run(command).ended(3);
            ran.says(&words);
            assert_eq!(ran.stdout, "");
        }
        let ran = run(["inspect", &model, "--format", "json"]).ended(3);
        let refusal = &ran.json()[0];
        assert_eq!(refusal["admitted"], false);
        assert!(
            words
                .iter()
                .all(|word| refusal["reason"].as_str().unwrap().contains(word))
        );
    }
}

/// Every bad file beside a good one: the good one is done, the bad one is named, and counted.
#[test]
fn frames_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let good = plain(folder.path(), "good-red.png", RED);
    let path = |name: &str| folder.path().join(name);
    let png = path("noise.png");
    confetti(1).save(&png).unwrap();
    let jpeg = path("noise.jpg");
    confetti(1).save(&jpeg).unwrap();

    let length = fs::metadata(&png).unwrap().len() as usize;
    cut(&png, &path("half.png"), length / 2);
    cut(&png, &path("header.png"), 20);
    cut(
        &jpeg,
        &path("half.jpg"),
        fs::metadata(&jpeg).unwrap().len() as usize / 2,
    );
    let mut flipped = fs::read(&png).unwrap();
    flipped[length / 2] ^= 0x20;
    fs::write(path("flipped.png"), flipped).unwrap();
    fs::write(path("text.png"), "no picture").unwrap();
    fs::write(path("empty.png"), "").unwrap();
    fs::write(path("pictures.gif"), b"GIF89a\x20\x00\x20\x00\x00\x00\x00;").unwrap();
    fs::write(
        path("dark.ppm"),
        [b"P6 32 32 15\n".as_slice(), &[15; 3072]].concat(),
    )
    .unwrap();
    fs::create_dir(path("bare")).unwrap();
    image::RgbImage::new(31, 32)
        .save(path("narrow.png"))
        .unwrap();
    image::RgbImage::new(32, 33).save(path("tall.jpg")).unwrap();
    let mut glass = RgbaImage::from_pixel(32, 32, Rgba([255, 0, 0, 255]));
    glass.put_pixel(7, 9, Rgba([255, 0, 0, 254]));
    glass.save(path("glass.png")).unwrap();
    // A header alone that promises 60,000 x 60,000 pixels.
    let mut huge = fs::read(&png).unwrap();
    huge[16..24].copy_from_slice(&[0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60]);
    fs::write(path("huge.png"), huge).unwrap();

    let cases: [(&str, &[&str]); 15] = [
        ("half.png", &[]),
        ("header.png", &[]),
        ("half.jpg", &[]),
        ("flipped.png", &[]),
        ("text.png", &[]),
        ("empty.png", &[]),
        ("pictures.gif", &["not read"]),
        ("dark.ppm", &["15"]),
        ("bare", &["no image file"]),
        ("narrow.png", &["31x32", "32x32"]),
        ("tall.jpg", &["32x33", "32x32"]),
        ("glass.png", &["(7, 9)", "opaque"]),
        ("huge.png", &[]),
        ("missing.png", &[]),
        ("cifar10", &[]),
    ];
    for (name, words) in cases {
        let bad = text(&path(name));
        let ran = run([
            "certify",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--format",
            "jsonl",
            &bad,
            &text(&good),
        ])
        .ended(4);
        ran.says(words);
        ran.says(&[&bad, "1 input could not be used"]);
        let lines = ran.json();
        assert_eq!(lines.len(), 1, "{name}");
        assert_eq!(lines[0]["id"], text(&good));
    }
}

#[test]
fn failures_are_counted_and_the_others_done() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    for name in ["1.png", "3.png", "5.png"] {
        plain(&frames, name, RED);
    }
    fs::write(frames.join("2.png"), "bad").unwrap();
    fs::write(frames.join("4.png"), "bad").unwrap();
    let ran = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        "--format",
        "jsonl",
        &text(&frames),
        "missing",
    ])
    .ended(4);
    ran.says(&["2.png", "4.png", "missing", "3 inputs could not be used"]);
    let ids: Vec<String> = ran
        .json()
        .iter()
        .map(|l| l["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        ids,
        ["1.png", "3.png", "5.png"].map(|name| text(&frames.join(name)))
    );
}

#[test]
fn data_files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let path = |name: &str| folder.path().join(name);
    let bytes = fs::read(sample()).unwrap();
    let xz = packed(&bytes);
    fs::write(path("odd.bin"), &bytes[..3073 * 2 + 1]).unwrap();
    fs::write(path("empty.bin"), "").unwrap();
    let mut label = bytes.clone();
    label[3073 * 4] = 10;
    fs::write(path("label.bin"), &label).unwrap();
    fs::write(path("whole.bin.xz"), &xz).unwrap();
    fs::write(path("cut.bin.xz"), &xz[..xz.len() / 2]).unwrap();
    // Not even the last byte may be missing.
    fs::write(path("end.bin.xz"), &xz[..xz.len() - 1]).unwrap();
    fs::write(path("magic.xz"), &xz[..6]).unwrap();
    fs::write(path("plain.bin.xz"), &bytes).unwrap();
    let mut flipped = xz.clone();
    flipped[xz.len() / 2] ^= 1;
    fs::write(path("flipped.bin.xz"), &flipped).unwrap();
    fs::write(path("odd.bin.xz"), packed(&bytes[..5000])).unwrap();
    // 400 MB of zeros in 60 kB.
    let zeros = vec![0; 3073 * 130_000];
    fs::write(path("bomb.bin.xz"), packed(&zeros)).unwrap();
    drop(zeros);
    fs::create_dir(path("nothing")).unwrap();

    for (name, words) in [
        ("odd.bin", &["6147 bytes", "3073"][..]),
        ("empty.bin", &[]),
        ("label.bin", &["record 4", "label 10"]),
        ("cut.bin.xz", &["xz"]),
        ("end.bin.xz", &["xz"]),
        ("magic.xz", &["xz"]),
        ("plain.bin.xz", &["xz"]),
        ("flipped.bin.xz", &["xz"]),
        ("odd.bin.xz", &["5000 bytes"]),
        ("bomb.bin.xz", &["more than"]),
        ("nothing", &["test_batch.bin"]),
        ("missing.bin", &[]),
    ] {
        let bad = format!("cifar10:{}", text(&path(name)));
        let whole = format!("cifar10:{}", text(&path("whole.bin.xz")));
        let ran = run([
            "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &bad, &whole,
        ])
        .ended(4);
        ran.says(words);
        ran.says(&[&text(&path(name)), "1 input could not be used"]);
        assert_eq!(ran.json().len(), 100, "{name}");
        run(["eval", "--model", &model, "--patch", "5x5", "--data", &bad]).ended(4);
    }
}

#[test]
fn cifar_is_not_resized_either() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 24, 10));
    let data = format!("cifar10:{}", text(&sample()));
    let ran = run(["eval", "--model", &model, "--patch", "5x5", "--data", &data]).ended(4);
    ran.says(&["32x32", "24x24", &text(&sample())]);
}

/// A file that never ends is given up, and so is one that may not be read.
#[test]
fn devices() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    for input in [
        "/dev/zero",
        "cifar10:/dev/zero",
        "/dev/null",
        "cifar10:/dev/null",
    ] {
        let ran = run(["certify", "--model", &model, "--patch", "5x5", input]).ended(4);
        ran.says(&[input.trim_start_matches("cifar10:")]);
    }
    run(["inspect", "/dev/zero"]).ended(3);
}

/// Names that could steer a terminal, break a line, or are no text at all.
#[cfg(target_os = "linux")]
#[test]
fn strange_names() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path(), 32, 3);
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    let plain = plain(folder.path(), "a.png", RED);
    for name in [&b"1\x1b[2J.png"[..], b"2\n.png", b"3\xff.png"] {
        fs::copy(&plain, frames.join(OsStr::from_bytes(name))).unwrap();
    }
    let ran = |format: &str| {
        run([
            OsStr::new("certify"),
            "--model".as_ref(),
            model.as_os_str(),
            "--patch".as_ref(),
            "5x5".as_ref(),
            "--format".as_ref(),
            format.as_ref(),
            frames.as_os_str(),
        ])
        .ended(0)
    };
    let table = ran("table").stdout;
    assert!(!table.contains('\x1b'));
    assert_eq!(
        table.lines().filter(|line| line.contains(".png")).count(),
        3
    );
    let lines = ran("jsonl");
    assert_eq!(lines.stdout.lines().count(), 3);
    assert!(lines.json()[1]["id"].as_str().unwrap().ends_with("2\n.png"));
}

/// A logit that is not a finite number is a fault of its frame, never a vote or none.
#[test]
fn a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let mut b = Builder::new(32, 32);
    let weights = b.constant("w", &[2, 3, 1, 1], &[3e38; 6]);
    let logits = b.op("Conv", "logits", &["image", &weights], &[]);
    b.output(&logits);
    let model = text(&with_manifest(b.write(folder.path(), "huge.onnx")));
    let red = text(&plain(folder.path(), "red.png", RED));
    let white = text(&plain(folder.path(), "white.png", image::Rgb([255; 3])));
    let ran = run([
        "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &white, &red,
    ])
    .ended(4);
    ran.says(&[&white, "fault", "1 input could not be used"]);
    let lines = ran.json();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["id"], red);
}
