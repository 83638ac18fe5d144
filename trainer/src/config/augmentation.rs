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
}

impl AugmentationConfig {
    /// Checks that every value is in its range and none is without effect.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("augmentation.cutout", self.cutout, 0..=4096)?;
        within("augmentation.operations", self.operations, 0..=8)?;
        within("augmentation.magnitude", self.magnitude, 0.0..=1.0)?;
        require(
            (self.operations > 0) == (self.magnitude > 0.0),
            "augmentation.magnitude",
            self.magnitude,
            "augmentation.operations and augmentation.magnitude have an effect together only",
        )
    }
}
