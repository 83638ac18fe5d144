//! CIFAR-10 binary files: records of one label byte and 3 x 32 x 32 pixel bytes, no header.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::{FrameError, Picture, Size};

/// Number of classes in the set.
pub const CLASSES: usize = 10;
/// Bytes of one record: the label, then the red, green and blue planes of 32 x 32 bytes.
pub const RECORD_LEN: usize = 1 + 3 * 32 * 32;

const SIZE: Size = Size {
    width: 32,
    height: 32,
};
const FILE_RECORDS: usize = 10_000;
/// Far above the 30.73 MB of an official file; bounds what a hostile archive can unpack to.
const MAX_LEN: usize = 64_000 * RECORD_LEN;
const XZ_MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];

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

/// A file of the set and the index that its first record has in the whole part.
pub(super) struct Batch {
    pub(super) path: PathBuf,
    pub(super) first_index: usize,
}

/// The files that `path` stands for: itself, or the batches in it, plain before packed.
pub(super) fn files(path: &Path, part: Part) -> Result<Vec<Batch>, FrameError> {
    let metadata = std::fs::metadata(path).map_err(|source| FrameError::Unreadable {
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
            .ok_or_else(|| FrameError::NoCifar {
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

/// The records of one file, unpacked and checked.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Vec<u8>,
}

impl Records {
    /// Reads a plain or xz-packed file; every label is checked here, so that no record of a damaged
    /// file is ever taken for data.
    pub(super) fn read(path: &Path, size: Size) -> Result<Records, FrameError> {
        let bytes = read_bytes(path)?;
        if bytes.is_empty() || bytes.len() % RECORD_LEN != 0 {
            return Err(FrameError::OddLength {
                path: path.to_owned(),
                len: bytes.len(),
            });
        }
        for (record, chunk) in bytes.chunks_exact(RECORD_LEN).enumerate() {
            match chunk.first() {
                Some(&label) if usize::from(label) < CLASSES => {}
                other => {
                    return Err(FrameError::BadLabel {
                        path: path.to_owned(),
                        record,
                        label: other.copied().unwrap_or_default(),
                    });
                }
            }
        }
        if size != SIZE {
            return Err(FrameError::WrongSize {
                path: path.to_owned(),
                found: SIZE,
                expected: size,
            });
        }
        Ok(Records { bytes })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / RECORD_LEN
    }

    /// The label and the picture of record `at`.
    pub(super) fn get(&self, at: usize) -> Result<(usize, Picture), FrameError> {
        let (label, planes) = self
            .bytes
            .chunks_exact(RECORD_LEN)
            .nth(at)
            .and_then(<[u8]>::split_first)
            .ok_or(FrameError::NoSuchFrame { at })?;
        let values = planes.iter().map(|&v| f32::from(v) / 255.0).collect();
        Ok((usize::from(*label), Picture::from_planes(SIZE, values)))
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, FrameError> {
    let unreadable = |source| FrameError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut bytes = Vec::new();
    let mut start = Vec::new();
    file.by_ref()
        .take(XZ_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    // No record starts with the first byte of the magic, since no label is 0xFD.
    let packed = start == XZ_MAGIC || path.extension().is_some_and(|e| e == "xz");
    let stream = start.as_slice().chain(file);
    let limit = MAX_LEN as u64 + 1;
    if packed {
        liblzma::read::XzDecoder::new_multi_decoder(stream)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|source| FrameError::BadXz {
                path: path.to_owned(),
                source,
            })?;
    } else {
        stream
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    if bytes.len() > MAX_LEN {
        return Err(FrameError::TooLong {
            path: path.to_owned(),
            limit: MAX_LEN,
        });
    }
    Ok(bytes)
}
