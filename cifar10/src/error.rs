//! What can be wrong with a data file.

use std::path::PathBuf;

use crate::RECORD_LEN;

/// Why a file of the set could not be used. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum Cifar10Error {
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
        "{}: no CIFAR-10 data here: neither {wanted} nor {wanted}.xz is in the folder", path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The first file missed.
        wanted: String,
    },
    /// A packed file that does not unpack.
    #[error("{}: the xz data is damaged, cut short, or needs more memory than CIFAR-10 does: {source}", path.display())]
    BadXz {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: std::io::Error,
    },
    /// A file that is not a whole number of records.
    #[error(
        "{}: {len} bytes are not a whole number of CIFAR-10 records of {RECORD_LEN} bytes ({} left over); \
         the file is cut short or of another kind",
        path.display(), len % RECORD_LEN
    )]
    OddLength {
        /// The file.
        path: PathBuf,
        /// Its length in bytes, unpacked.
        len: usize,
    },
    /// A file larger than any of the set, as it is or unpacked.
    #[error("{}: has, or unpacks to, more than {limit} bytes, which no CIFAR-10 file does", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: usize,
    },
    /// A label byte that is no class.
    #[error(
        "{}: record {record} has label {label}, but CIFAR-10 has the labels 0 to 9; \
         the file is damaged or of another kind (CIFAR-100?)", path.display()
    )]
    BadLabel {
        /// The file.
        path: PathBuf,
        /// The record, counted from 0.
        record: usize,
        /// The byte found.
        label: u8,
    },
}
