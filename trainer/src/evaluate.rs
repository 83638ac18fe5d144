//! Clean and certified accuracy, by the same certifier that runs on the vehicle.

mod judge;
mod relaxed;

use std::time::{Duration, Instant};

use bagcert_certifier::{Fault, Geometry, PatchSize, Shape, ShapeError};
use rayon::prelude::*;
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use self::judge::Outcome;
use crate::{
    config::Scores,
    data::{DataError, Dataset, Images, to_unit},
    loss,
    network::{Mode, Network},
};

pub(crate) use judge::Judge;

/// What is certified.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'p> {
    /// The patch sizes, each on its own.
    pub patches: &'p [PatchSize],
    /// The votes that double masking asks for beyond a majority.
    pub lead: u32,
}

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
    /// The same scores read by double masking with the windows of this size alone; only where scores are votes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub double_mask: Option<MaskAccuracy>,
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
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Where the time of an evaluation went.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// Having the images: reading and decoding them, where they are not in memory.
    pub images: Duration,
    /// Waiting for the network: what is left of the forward passes once certifying is taken off, where both go
    /// on at once.
    pub network: Duration,
    /// Certifying, on the processor.
    pub certifier: Duration,
}

/// Evaluates `network` on all of `data`, its logits read as votes. `geometry` says which inputs each output cell reads; `progress` is
/// told how many images are done.
///
/// # Errors
/// Where a logit is NaN or infinite, an image cannot be used, or a patch does not fit the images.
pub fn evaluate(
    network: &Network,
    data: &dyn Images,
    geometry: &Geometry,
    patches: &[PatchSize],
    batch: i64,
    progress: &mut dyn FnMut(i64),
) -> Result<Accuracy, EvaluationError> {
    let votes = Scores::Heaviside;
    let asked = Asked { patches, lead: 0 };
    evaluate_timed(network, votes, data, geometry, asked, batch, progress)
        .map(|(accuracy, _)| accuracy)
}

/// [`evaluate`] by any kind of scores, and where its time went. Heaviside scores are votes, judged by the
/// certifier of the vehicle; others are numbers in [0, 1], as in the comparison of Section A.3. While the device works on a batch, the one before is
/// certified on all cores and the one after is read.
///
/// # Errors
/// Those of [`evaluate`].
pub fn evaluate_timed(
    network: &Network,
    scores: Scores,
    data: &dyn Images,
    geometry: &Geometry,
    asked: Asked<'_>,
    batch: i64,
    progress: &mut dyn FnMut(i64),
) -> Result<(Accuracy, Times), EvaluationError> {
    let shape = Judge::new(network, geometry)?.shape();
    let mut tally = Tally::new(asked.patches.len());
    let mut times = Times::default();
    let device = network.parameters.flat.device();
    let mut ready: Option<Scored> = None;
    let mut start = 0;
    let mut part = timed(&mut times.images, || next_part(data, start, batch))?;
    while part.is_some() || ready.is_some() {
        // On a GPU this only says what is to be done.
        let logits = timed(&mut times.network, || {
            part.as_ref().map(|part| {
                let images = to_unit(&part.images.to_device(device));
                no_grad(|| {
                    let logits = network.forward(&images, Mode::Evaluate);
                    match scores {
                        Scores::Heaviside => logits,
                        relaxed => loss::scores(&logits.to_kind(Kind::Float), relaxed),
                    }
                })
            })
        });
        if let Some(scored) = ready.take() {
            timed(&mut times.certifier, || {
                tally.add(&scored, scores, shape, geometry, asked)
            })?;
            progress(scored.start + scored.labels.len() as i64);
        }
        let len = part.as_ref().map_or(0, Dataset::len);
        let following = timed(&mut times.images, || next_part(data, start + len, batch))?;
        if let (Some(part), Some(logits)) = (&part, &logits) {
            ready = Some(timed(&mut times.network, || {
                Scored::new(start, logits, &part.labels)
            })?);
        }
        start += len;
        part = following;
    }
    Ok((tally.shares(start, asked.patches), times))
}

/// The images from `start` on, at most `batch`; nothing where there are no more.
fn next_part(data: &dyn Images, start: i64, batch: i64) -> Result<Option<Dataset>, DataError> {
    if start >= data.count() {
        return Ok(None);
    }
    let part = data.part(start, batch)?;
    Ok((!part.is_empty()).then_some(part))
}

/// Does `work` and adds the time it took.
fn timed<T>(total: &mut Duration, work: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = work();
    *total += begun.elapsed();
    result
}

/// A batch whose logits, or relaxed scores, are there.
struct Scored {
    start: i64,
    values: Vec<f32>,
    labels: Vec<i64>,
}

impl Scored {
    /// Waits for the device.
    fn new(start: i64, logits: &Tensor, labels: &Tensor) -> Result<Self, EvaluationError> {
        Ok(Self {
            start,
            values: floats(logits)?,
            labels: Vec::<i64>::try_from(labels.to_device(Device::Cpu))?,
        })
    }
}

/// Images counted so far.
struct Tally {
    right: u64,
    /// Some image has a verdict by double masking.
    masked: bool,
    /// For each patch: certified, certified and wrong, certified by Condition 3.3; for double masking right,
    /// certified, certified and wrong.
    patches: Vec<[u64; 6]>,
}

impl Tally {
    fn new(patches: usize) -> Self {
        Self {
            right: 0,
            masked: false,
            patches: vec![[0; 6]; patches],
        }
    }

    /// Certifies a batch, image by image on all cores.
    fn add(
        &mut self,
        scored: &Scored,
        scores: Scores,
        shape: Shape,
        geometry: &Geometry,
        asked: Asked<'_>,
    ) -> Result<(), EvaluationError> {
        let outcomes: Vec<Result<Outcome, EvaluationError>> = scored
            .values
            .par_chunks(shape.classes() * shape.cells())
            .enumerate()
            .map_init(
                || Judge::of(shape, geometry),
                |judge, (index, values)| {
                    let image = scored.start + index as i64;
                    let outcome = match scores {
                        Scores::Heaviside => judge.outcome(values, asked),
                        _ => relaxed::outcome(values, shape, geometry, asked.patches),
                    };
                    outcome.map_err(|fault| EvaluationError::Fault { image, fault })
                },
            )
            .collect();
        for (outcome, label) in outcomes.into_iter().zip(&scored.labels) {
            let outcome = outcome?;
            let is_right = |class: usize| usize::try_from(*label) == Ok(class);
            let right = is_right(outcome.predicted);
            self.right += u64::from(right);
            for (patch, counts) in outcome.patches.iter().zip(&mut self.patches) {
                let (class, certified) = patch.double_mask.unzip();
                let masked = class.is_some_and(is_right);
                let certified = certified.unwrap_or(false);
                self.masked |= class.is_some();
                let found = [
                    right && patch.window,
                    !right && patch.window,
                    right && patch.global,
                    masked,
                    masked && certified,
                    !masked && certified,
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
                double_mask: self.masked.then_some(MaskAccuracy {
                    clean,
                    certified: masked,
                    certified_wrong: masked_wrong,
                }),
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
