//! The official CIFAR-10 binary files, plain or packed with xz.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use tch::Tensor;
use thiserror::Error;

use super::Dataset;

/// The classes, in label order.
pub const CLASS_NAMES: [&str; 10] = [
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

const SIDE: i64 = 32;
const PIXELS: usize = 3 * 32 * 32;
const RECORD: usize = 1 + PIXELS;

/// Which of the official files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `data_batch_1` to `data_batch_5`.
    Train,
    /// `test_batch`.
    Test,
}

/// Why images could not be read.
#[derive(Debug, Error)]
pub enum DataError {
    /// Neither the plain nor the packed file is there.
    #[error("{} holds neither {name}.bin nor {name}.bin.xz; give the folder of the CIFAR-10 binary version", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The file's stem.
        name: String,
    },
    /// The file could not be read or unpacked.
    #[error("cannot read {}: {source}; fetch it again if it is damaged", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Not a whole number of records.
    #[error("{} has {length} bytes, which is no whole number of {RECORD}-byte records: it is cut or not CIFAR-10", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length after unpacking.
        length: usize,
    },
    /// A label beyond the ten classes.
    #[error("{}: record {record} has label {label}, but CIFAR-10 has labels 0 to 9: it is damaged or not CIFAR-10", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The record's index.
        record: usize,
        /// Its first byte.
        label: u8,
    },
}

/// Reads one part of the data set from `folder`.
///
/// # Errors
/// Names the file that is missing, damaged or of another format.
pub fn read(folder: &Path, part: Part) -> Result<Dataset, DataError> {
    let names: Vec<String> = match part {
        Part::Train => (1..=5).map(|index| format!("data_batch_{index}")).collect(),
        Part::Test => vec!["test_batch".into()],
    };
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for name in names {
        let (path, bytes) = read_file(folder, &name)?;
        for (record, bytes) in bytes.chunks_exact(RECORD).enumerate() {
            let Some((&label, image)) = bytes.split_first() else {
                continue;
            };
            if usize::from(label) >= CLASS_NAMES.len() {
                return Err(DataError::Label {
                    path,
                    record,
                    label,
                });
            }
            labels.push(i64::from(label));
            pixels.extend_from_slice(image);
        }
    }
    let images = Tensor::from_slice(&pixels).view([-1, 3, SIDE, SIDE]);
    Ok(Dataset {
        images,
        labels: Tensor::from_slice(&labels),
    })
}

fn read_file(folder: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), DataError> {
    let plain = folder.join(format!("{name}.bin"));
    let packed = folder.join(format!("{name}.bin.xz"));
    let path = [plain, packed].into_iter().find(|path| path.exists());
    let path = path.ok_or_else(|| DataError::Missing {
        folder: folder.into(),
        name: name.into(),
    })?;
    let mut bytes = Vec::new();
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        if path.extension().is_some_and(|extension| extension == "xz") {
            liblzma::read::XzDecoder::new_multi_decoder(file).read_to_end(&mut bytes)?;
        } else {
            file.read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let bytes = read().map_err(|source| DataError::Read {
        path: path.clone(),
        source,
    })?;
    if bytes.is_empty() || bytes.len() % RECORD != 0 {
        return Err(DataError::Length {
            path,
            length: bytes.len(),
        });
    }
    Ok((path, bytes))
}
