//! What a TOML configuration may say. Unknown keys are errors.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of every random choice of the run.
    pub seed: i64,
    /// The images.
    pub data: DataConfig,
    /// The region scorer f.
    pub network: NetworkConfig,
    /// The loss of Section 3.3.
    pub loss: LossConfig,
    /// Optimiser, schedule and length.
    pub training: TrainingConfig,
}

/// The images and how they are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Where the images are.
    #[serde(default)]
    pub kind: DataKind,
    /// How many of the last training images are kept aside for choosing. An image folder has a part of its own
    /// for that.
    #[serde(default = "default_validation")]
    pub validation: usize,
    /// Image folders: length that the shorter side is scaled to.
    #[serde(default = "default_resize")]
    pub resize: u32,
    /// Image folders: side of the square that is cut out.
    #[serde(default = "default_crop")]
    pub crop: u32,
    /// Records: number of classes.
    #[serde(default = "default_labels")]
    pub labels: usize,
    /// Records: bytes before the image; the last of them is the class.
    #[serde(default = "default_label_bytes")]
    pub label_bytes: usize,
    /// Records: the files to train on, plain or with .xz after their names.
    #[serde(default = "default_train")]
    pub train: Vec<String>,
    /// Records: the files to test on.
    #[serde(default = "default_test")]
    pub test: Vec<String>,
    /// Mean and standard deviation of each channel in [0, 1]; those of CIFAR-10, or for image folders of
    /// ImageNet, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Vec<(f32, f32)>>,
    /// Random crops after padding by this many pixels (0: none), but of image folders, which are cropped anyway.
    #[serde(default = "default_crop_padding")]
    pub crop_padding: i64,
    /// Random horizontal flips.
    #[serde(default = "default_true")]
    pub flip: bool,
}

/// Where images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    /// The official binary files of CIFAR-10.
    #[default]
    Cifar10,
    /// Record files of 32x32 images with other labels, such as CIFAR-100.
    Records,
    /// `train/CLASS/IMAGE` and `val/CLASS/IMAGE`, as ImageNet is laid out.
    Folder,
}

/// A residual network whose receptive field is set by which blocks have kernel size 3 (Section A.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Channels of every block that `widths` does not set, and of the stem.
    pub width: i64,
    /// Kernel size of the stem.
    #[serde(default = "default_stem_kernel")]
    pub stem_kernel: i64,
    /// Stride of the stem.
    #[serde(default = "default_one")]
    pub stem_stride: i64,
    /// Kernel size (1 or 3) of each block.
    pub kernels: Vec<i64>,
    /// Stride of each block; all 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strides: Option<Vec<i64>>,
    /// Channels of each block; all `width` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<i64>>,
    /// Residual paths per block: 2, mixed by shake-shake, as in the paper; or 1.
    #[serde(default = "default_paths")]
    pub paths: usize,
    /// Shake-shake (batch-wise) while training; otherwise two paths are averaged.
    #[serde(default = "default_true")]
    pub shake: bool,
}

/// L_R with its margin M and the one-hot penalty (Section 3.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// The margin M in (0, 1]: twice the largest affected share of the score map trained against.
    pub margin: f64,
    /// The weight sigma of the one-hot penalty.
    #[serde(default)]
    pub one_hot: f64,
    /// What stands for the binary score while training (Section A.3).
    #[serde(default)]
    pub scores: Scores,
}

/// What stands for the binary score in the training loss (Section A.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// The Heaviside step, with the sigmoid's gradient (straight-through).
    #[default]
    Heaviside,
    /// The sigmoid itself.
    Sigmoid,
    /// Softmax over the classes.
    Softmax,
}

/// Optimiser, schedule and length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingConfig {
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
}

fn default_validation() -> usize {
    5_000
}
fn default_resize() -> u32 {
    256
}
fn default_crop() -> u32 {
    224
}
fn default_labels() -> usize {
    10
}
fn default_label_bytes() -> usize {
    1
}
fn default_train() -> Vec<String> {
    vec!["train.bin".into()]
}
fn default_test() -> Vec<String> {
    vec!["test.bin".into()]
}
fn default_crop_padding() -> i64 {
    4
}
fn default_true() -> bool {
    true
}
fn default_stem_kernel() -> i64 {
    3
}
fn default_one() -> i64 {
    1
}
fn default_paths() -> usize {
    2
}
fn default_every() -> usize {
    1
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, or a value of the wrong type.
    #[error("the configuration {} is not valid: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value outside its range.
    #[error("{key} = {value} cannot be used: {reason}")]
    Value {
        /// The key, with its table.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it must be.
        reason: &'static str,
    },
}

/// Bytes of a configuration.
const MAX_BYTES: u64 = 1 << 20;

/// The text of a regular file of bounded size: a pipe would be waited for, a device never ends.
fn text(path: &Path) -> io::Result<String> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        let reason = format!("it has more than {MAX_BYTES} bytes");
        return Err(io::Error::other(reason));
    }
    Ok(text)
}

