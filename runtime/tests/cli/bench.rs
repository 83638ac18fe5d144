//! `bench`: that its figures are there and consistent. How long things take is no matter of a test.

use crate::model::colour_model;
use crate::{run, text};

/// The numbers of a row, without their units.
fn numbers(table: &str, row: &str) -> Vec<f64> {
    let line = table.lines().find(|line| line.starts_with(row)).unwrap();
    line[row.len()..]
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

#[test]
fn figures() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    for threads in ["1", "3"] {
        let ran = run(["bench", &model, "--frames", "40", "--threads", threads]).ended(0);
        ran.is_silent();
        assert!(ran.stdout.contains("40 frames"), "{}", ran.stdout);
        let rows = ["forward pass", "binarise and certificate", "both"];
        let [forward, certificate, both] = rows.map(|row| numbers(&ran.stdout, row));
        for row in [&forward, &certificate, &both] {
            let [p50, p99, p999, max, _] = row[..] else {
                panic!("{}", ran.stdout)
            };
            assert!(
                0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max,
                "{}",
                ran.stdout
            );
        }
        assert!((forward[4] + certificate[4] - 100.0).abs() < 0.01);
        assert_eq!(both[4], 100.0);
    }
}

#[test]
fn conditions_and_frames() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let base = ["bench", &model, "--frames", "12", "--patch", "5x5"];
    let with = |more: &[&str]| run([&base[..], more].concat());
    let all = ["--mask-step", "2", "--lead", "3"];
    for (condition, more, words) in [
        ("3.3", &[][..], "Condition 3.3, "),
        ("mask", &all[..2], "condition mask with a mask step of 2, "),
        (
            "double-mask",
            &all[..],
            "condition double-mask with a mask step of 2 and a lead of 3, ",
        ),
        (
            "double-mask",
            &all[2..],
            "condition double-mask with a lead of 3, ",
        ),
    ] {
        let options = ["--patch", "2x2", "--condition", condition];
        let ran = with(&[&options, more].concat()).ended(0);
        assert!(ran.stdout.contains(words), "{}", ran.stdout);
        assert!(ran.stdout.contains("patch 5x5, 2x2"), "{}", ran.stdout);
        assert!(ran.stdout.contains("random pixels"), "{}", ran.stdout);
    }
    // Frames of one's own, fewer than are asked for.
    let pictures = folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for name in ["a.png", "b.png"] {
        image::RgbImage::new(32, 32)
            .save(pictures.join(name))
            .unwrap();
    }
    let ran = with(&[&text(&pictures)]).ended(0);
    assert!(ran.stdout.contains("2 in turn"), "{}", ran.stdout);
    // One that is of another size stops it: a time of other frames would pass for one of these.
    image::RgbImage::new(31, 32)
        .save(pictures.join("c.png"))
        .unwrap();
    let ran = with(&[&text(&pictures)]).ended(4);
    assert!(ran.stderr.contains("31x32"), "{}", ran.stderr);
    let ran = with(&["nowhere.png"]).ended(4);
    assert!(ran.stderr.contains("nowhere.png"), "{}", ran.stderr);
}
