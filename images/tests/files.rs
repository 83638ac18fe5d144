//! Whole files are read as they are; damaged ones are named.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::Path;

use bagcert_images::{CHECKSUMS, FileError, IMAGE_LEN, Layout, Part, RECORD_LEN, Records, files};
use sha2::{Digest, Sha256};

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

fn read(folder: &Path, data: &[u8]) -> Result<Records, FileError> {
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

/// The header of a small file can ask for 4 GiB, and a small file can unpack to any length.
#[test]
fn hostile_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = packed(&bytes(1));
    // After 12 bytes the header of the block: its size, flags, the filter's id, one byte of
    // properties (the dictionary), padding, and a CRC-32 of all these.
    let size = (usize::from(archive[12]) + 1) * 4;
    assert_eq!(archive[14..16], [0x21, 1], "not the LZMA2 filter");
    archive[16] = 40;
    let (header, rest) = archive[12..].split_at_mut(size);
    let (content, sum) = header.split_at_mut(size - 4);
    sum.copy_from_slice(&crc32(content).to_le_bytes());
    assert!(!rest.is_empty());
    let error = read(folder.path(), &archive).unwrap_err().to_string();
    assert!(error.contains("memory limit"), "{error}");

    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
    for _ in 0..200 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 1 << 16);
    let error = read(folder.path(), &bomb).unwrap_err();
    assert!(matches!(error, FileError::TooLong { .. }), "{error}");
}

/// As in the xz format: reflected, polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xEDB8_8320 * (sum & 1))
        })
    })
}

/// Sparse: it takes no space, but would take long to read.
#[test]
fn a_file_that_is_too_long_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("endless.bin");
    fs::File::create(&path).unwrap().set_len(1 << 42).unwrap();
    let error = Records::read(&path).unwrap_err();
    assert!(matches!(error, FileError::TooLong { .. }), "{error}");
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

#[test]
fn other_layouts_take_the_last_label() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.bin");
    let record = |coarse: u8, fine: u8| {
        let mut record = vec![coarse, fine];
        record.extend((0..IMAGE_LEN).map(|at| (at % 7) as u8 + fine));
        record
    };
    let data = [record(3, 99), record(19, 0), record(0, 42)].concat();
    for content in [data.clone(), packed(&data)] {
        fs::write(&path, content).unwrap();
        let records = Records::read_as(&path, Layout::CIFAR100).unwrap();
        let labels: Vec<usize> = records.iter().map(|(label, _)| label).collect();
        assert_eq!(labels, [99, 0, 42]);
        assert_eq!(records.get(2).unwrap().1[..2], [42, 43]);
    }
    fs::write(&path, &data).unwrap();
    let fewer = Records::read_as(&path, Layout::new(2, 99).unwrap()).unwrap_err();
    assert!(
        fewer.to_string().contains("record 0 has label 99"),
        "{fewer}"
    );
    let error = Records::read(&path).unwrap_err();
    assert!(
        matches!(
            error,
            FileError::OddLength {
                record_len: 3073,
                ..
            }
        ),
        "{error}"
    );
    for (bytes, classes) in [(0, 10), (17, 10), (1, 1), (1, 257), (2, 65_537)] {
        assert_eq!(Layout::new(bytes, classes), None);
    }
    // With as many classes a label may look like the beginning of a packed file.
    let mut data = vec![0xFD];
    data.extend(b"7zXZ\0");
    data.resize(RECORD_LEN, 1);
    fs::write(&path, &data).unwrap();
    let records = Records::read_as(&path, Layout::new(1, 256).unwrap()).unwrap();
    assert_eq!(records.get(0).unwrap().0, 0xFD);
}

/// As many as ImageNet has take two bytes.
#[test]
fn more_than_256_classes_are_told_by_two_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("train.bin");
    let record = |label: [u8; 3]| [&label[..], &[7; IMAGE_LEN]].concat();
    let data = [record([9, 3, 231]), record([9, 0, 5]), record([9, 1, 0])].concat();
    fs::write(&path, &data).unwrap();
    let records = Records::read_as(&path, Layout::new(3, 1000).unwrap()).unwrap();
    let labels: Vec<usize> = records.iter().map(|(label, _)| label).collect();
    assert_eq!(labels, [999, 5, 256]);
    let fewer = Records::read_as(&path, Layout::new(3, 999).unwrap()).unwrap_err();
    let said = fewer.to_string();
    assert!(said.contains("record 0 has label 999"), "{said}");
}

