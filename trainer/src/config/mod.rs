//! What a TOML configuration may say. Unknown keys are errors.

mod augmentation;
mod data;
mod distillation;
mod loss;
mod network;
mod paths;
mod training;

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use augmentation::AugmentationConfig;
pub use data::{DataConfig, DataKind, PaddingMode};
pub use distillation::{DistillationConfig, Targets};
pub use loss::{LossConfig, MarginKind, NoVotes, Patch, PatchShape, Scores};
pub use network::NetworkConfig;
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

/// What need not be written down.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
fn default_true() -> bool {
    true
}
fn default_one() -> i64 {
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
        reason: Cow<'static, str>,
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
    reason: impl Into<Cow<'static, str>>,
) -> Result<(), ConfigError> {
    if holds {
        return Ok(());
    }
    Err(ConfigError::Value {
        key,
        value: shortened(value.to_string()),
        reason: reason.into(),
    })
}

/// A number with hundreds of digits by its exponent; other text as it is.
fn shortened(value: String) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.len() > 24 => format!("{number:e}"),
        _ => value,
    }
}

/// An error that names `key` and `range` unless `value` lies in it.
fn within<T: PartialOrd + Display>(
    key: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    let reason = format!("it must be from {} to {}", range.start(), range.end());
    require(range.contains(&value), key, value, reason)
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
        self.data.check()?;
        self.network.check()?;
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
        self.training.check(self.network.kernels.len())
    }
}
