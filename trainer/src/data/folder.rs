//! Folders of images by class as tensors, decoded when they are needed, in parallel. In training the square is
//! cut out from anywhere and flipped half of the time.

use std::{path::Path, sync::Arc};

use bagcert_images::{FolderError, ImageFolder, Sizes};
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::{DataError, Dataset, Images, PartPrint};
use crate::random::Random;

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
    files: Arc<ImageFolder>,
    sizes: Sizes,
    device: Device,
}

impl Folder {
    /// Lists the images of `part` ("train" or "val") in `root`, the classes in turns, by the names of the images.
    ///
    /// # Errors
    /// Those of [`ImageFolder::open`].
    pub fn open(
        root: &Path,
        part: &str,
        classes: &[String],
        sizes: Sizes,
    ) -> Result<Self, DataError> {
        Ok(Self {
            files: Arc::new(ImageFolder::open(root, part, classes)?),
            sizes,
            device: Device::Cpu,
        })
    }

    /// The same, decoded for `device`.
    #[must_use]
    pub fn on(&self, device: Device) -> Self {
        Self {
            device,
            ..self.clone()
        }
    }

    /// What it holds, as a part of this name.
    pub(super) fn fingerprint(&self, name: &str, classes: usize) -> PartPrint {
        PartPrint::of_folder(name, classes, self.files.entries())
    }

    /// The same by the names of its files alone.
    pub(super) fn fingerprint_of_names(&self, name: &str, classes: usize) -> PartPrint {
        PartPrint::of_names(name, classes, self.files.entries())
    }

    /// How many images there are.
    pub fn len(&self) -> i64 {
        self.files.len() as i64
    }

    /// Whether there are none; never so after [`Folder::open`].
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
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
        let each: Vec<Result<(Vec<u8>, i64), FolderError>> = indices
            .par_iter()
            .map(|&index| self.one(index, variation))
            .collect();
        let Sizes { width, height, .. } = self.sizes;
        let mut bytes = Vec::with_capacity(3 * width as usize * height as usize * indices.len());
        let mut labels = Vec::with_capacity(indices.len());
        for one in each {
            let (planes, label) = one?;
            bytes.extend_from_slice(&planes);
            labels.push(label);
        }
        Ok((bytes, labels))
    }

    fn one(&self, index: i64, variation: Option<Variation>) -> Result<(Vec<u8>, i64), FolderError> {
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let entry = self.files.entry(at);
        let (_, label) = entry.ok_or(FolderError::NoSuchImage { at })?;
        let planes = match variation {
            None => self.files.middle(at, self.sizes)?,
            Some(Variation { seed, flip }) => {
                let image = self.sizes.scaled(&self.files.image(at)?);
                let mut random = Random::new(seed, index);
                let [left, top] = self.sizes.room(&image).map(|room| random.below(room + 1));
                let flip = flip && random.below(2) == 1;
                self.sizes.cut(&image, left, top, flip)
            }
        };
        Ok((planes, label as i64))
    }

    /// [`Folder::decode`] as tensors in main memory, ready to be copied to the device.
    pub(super) fn ready(
        &self,
        indices: &[i64],
        variation: Option<Variation>,
    ) -> Result<Dataset, DataError> {
        let (bytes, labels) = self.decode(indices, variation)?;
        let [height, width] = [self.sizes.height, self.sizes.width].map(i64::from);
        let shape = [labels.len() as i64, 3, height, width];
        Ok(Dataset {
            images: Tensor::from_slice(&bytes).view(shape),
            labels: Tensor::from_slice(&labels),
        }
        .pinned_for(self.device))
    }
}

impl Images for Folder {
    fn count(&self) -> i64 {
        self.len()
    }

    fn part(&self, start: i64, count: i64) -> Result<Dataset, DataError> {
        let end = start.saturating_add(count).min(self.len());
        let indices: Vec<i64> = (start..end).collect();
        self.chosen(&indices)
    }

    fn chosen(&self, indices: &[i64]) -> Result<Dataset, DataError> {
        Ok(self.ready(indices, None)?.to_device(self.device))
    }
}
