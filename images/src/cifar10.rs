//! CIFAR-10 (Krizhevsky, 2009): its classes and its files.

use std::path::{Path, PathBuf};

use crate::{FileError, RECORD_LEN, checksum::sha256};

/// Number of classes.
pub const CLASSES: usize = 10;
/// The classes, in label order.
pub const CLASS_NAMES: [&str; CLASSES] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];
/// Records in each official file.
const FILE_RECORDS: usize = 10_000;
/// The SHA-256 of each official file.
const OFFICIAL: [(&str, &str); 6] = [
    (
        "data_batch_1.bin",
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    ),
    (
        "data_batch_2.bin",
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    ),
    (
        "data_batch_3.bin",
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    ),
    (
        "data_batch_4.bin",
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    ),
    (
        "data_batch_5.bin",
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    ),
    (
        "test_batch.bin",
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    ),
];

/// Checks the unpacked bytes of a file with the name and the length of an official one; others pass.
pub(crate) fn check_official(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".xz").unwrap_or(&name);
    let official = OFFICIAL.iter().find(|(official, _)| *official == name);
    let Some((_, expected)) = official.filter(|_| bytes.len() == FILE_RECORDS * RECORD_LEN) else {
        return Ok(());
    };
    let found = sha256(bytes);
    if found == *expected {
        return Ok(());
    }
    Err(FileError::NotOfficial {
        path: path.to_owned(),
        expected,
        found,
    })
}

/// A part of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `test_batch`, 10,000 images.
    Test,
    /// `data_batch_1` to `data_batch_5`, 50,000 images.
    Train,
}

impl Part {
    const fn batches(self) -> &'static [&'static str] {
        match self {
            Part::Test => &["test_batch.bin"],
            Part::Train => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
        }
    }
}

/// A file of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Where it is.
    pub path: PathBuf,
    /// The index that its first record has in the whole part.
    pub first_index: usize,
}

/// The files that `path` stands for: itself, or the batches of `part` in it, plain before packed.
///
/// # Errors
/// Where there is nothing at `path`, or a folder lacks one of the files.
pub fn files(path: &Path, part: Part) -> Result<Vec<Batch>, FileError> {
    let metadata = std::fs::metadata(path).map_err(|source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if !metadata.is_dir() {
        return Ok(vec![Batch {
            path: path.to_owned(),
            first_index: 0,
        }]);
    }
    // The official archive unpacks into this folder.
    let nested = path.join("cifar-10-batches-bin");
    let folder = if nested.is_dir() { &nested } else { path };
    let mut batches = Vec::new();
    for (number, name) in part.batches().iter().enumerate() {
        let file = [folder.join(name), folder.join(format!("{name}.xz"))]
            .into_iter()
            .find(|file| file.exists())
            .ok_or_else(|| FileError::Missing {
                path: folder.to_owned(),
                wanted: (*name).to_owned(),
            })?;
        batches.push(Batch {
            path: file,
            first_index: number * FILE_RECORDS,
        });
    }
    Ok(batches)
}
