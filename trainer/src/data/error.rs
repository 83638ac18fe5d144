//! What can be wrong with images.

use std::path::PathBuf;

use bagcert_cifar10::Cifar10Error;
use thiserror::Error;

/// Why images could not be used. Each message names the file or folder.
#[derive(Debug, Error)]
pub enum DataError {
    /// A record file, or a file that is not the one in a list of checksums.
    #[error(transparent)]
    Records(#[from] Cifar10Error),
    /// A file or folder could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A folder without classes, or a class without images.
    #[error("{}: {missing}; an image folder is {}", path.display(), LAYOUT)]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What is not in it.
        missing: &'static str,
    },
    /// A class that training knows nothing of, or one more than can be.
    #[error("{}: {reason}", path.display())]
    Classes {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An image that does not decode.
    #[error("{}: not a whole PNG, JPEG or PNM image: {reason}", path.display())]
    BadImage {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// The threads that decode could not be started, or ended before their work.
    #[error("images cannot be decoded in the background: {0}")]
    Threads(String),
}

const LAYOUT: &str = "train/CLASS/IMAGE and val/CLASS/IMAGE";
