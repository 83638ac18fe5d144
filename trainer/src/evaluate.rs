//! Clean and certified accuracy, by the same certifier that runs on the vehicle.

use bagcert_certifier::{
    Certifier, Condition, Fault, Geometry, PatchSize, ScoreMap, ScoreWord, Shape, ShapeError,
    TableWord,
};
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    data::{Dataset, to_unit},
    network::{Mode, Network},
};

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
    let classes = usize::try_from(network.plan.head.output).unwrap_or(0);
    let shape = Shape::new(
        classes,
        geometry.y.outputs() as usize,
        geometry.x.outputs() as usize,
    )?;
    let mut scores: Vec<ScoreWord> = vec![0; shape.score_len()];
    let mut table: Vec<TableWord> = vec![0; shape.table_len()];
    let mut right = 0u64;
    let mut counts = vec![[0u64; 3]; patches.len()];
    let mut start = 0;
    while start < data.len() {
        let part = data.slice(start, batch);
        let logits = no_grad(|| network.forward(&to_unit(&part.images), Mode::Evaluate));
        let logits = floats(&logits)?;
        let labels = Vec::<i64>::try_from(part.labels.to_device(Device::Cpu))?;
        for ((offset, logits), label) in (0..)
            .zip(logits.chunks(classes * shape.cells()))
            .zip(labels)
        {
            let fault = |fault| EvaluationError::Fault {
                image: start + offset,
                fault,
            };
            let map = ScoreMap::from_logits(shape, logits, &mut scores).map_err(fault)?;
            let hit = usize::try_from(label) == Ok(map.predicted());
            right += u64::from(hit);
            let certifier = Certifier::new(&map, geometry, &mut table).map_err(fault)?;
            for (&patch, counts) in patches.iter().zip(&mut counts) {
                let window = certifier
                    .certify(patch, Condition::SumWindow32)
                    .map_err(fault)?
                    .certified;
                let global = certifier
                    .certify(patch, Condition::SumGlobal33)
                    .map_err(fault)?
                    .certified;
                counts[0] += u64::from(hit && window);
                counts[1] += u64::from(!hit && window);
                counts[2] += u64::from(hit && global);
            }
        }
        start += part.len();
        progress(start);
    }
    let share = |count: u64| count as f64 / data.len().max(1) as f64;
    let patches = patches
        .iter()
        .zip(counts)
        .map(|(patch, [certified, wrong, global])| PatchAccuracy {
            patch: [patch.width(), patch.height()],
            certified: share(certified),
            certified_wrong: share(wrong),
            certified_33: share(global),
        });
    Ok(Accuracy {
        images: data.len(),
        clean: share(right),
        patches: patches.collect(),
    })
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
