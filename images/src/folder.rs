//! Folders of images by class, in the layout of ImageNet: `train/CLASS/IMAGE` and `val/CLASS/IMAGE`.
//!
//! The shorter side of an image is scaled to a fixed length; then a rectangle is cut out.

use std::fs;
use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};

use crate::decode::{decode, has_image_ending};
use crate::{Checksums, FolderError};

/// How images become rectangles of one size, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Length that the shorter side is scaled to; at least the longer side of what is cut out.
    pub resize: u32,
    /// Width of what is cut out.
    pub width: u32,
    /// Height of what is cut out.
    pub height: u32,
}

/// The images of one part, by their paths.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    root: PathBuf,
    files: Vec<ListedImage>,
    checksums: Checksums,
}

/// An image that was found and not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedImage {
    /// Path below the root, with `/` between its parts.
    pub name: String,
    /// The place of its class.
    pub label: usize,
    /// Bytes of its file.
    pub bytes: u64,
}

/// The names of the classes, sorted: the folders in `root/train`, or in `root/val` where there is no `train`.
///
/// # Errors
/// A folder that cannot be read or holds fewer than two folders.
pub fn class_folders(root: &Path) -> Result<Vec<String>, FolderError> {
    let (train, val) = (root.join("train"), root.join("val"));
    let folder = if !train.exists() && val.exists() {
        val
    } else {
        train
    };
    let found = folders(&folder)?;
    if found.len() < 2 {
        return Err(FolderError::Empty {
            path: folder,
            missing: "it holds fewer than two folders of classes",
        });
    }
    Ok(found)
}

impl ImageFolder {
    /// Lists the images of `part` ("train" or "val") in `root`: the first of each class, then the second of each,
    /// and so on, by their names; so the first images are of all classes. The label of an image is the place of its
    /// folder's name in `classes`.
    ///
    /// # Errors
    /// A folder that cannot be read, a class that is none of `classes` or has no image, a damaged list of checksums, or
    /// one that names a file of the part that is not there.
    pub fn open(root: &Path, part: &str, classes: &[String]) -> Result<ImageFolder, FolderError> {
        let folder = root.join(part);
        let mut files = Vec::new();
        for name in folders(&folder)? {
            let Some(label) = classes.iter().position(|class| *class == name) else {
                return Err(FolderError::Class {
                    path: folder.join(&name),
                    reason: "there is no such class in train",
                });
            };
            let images = images(&folder.join(&name))?;
            if images.is_empty() {
                return Err(FolderError::Empty {
                    path: folder.join(&name),
                    missing: "this class has no image (.png, .jpg, .jpeg, .ppm, .pgm, .pnm)",
                });
            }
            let listed = images.into_iter().map(|(image, bytes)| ListedImage {
                name: format!("{part}/{name}/{image}"),
                label,
                bytes,
            });
            files.extend(listed.enumerate());
        }
        if files.is_empty() {
            return Err(FolderError::Empty {
                path: folder,
                missing: "it holds no folder of a class",
            });
        }
        let checksums = Checksums::read(root)?;
        let found = files.iter().map(|(_, image)| image.name.as_str());
        checksums.all_there(part, &found.collect())?;
        // Of one place in their classes, images stay in the order of these.
        files.sort_by_key(|(place, _)| *place);
        Ok(ImageFolder {
            root: root.to_owned(),
            files: files.into_iter().map(|(_, image)| image).collect(),
            checksums,
        })
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none; never so after [`ImageFolder::open`].
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// All images, in order.
    #[must_use]
    pub fn entries(&self) -> &[ListedImage] {
        &self.files
    }

    /// Path and label of image `at`; `None` past the end.
    #[must_use]
    pub fn entry(&self, at: usize) -> Option<(PathBuf, usize)> {
        let ListedImage { name, label, .. } = self.files.get(at)?;
        Some((self.root.join(name), *label))
    }

    /// Image `at`, whole, in 8 bits of red, green and blue; an alpha channel is dropped.
    ///
    /// # Errors
    /// An image that cannot be read, is damaged or is not the one in the list of checksums.
    pub fn image(&self, at: usize) -> Result<RgbImage, FolderError> {
        let image = self.files.get(at);
        let name = &image.ok_or(FolderError::NoSuchImage { at })?.name;
        decode(&self.root.join(name), name, &self.checksums)
    }

    /// The pixels of image `at` as networks are validated on them: scaled, and the middle cut out. 3 x height x
    /// width bytes, row-major, plane by plane.
    ///
    /// # Errors
    /// As of [`image`](ImageFolder::image).
    pub fn middle(&self, at: usize, sizes: Sizes) -> Result<Vec<u8>, FolderError> {
        let image = sizes.scaled(&self.image(at)?);
        let [left, top] = sizes.room(&image).map(|room| room / 2);
        Ok(sizes.cut(&image, left, top, false))
    }
}

impl Sizes {
    /// The sizes for a square of `side` pixels.
    #[must_use]
    pub const fn square(resize: u32, side: u32) -> Sizes {
        Sizes {
            resize,
            width: side,
            height: side,
        }
    }

