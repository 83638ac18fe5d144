//! `inspect`: what it says of a model.

use std::fs;

use sha2::{Digest, Sha256};

use crate::model::{colour_model, small_model};
use crate::{run, text};

#[test]
fn json_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let path = colour_model(folder.path(), 32, 4);
    let sha256: String = Sha256::digest(fs::read(&path).unwrap())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let ran = run([
        "inspect",
        &text(&path),
        "--patch",
        "5x3",
        "--patch",
        "32x32",
        "--format",
        "json",
    ])
    .ended(0);
    // 4 x 3 weights and 4 biases; 12 multiply-adds in each of 1024 cells.
    let expected = format!(
        r#"{{"admitted":true,"input":{{"channels":3,"height":32,"width":32}},"output":{{"classes":4,"height":32,"width":32}},"receptive_field":{{"x":{{"stride":1,"lo":0,"hi":0}},"y":{{"stride":1,"lo":0,"hi":0}}}},"affected":[{{"patch":[5,3],"max_cells":15}},{{"patch":[32,32],"max_cells":1024}}],"parameters":16,"macs":12288,"sha256":"{sha256}","manifest":"matches"}}
"#
    );
    assert_eq!(ran.stdout, expected);
    assert_eq!(ran.stderr, "");
}

#[test]
fn the_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = small_model(folder.path());
    let ran = run(["inspect", &text(&path), "--patch", "5x5"]).ended(0);
    for words in [
        "3 channels, 32 x 32 pixels",
        "10 classes, 32 x 32 cells",
        "5 x 5 pixels",
        "1i-2 to 1i+2",
        "affects at most 81 of 1024 cells",
    ] {
        assert!(
            ran.stdout.contains(words),
            "{words:?} is missing in: {}",
            ran.stdout
        );
    }
}
