//! The table `[distillation]`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ConfigError, paths, require, within};

/// Teachers whose scores the network learns from. They take no labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistillationConfig {
    /// The teacher, or several whose scores are averaged: each a checkpoint, or with the ending `.onnx` an exported
    /// model; for `classes` also a TorchScript module or an ONNX file of any architecture, which takes images
    /// N x C x H x W in [0, 1] and answers with logits N x classes.
    #[serde(
        rename = "teacher",
        deserialize_with = "paths::one_or_more",
        serialize_with = "paths::as_given"
    )]
    pub teachers: Vec<PathBuf>,
    /// What is learnt from them.
    #[serde(default)]
    pub kind: Targets,
    /// The share of the teachers' loss in the total, in (0, 1]: at 1 the labels are not used at all.
    pub weight: f64,
    /// For `classes`: a network's chances of the classes are the softmax of its mean scores, each in [0, 1], divided by
    /// this. The loss, in nats, is multiplied by it, so that its gradient is of the size of the margin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub softness: Option<f64>,
    /// For `classes`: the logits of a network of any other architecture are divided by it; 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of a step's images of which a rectangle is another's, as in CutMix: the teachers say what they see in them, and the
    /// labels' loss is of the others alone. None where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixed: Option<f64>,
    /// How many epochs are taught, the labels being learnt alone afterwards: all, where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
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
    /// Its chances of the classes, as the cross-entropy of Hinton et al.: any network will do.
    Classes,
}

impl DistillationConfig {
    /// Checks that every value is in its range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            !self.teachers.is_empty(),
            "distillation.teacher",
            "[]",
            "it must name at least one teacher; leave the table out to train without",
        )?;
        require(
            (1e-6..=1.0).contains(&self.weight),
            "distillation.weight",
            self.weight,
            "it must be from 1e-6 to 1",
        )?;
        let classes = self.kind == Targets::Classes;
        require(
            !classes || self.softness.is_some(),
            "distillation.kind",
            "\"classes\"",
            "it needs distillation.softness, for example 0.07",
        )?;
        for (key, value, range) in [
            ("distillation.softness", self.softness, 0.001..=10.0),
            ("distillation.temperature", self.temperature, 0.01..=1000.0),
        ] {
            let Some(value) = value else {
                continue;
            };
            require(
                classes,
                key,
                value,
                "it is for distillation.kind = \"classes\"; leave it out",
            )?;
            within(key, value, range)?;
        }
        if let Some(mixed) = self.mixed {
            within("distillation.mixed", mixed, 0.0..=0.9)?;
        }
        require(
            self.epochs != Some(0),
            "distillation.epochs",
            0,
            "it must be at least 1; leave the table out to train without teachers",
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What is kept with a run must read as what it was, in the form that it was given.
    #[test]
    fn one_teacher_is_a_path_and_several_a_list() {
        for (given, count) in [("\"a.onnx\"", 1), ("[\"a.onnx\", \"b\"]", 2)] {
            let table = format!("teacher = {given}\nkind = \"mean-scores\"\nweight = 0.5\n");
            let config: DistillationConfig = toml::from_str(&table).unwrap();
            assert_eq!(config.teachers.len(), count);
            assert_eq!(toml::to_string(&config).unwrap(), table);
        }
    }
}
