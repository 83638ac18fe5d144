//! What can be wrong with a data file or folder.

use std::path::PathBuf;

use crate::CHECKSUMS;

/// Why a file of a set could not be used. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or folder could not be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder that does not hold the set.
    #[error(
        "{}: holds neither {wanted} nor {wanted}.xz; name the folder that does", path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The first file missed.
        wanted: String,
    },
    /// A packed file that does not unpack.
    #[error("{}: the xz data is damaged, cut short, or needs more memory than such records do: {source}", path.display())]
    BadXz {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: std::io::Error,
    },
    /// A file that is not a whole number of records.
    #[error(
        "{}: {len} bytes are not a whole number of records of {record_len} bytes ({} left over); \
         the file is empty, cut short or of another kind",
        path.display(), len % (*record_len).max(1)
    )]
    OddLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes, unpacked.
        len: usize,
        /// Bytes of a record.
        record_len: usize,
    },
    /// A file larger than any of the set, as it is or unpacked.
    #[error("{}: has, or unpacks to, more than {limit} bytes, the most that is read of one file of such records; \
             split a larger one", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: usize,
    },
    /// A label that is no class.
    #[error(
        "{}: record {record} has label {label}, but there are {classes} classes, from 0; \
         the file is damaged or of another kind (CIFAR-100 where CIFAR-10 is meant?)", path.display()
    )]
    BadLabel {
        /// The file.
        path: PathBuf,
        /// The record, counted from 0.
        record: usize,
        /// The label found.
        label: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A list of checksums that is none.
    #[error("{}, line {line}: not a SHA-256 in hexadecimal, two spaces and the name of a file", path.display())]
    BadChecksums {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A file that is not the one in the list beside it.
    #[error(
        "{}: its SHA-256 is {found}, but {CHECKSUMS} says {expected}; the file is damaged or was changed. \
         Get it again, or make the list anew if the change was meant", path.display()
    )]
    OtherChecksum {
        /// The file.
        path: PathBuf,
        /// What the list says, in hexadecimal.
        expected: String,
        /// What it is.
        found: String,
    },
    /// A file that the list names is not there.
    #[error(
        "{}: {CHECKSUMS} names it, and it is not there; get it again, or make the list anew if it was taken out on purpose",
        path.display()
    )]
    Listed {
        /// The file.
        path: PathBuf,
    },
    /// A file that passes for one of CIFAR-10 and is not.
    #[error(
        "{}: it has the name and the length of an official file of CIFAR-10, but the SHA-256 of its records is {found}, \
         not {expected}; it is damaged or was changed. Get it again, or if the change was meant, name it in a list \
         {CHECKSUMS} beside it", path.display()
    )]
    NotOfficial {
        /// The file.
        path: PathBuf,
        /// That of the official file, in hexadecimal.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// Why a folder of images by class, or one of its images, could not be used. Each message names the file or
/// folder.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder without classes, or a class without images.
    #[error("{}: {missing}; an image folder is {LAYOUT}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What is not in it.
        missing: &'static str,
    },
    /// A class that nobody knows of, or a name that is none.
    #[error("{}: {reason}", path.display())]
    Class {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// An image that does not decode.
    #[error("{}: not a whole PNG, JPEG or PNM image: {reason}", path.display())]
    BadImage {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// The list of checksums, or a file that is not the one in it.
    #[error(transparent)]
    Checksum(#[from] FileError),
    /// An image past the end of the list.
    #[error("there is no image {at} in the list")]
    NoSuchImage {
        /// The position asked for.
        at: usize,
    },
}

const LAYOUT: &str = "train/CLASS/IMAGE and val/CLASS/IMAGE";