    /// Scales so that the shorter side has `resize` pixels.
    #[must_use]
    pub fn scaled(self, image: &RgbImage) -> RgbImage {
        let side = self.resize.max(self.width).max(self.height);
        let shorter = image.width().min(image.height()).max(1);
        let scaled = |len: u32| {
            let exact = u64::from(len) * u64::from(side) / u64::from(shorter);
            u32::try_from(exact).unwrap_or(u32::MAX).max(side)
        };
        if shorter == side {
            return image.clone();
        }
        // A strip that is much longer than wide is cut from its middle first: nothing else of it could be seen.
        let most = shorter.saturating_mul(8);
        let (width, height) = (image.width().min(most), image.height().min(most));
        let (left, top) = ((image.width() - width) / 2, (image.height() - height) / 2);
        let part = imageops::crop_imm(image, left, top, width, height);
        imageops::resize(
            &*part,
            scaled(width),
            scaled(height),
            imageops::FilterType::Triangle,
        )
    }

    /// How far what is cut out of a scaled image can lie from its left and its upper border.
    #[must_use]
    pub fn room(self, image: &RgbImage) -> [u32; 2] {
        [
            image.width().saturating_sub(self.width),
            image.height().saturating_sub(self.height),
        ]
    }

    /// Cuts out of a scaled image, and flips the columns if asked to. 3 x height x width bytes.
    #[must_use]
    pub fn cut(self, image: &RgbImage, left: u32, top: u32, flip: bool) -> Vec<u8> {
        let mut planes = Vec::with_capacity(3 * self.width as usize * self.height as usize);
        for channel in 0..3 {
            for y in 0..self.height {
                planes.extend((0..self.width).map(|x| {
                    let x = if flip { self.width - 1 - x } else { x };
                    let pixel = image.get_pixel_checked(left + x, top + y);
                    pixel
                        .and_then(|pixel| pixel.0.get(channel))
                        .copied()
                        .unwrap_or(0)
                }));
            }
        }
        planes
    }
}

/// The names of the folders in a folder, sorted.
fn folders(folder: &Path) -> Result<Vec<String>, FolderError> {
    let found = names(folder)?.into_iter();
    Ok(found
        .filter(|(_, path)| path.is_dir())
        .map(|(name, _)| name)
        .collect())
}

/// The names of the image files in a folder, sorted, and how many bytes each has.
fn images(folder: &Path) -> Result<Vec<(String, u64)>, FolderError> {
    let mut found = Vec::new();
    for (name, path) in names(folder)? {
        if !has_image_ending(&path) {
            continue;
        }
        let unreadable = |source| FolderError::Unreadable {
            path: path.clone(),
            source,
        };
        let about = fs::metadata(&path).map_err(unreadable)?;
        if !about.is_dir() {
            found.push((name, about.len()));
        }
    }
    Ok(found)
}

/// What is in a folder and not hidden, sorted by name.
fn names(folder: &Path) -> Result<Vec<(String, PathBuf)>, FolderError> {
    let unreadable = |source| FolderError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(FolderError::Class {
                path: entry.path(),
                reason: "its name is no Unicode; rename it",
            });
        };
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}
