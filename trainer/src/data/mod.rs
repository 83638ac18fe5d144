//! Images and labels, and how they are varied while training.

mod augment;
mod batches;
mod cut_mix;
mod error;
mod fingerprint;
mod folder;
mod open;
mod records;
mod strong;
mod warp;

pub use augment::Augmentation;
pub use bagcert_images::{CLASS_NAMES, FileError, FolderError, Part, Sizes};
pub use batches::{Batches, Source};
pub use cut_mix::cut_mix;
pub use error::DataError;
pub use fingerprint::other_classes;
pub use fingerprint::{Fingerprint, PartPrint};
pub use folder::{Folder, Variation};
pub use open::{Facts, Test, Training, facts, stated, test, training};
pub use records::read;
pub use strong::vary;

use tch::{Device, Tensor};

/// Labelled images on one device.
#[derive(Debug)]
pub struct Dataset {
    /// N x 3 x H x W bytes.
    pub images: Tensor,
    /// N class indices.
    pub labels: Tensor,
}

impl Dataset {
    /// How many images there are.
    pub fn len(&self) -> i64 {
        self.labels.size().first().copied().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The images `start .. start + count`, as far as they exist.
    pub fn slice(&self, start: i64, count: i64) -> Self {
        let count = count.min(self.len() - start).max(0);
        Self {
            images: self.images.narrow(0, start, count),
            labels: self.labels.narrow(0, start, count),
        }
    }

    /// The same on `device`. From [pinned](Dataset::pinned_for) memory it is copied to a GPU while the caller goes on.
    pub fn to_device(&self, device: Device) -> Self {
        // A copy back must be waited for: the processor would read what is not there yet.
        let goes_on = device.is_cuda();
        let on = |tensor: &Tensor| tensor.to_device_(device, tensor.kind(), goes_on, false);
        Self {
            images: on(&self.images),
            labels: on(&self.labels),
        }
    }

    /// The same in memory that the system may not move, from which a copy to a GPU waits for nothing; as it is for the
    /// processor, and where there is no such memory.
    #[must_use]
    pub fn pinned_for(self, device: Device) -> Self {
        if !device.is_cuda() {
            return self;
        }
        // Not `pin_memory`, which warns of the device that tch names each time.
        let pinned = |tensor: Tensor| tensor.f_internal_pin_memory(device).unwrap_or(tensor);
        Self {
            images: pinned(self.images),
            labels: pinned(self.labels),
        }
    }
}

/// Labelled images that can be had part by part, in order.
pub trait Images {
    /// How many there are.
    fn count(&self) -> i64;

    /// The images `start .. start + count`, as far as they exist, on the device that they are meant for.
    ///
    /// # Errors
    /// An image that cannot be used.
    fn part(&self, start: i64, count: i64) -> Result<Dataset, DataError>;

    /// The images at `indices`, all of which must be there, in that order and on that device.
    ///
    /// # Errors
    /// An image that cannot be used.
    fn chosen(&self, indices: &[i64]) -> Result<Dataset, DataError>;
}

impl Images for Dataset {
    fn count(&self) -> i64 {
        self.len()
    }

    fn part(&self, start: i64, count: i64) -> Result<Dataset, DataError> {
        Ok(self.slice(start, count))
    }

    fn chosen(&self, indices: &[i64]) -> Result<Dataset, DataError> {
        let indices = Tensor::from_slice(indices).to_device(self.images.device());
        Ok(Self {
            images: self.images.index_select(0, &indices),
            labels: self.labels.index_select(0, &indices),
        })
    }
}

/// N x C x H x W in [0, 1] from bytes of the same shape.
pub fn to_unit(images: &Tensor) -> Tensor {
    images.to_kind(tch::Kind::Float) / 255.0
}
