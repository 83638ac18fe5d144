//! The CIFAR-10 binary files (Krizhevsky, 2009): records of one label byte and 3 x 32 x 32 pixel bytes; and
//! files of the same images under other labels ([`Layout`]), such as CIFAR-100. And folders of images of any size
//! by class ([`ImageFolder`]), as ImageNet is laid out.
//!
//! Trainer and runtime both read them through this crate, so that both mean the same images. Where a list of
//! [`Checksums`] lies beside a file, the file must be the one that it names.

mod checksum;
mod decode;
mod error;
mod folder;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

pub use checksum::{CHECKSUMS, Checksums};
pub use decode::{check_whole, has_image_ending};
pub use error::{Cifar10Error, FolderError};
pub use folder::{ImageFolder, ListedImage, Sizes, class_folders};
use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

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
/// Height and width of an image, in pixels.
pub const SIDE: usize = 32;
/// Bytes of one image: the red, green and blue planes, each row by row from the top left.
pub const IMAGE_LEN: usize = 3 * SIDE * SIDE;
/// Bytes of one record: the label, then the image.
pub const RECORD_LEN: usize = 1 + IMAGE_LEN;

/// Records in each official file.
const FILE_RECORDS: usize = 10_000;
/// Far above the 10,000 or 50,000 of an official file; bounds what a hostile archive can unpack to.
const MAX_RECORDS: usize = 64_000;
/// What unpacking may take of memory: `xz -9` needs 65 MiB. A file of some bytes can ask for 4 GiB.
const MAX_XZ_MEMORY: u64 = 128 << 20;
const XZ_MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];

/// How records are laid out: some label bytes, of which the last is the class, then the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    label_bytes: usize,
    classes: usize,
}

impl Layout {
    /// One label of ten classes.
    pub const CIFAR10: Layout = Layout {
        label_bytes: 1,
        classes: CLASSES,
    };
    /// A coarse label, which is skipped, and a fine one of a hundred classes.
    pub const CIFAR100: Layout = Layout {
        label_bytes: 2,
        classes: 100,
    };

    /// Records with `label_bytes` bytes before the image, the last of which is one of `classes` classes.
    /// `None` for less than 1 or more than 16 bytes, and for less than 2 or more than 256 classes.
    #[must_use]
    pub const fn new(label_bytes: usize, classes: usize) -> Option<Layout> {
        if label_bytes < 1 || label_bytes > 16 || classes < 2 || classes > 256 {
            return None;
        }
        Some(Layout {
            label_bytes,
            classes,
        })
    }

    /// Number of classes.
    #[must_use]
    pub const fn classes(self) -> usize {
        self.classes
    }

    /// Bytes before the image.
    #[must_use]
    pub const fn label_bytes(self) -> usize {
        self.label_bytes
    }

    /// Bytes of one record.
    #[must_use]
    pub const fn record_len(self) -> usize {
        self.label_bytes + IMAGE_LEN
    }

    const fn max_len(self) -> usize {
        MAX_RECORDS * self.record_len()
    }
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
pub fn files(path: &Path, part: Part) -> Result<Vec<Batch>, Cifar10Error> {
    let metadata = std::fs::metadata(path).map_err(|source| Cifar10Error::Unreadable {
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
            .ok_or_else(|| Cifar10Error::Missing {
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
#[derive(Clone, Debug)]
pub struct Records {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Records {
    /// Reads a plain or xz-packed file of CIFAR-10.
    ///
    /// # Errors
    /// As [`read_as`](Records::read_as).
    pub fn read(path: &Path) -> Result<Records, Cifar10Error> {
        Records::read_as(path, Layout::CIFAR10)
    }

    /// Reads a plain or xz-packed file. Every label is checked here, so that no record of a damaged
    /// file is ever taken for data.
    ///
    /// # Errors
    /// Where the file cannot be read or unpacked, is not the one that a list of checksums beside it names,
    /// is no whole number of records, or has a label beyond its classes; the error names the file.
    pub fn read_as(path: &Path, layout: Layout) -> Result<Records, Cifar10Error> {
        checksum::check_beside(path, layout.max_len() as u64)?;
        let bytes = read_bytes(path, layout)?;
        let record_len = layout.record_len();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record_len) {
            return Err(Cifar10Error::OddLength {
                path: path.to_owned(),
                len: bytes.len(),
                record_len,
            });
        }
        let records = Records { layout, bytes };
        let wrong = records
            .iter()
            .enumerate()
            .find(|(_, (label, _))| *label >= layout.classes);
        if let Some((record, (label, _))) = wrong {
            return Err(Cifar10Error::BadLabel {
                path: path.to_owned(),
                record,
                label,
                classes: layout.classes,
            });
        }
        Ok(records)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() / self.layout.record_len()
    }

    /// Whether there are none; never so after [`Records::read`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Label and image bytes of record `at`; `None` past the end.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<(usize, &[u8])> {
        let length = self.layout.record_len();
        let start = at.checked_mul(length)?;
        let record = self.bytes.get(start..start.checked_add(length)?)?;
        let (labels, image) = record.split_at_checked(self.layout.label_bytes)?;
        Some((usize::from(*labels.last()?), image))
    }

    /// Label and image bytes of every record, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

fn read_bytes(path: &Path, layout: Layout) -> Result<Vec<u8>, Cifar10Error> {
    let unreadable = |source| Cifar10Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let max_len = layout.max_len();
    let too_long = || Cifar10Error::TooLong {
        path: path.to_owned(),
        limit: max_len,
    };
    // A pipe would be waited for without end.
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(unreadable(std::io::Error::other(
            "it is not a regular file",
        )));
    }
    if about.len() > max_len as u64 {
        return Err(too_long());
    }
    let mut file = BufReader::new(File::open(path).map_err(unreadable)?);
    let mut start = Vec::new();
    file.by_ref()
        .take(XZ_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    // Where no label is 0xFD, no record starts with the first byte of the magic.
    let magic = start == XZ_MAGIC && layout.classes <= usize::from(XZ_MAGIC[0]);
    let packed = magic || path.extension().is_some_and(|ending| ending == "xz");
    let stream = start.as_slice().chain(file);
    let limit = max_len as u64 + 1;
    let mut bytes = Vec::new();
    if packed {
        let bad_xz = |source| Cifar10Error::BadXz {
            path: path.to_owned(),
            source,
        };
        let decoder = Stream::new_stream_decoder(MAX_XZ_MEMORY, CONCATENATED)
            .map_err(|error| bad_xz(error.into()))?;
        XzDecoder::new_stream(stream, decoder)
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(bad_xz)?;
    } else {
        stream
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
    }
    if bytes.len() > max_len {
        return Err(too_long());
    }
    Ok(bytes)
}
