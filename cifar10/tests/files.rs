//! Whole files are read as they are; damaged ones are named.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::Path;

use bagcert_cifar10::{Cifar10Error, IMAGE_LEN, Part, RECORD_LEN, Records, files};

fn bytes(records: usize) -> Vec<u8> {
    let value = |index: usize| (index % 251) as u8;
    (0..records)
        .flat_map(|record| {
            std::iter::once((record % 10) as u8)
                .chain((0..IMAGE_LEN).map(move |i| value(record + i)))
        })
        .collect()
}

fn packed(data: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn read(folder: &Path, data: &[u8]) -> Result<Records, Cifar10Error> {
    let path = folder.join("some.bin");
    fs::write(&path, data).unwrap();
    Records::read(&path)
}

#[test]
fn plain_and_packed_files_hold_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let data = bytes(13);
    for content in [data.clone(), packed(&data)] {
        let records = read(folder.path(), &content).unwrap();
        assert_eq!(records.len(), 13);
        for (at, (label, image)) in records.iter().enumerate() {
            assert_eq!(label, at % 10);
            assert_eq!(image, &data[at * RECORD_LEN + 1..(at + 1) * RECORD_LEN]);
        }
        assert!(records.get(13).is_none() && records.get(usize::MAX).is_none());
    }
}

#[test]
fn damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = bytes(3);
    let cut = packed(&data);
    let mut label = data.clone();
    label[RECORD_LEN] = 10;
    let cases = [
        (data[1..].to_vec(), "whole number"),
        (vec![], "whole number"),
        (cut[..cut.len() / 2].to_vec(), "cut short"),
        (label, "record 1 has label 10"),
    ];
    for (content, expected) in cases {
        let error = read(folder.path(), &content).unwrap_err().to_string();
        assert!(
            error.contains("some.bin") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn a_folder_stands_for_its_batches_plain_before_packed() {
    let folder = tempfile::tempdir().unwrap();
    for index in 1..=5 {
        fs::write(
            folder.path().join(format!("data_batch_{index}.bin.xz")),
            b"",
        )
        .unwrap();
    }
    fs::write(folder.path().join("data_batch_2.bin"), b"").unwrap();
    let found = files(folder.path(), Part::Train).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|batch| batch.path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names[..2], ["data_batch_1.bin.xz", "data_batch_2.bin"]);
    assert_eq!(found[4].first_index, 40_000);
    let error = files(folder.path(), Part::Test).unwrap_err().to_string();
    assert!(error.contains("test_batch.bin"), "{error}");
}
