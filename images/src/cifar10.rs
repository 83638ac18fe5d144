//! CIFAR-10 (Krizhevsky, 2009): its classes and its files.

use std::path::{Path, PathBuf};

use crate::FileError;

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
