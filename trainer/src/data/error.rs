//! What can be wrong with images.

use std::path::PathBuf;

use bagcert_images::{FileError, FolderError};
use thiserror::Error;

/// Why images could not be used. Each message names the file or folder.
#[derive(Debug, Error)]
pub enum DataError {
    /// A record file, or a file that is not the one in a list of checksums.
    #[error(transparent)]
    Records(#[from] FileError),
    /// A folder of images by class.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Records cannot be laid out so.
    #[error("{}: {reason}", path.display())]
    Layout {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing can be learnt from them, or what is measured on them means nothing.
    #[error("{}: {reason}", path.display())]
    Unfit {
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// The threads that decode could not be started, or ended before their work.
    #[error("images cannot be decoded in the background: {0}")]
    Threads(String),
}
