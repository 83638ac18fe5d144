//! What a plan says: training runs, and the figures that are drawn of what they leave.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of `trainer/plans`. Paths in it are from the root of the repository.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// What the images are.
    #[serde(default)]
    pub(super) images: Images,
    /// In the order in which they are trained and drawn; a later one may begin with what an earlier one leaves.
    #[serde(default)]
    pub(super) runs: Vec<Run>,
    /// Taken once all runs are trained, in their order.
    #[serde(default)]
    pub(super) means: Vec<Mean>,
    /// Models that are there already, drawn after those of the runs.
    #[serde(default)]
    pub(super) models: Vec<PathBuf>,
    /// What is drawn of all of them.
    #[serde(default)]
    pub(super) figures: Vec<Figure>,
}

/// The word before the folder in `bagcert figure --data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Images {
    #[default]
    Cifar10,
    Folder,
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cifar10 => "cifar10",
            Self::Folder => "folder",
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) config: PathBuf,
    /// It is trained once with each of these in place of the configuration's.
    #[serde(default)]
    pub(super) seeds: Vec<i64>,
    /// Lengths that it is given one after the other, where it was not trained in one go.
    #[serde(default)]
    pub(super) legs: Vec<Leg>,
    /// What its network is exported as.
    #[serde(default = "onnx")]
    pub(super) export: Vec<Export>,
}

/// A part of a run.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Leg {
    /// The length that the run was to have.
    pub(super) epochs: usize,
    /// The epoch after which it was given another, or stopped.
    pub(super) until: Option<usize>,
}

impl Leg {
    pub(super) fn end(self) -> usize {
        self.until.unwrap_or(self.epochs)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Export {
    Onnx,
    /// The network alone, as a checkpoint.
    Safetensors,
}

impl Export {
    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::Safetensors => "safetensors",
        }
    }
}

fn onnx() -> Vec<Export> {
    vec![Export::Onnx]
}

/// A network whose weights are the mean of others'.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mean {
    /// What its file is called, without ending.
    pub(super) name: String,
    /// Networks of the same layers, as `bagcert-train mean` takes them.
    pub(super) of: Vec<PathBuf>,
    /// What each counts; all the same where nothing is said.
    #[serde(default)]
    pub(super) weights: Vec<f64>,
}

impl Mean {
    fn check(&self) -> Result<()> {
        let name = &self.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            bail!("a mean is called {name:?}: letters, digits, - and _ make the name of its file");
        }
        if self.of.len() < 2 {
            bail!("{name}: a mean is of two networks or more");
        }
        if !self.weights.is_empty() && self.weights.len() != self.of.len() {
            bail!(
                "{name}: {} weights for {} networks; give one for each, or none",
                self.weights.len(),
                self.of.len()
            );
        }
        if let Some(weight) = self
            .weights
            .iter()
            .find(|weight| !(1e-6..=1e6).contains(*weight))
        {
            bail!("{name}: a weight of {weight:?}; it must be from 1e-6 to 1e6");
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figure {
    pub(super) kind: Kind,
    /// More options of the command behind it; of `attacked` those of the attack.
    #[serde(default)]
    pub(super) options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Speed,
    Conditions,
    Squares,
    Shapes,
    Attacked,
    Scores,
}

impl Kind {
    /// As the commands call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Speed => "speed",
            Self::Conditions => "conditions",
            Self::Squares => "squares",
            Self::Shapes => "shapes",
            Self::Attacked => "attacked",
            Self::Scores => "scores",
        }
    }

    /// Whether it is drawn of runs, and not of models.
    fn of_runs(self) -> bool {
        self == Self::Scores
    }
}

impl Run {
    /// What its files are named after: the configuration and, where there are several, the seed.
    pub(super) fn names(&self) -> Vec<(String, Option<i64>)> {
        let stem = self.config.file_stem().unwrap_or_default();
        let stem = stem.to_string_lossy().into_owned();
        if self.seeds.is_empty() {
            return vec![(stem, None)];
        }
        let seeds = self.seeds.iter();
        seeds
            .map(|seed| (format!("{stem}-{seed}"), Some(*seed)))
            .collect()
    }
}

impl Plan {
    /// Reads and checks one.
    pub(super) fn read(path: &Path, root: &Path) -> Result<Self> {
        let named = || format!("the plan {}", path.display());
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", named()))?;
        let plan: Self = toml::from_str(&text).with_context(named)?;
        plan.check(root).with_context(named)?;
        Ok(plan)
    }

    /// Whatever can be wrong before the first of some hours of training.
    fn check(&self, root: &Path) -> Result<()> {
        if self.runs.is_empty() && self.means.is_empty() && self.models.is_empty() {
            bail!("it has neither runs nor models");
        }
        let mut names = BTreeSet::new();
        for run in &self.runs {
            let config = run.config.display();
            if !root.join(&run.config).is_file() {
                bail!(
                    "there is no configuration {config}; paths are from the root of the repository"
                );
            }
            let ends: Vec<usize> = run.legs.iter().map(|leg| leg.end()).collect();
            if !ends.is_sorted_by(|one, next| one < next) {
                bail!("{config}: each of its legs must end after the one before, not {ends:?}");
            }
            if let Some(leg) = run.legs.iter().find(|leg| leg.end() > leg.epochs) {
                bail!(
                    "{config}: a leg of {} epochs ends before epoch {}",
                    leg.epochs,
                    leg.end()
                );
            }
            for (name, _) in run.names() {
                if !names.insert(name.clone()) {
                    bail!("two runs would write {name}");
                }
            }
            let drawn = self.figures.iter().find(|figure| !figure.kind.of_runs());
            if let Some(figure) = drawn.filter(|_| !run.export.contains(&Export::Onnx)) {
                bail!(
                    "{config} is not exported as onnx, of which {} is drawn",
                    figure.kind.name()
                );
            }
        }
        for mean in &self.means {
            mean.check()?;
            if !names.insert(mean.name.clone()) {
                bail!("{} is made twice", mean.name);
            }
        }
        for model in &self.models {
            if !root.join(model).is_file() {
                bail!("there is no model {}", model.display());
            }
            let name = model.file_stem().unwrap_or_default().to_string_lossy();
            if !names.insert(name.clone().into_owned()) {
                bail!(
                    "{} has the name of a run, a mean or another model, {name}, and so would its attacks",
                    model.display()
                );
            }
        }
        let attacked = |figure: &Figure| figure.kind == Kind::Attacked;
        if self.images == Images::Folder && self.figures.iter().any(attacked) {
            bail!(
                "attacked is drawn of CIFAR-10 only: attack models of a folder by `bagcert-train attack --config`, and draw \
                 their journals by `bagcert-train figure attacked`"
            );
        }
        let twice = |figure: &&Figure| {
            let same = |other: &&Figure| other.kind == figure.kind;
            self.figures.iter().filter(same).count() > 1
        };
        if let Some(figure) = self.figures.iter().find(twice) {
            bail!(
                "{} is to be drawn twice, into the same file",
                figure.kind.name()
            );
        }
        Ok(())
    }
}
