//! One frame from pixels to verdicts: the engine's logits, binarised, handed to the certifier.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bagcert_certifier::{
    Certifier, Condition, Fault, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap,
    ScoreWord, Shape, TableWord, Verdict,
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
    /// The patch sizes to certify against, one verdict each. Under a masking condition they are part
    /// of the predictor: one for all of them, whose windows cover every size.
    pub patches: Vec<PatchSize>,
    /// The sufficient condition used for all of them; it also says which predictor answers.
    pub condition: Condition,
    /// Under a masking condition, the step from window to window; see [`MaskSet::with_step`].
    pub mask_step: NonZeroU32,
    /// Under double masking, the votes that it asks for beyond a majority; see [`MaskSet::with_lead`].
    pub lead: u32,
    /// Whether to look for the largest certified square as well (Condition 3.2). Under a masking
    /// condition there is none.
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
    /// The answer of the predictor that the query's condition certifies: the class with the most
    /// votes, the lowest on a tie, or that of a masking predictor.
    pub predicted: usize,
    /// Votes of every class, on the whole map.
    pub votes: Vec<u32>,
    /// One verdict for each patch size of the query, in its order.
    pub verdicts: Vec<Verdict>,
    /// Side of the largest square certified under Condition 3.2, in pixels; 0 where none is. `None`
    /// where it was not asked for, or another predictor answers.
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
    certificates: Certificates,
}

/// From logits to verdicts, and the memory for it.
struct Certificates {
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
            certificates: Certificates {
                shape,
                geometry: model.geometry(),
                score_memory: vec![ScoreWord::default(); shape.score_len()],
                table_memory: vec![TableWord::default(); shape.table_len()],
            },
        })
    }

    /// The engine alone, for whoever certifies elsewhere: the very one that was checked.
    #[must_use]
    pub fn into_engine(self) -> Engine {
        self.engine
    }

    /// Runs one frame. `image`: channels x height x width values in [0, 1].
    ///
    /// # Errors
    /// The forward pass fails, its output is a fault (NaN, infinity, wrong length), or a patch is
    /// larger than the image.
    pub fn judge(&mut self, image: &[f32], query: &Query) -> Result<Outcome, PipelineError> {
        let start = Instant::now();
        let logits = self.engine.logits(image)?;
        let forward = start.elapsed();
        let (outcome, ()) = self.certificates.judge(logits, forward, query, |_| ())?;
        Ok(outcome)
    }

    /// Runs one frame once and answers every query from the same scores.
    ///
    /// # Errors
    /// As [`judge`](Pipeline::judge).
    pub fn judge_all(
        &mut self,
        image: &[f32],
        queries: &[Query],
    ) -> Result<Vec<Outcome>, PipelineError> {
        let start = Instant::now();
        let logits = self.engine.logits(image)?;
        let forward = start.elapsed();
        Ok(self.certificates.judge_all(logits, forward, queries)?)
    }

    /// The score map's.
    pub(crate) fn shape(&self) -> Shape {
        self.certificates.shape
    }

    /// The logits of one frame, as [`Engine::logits`].
    pub(crate) fn logits(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        self.engine.logits(image)
    }

    /// [`judge`](Pipeline::judge) from logits that are there already, with a look at the score map.
    pub(crate) fn judge_logits<T>(
        &mut self,
        logits: &[f32],
        query: &Query,
        look: impl FnOnce(&ScoreMap<'_>) -> T,
    ) -> Result<(Outcome, T), Fault> {
        self.certificates.judge(logits, Duration::ZERO, query, look)
    }
}

impl Certificates {
    /// `forward`: how long the logits took.
    fn judge<T>(
        &mut self,
        logits: &[f32],
        forward: Duration,
        query: &Query,
        look: impl FnOnce(&ScoreMap<'_>) -> T,
    ) -> Result<(Outcome, T), Fault> {
        let start = Instant::now();
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.score_memory)?;
        let answer = Answer::new(&map, &self.geometry, &mut self.table_memory, query)?;
        let certificate = start.elapsed();
        let seen = look(&map);
        Ok((answer.outcome(&map, query, forward, certificate), seen))
    }

    fn judge_all(
        &mut self,
        logits: &[f32],
        forward: Duration,
        queries: &[Query],
    ) -> Result<Vec<Outcome>, Fault> {
        let start = Instant::now();
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.score_memory)?;
        let binarised = start.elapsed();
        let mut outcomes = Vec::with_capacity(queries.len());
        for query in queries {
            let start = Instant::now();
            let answer = Answer::new(&map, &self.geometry, &mut self.table_memory, query)?;
            let certificate = binarised + start.elapsed();
            outcomes.push(answer.outcome(&map, query, forward, certificate));
        }
        Ok(outcomes)
    }
}

/// What a predictor says of one score map.
struct Answer {
    predicted: usize,
    verdicts: Vec<Verdict>,
    largest_square: Option<u32>,
}

impl Answer {
    /// Asks the predictor that the query names; `memory` grows where it needs more.
    fn new(
        map: &ScoreMap<'_>,
        geometry: &Geometry,
        memory: &mut Vec<TableWord>,
        query: &Query,
    ) -> Result<Answer, Fault> {
        let Some(masking) = query.condition.masking() else {
            return by_votes(map, geometry, memory, query);
        };
        let needed = map.shape().masks_len(query.patches.len());
        if memory.len() < needed {
            memory.resize(needed, TableWord::default());
        }
        by_masks(map, geometry, memory, query, masking)
    }

    fn outcome(
        self,
        map: &ScoreMap<'_>,
        query: &Query,
        forward: Duration,
        certificate: Duration,
    ) -> Outcome {
        Outcome {
            predicted: self.predicted,
            votes: map.votes().collect(),
            scores: if query.keep_scores {
                kept_scores(map, &self)
            } else {
                Vec::new()
            },
            verdicts: self.verdicts,
            largest_square: self.largest_square,
            forward,
            certificate,
        }
    }
}

fn by_votes(
    map: &ScoreMap<'_>,
    geometry: &Geometry,
    memory: &mut [TableWord],
    query: &Query,
) -> Result<Answer, Fault> {
    let certifier = Certifier::new(map, geometry, memory)?;
    let verdicts = certifier.sweep(query.patches.iter().copied(), query.condition);
    Ok(Answer {
        predicted: map.predicted(),
        verdicts: verdicts.collect::<Result<_, _>>()?,
        largest_square: query.largest_square.then(|| certifier.largest_square()),
    })
}

fn by_masks(
    map: &ScoreMap<'_>,
    geometry: &Geometry,
    memory: &mut [TableWord],
    query: &Query,
    masking: Masking,
) -> Result<Answer, Fault> {
    let set = MaskSet::new(geometry, &query.patches)?
        .with_step(query.mask_step)
        .with_lead(query.lead);
    let mut certifier = MaskCertifier::new(map, set, masking, memory)?;
    Ok(Answer {
        predicted: certifier.predicted(),
        verdicts: certifier.verdicts().collect::<Result<_, _>>()?,
        largest_square: None,
    })
}

fn kept_scores(map: &ScoreMap<'_>, answer: &Answer) -> Vec<ClassScores> {
    let shape = map.shape();
    let rivals = answer.verdicts.iter().map(|verdict| verdict.rival);
    let mut classes: Vec<usize> = rivals.collect();
    classes.push(answer.predicted);
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
