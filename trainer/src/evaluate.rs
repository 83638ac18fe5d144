//! Clean and certified accuracy, by the same certifier that runs on the vehicle.

mod judge;

use std::time::{Duration, Instant};

use bagcert_certifier::{Fault, Geometry, PatchSize, Shape, ShapeError};
use rayon::prelude::*;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use self::judge::Outcome;
use crate::{
    data::{Dataset, to_unit},
    network::{Mode, Network},
};

pub(crate) use judge::Judge;

/// Shares of images, in [0, 1].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// Images evaluated.
    pub images: i64,
    /// Predicted class equals the label.
    pub clean: f64,
    /// For each patch size, in the order given.
    pub patches: Vec<PatchAccuracy>,
}

/// Shares of images certified against one patch size.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PatchAccuracy {
    /// Width and height in pixels.
    pub patch: [u32; 2],
    /// Right and certified by Condition 3.2.
    pub certified: f64,
    /// Wrong, yet certified by Condition 3.2: the wrong answer cannot be changed by a patch.
    pub certified_wrong: f64,
    /// Right and certified by Condition 3.3.
    pub certified_33: f64,
    /// The same scores read by double masking with the windows of this size alone.
    pub double_mask: MaskAccuracy,
}

/// Shares of images by a masking predictor, which may name another class than the plain vote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskAccuracy {
    /// Predicted class equals the label.
    pub clean: f64,
    /// Right and certified.
    pub certified: f64,
    /// Wrong, yet certified.
    pub certified_wrong: f64,
}

/// Why a network could not be evaluated.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// The network's output is no score map.
    #[error("the network's output cannot be a score map: {0}")]
    Shape(#[from] ShapeError),
    /// The certifier reported a fault, for example a logit that is not a number.
    #[error("image {image}: {fault}")]
    Fault {
        /// The image's index.
        image: i64,
        /// What was wrong.
        fault: Fault,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Where the time of an evaluation went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Waiting for the network: what is left of the forward passes once certifying is taken off, where both go
    /// on at once.
    pub network: Duration,
    /// Certifying, on the processor.
    pub certifier: Duration,
}

/// Evaluates `network` on all of `data`. `geometry` says which inputs each output cell reads; `progress` is
/// told how many images are done.
///
/// # Errors
/// Where a logit is NaN or infinite, or a patch does not fit the images.
pub fn evaluate(
    network: &Network,
    data: &Dataset,
    geometry: &Geometry,
    patches: &[PatchSize],
    batch: i64,
    progress: &mut dyn FnMut(i64),
) -> Result<Accuracy, EvaluationError> {
    evaluate_timed(network, data, geometry, patches, batch, progress).map(|(accuracy, _)| accuracy)
}

/// [`evaluate`], and where its time went. A batch is certified on all cores while the device works on the next.
///
/// # Errors
/// Those of [`evaluate`].
pub fn evaluate_timed(
    network: &Network,
    data: &Dataset,
    geometry: &Geometry,
    patches: &[PatchSize],
    batch: i64,
    progress: &mut dyn FnMut(i64),
) -> Result<(Accuracy, Times), EvaluationError> {
    let shape = Judge::new(network, geometry)?.shape();
    let mut tally = Tally::new(patches.len());
    let mut times = Times::default();
    let mut ready: Option<Scored> = None;
    let mut start = 0;
    while start < data.len() || ready.is_some() {
        let part = data.slice(start, batch);
        let begun = Instant::now();
        // On a GPU this only says what is to be done.
        let logits = (!part.is_empty())
            .then(|| no_grad(|| network.forward(&to_unit(&part.images), Mode::Evaluate)));
        times.network += begun.elapsed();
        if let Some(scored) = ready.take() {
            let begun = Instant::now();
            tally.add(&scored, shape, geometry, patches)?;
            times.certifier += begun.elapsed();
            progress(scored.start + scored.labels.len() as i64);
        }
        let begun = Instant::now();
        ready = match logits {
            Some(logits) => Some(Scored {
                start,
                logits: floats(&logits)?,
                labels: Vec::<i64>::try_from(part.labels.to_device(Device::Cpu))?,
            }),
            None => None,
        };
        times.network += begun.elapsed();
        start += part.len();
    }
    Ok((tally.shares(data.len(), patches), times))
}

/// A batch whose logits are there.
struct Scored {
    start: i64,
    logits: Vec<f32>,
    labels: Vec<i64>,
}

/// Images counted so far.
struct Tally {
    right: u64,
    /// For each patch: certified, certified and wrong, certified by Condition 3.3; for double masking right,
    /// certified, certified and wrong.
    patches: Vec<[u64; 6]>,
}

impl Tally {
    fn new(patches: usize) -> Self {
        Self {
            right: 0,
            patches: vec![[0; 6]; patches],
        }
    }

    /// Certifies a batch, image by image on all cores.
    fn add(
        &mut self,
        scored: &Scored,
        shape: Shape,
        geometry: &Geometry,
        patches: &[PatchSize],
    ) -> Result<(), EvaluationError> {
        let outcomes: Vec<Result<Outcome, EvaluationError>> = scored
            .logits
            .par_chunks(shape.classes() * shape.cells())
            .enumerate()
            .map_init(
                || Judge::of(shape, geometry),
                |judge, (index, logits)| {
                    let image = scored.start + index as i64;
                    let fault = |fault| EvaluationError::Fault { image, fault };
                    judge.outcome(logits, patches).map_err(fault)
                },
            )
            .collect();
        for (outcome, label) in outcomes.into_iter().zip(&scored.labels) {
            let outcome = outcome?;
            let is_right = |class: usize| usize::try_from(*label) == Ok(class);
            let right = is_right(outcome.predicted);
            self.right += u64::from(right);
            for (patch, counts) in outcome.patches.iter().zip(&mut self.patches) {
                let masked = is_right(patch.masked);
                let found = [
                    right && patch.window,
                    !right && patch.window,
                    right && patch.global,
                    masked,
                    masked && patch.double_mask,
                    !masked && patch.double_mask,
                ];
                for (count, found) in counts.iter_mut().zip(found) {
                    *count += u64::from(found);
                }
            }
        }
        Ok(())
    }

    fn shares(&self, images: i64, patches: &[PatchSize]) -> Accuracy {
        let share = |count: u64| count as f64 / images.max(1) as f64;
        let patches = patches.iter().zip(&self.patches).map(|(patch, counts)| {
            let [
                certified,
                certified_wrong,
                certified_33,
                clean,
                masked,
                masked_wrong,
            ] = counts.map(share);
            PatchAccuracy {
                patch: [patch.width(), patch.height()],
                certified,
                certified_wrong,
                certified_33,
                double_mask: MaskAccuracy {
                    clean,
                    certified: masked,
                    certified_wrong: masked_wrong,
                },
            }
        });
        Accuracy {
            images,
            clean: share(self.right),
            patches: patches.collect(),
        }
    }
}

/// The numbers of a tensor on any device, row-major.
pub(crate) fn floats(tensor: &Tensor) -> Result<Vec<f32>, tch::TchError> {
    Vec::<f32>::try_from(
        tensor
            .detach()
            .to_device(Device::Cpu)
            .to_kind(Kind::Float)
            .contiguous()
            .flatten(0, -1),
    )
}
