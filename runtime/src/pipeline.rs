//! One frame from pixels to verdicts: the engine's logits, binarised, handed to the certifier.

use std::time::{Duration, Instant};

use bagcert_certifier::{
    Certifier, Condition, Fault, Geometry, PatchSize, ScoreMap, ScoreWord, Shape, TableWord,
    Verdict,
};

use ndarray::{Array2, ArrayView2};

use crate::admission::AdmittedModel;
use crate::engine::{Engine, EngineError};

/// Why a frame has no verdict.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The forward pass failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The scores do not allow a verdict, for example because a logit is not a finite number.
    #[error("fault: {0}")]
    Fault(#[from] Fault),
}

/// What is asked of each frame.
#[derive(Clone, Debug)]
pub struct Query {
    /// The patch sizes to certify against, one verdict each.
    pub patches: Vec<PatchSize>,
    /// The sufficient condition used for all of them.
    pub condition: Condition,
    /// Whether to look for the largest certified square as well (Condition 3.2).
    pub largest_square: bool,
    /// Whether to keep the score maps that the verdicts were drawn from.
    pub keep_scores: bool,
}

/// The binary scores of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassScores {
    /// The class.
    pub class: usize,
    /// Its scores, height x width cells, `true` for a vote.
    pub cells: Array2<bool>,
}

/// The answer for one frame.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The class with the most votes, the lowest on a tie.
    pub predicted: usize,
    /// Votes of every class.
    pub votes: Vec<u32>,
    /// One verdict for each patch size of the query, in its order.
    pub verdicts: Vec<Verdict>,
    /// Side of the largest square certified under Condition 3.2, in pixels; 0 where none is.
    pub largest_square: Option<u32>,
    /// Score maps of the predicted class and of every rival that a verdict names; empty unless kept.
    pub scores: Vec<ClassScores>,
    /// Time of the forward pass.
    pub forward: Duration,
    /// Time to binarise the logits, build the tables and reach all verdicts.
    pub certificate: Duration,
}

impl Outcome {
    /// The kept score map of one class.
    #[must_use]
    pub fn scores_of(&self, class: usize) -> Option<ArrayView2<'_, bool>> {
        self.scores
            .iter()
            .find(|scores| scores.class == class)
            .map(|scores| scores.cells.view())
    }
}

/// An engine with the memory of its certificates, reused from frame to frame.
pub struct Pipeline {
    engine: Engine,
    shape: Shape,
    geometry: Geometry,
    score_memory: Vec<ScoreWord>,
    table_memory: Vec<TableWord>,
}

impl Pipeline {
    /// Prepares the model's engine and allocates what certificates need.
    ///
    /// # Errors
    /// The engine cannot be built, or fails its numerics check.
    pub fn new(model: &AdmittedModel) -> Result<Pipeline, EngineError> {
        let shape = model.shape();
        Ok(Pipeline {
            engine: Engine::new(model)?,
            shape,
            geometry: model.geometry(),
            score_memory: vec![ScoreWord::default(); shape.score_len()],
            table_memory: vec![TableWord::default(); shape.table_len()],
        })
    }

    /// Runs one frame. `image`: channels x height x width values in [0, 1].
    ///
    /// # Errors
    /// The forward pass fails, its output is a fault (NaN, infinity, wrong length), or a patch is
    /// larger than the image.
    pub fn judge(&mut self, image: &[f32], query: &Query) -> Result<Outcome, PipelineError> {
        self.judge_and(image, query, |_, _| ())
            .map(|(outcome, ())| outcome)
    }

    /// [`judge`](Pipeline::judge), with a look at the score map and the logits it was drawn from.
    pub(crate) fn judge_and<T>(
        &mut self,
        image: &[f32],
        query: &Query,
        look: impl FnOnce(&ScoreMap<'_>, &[f32]) -> T,
    ) -> Result<(Outcome, T), PipelineError> {
        let start = Instant::now();
        let logits = self.engine.logits(image)?;
        let forward = start.elapsed();

        let start = Instant::now();
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.score_memory)?;
        let certifier = Certifier::new(&map, &self.geometry, &mut self.table_memory)?;
        let verdicts = query
            .patches
            .iter()
            .map(|&patch| certifier.certify(patch, query.condition))
            .collect::<Result<Vec<Verdict>, Fault>>()?;
        let largest_square = query.largest_square.then(|| certifier.largest_square());
        let certificate = start.elapsed();

        let seen = look(&map, logits);
        let outcome = Outcome {
            predicted: map.predicted(),
            votes: map.votes().collect(),
            scores: if query.keep_scores {
                kept_scores(&map, &verdicts)
            } else {
                Vec::new()
            },
            verdicts,
            largest_square,
            forward,
            certificate,
        };
        Ok((outcome, seen))
    }
}

fn kept_scores(map: &ScoreMap<'_>, verdicts: &[Verdict]) -> Vec<ClassScores> {
    let shape = map.shape();
    let mut classes: Vec<usize> = verdicts.iter().map(|verdict| verdict.rival).collect();
    classes.push(map.predicted());
    classes.sort_unstable();
    classes.dedup();
    classes
        .into_iter()
        .map(|class| ClassScores {
            class,
            cells: Array2::from_shape_fn((shape.height(), shape.width()), |(y, x)| {
                map.score(class, y, x) == Some(true)
            }),
        })
        .collect()
}
