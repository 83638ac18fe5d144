//! Where frames come from: image files, folders of them, the CIFAR-10 binary files, and folders by class.
//!
//! Inputs are listed first ([`Frames::open`]) and decoded one by one ([`Frames::load`]), so that a
//! folder of any length is read in bounded memory and one bad file does not stop the others. A frame
//! of another size than the model's is an error that says both sizes: resizing would spread a patch
//! over pixels that its certificate does not cover. Only [`Frames::by_class`] scales, as the networks that are
//! measured on such data were trained: its patches are those of the scaled images.

mod error;
mod input;
mod picture;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bagcert_images::{Batch, FolderError, ImageFolder, Records, SIDE, has_image_ending};
pub use bagcert_images::{
    CLASSES as CIFAR10_CLASSES, Layout, Part, RECORD_LEN, Sizes, class_folders,
};
pub use error::FrameError;
pub use input::{Input, MAX_RESIZE};
pub(crate) use picture::MAX_FILE;
pub use picture::{Picture, label_of_file_name};

/// Width and height of an image in pixels. Shown as `32x32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// A decoded frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The path of an image file as it was given or found, or the index of a CIFAR-10 record.
    pub id: String,
    /// The true class, where it is known.
    pub label: Option<usize>,
    /// Its pixels.
    pub picture: Picture,
}

/// Frames that were found but not yet decoded, in input order.
#[derive(Debug, Default)]
pub struct Frames {
    entries: Vec<Entry>,
}

#[derive(Debug)]
enum Entry {
    Image(PathBuf),
    Record {
        records: Arc<Records>,
        /// Position in its file.
        at: usize,
        /// Position in the whole set.
        index: usize,
    },
    Classed {
        images: Arc<ImageFolder>,
        sizes: Sizes,
        at: usize,
    },
}

impl Frames {
    /// Lists the frames of all inputs. `size` is the model's input size in pixels.
    ///
    /// What could not be opened comes back beside the frames that could.
    #[must_use]
    pub fn open(inputs: &[Input], size: Size) -> (Frames, Vec<FrameError>) {
        let mut frames = Frames::default();
        let mut failures = Vec::new();
        for input in inputs {
            match input {
                Input::Path(path) => match list(path) {
                    Ok(paths) => frames.entries.extend(paths.into_iter().map(Entry::Image)),
                    Err(error) => failures.push(error),
                },
                Input::Cifar10 { path, part } => match bagcert_images::files(path, *part) {
                    Ok(files) => {
                        frames.add_records(&files, Layout::CIFAR10, size, &mut failures);
                    }
                    Err(error) => failures.push(error.into()),
                },
                Input::Records { path, layout } => {
                    let file = Batch {
                        path: path.clone(),
                        first_index: 0,
                    };
                    frames.add_records(&[file], *layout, size, &mut failures);
                }
                Input::Folder { path, .. } => {
                    failures.push(FrameError::ScaledFolder { path: path.clone() })
                }
            }
        }
        (frames, failures)
    }

    /// Lists the images of the part `val` in `root`, class by class. `classes` are the names of the folders in
    /// the order of the model's classes; each image is scaled and its middle cut out, as `sizes` says.
    ///
    /// The certificates of such frames are for patches of the scaled image, as in the paper's ImageNet
    /// experiments (Section A.1.2).
    ///
    /// # Errors
    /// A folder that cannot be read, or holds something else.
    pub fn by_class(root: &Path, classes: &[String], sizes: Sizes) -> Result<Frames, FrameError> {
        let images = Arc::new(ImageFolder::open(root, "val", classes)?);
        let entry = |at| Entry::Classed {
            images: Arc::clone(&images),
            sizes,
            at,
        };
        let entries = (0..images.len()).map(entry).collect();
        Ok(Frames { entries })
    }

    fn add_records(
        &mut self,
        files: &[Batch],
        layout: Layout,
        size: Size,
        failures: &mut Vec<FrameError>,
    ) {
        for file in files {
            match read_records(&file.path, layout, size) {
                Ok(records) => {
                    let records = Arc::new(records);
                    for at in 0..records.len() {
                        self.entries.push(Entry::Record {
                            records: Arc::clone(&records),
                            at,
                            index: file.first_index + at,
                        });
                    }
                }
                Err(error) => failures.push(error),
            }
        }
    }

    /// Number of frames.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no frame was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Keeps the first `limit` frames only.
    pub fn truncate(&mut self, limit: usize) {
        self.entries.truncate(limit);
    }

    /// The id of frame `at`; `None` past the end.
    #[must_use]
    pub fn id(&self, at: usize) -> Option<String> {
        self.entries.get(at).map(|entry| match entry {
            Entry::Image(path) => path.display().to_string(),
            Entry::Record { index, .. } => index.to_string(),
            Entry::Classed { images, at, .. } => images
                .entry(*at)
                .map_or_else(String::new, |(path, _)| path.display().to_string()),
        })
    }

    /// Decodes frame `at`. `class_names` gives an image file its label (see [`label_of_file_name`]).
    ///
    /// # Errors
    /// A file that cannot be read or decoded, an image of another size than `size`, or one whose
    /// colours have no plain RGB meaning (see [`Picture::read`]).
    pub fn load(&self, at: usize, size: Size, class_names: &[String]) -> Result<Frame, FrameError> {
        let (Some(entry), Some(id)) = (self.entries.get(at), self.id(at)) else {
            return Err(FrameError::NoSuchFrame { at });
        };
        match entry {
            Entry::Image(path) => Ok(Frame {
                id,
                label: label_of_file_name(path, class_names),
                picture: Picture::read(path, size)?,
            }),
            Entry::Record { records, at, .. } => {
                let (label, planes) = records
                    .get(*at)
                    .ok_or(FrameError::NoSuchFrame { at: *at })?;
                Ok(Frame {
                    id,
                    label: Some(label),
                    picture: Picture::from_planes(CIFAR10_SIZE, to_unit(planes)),
                })
            }
            Entry::Classed { images, sizes, at } => {
                let (_, label) = images
                    .entry(*at)
                    .ok_or(FolderError::NoSuchImage { at: *at })?;
                let planes = images.middle(*at, *sizes)?;
                let size = Size {
                    width: sizes.width,
                    height: sizes.height,
                };
                Ok(Frame {
                    id,
                    label: Some(label),
                    picture: Picture::from_planes(size, to_unit(&planes)),
                })
            }
        }
    }
}

fn to_unit(bytes: &[u8]) -> Vec<f32> {
    bytes.iter().map(|&v| f32::from(v) / 255.0).collect()
}

const CIFAR10_SIZE: Size = Size {
    width: SIDE as u32,
    height: SIDE as u32,
};

/// The records of one file, for a model that takes images of `size` pixels.
fn read_records(path: &Path, layout: Layout, size: Size) -> Result<Records, FrameError> {
    let records = Records::read_as(path, layout)?;
    if size != CIFAR10_SIZE {
        return Err(FrameError::WrongSize {
            path: path.to_owned(),
            found: CIFAR10_SIZE,
            expected: size,
        });
    }
    Ok(records)
}

/// A file itself, or the image files directly in a folder, sorted by name.
fn list(path: &Path) -> Result<Vec<PathBuf>, FrameError> {
    let unreadable = |source| FrameError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if has_image_ending(&file) && !file.is_dir() {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(FrameError::EmptyFolder {
            path: path.to_owned(),
        });
    }
    found.sort();
    Ok(found)
}
