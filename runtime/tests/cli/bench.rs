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
        assert_eq!(ran.stderr, "");
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
