//! Labelled images: the files of CIFAR-10 ([`files`], [`Records`]) and of the same images under other labels
//! ([`Layout`]), such as CIFAR-100; and folders of images of any size by class ([`ImageFolder`]), as ImageNet is
//! laid out.
//!
//! Trainer and runtime both read them through this crate, so that both mean the same images. Where a list of
//! [`Checksums`] lies beside a file, the file must be the one that it names. [`contained`] makes an error of a decoder's panic,
//! and of those of the other libraries that read files.

mod checksum;
mod cifar10;
mod decode;
mod error;
mod folder;
mod guard;
mod records;

pub use checksum::{CHECKSUMS, Checksums};
pub use cifar10::{Batch, CLASS_NAMES, CLASSES, Part, files};
pub use decode::{check_whole, has_image_ending};
pub use error::{FileError, FolderError};
pub use folder::{ImageFolder, ListedImage, Sizes, class_folders};
pub use guard::{contained, panic_message};
pub use records::{IMAGE_LEN, Layout, RECORD_LEN, Records, SIDE};
