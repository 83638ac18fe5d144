//! What a TOML configuration may say. Unknown keys are errors.

mod augmentation;
mod data;
mod distillation;
mod loss;
mod training;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use augmentation::AugmentationConfig;
pub use data::{DataConfig, DataKind};
pub use distillation::{DistillationConfig, Targets};
pub use loss::{LossConfig, MarginKind, Patch, PatchShape, Scores};
pub use training::{Precision, TrainingConfig};

/// One training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed of every random choice of the run.
    pub seed: i64,
    /// The images.
    pub data: DataConfig,
    /// Variations of the images beyond the paper's.
    #[serde(default)]
    pub augmentation: AugmentationConfig,
    /// The region scorer f.
    pub network: NetworkConfig,
    /// The loss of Section 3.3.
    pub loss: LossConfig,
    /// Teachers to learn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<DistillationConfig>,
    /// Optimiser, schedule and length.
    pub training: TrainingConfig,
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
    /// Channels between the two convolutions of each path of a block; those of the block where absent, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_widths: Option<Vec<i64>>,
    /// Residual paths per block: 2, mixed by shake-shake, as in the paper; or 1.
    #[serde(default = "default_paths")]
    pub paths: usize,
    /// Shake-shake (batch-wise) while training; otherwise two paths are averaged.
    #[serde(default = "default_true")]
    pub shake: bool,
    /// A number learnt for each cell and channel is added to the outputs of the stem and of each block, so that a
    /// cell's votes may depend on where it lies. It is the same for every image: no receptive field grows. Not in the
    /// paper.
    #[serde(default, skip_serializing_if = "is_default")]
    pub position_embedding: bool,
}

impl std::fmt::Display for NetworkConfig {
    /// The keys of the table, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = toml::to_string(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&table.trim_end().replace('\n', ", "))
    }
}

impl NetworkConfig {
    /// The same network, with what is absent written out.
    #[must_use]
    pub fn written_out(&self) -> Self {
        let blocks = self.kernels.len();
        let strides = self.strides.clone().unwrap_or_else(|| vec![1; blocks]);
        let widths = self.widths.clone();
        let widths = widths.unwrap_or_else(|| vec![self.width; blocks]);
        let hidden = self.hidden_widths.clone();
        Self {
            hidden_widths: Some(hidden.unwrap_or_else(|| widths.clone())),
            strides: Some(strides),
            widths: Some(widths),
            ..self.clone()
        }
    }
}

/// What need not be written down.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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

/// An error that names `key` unless the condition holds.
fn require(
    holds: bool,
    key: &'static str,
    value: impl ToString,
    reason: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    let value = value.to_string();
    Err(ConfigError::Value { key, value, reason })
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
        let network = &self.network;
        let blocks = network.kernels.len();
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
        for (key, widths) in [
            ("network.widths", &network.widths),
            ("network.hidden_widths", &network.hidden_widths),
        ] {
            let Some(widths) = widths else {
                continue;
            };
            require(
                widths.len() == blocks && widths.iter().all(|width| (1..=8192).contains(width)),
                key,
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
        self.augmentation.check()?;
        self.loss.check()?;
        require(
            self.training.cell_stride == 1 || self.loss.margin_kind == MarginKind::Paper,
            "training.cell_stride",
            self.training.cell_stride,
            "a margin outside windows needs every cell: it must be 1 unless loss.margin_kind is \"paper\"",
        )?;
        require(
            self.loss.paper_epochs == 0 || self.loss.paper_epochs < self.training.epochs,
            "loss.paper_epochs",
            self.loss.paper_epochs,
            "no epoch of training.epochs is left for loss.margin_kind",
        )?;
        if let Some(distillation) = &self.distillation {
            distillation.check()?;
        }
        self.training.check(blocks)
    }
}
