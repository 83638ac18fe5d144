//! The table `[distillation]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, require};

/// A teacher whose scores the network learns from. They take no labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationConfig {
    /// The teacher: a checkpoint, or with the ending `.onnx` an exported model.
    pub teacher: PathBuf,
    /// What is learnt from it.
    #[serde(default)]
    pub kind: Targets,
    /// The share of the teacher's loss in the total, in (0, 1]: at 1 the labels are not used at all.
    pub weight: f64,
}

/// What is learnt from a teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Targets {
    /// Its mean scores, one number per class: any score map will do.
    #[default]
    MeanScores,
    /// Its score map, cell by cell; the teacher's map must be as large as the network's, or a whole multiple.
    ScoreMaps,
}

impl DistillationConfig {
    /// Checks that every value is in its range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            self.weight > 0.0 && self.weight <= 1.0,
            "distillation.weight",
            self.weight,
            "it must lie in (0, 1]",
        )
    }
}
