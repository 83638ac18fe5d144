//! The table `[training]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, Patch, default_one, paths, require, within};

/// Start, optimiser, schedule, length and arithmetic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
    /// A checkpoint, or an exported model (a name that ends in `.onnx`), whose weights a new run begins with, in place of
    /// random ones: of the same network, or of one that only lacks position embeddings, blocks (`initial_blocks`), hidden
    /// channels, pixels that its stem reads or the cells of a finer map. Nothing else of it is taken: the run has its own
    /// schedule and optimiser, and may have other images of the same classes. Of several, which must be of the same network, the
    /// mean of their weights, each with its batch normalisation folded in.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "paths::one_or_more",
        serialize_with = "paths::as_given"
    )]
    pub initial: Vec<PathBuf>,
    /// Which blocks of `network.kernels` (from 1, in their order) those of `initial` become, where the network has more
    /// of them. The others are new and begin as the identity, so that the network begins as the one it grew from.
    /// Where absent, both have the same blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_blocks: Option<Vec<usize>>,
    /// The dilations of `initial`, where they are others than the network's: its kernels keep their weights and read other
    /// cells. Then the network does not begin with what that one says, but near to what it has to learn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_dilations: Option<Vec<i64>>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per step.
    pub batch: i64,
    /// Adam's learning rate after the warm-up.
    pub learning_rate: f64,
    /// Epochs of linear warm-up before the cosine decay to zero; may be a fraction.
    #[serde(default)]
    pub warmup_epochs: f64,
    /// Measure on the validation images after every so many epochs (and after the last).
    #[serde(default = "default_every")]
    pub validate_every: usize,
    /// Patch sizes that the validation images are certified against; 2x2, 5x5 and 10x10 where absent, as far as they
    /// fit the images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_patches: Option<Vec<Patch>>,
    /// Write a checkpoint after every so many epochs (and after the last); a run that is killed goes back to it.
    #[serde(default = "default_every", skip_serializing_if = "is_every")]
    pub checkpoint_every: usize,
    /// The largest norm of a step's gradient, over all parameters; longer ones are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// What the weights of convolutions lose of themselves in each step, over the learning rate (AdamW, Loshchilov & Hutter,
    /// 2019). Biases, batch normalisation and position embeddings lose nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// Decay of an exponential moving average of the weights, which is then what is measured and exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Work out every so many cells of the score map along each axis, from an offset drawn for each step: a step
    /// costs less, its votes are a sample. 1: all of them, as in the paper.
    #[serde(default = "default_one", skip_serializing_if = "is_one")]
    pub cell_stride: i64,
    /// Arithmetic of the convolutions.
    #[serde(default)]
    pub precision: Precision,
    /// Activations with the channels of a cell side by side, which tensor cores want.
    #[serde(default)]
    pub channels_last: bool,
    /// The device's largest rate in this precision, in TFLOP/s: the log then has the share of it that was
    /// reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_tflops: Option<f64>,
}

/// Arithmetic of the convolutions. Weights, batch normalisation, loss and optimiser are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits in memory; tensor cores may multiply with fewer (TF32).
    #[default]
    F32,
    /// bfloat16.
    Bf16,
}

fn default_every() -> usize {
    1
}
fn is_every(value: &usize) -> bool {
    *value == default_every()
}
fn is_one(value: &i64) -> bool {
    *value == 1
}

impl TrainingConfig {
    /// Checks that every value is in its range, for a network of so many `blocks`.
    pub(super) fn check(&self, blocks: usize) -> Result<(), ConfigError> {
        if let Some(places) = &self.initial_blocks {
            let ordered = places.is_sorted_by(|one, next| one < next);
            let known = places.iter().all(|place| (1..=blocks).contains(place));
            require(
                self.initial.len() == 1 && !places.is_empty() && ordered && known,
                "training.initial_blocks",
                format!("{places:?}"),
                "it must list, in rising order, the blocks of network.kernels (from 1) that those of training.initial, a single \
                 file, become",
            )?;
        }
        if let Some(dilations) = &self.initial_dilations {
            require(
                self.initial.len() == 1 && dilations.iter().all(|dilation| *dilation >= 1),
                "training.initial_dilations",
                format!("{dilations:?}"),
                "it must list the dilations of the network in training.initial, a single file, each of 1 or more",
            )?;
        }
        within("training.epochs", self.epochs, 1..=100_000)?;
        require(
            (2..=65_536).contains(&self.batch),
            "training.batch",
            self.batch,
            "it must be from 2 to 65536 (batch normalisation needs two)",
        )?;
        require(
            (1e-12..=1.0).contains(&self.learning_rate),
            "training.learning_rate",
            self.learning_rate,
            "it must be from 1e-12 to 1",
        )?;
        require(
            (0.0..=self.epochs as f64).contains(&self.warmup_epochs),
            "training.warmup_epochs",
            self.warmup_epochs,
            "it must lie between 0 and training.epochs",
        )?;
        require(
            self.validate_every >= 1,
            "training.validate_every",
            self.validate_every,
            "it must be 1 or more",
        )?;
        require(
            self.validation_patches
                .as_ref()
                .is_none_or(|list| !list.is_empty()),
            "training.validation_patches",
            "[]",
            "it must list at least one size, for example [\"5x5\"]; leave it out for 2x2, 5x5 and 10x10",
        )?;
        require(
            self.checkpoint_every >= 1,
            "training.checkpoint_every",
            self.checkpoint_every,
            "it must be 1 or more",
        )?;
        within("training.cell_stride", self.cell_stride, 1..=16)?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let norm = self.clip_norm.unwrap_or(1.0);
        require(
            norm.is_finite() && norm >= 1e-6,
            "training.clip_norm",
            norm,
            "it must be a number of 1e-6 or more, where a step can still change the weights",
        )?;
        let decay = self.weight_decay;
        require(
            decay.is_none_or(|decay| positive(decay) && decay * self.learning_rate < 1.0),
            "training.weight_decay",
            decay.unwrap_or_default(),
            "it must be above 0, and below 1 / training.learning_rate, where a step would leave no weights; leave it out for none",
        )?;
        let ema = self.ema.unwrap_or(0.5);
        require(
            (0.0..1.0).contains(&ema),
            "training.ema",
            ema,
            "it must be at least 0 and below 1, for example 0.999",
        )?;
        let peak = self.peak_tflops.unwrap_or(1.0);
        require(
            positive(peak),
            "training.peak_tflops",
            peak,
            "it must be above 0",
        )
    }
}
