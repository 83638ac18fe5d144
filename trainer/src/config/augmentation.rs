//! The table `[augmentation]`: what varies training images beside the flips and crops of `[data]`.

use serde::{Deserialize, Serialize};

use super::{ConfigError, require, within};

/// Variations beyond the paper's; all are off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentationConfig {
    /// Side in pixels of a grey square at a random place (DeVries & Taylor, 2017); 0: none.
    #[serde(default)]
    pub cutout: i64,
    /// How many operations each image goes through, drawn from brightness, contrast, saturation, solarisation
    /// and translation (after RandAugment, Cubuk et al., 2020); 0: none.
    #[serde(default)]
    pub operations: i64,
    /// How strong they are, from 0 (nothing happens) to 1.
    #[serde(default)]
    pub magnitude: f64,
    /// By how many degrees half of the images are turned at most, to either side; 0: not at all.
    #[serde(default)]
    pub rotation: f64,
    /// By how much half of the images become larger or smaller at most: the factor lies between 1 / (1 + zoom) and 1 + zoom;
    /// 0: not at all.
    #[serde(default)]
    pub zoom: f64,
    /// How many epochs have all this, images being varied as `[data]` says alone afterwards: all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
}

impl AugmentationConfig {
    /// What epoch `number`, from 0, has of it.
    pub fn in_epoch(self, number: usize) -> Self {
        if self.epochs.is_none_or(|epochs| number < epochs) {
            self
        } else {
            Self::default()
        }
    }

    /// Checks that every value is in its range and none is without effect.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("augmentation.cutout", self.cutout, 0..=4096)?;
        within("augmentation.operations", self.operations, 0..=8)?;
        within("augmentation.magnitude", self.magnitude, 0.0..=1.0)?;
        within("augmentation.rotation", self.rotation, 0.0..=180.0)?;
        within("augmentation.zoom", self.zoom, 0.0..=1.0)?;
        require(
            (self.operations > 0) == (self.magnitude > 0.0),
            "augmentation.magnitude",
            self.magnitude,
            "augmentation.operations and augmentation.magnitude have an effect together only",
        )?;
        let nothing = Self {
            epochs: self.epochs,
            ..Self::default()
        };
        require(
            self.epochs.is_none() || (self.epochs != Some(0) && *self != nothing),
            "augmentation.epochs",
            self.epochs.unwrap_or_default(),
            "it must be at least 1, and there must be something else in the table that lasts so long",
        )
    }
}
