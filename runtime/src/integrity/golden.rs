//! Golden frames: before an engine gives its first verdict, it answers frames whose answers are known.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use bagcert_certifier::{Condition, PatchSize, ScoreMap, Shape};

use super::error::IntegrityError;
use super::manifest::{GoldenFrame, GoldenVerdict, Manifest};
use super::undecided::{Undecided, set_aside, undecided};
use crate::admission::{AdmittedModel, sha256};
use crate::bounded;
use crate::frames::{self, Picture};
use crate::pipeline::{Pipeline, PipelineError, Query};

/// Checks the hash of every golden frame's file.
pub(super) fn check_files(folder: &Path, manifest: &Manifest) -> Result<(), IntegrityError> {
    let mut frames = manifest.golden().iter();
    frames.try_for_each(|golden| read(folder, golden).map(|_| ()))
}

/// Runs the golden frames through `pipeline`; any other answer than the manifest's is an error.
pub(super) fn check(
    pipeline: &mut Pipeline,
    model: &AdmittedModel,
    path: &Path,
    folder: &Path,
    manifest: &Manifest,
) -> Result<(), IntegrityError> {
    for expected in manifest.golden() {
        let (frame, bytes) = read(folder, expected)?;
        let differs = |difference| IntegrityError::Golden {
            model: path.to_path_buf(),
            frame: frame.clone(),
            difference,
        };
        let (condition, patches) = expected
            .query()
            .map_err(|error| differs(error.to_string()))?;
        let known = |_: Shape, _: &[f32]| expected.undecided.clone();
        let found = Answer::of(pipeline, model, &frame, &bytes, patches, condition, known)
            .map_err(differs)?
            .golden(expected.frame.clone(), &bytes, condition);
        difference(expected, &found).map_or(Ok(()), |difference| Err(differs(difference)))?;
    }
    Ok(())
}

/// What `pipeline` answers on the frame at `relative`, for a manifest in `folder`.
pub(super) fn record(
    pipeline: &mut Pipeline,
    model: &AdmittedModel,
    folder: &Path,
    relative: &str,
    patches: Vec<PatchSize>,
    condition: Condition,
) -> Result<GoldenFrame, IntegrityError> {
    let frame = folder.join(relative);
    let bytes = read_file(&frame)?;
    let unsuitable = |reason| IntegrityError::Unsuitable {
        frame: frame.clone(),
        reason,
    };
    let answer = Answer::of(
        pipeline, model, &frame, &bytes, patches, condition, undecided,
    )
    .map_err(unsuitable)?;
    Ok(answer.golden(relative.to_owned(), &bytes, condition))
}

/// A golden frame's file, which must have the hash that the manifest names.
fn read(folder: &Path, golden: &GoldenFrame) -> Result<(PathBuf, Vec<u8>), IntegrityError> {
    let frame = folder.join(&golden.frame);
    let bytes = read_file(&frame)?;
    let found = sha256(&bytes);
    if found != golden.sha256 {
        return Err(IntegrityError::OtherFrame {
            frame,
            found,
            expected: golden.sha256.clone(),
        });
    }
    Ok((frame, bytes))
}

fn read_file(frame: &Path) -> Result<Vec<u8>, IntegrityError> {
    bounded::read(frame, frames::MAX_FILE)
        .map_err(|error| IntegrityError::unreadable(frame, &error))
}

/// What was answered on one frame.
struct Answer {
    predicted: usize,
    undecided: Vec<Undecided>,
    votes: Vec<u32>,
    scores: String,
    verdicts: Vec<GoldenVerdict>,
}

impl Answer {
    /// `undecided` says which scores are set aside.
    fn of(
        pipeline: &mut Pipeline,
        model: &AdmittedModel,
        frame: &Path,
        bytes: &[u8],
        patches: Vec<PatchSize>,
        condition: Condition,
        undecided: impl FnOnce(Shape, &[f32]) -> Vec<Undecided>,
    ) -> Result<Answer, String> {
        let picture =
            Picture::decode(bytes, frame, model.image_size()).map_err(|error| error.to_string())?;
        let query = Query {
            patches,
            condition,
            mask_step: NonZeroU32::MIN,
            lead: 0,
            largest_square: false,
            keep_scores: false,
        };
        let logits = pipeline.logits(picture.planes());
        let mut logits = logits.map_err(|error| error.to_string())?.to_vec();
        let undecided = undecided(pipeline.shape(), &logits);
        set_aside(pipeline.shape(), &mut logits, &undecided)?;
        let (outcome, scores) = pipeline
            .judge_logits(&logits, &query, |map| sha256(&binary(map)))
            .map_err(|error| PipelineError::from(error).to_string())?;
        Ok(Answer {
            predicted: outcome.predicted,
            undecided,
            votes: outcome.votes,
            scores,
            verdicts: outcome.verdicts.iter().map(GoldenVerdict::from).collect(),
        })
    }

    fn golden(self, frame: String, bytes: &[u8], condition: Condition) -> GoldenFrame {
        GoldenFrame {
            frame,
            sha256: sha256(bytes),
            predicted: self.predicted,
            votes: self.votes,
            scores: self.scores,
            condition: condition.to_string(),
            undecided: self.undecided,
            verdicts: self.verdicts,
        }
    }
}

/// One byte per score, class slowest, then row, then column.
fn binary(map: &ScoreMap<'_>) -> Vec<u8> {
    let shape = map.shape();
    let mut scores = Vec::with_capacity(shape.cells().saturating_mul(shape.classes()));
    for class in 0..shape.classes() {
        for y in 0..shape.height() {
            let row = (0..shape.width()).map(|x| map.score(class, y, x) == Some(true));
            scores.extend(row.map(u8::from));
        }
    }
    scores
}

/// The first difference in words, the votes before the verdicts that follow from them.
fn difference(expected: &GoldenFrame, found: &GoldenFrame) -> Option<String> {
    let classes = (expected.votes.len(), found.votes.len());
    if classes.0 != classes.1 {
        return Some(format!("{} classes instead of {}", classes.1, classes.0));
    }
    let votes = expected.votes.iter().zip(&found.votes).enumerate();
    for (class, (expected, found)) in votes {
        if expected != found {
            return Some(format!(
                "class {class} has {found} votes instead of {expected}"
            ));
        }
    }
    if expected.scores != found.scores {
        return Some(format!(
            "the score map has SHA-256 {} instead of {}, with the same votes in all",
            found.scores, expected.scores
        ));
    }
    if expected.predicted != found.predicted {
        return Some(format!(
            "class {} is predicted instead of {}",
            found.predicted, expected.predicted
        ));
    }
    let verdicts = expected.verdicts.iter().zip(&found.verdicts);
    for (expected, found) in verdicts {
        if expected != found {
            let [width, height] = expected.patch;
            return Some(format!(
                "the verdict for patch {width}x{height} is ({}) instead of ({})",
                in_words(found),
                in_words(expected)
            ));
        }
    }
    // Nothing may differ unseen, whatever fields are added.
    (expected != found).then(|| "its answer differs".to_owned())
}

fn in_words(verdict: &GoldenVerdict) -> String {
    let GoldenVerdict {
        certified,
        slack,
        rival,
        worst: [x, y],
        ..
    } = verdict;
    format!("certified {certified}, slack {slack}, rival {rival}, worst {x},{y}")
}
