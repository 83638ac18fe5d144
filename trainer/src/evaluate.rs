//! Clean and certified accuracy, by the same certifier that runs on the vehicle.

use bagcert_certifier::{
    Certifier, Condition, Fault, Geometry, PatchSize, ScoreMap, ScoreWord, Shape, ShapeError,
    TableWord, Verdict,
};
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    data::{DataError, Images, to_unit},
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
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// Evaluates `network` on all of `data`. `geometry` says which inputs each output cell reads; `progress` is
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
    let mut judge = Judge::new(network, geometry)?;
    let asked: Vec<(PatchSize, Condition)> = patches
        .iter()
        .flat_map(|&patch| CONDITIONS.map(|condition| (patch, condition)))
        .collect();
    let mut right = 0u64;
    let mut counts = vec![[0u64; 3]; patches.len()];
    let mut start = 0;
    let device = network.parameters.flat.device();
    while start < data.count() {
        let part = data.part(start, batch)?;
        let images = to_unit(&part.images.to_device(device));
        let logits = no_grad(|| network.forward(&images, Mode::Evaluate));
        let logits = floats(&logits)?;
        let labels = Vec::<i64>::try_from(part.labels.to_device(Device::Cpu))?;
        for ((offset, logits), label) in (0..).zip(judge.images(&logits)).zip(labels) {
            let (predicted, verdicts) =
                judge
                    .verdicts(logits, &asked)
                    .map_err(|fault| EvaluationError::Fault {
                        image: start + offset,
                        fault,
                    })?;
            let hit = usize::try_from(label) == Ok(predicted);
            right += u64::from(hit);
            for (verdicts, counts) in verdicts.as_chunks().0.iter().zip(&mut counts) {
                let [window, global] = verdicts.map(|verdict: Verdict| verdict.certified);
                counts[0] += u64::from(hit && window);
                counts[1] += u64::from(!hit && window);
                counts[2] += u64::from(hit && global);
            }
        }
        start += part.len();
        progress(start);
    }
    let share = |count: u64| count as f64 / data.count().max(1) as f64;
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
        images: data.count(),
        clean: share(right),
        patches: patches.collect(),
    })
}

/// The conditions that every patch is certified by.
const CONDITIONS: [Condition; 2] = [Condition::SumWindow32, Condition::SumGlobal33];

/// The certifier with its memory.
pub(crate) struct Judge<'g> {
    shape: Shape,
    geometry: &'g Geometry,
    scores: Vec<ScoreWord>,
    table: Vec<TableWord>,
}

impl<'g> Judge<'g> {
    /// For the score maps of `network`.
    pub(crate) fn new(network: &Network, geometry: &'g Geometry) -> Result<Self, ShapeError> {
        let classes = usize::try_from(network.plan.head.output).unwrap_or(0);
        let (height, width) = (geometry.y.outputs() as usize, geometry.x.outputs() as usize);
        let shape = Shape::new(classes, height, width)?;
        Ok(Self {
            shape,
            geometry,
            scores: vec![0; shape.score_len()],
            table: vec![0; shape.table_len()],
        })
    }

    /// Extents of the score maps.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The logits of a batch, image by image.
    pub(crate) fn images<'l>(&self, logits: &'l [f32]) -> std::slice::Chunks<'l, f32> {
        logits.chunks(self.shape.classes() * self.shape.cells())
    }

    /// The predicted class, and a verdict for each patch and condition asked for.
    pub(crate) fn verdicts(
        &mut self,
        logits: &[f32],
        asked: &[(PatchSize, Condition)],
    ) -> Result<(usize, Vec<Verdict>), Fault> {
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.scores)?;
        let certifier = Certifier::new(&map, self.geometry, &mut self.table)?;
        let verdicts = asked
            .iter()
            .map(|&(patch, condition)| certifier.certify(patch, condition))
            .collect::<Result<_, _>>()?;
        Ok((map.predicted(), verdicts))
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
