//! One image's verdicts.

use bagcert_certifier::{
    Certifier, Condition, Fault, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap,
    ScoreWord, Shape, ShapeError, TableWord, Verdict,
};

use super::Asked;
use crate::network::Network;

/// The certifier with its memory.
pub(crate) struct Judge<'g> {
    shape: Shape,
    geometry: &'g Geometry,
    scores: Vec<ScoreWord>,
    table: Vec<TableWord>,
    masks: Vec<TableWord>,
}

/// What is found for one image.
pub(super) struct Outcome {
    /// The class with the most votes.
    pub(super) predicted: usize,
    /// For each patch size, in the order given.
    pub(super) patches: Vec<PatchOutcome>,
}

/// What is found for one image and one patch size.
pub(super) struct PatchOutcome {
    /// Certified by Condition 3.2.
    pub(super) window: bool,
    /// Certified by Condition 3.3.
    pub(super) global: bool,
    /// The class by double masking, and whether it is certified; only where scores are votes.
    pub(super) double_mask: Option<(usize, bool)>,
}

impl<'g> Judge<'g> {
    /// For the score maps of `network`.
    pub(crate) fn new(network: &Network, geometry: &'g Geometry) -> Result<Self, ShapeError> {
        let classes = usize::try_from(network.plan.head.output).unwrap_or(0);
        let (height, width) = (geometry.y.outputs() as usize, geometry.x.outputs() as usize);
        Ok(Self::of(Shape::new(classes, height, width)?, geometry))
    }

    /// For score maps of this shape.
    pub(super) fn of(shape: Shape, geometry: &'g Geometry) -> Self {
        Self {
            shape,
            geometry,
            scores: vec![0; shape.score_len()],
            table: vec![0; shape.table_len()],
            masks: vec![0; shape.masks_len(1)],
        }
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

    /// The plain vote with Conditions 3.2 and 3.3, and double masking, for each patch size on its own.
    pub(super) fn outcome(&mut self, logits: &[f32], asked: Asked<'_>) -> Result<Outcome, Fault> {
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.scores)?;
        let certifier = Certifier::new(&map, self.geometry, &mut self.table)?;
        let mut found = Vec::with_capacity(asked.patches.len());
        for patch in asked.patches {
            let set =
                MaskSet::new(self.geometry, std::slice::from_ref(patch))?.with_lead(asked.lead);
            let mut masks = MaskCertifier::new(&map, set, Masking::Double, &mut self.masks)?;
            found.push(PatchOutcome {
                window: certifier.certify(*patch, Condition::SumWindow32)?.certified,
                global: certifier.certify(*patch, Condition::SumGlobal33)?.certified,
                double_mask: Some((masks.predicted(), masks.certify(*patch)?.certified)),
            });
        }
        Ok(Outcome {
            predicted: map.predicted(),
            patches: found,
        })
    }
}
