//! Folders of images by class, in the layout of ImageNet: `train/CLASS/IMAGE` and `val/CLASS/IMAGE`.
//!
//! Images are decoded when they are needed, in parallel. The shorter side is scaled to a fixed length; then a
//! square is cut out: from the middle, or in training from anywhere and flipped half of the time.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
    sync::Arc,
};

use bagcert_cifar10::Checksums;
use image::{ImageReader, Limits, RgbImage, imageops};
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::{DataError, Dataset, Images};
use crate::random::Random;

/// Endings of image files, in lower case.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "ppm", "pgm", "pnm"];
/// Bytes of an image file, and of its pixels.
const MAX_BYTES: u64 = 256 << 20;
/// Pixels along one side.
const MAX_SIDE: u32 = 1 << 15;

/// How images become squares of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Length that the shorter side is scaled to.
    pub resize: u32,
    /// Side of the square that is cut out.
    pub crop: u32,
}

/// What is done to the images of one epoch of training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// With the index of an image, what its crop is drawn from.
    pub seed: i64,
    /// Horizontal flips, half of the time.
    pub flip: bool,
}

/// The images of one part, by their paths.
#[derive(Clone, Debug)]
pub struct Folder {
    inner: Arc<Inner>,
    device: Device,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Path below the root, and class.
    files: Vec<(String, i64)>,
    sizes: Sizes,
    checksums: Checksums,
}

/// The names of the classes: the folders in `root/train`, sorted.
///
/// # Errors
/// A folder that cannot be read or holds no folder.
pub(super) fn classes(root: &Path) -> Result<Vec<String>, DataError> {
    let train = root.join("train");
    let found = names(&train, true)?;
    if found.len() < 2 {
        return Err(DataError::Empty {
            path: train,
            missing: "it holds fewer than two folders of classes",
        });
    }
    Ok(found)
}

impl Folder {
    /// Lists the images of `part` ("train" or "val") in `root`, class by class, sorted by name.
    ///
    /// # Errors
    /// A folder that cannot be read, a class that is none of `classes` or has no image, or a damaged list of
    /// checksums.
    pub fn open(
        root: &Path,
        part: &str,
        classes: &[String],
        sizes: Sizes,
    ) -> Result<Self, DataError> {
        let folder = root.join(part);
        let mut files = Vec::new();
        for name in names(&folder, true)? {
            let Some(class) = classes.iter().position(|class| *class == name) else {
                return Err(DataError::Classes {
                    path: folder.join(&name),
                    reason: "there is no such class in train".into(),
                });
            };
            let images = names(&folder.join(&name), false)?;
            if images.is_empty() {
                return Err(DataError::Empty {
                    path: folder.join(&name),
                    missing: "this class has no image (.png, .jpg, .jpeg, .ppm, .pgm, .pnm)",
                });
            }
            let paths = images
                .into_iter()
                .map(|image| format!("{part}/{name}/{image}"));
            files.extend(paths.map(|path| (path, class as i64)));
        }
        if files.is_empty() {
            return Err(DataError::Empty {
                path: folder,
                missing: "it holds no folder of a class",
            });
        }
        let inner = Inner {
            root: root.to_owned(),
            files,
            sizes,
            checksums: Checksums::read(root)?,
        };
        Ok(Self {
            inner: Arc::new(inner),
            device: Device::Cpu,
        })
    }

