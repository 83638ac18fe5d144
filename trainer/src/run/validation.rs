//! Accuracy on the images kept aside, while a run goes on.

use bagcert_certifier::{Geometry, PatchSize};

use super::{EVALUATION_BATCH, TrainError};
use crate::{
    config::{Config, Scores, TrainingConfig},
    data::Images,
    evaluate::{Accuracy, Asked, evaluate_timed},
    network::Network,
};

/// Sides of the squares that are certified against unless the configuration names others.
const SIDES: [u32; 3] = [2, 5, 10];

/// The images, and what they are certified against.
pub(super) struct Validation {
    images: Box<dyn Images>,
    scores: Scores,
    pub(super) geometry: Geometry,
    patches: Vec<PatchSize>,
    batch: i64,
}

impl Validation {
    /// Of `images` with `size` pixels along both axes, by networks of this geometry.
    ///
    /// # Errors
    /// Where a patch of the configuration does not fit them.
    pub(super) fn new(
        config: &Config,
        images: Box<dyn Images>,
        geometry: Geometry,
        size: u32,
    ) -> Result<Self, TrainError> {
        Ok(Self {
            images,
            scores: config.loss.scores,
            geometry,
            patches: patches(&config.training, size)?,
            batch: EVALUATION_BATCH.min(config.training.batch),
        })
    }

    /// Images that are kept aside.
    pub(super) fn count(&self) -> i64 {
        self.images.count()
    }

    /// Nothing where no images were kept aside.
    ///
    /// # Errors
    /// An image that cannot be used, or what libtorch reports.
    pub(super) fn measure(&self, network: &Network) -> Result<Option<Accuracy>, TrainError> {
        if self.count() == 0 {
            return Ok(None);
        }
        let (accuracy, _) = evaluate_timed(
            network,
            self.scores,
            &*self.images,
            &self.geometry,
            Asked {
                patches: &self.patches,
                lead: 0,
            },
            self.batch,
            &mut |_| {},
        )?;
        Ok(Some(accuracy))
    }
}

/// What is certified against.
///
/// # Errors
/// Where a patch of the configuration does not fit images of so many pixels along both axes.
pub(super) fn patches(config: &TrainingConfig, size: u32) -> Result<Vec<PatchSize>, TrainError> {
    let Some(patches) = &config.validation_patches else {
        let sides = SIDES.into_iter().filter(|side| *side <= size);
        let squares = sides.map(|side| PatchSize::new(side, side));
        return Ok(squares.collect::<Result<_, _>>()?);
    };
    let patches: Vec<PatchSize> = patches.iter().map(|patch| patch.0).collect();
    match patches
        .iter()
        .find(|patch| patch.width().max(patch.height()) > size)
    {
        Some(&patch) => Err(TrainError::ValidationPatch { patch, size }),
        None => Ok(patches),
    }
}
