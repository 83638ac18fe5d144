//! Record files: some label bytes and 3 x 32 x 32 pixel bytes, plain or packed with xz.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use liblzma::read::XzDecoder;
use liblzma::stream::{CONCATENATED, Stream};

use crate::{CLASSES, FileError, checksum, cifar10};

/// Height and width of an image, in pixels.
pub const SIDE: usize = 32;
/// Bytes of one image: the red, green and blue planes, each row by row from the top left.
pub const IMAGE_LEN: usize = 3 * SIDE * SIDE;
/// Bytes of one record: the label, then the image.
pub const RECORD_LEN: usize = 1 + IMAGE_LEN;

/// Far above the 10,000 or 50,000 of an official file; bounds what a hostile archive can unpack to.
const MAX_OFFICIAL: usize = 64_000;
/// The same of files of other sets.
const MAX_RECORDS: usize = 250_000;
/// Classes that one byte can tell apart.
const BYTE_CLASSES: usize = 256;
/// Classes that two bytes can tell apart.
const MAX_CLASSES: usize = 65_536;
/// What unpacking may take of memory: `xz -9` needs 65 MiB. A file of some bytes can ask for 4 GiB.
const MAX_XZ_MEMORY: u64 = 128 << 20;
const XZ_MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];

/// How records are laid out: some label bytes, of which the last is the class, then the image. Of more than 256
/// classes the last two bytes are the class, the more significant one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    label_bytes: usize,
    classes: usize,
    /// Of one file.
    max_records: usize,
}

impl Layout {
    /// One label of ten classes.
    pub const CIFAR10: Layout = Layout {
        label_bytes: 1,
        classes: CLASSES,
        max_records: MAX_OFFICIAL,
    };
    /// A coarse label, which is skipped, and a fine one of a hundred classes.
    pub const CIFAR100: Layout = Layout {
        label_bytes: 2,
        classes: 100,
        max_records: MAX_OFFICIAL,
    };

    /// Records with `label_bytes` bytes before the image, the last of which (the last two of more than 256 classes) is
    /// one of `classes` classes. `None` for less than 2 or more than 65,536 classes, and for fewer bytes than their
    /// numbers take, or more than 16.
    #[must_use]
    pub const fn new(label_bytes: usize, classes: usize) -> Option<Layout> {
        let least = if classes > BYTE_CLASSES { 2 } else { 1 };
        if label_bytes < least || label_bytes > 16 || classes < 2 || classes > MAX_CLASSES {
            return None;
        }
        Some(Layout {
            label_bytes,
            classes,
            max_records: MAX_RECORDS,
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

    /// The class that the bytes before an image say.
    fn class(self, labels: &[u8]) -> Option<usize> {
        let (&last, before) = labels.split_last()?;
        if self.classes <= BYTE_CLASSES {
            return Some(usize::from(last));
        }
        Some(usize::from(u16::from_be_bytes([*before.last()?, last])))
    }

    const fn max_len(self) -> usize {
        self.max_records * self.record_len()
    }
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
    pub fn read(path: &Path) -> Result<Records, FileError> {
        Records::read_as(path, Layout::CIFAR10)
    }

    /// Reads a plain or xz-packed file. Every label is checked here, so that no record of a damaged
    /// file is ever taken for data.
    ///
    /// # Errors
    /// Where the file cannot be read or unpacked, is not the one that a list of checksums beside it names, has the name and
    /// the length of an official file of CIFAR-10 but is not it nor listed, is no whole number of records, or has a label
    /// beyond its classes; the error names the file.
    pub fn read_as(path: &Path, layout: Layout) -> Result<Records, FileError> {
        let listed = checksum::check_beside(path, layout.max_len() as u64)?;
        let bytes = read_bytes(path, layout)?;
        if layout == Layout::CIFAR10 && !listed {
            cifar10::check_official(path, &bytes)?;
        }
        let record_len = layout.record_len();
        if bytes.is_empty() || !bytes.len().is_multiple_of(record_len) {
            return Err(FileError::OddLength {
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
            return Err(FileError::BadLabel {
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
        Some((self.layout.class(labels)?, image))
    }

    /// Label and image bytes of every record, in order.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        (0..self.len()).filter_map(|at| self.get(at))
    }
}

fn read_bytes(path: &Path, layout: Layout) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let max_len = layout.max_len();
    let too_long = || FileError::TooLong {
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
    // Where the first byte is the class and no class is 0xFD, no record starts with the first byte of the magic.
    let magic = start == XZ_MAGIC && layout.classes <= usize::from(XZ_MAGIC[0]);
    let packed = magic || path.extension().is_some_and(|ending| ending == "xz");
    let stream = start.as_slice().chain(file);
    let limit = max_len as u64 + 1;
    let mut bytes = Vec::new();
    if packed {
        let bad_xz = |source| FileError::BadXz {
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
