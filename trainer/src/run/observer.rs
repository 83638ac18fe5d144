//! What a run tells of itself while it goes on.

use bagcert_certifier::Geometry;
use serde::{Deserialize, Serialize};

use crate::network::Plan;

/// One line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// How far the classes are apart: the largest mean score of a class less the smallest, averaged over the images of
    /// the last step. Near 0 the network tells nothing apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Training images per second, without validation.
    pub images_per_second: f64,
    /// The rate of the convolutions in GFLOP/s: those of a step's forward pass counted three times, for the
    /// backward pass takes two more of them, and those of teachers of this program's kind once.
    #[serde(default)]
    pub gflops: f64,
    /// That rate as a share of `training.peak_tflops`, where it was given.
    #[serde(default)]
    pub share_of_peak: Option<f64>,
    /// That rate as a share of what the device reaches in one large product of matrices in the run's precision, measured when the
    /// run began or was resumed.
    #[serde(default)]
    pub share_of_matrix_rate: Option<f64>,
    /// Accuracy on the validation images, where it was measured.
    pub validation: Option<serde_json::Value>,
}

/// What a run works on.
#[derive(Clone, Copy, Debug)]
pub struct Outset<'r> {
    /// Name of the data set.
    pub dataset: &'r str,
    /// Images to train on.
    pub images: i64,
    /// Images to choose by.
    pub validation: i64,
    /// Steps of an epoch.
    pub steps: i64,
    /// Epochs finished: more than 0 where a run is resumed.
    pub epoch: usize,
    /// The layers.
    pub plan: &'r Plan,
    /// What their cells see.
    pub geometry: Geometry,
}

/// Where a run reports to.
pub trait Observer {
    /// Images and network are ready; no step was taken yet.
    fn begins(&mut self, _outset: &Outset<'_>) {}
    /// A step was taken: steps of this epoch so far and in all.
    fn step(&mut self, epoch: usize, step: i64, steps: i64);
    /// An epoch is over.
    fn epoch(&mut self, log: &EpochLog);
}