impl Config {
    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// Where the file cannot be read, is not TOML, has an unknown key, or a value is out of range.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = text(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.into(),
            source: Box::new(source),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let (network, loss, training) = (&self.network, &self.loss, &self.training);
        let blocks = network.kernels.len();
        require(
            (0..=16).contains(&self.data.crop_padding),
            "data.crop_padding",
            self.data.crop_padding.to_string(),
            "it must be from 0 to 16",
        )?;
        self.data.check()?;
        require(
            (1..=8192).contains(&network.width),
            "network.width",
            network.width.to_string(),
            "it must be from 1 to 8192",
        )?;
        require(
            (1..=16).contains(&network.stem_kernel),
            "network.stem_kernel",
            network.stem_kernel.to_string(),
            "it must be from 1 to 16",
        )?;
        require(
            (1..=8).contains(&network.stem_stride),
            "network.stem_stride",
            network.stem_stride.to_string(),
            "it must be from 1 to 8",
        )?;
        require(
            (1..=64).contains(&blocks),
            "network.kernels",
            format!("{:?}", network.kernels),
            "it must list 1 to 64 blocks",
        )?;
        require(
            network.kernels.iter().all(|kernel| [1, 3].contains(kernel)),
            "network.kernels",
            format!("{:?}", network.kernels),
            "a block's kernel is 1 or 3",
        )?;
        if let Some(strides) = &network.strides {
            require(
                strides.len() == blocks && strides.iter().all(|stride| (1..=8).contains(stride)),
                "network.strides",
                format!("{strides:?}"),
                "it must list one stride from 1 to 8 for each block of network.kernels",
            )?;
        }
        if let Some(widths) = &network.widths {
            require(
                widths.len() == blocks && widths.iter().all(|width| (1..=8192).contains(width)),
                "network.widths",
                format!("{widths:?}"),
                "it must list one width from 1 to 8192 for each block of network.kernels",
            )?;
        }
        require(
            [1, 2].contains(&network.paths),
            "network.paths",
            network.paths.to_string(),
            "a block has 1 or 2 paths",
        )?;
        require(
            loss.margin > 0.0 && loss.margin <= 1.0,
            "loss.margin",
            loss.margin.to_string(),
            "the margin M lies in (0, 1]",
        )?;
        require(
            loss.one_hot.is_finite() && loss.one_hot >= 0.0,
            "loss.one_hot",
            loss.one_hot.to_string(),
            "it must be 0 or more",
        )?;
        require(
            (1..=100_000).contains(&training.epochs),
            "training.epochs",
            training.epochs.to_string(),
            "it must be from 1 to 100000",
        )?;
        require(
            (2..=65_536).contains(&training.batch),
            "training.batch",
            training.batch.to_string(),
            "it must be from 2 to 65536 (batch normalisation needs two)",
        )?;
        require(
            training.learning_rate > 0.0 && training.learning_rate <= 1.0,
            "training.learning_rate",
            training.learning_rate.to_string(),
            "it must lie in (0, 1]",
        )?;
        require(
            (0.0..=training.epochs as f64).contains(&training.warmup_epochs),
            "training.warmup_epochs",
            training.warmup_epochs.to_string(),
            "it must lie between 0 and training.epochs",
        )?;
        require(
            training.validate_every >= 1,
            "training.validate_every",
            training.validate_every.to_string(),
            "it must be 1 or more",
        )
    }
}

impl DataConfig {
    fn check(&self) -> Result<(), ConfigError> {
        require(
            (1..=4096).contains(&self.crop),
            "data.crop",
            self.crop.to_string(),
            "it must be from 1 to 4096",
        )?;
        require(
            (self.crop..=8192).contains(&self.resize),
            "data.resize",
            self.resize.to_string(),
            "it must be from data.crop to 8192",
        )?;
        require(
            (2..=256).contains(&self.labels),
            "data.labels",
            self.labels.to_string(),
            "it must be from 2 to 256",
        )?;
        require(
            (1..=16).contains(&self.label_bytes),
            "data.label_bytes",
            self.label_bytes.to_string(),
            "it must be from 1 to 16",
        )?;
        require(
            !self.train.is_empty() && !self.test.is_empty(),
            "data.train, data.test",
            format!("{:?}, {:?}", self.train, self.test),
            "each must name one file or more",
        )?;
        let channels = self.normalisation.as_ref();
        require(
            channels.is_none_or(|channels| {
                let valid = |(mean, deviation): &(f32, f32)| {
                    mean.is_finite() && *deviation > 0.0 && deviation.is_finite()
                };
                channels.len() == 3 && channels.iter().all(valid)
            }),
            "data.normalisation",
            format!("{channels:?}"),
            "it must list mean and standard deviation (above 0) of three channels",
        )
    }
}

fn require(
    holds: bool,
    key: &'static str,
    value: String,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError::Value { key, value, reason })
    }
}
