//! What can be wrong with an input.

use std::path::PathBuf;

use bagcert_images::{FileError, FolderError};

use super::Size;

/// Why a frame, or a file of frames, could not be used. Each message names the file.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The file or folder could not be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder without a single image file.
    #[error(
        "{}: the folder holds no image file (.png, .jpg, .jpeg, .ppm, .pgm, .pnm); \
         for the CIFAR-10 binary files write cifar10:{0}", path.display()
    )]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// An image of another size than the model takes. It is never resized.
    #[error(
        "{}: the image is {found} pixels, the model takes {expected}; \
         crop or rescale it yourself, and certify for patches of the rescaled image", path.display()
    )]
    WrongSize {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: Size,
        /// The model's size.
        expected: Size,
    },
    /// The bytes are no image of a known format, or are damaged.
    #[error("{}: not a sound PNG, JPEG or PPM image: {reason}", path.display())]
    BadImage {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// A pixel is not opaque, so its colour depends on a background that is not in the file.
    #[error(
        "{}: pixel ({x}, {y}) is not opaque; flatten the image onto a background first", path.display()
    )]
    Transparent {
        /// The file.
        path: PathBuf,
        /// Column of the first such pixel.
        x: u32,
        /// Row of the first such pixel.
        y: u32,
    },
    /// A file of records, CIFAR-10's or others, or a folder of them.
    #[error(transparent)]
    Records(#[from] FileError),
    /// A folder of images by class, or one of its images.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A folder of images by class where only frames of the model's own size are taken.
    #[error(
        "folder:{}: a folder of images by class is measured on, by `bagcert eval` or `bagcert figure`; its images \
         are scaled, which no other command does", path.display()
    )]
    ScaledFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A frame asked for past the end of the list.
    #[error("there is no frame {at} in the list")]
    NoSuchFrame {
        /// The position asked for.
        at: usize,
    },
}