    /// The same, decoded for `device`.
    #[must_use]
    pub fn on(&self, device: Device) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            device,
        }
    }

    /// How many images there are.
    pub fn len(&self) -> i64 {
        self.inner.files.len() as i64
    }

    /// Whether there are none; never so after [`Folder::open`].
    pub fn is_empty(&self) -> bool {
        self.inner.files.is_empty()
    }

    /// Where the images are decoded to.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Decodes the images at `indices` in parallel: bytes N x 3 x H x W, and N classes.
    ///
    /// # Errors
    /// The first image, in their order, that cannot be read or decoded, or is not the one in the list of
    /// checksums.
    pub fn decode(
        &self,
        indices: &[i64],
        variation: Option<Variation>,
    ) -> Result<(Vec<u8>, Vec<i64>), DataError> {
        let inner = &*self.inner;
        let each: Vec<Result<(Vec<u8>, i64), DataError>> = indices
            .par_iter()
            .map(|&index| inner.one(index, variation))
            .collect();
        let side = inner.sizes.crop as usize;
        let mut bytes = Vec::with_capacity(3 * side * side * indices.len());
        let mut labels = Vec::with_capacity(indices.len());
        for one in each {
            let (planes, label) = one?;
            bytes.extend_from_slice(&planes);
            labels.push(label);
        }
        Ok((bytes, labels))
    }

    /// Decoded images as tensors.
    pub(super) fn tensors(&self, (bytes, labels): &(Vec<u8>, Vec<i64>)) -> Dataset {
        let side = i64::from(self.inner.sizes.crop);
        Dataset {
            images: Tensor::from_slice(bytes)
                .view([labels.len() as i64, 3, side, side])
                .to_device(self.device),
            labels: Tensor::from_slice(labels).to_device(self.device),
        }
    }
}

impl Images for Folder {
    fn count(&self) -> i64 {
        self.len()
    }

    fn part(&self, start: i64, count: i64) -> Result<Dataset, DataError> {
        let end = start.saturating_add(count).min(self.len());
        let indices: Vec<i64> = (start..end).collect();
        Ok(self.tensors(&self.decode(&indices, None)?))
    }
}

impl Inner {
    fn one(&self, index: i64, variation: Option<Variation>) -> Result<(Vec<u8>, i64), DataError> {
        let file = usize::try_from(index)
            .ok()
            .and_then(|index| self.files.get(index));
        let Some((name, label)) = file else {
            return Err(DataError::Threads(format!("there is no image {index}")));
        };
        let path = self.root.join(name);
        let image = read(&path, name, &self.checksums)?;
        let image = shrink(&image, self.sizes.resize.max(self.sizes.crop));
        let crop = self.sizes.crop;
        let room = [
            image.width() - crop.min(image.width()),
            image.height() - crop.min(image.height()),
        ];
        let (place, flip) = match variation {
            None => (room.map(|room| room / 2), false),
            Some(Variation { seed, flip }) => {
                let mut random = Random::new(seed, index);
                let place = room.map(|room| random.below(room + 1));
                (place, flip && random.below(2) == 1)
            }
        };
        let [left, top] = place;
        let mut planes = Vec::with_capacity(3 * crop as usize * crop as usize);
        for channel in 0..3 {
            for y in 0..crop {
                planes.extend((0..crop).map(|x| {
                    let x = if flip { crop - 1 - x } else { x };
                    let pixel = image.get_pixel_checked(left + x, top + y);
                    pixel
                        .and_then(|pixel| pixel.0.get(channel))
                        .copied()
                        .unwrap_or(0)
                }));
            }
        }
        Ok((planes, *label))
    }
}

/// A whole image from a regular file of bounded size.
fn read(path: &Path, name: &str, checksums: &Checksums) -> Result<RgbImage, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_BYTES {
        let reason = format!("it is no regular file of at most {MAX_BYTES} bytes");
        return Err(unreadable(std::io::Error::other(reason)));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    checksums.check(name, &bytes)?;
    let bad = |reason: String| DataError::BadImage {
        path: path.to_owned(),
        reason,
    };
    let mut reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|error| bad(error.to_string()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| bad(error.to_string()))?;
    if image.width() == 0 || image.height() == 0 {
        return Err(bad("it has no pixel".into()));
    }
    Ok(image.into_rgb8())
}

/// Scales so that the shorter side has `side` pixels.
fn shrink(image: &RgbImage, side: u32) -> RgbImage {
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
    let part = imageops::crop_imm(image, left, top, width, height).to_image();
    imageops::resize(
        &part,
        scaled(width),
        scaled(height),
        imageops::FilterType::Triangle,
    )
}

/// The names in a folder, sorted: folders, or image files.
fn names(folder: &Path, folders: bool) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            return Err(DataError::Classes {
                path,
                reason: "its name is no Unicode; rename it".into(),
            });
        };
        let ending = path.extension().and_then(|ending| ending.to_str());
        let image = ending.is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()));
        let wanted = if folders {
            path.is_dir()
        } else {
            image && !path.is_dir()
        };
        if wanted && !name.starts_with('.') {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}