/// SVHN has 73,257 training images in one file.
#[test]
fn files_of_other_sets_may_be_longer_than_those_of_cifar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("svhn.bin");
    let count = 73_257;
    fs::File::create(&path)
        .unwrap()
        .set_len((count * RECORD_LEN) as u64)
        .unwrap();
    let records = Records::read_as(&path, Layout::new(1, 10).unwrap()).unwrap();
    assert_eq!(records.len(), count);
    let error = Records::read(&path).unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, FileError::TooLong { .. }) && said.contains("split"),
        "{said}"
    );
}

/// Of a listed file only the beginning would be hashed; that it is another is not what is wrong with it.
#[test]
fn a_listed_file_that_is_too_long_is_said_to_be_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.bin");
    let file = fs::File::create(&path).unwrap();
    file.set_len(1 << 28).unwrap();
    let list = format!("{}  some.bin\n", "0".repeat(64));
    fs::write(folder.path().join(CHECKSUMS), list).unwrap();
    let error = Records::read(&path).unwrap_err();
    assert!(matches!(error, FileError::TooLong { .. }), "{error}");
}

/// One pixel of 30,720,000 may be all that is wrong.
#[test]
fn a_file_with_the_name_and_length_of_an_official_one_must_be_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test_batch.bin");
    let data = bytes(10_000);
    fs::write(&path, &data).unwrap();
    let error = Records::read(&path).unwrap_err();
    let said = error.to_string();
    assert!(
        matches!(error, FileError::NotOfficial { .. }) && said.contains("8e2eb146ae340b09"),
        "{said}"
    );
    // Under another name, of another length, or listed it is what the user says.
    fs::copy(&path, folder.path().join("mine.bin")).unwrap();
    Records::read(&folder.path().join("mine.bin")).unwrap();
    fs::write(&path, &data[RECORD_LEN..]).unwrap();
    Records::read(&path).unwrap();
    fs::write(&path, &data).unwrap();
    let hash = Sha256::digest(&data);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let list = folder.path().join(CHECKSUMS);
    fs::write(&list, format!("{hash}  test_batch.bin\n")).unwrap();
    Records::read(&path).unwrap();
}

#[test]
fn a_file_must_be_the_one_in_the_list_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (path, list) = (
        folder.path().join("some.bin"),
        folder.path().join(CHECKSUMS),
    );
    let data = bytes(2);
    fs::write(&path, &data).unwrap();
    let other = "0".repeat(64);
    fs::write(&list, format!("{other}  some.bin\n")).unwrap();
    let error = Records::read(&path).unwrap_err();
    let FileError::OtherChecksum { found, .. } = &error else {
        panic!("{error}")
    };
    let said = error.to_string();
    assert!(said.contains("some.bin") && said.contains(&other), "{said}");
    // As it is, in either form of sha256sum, and not listed at all.
    for line in [
        format!("{found}  some.bin\n"),
        format!("{} *some.bin\n\n", found.to_uppercase()),
        format!("{other}  another.bin\n"),
    ] {
        fs::write(&list, line).unwrap();
        assert_eq!(Records::read(&path).unwrap().len(), 2);
    }
    // A single bit.
    fs::write(&list, format!("{found}  some.bin\n")).unwrap();
    let mut damaged = data.clone();
    damaged[1000] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = Records::read(&path).unwrap_err();
    assert!(matches!(error, FileError::OtherChecksum { .. }), "{error}");
    for bad in ["some.bin\n", "12  some.bin\n", "\u{e9}\n"] {
        fs::write(&list, format!("{found}  some.bin\n{bad}")).unwrap();
        let error = Records::read(&path).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
    fs::write(&list, [0xFF, 0xFE]).unwrap();
    let error = Records::read(&path).unwrap_err();
    assert!(matches!(error, FileError::Unreadable { .. }), "{error}");
}
