//! One frame, from scores to answers, without a raw pointer.

use core::num::NonZeroU32;

use bagcert_certifier::{
    Certifier, Condition, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap, Shape,
};

use crate::status::{BagcertStatus, Failure};
use crate::types::{
    BAGCERT_MAX_PATCHES, BagcertCondition, BagcertMemoryLen, BagcertPatch, BagcertVerdict,
};

/// The patch sizes and the condition of a query, checked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    patches: [PatchSize; BAGCERT_MAX_PATCHES],
    count: usize,
    /// The condition.
    pub condition: Condition,
    /// The step between masks; 1 where there are none.
    pub mask_step: NonZeroU32,
    /// The lead that double masking asks for, in votes; 0 elsewhere.
    pub lead: u32,
}

/// Fills the places of patch sizes that are not there.
const UNUSED: PatchSize = match PatchSize::new(1, 1) {
    Ok(patch) => patch,
    Err(_) => unreachable!(),
};

impl Question {
    /// Checks what a query says.
    ///
    /// # Errors
    /// No patch size, too many, an empty one; an unknown condition; a mask step of 0 where it counts; a
    /// lead where none is asked for.
    pub fn new(
        patches: &[BagcertPatch],
        condition: u32,
        mask_step: u32,
        lead: u32,
    ) -> Result<Self, Failure> {
        if patches.is_empty() {
            return Err(Failure::new(BagcertStatus::NoPatch, c"query.patches_len"));
        }
        let condition = BagcertCondition::from_number(condition).ok_or(Failure::new(
            BagcertStatus::UnknownCondition,
            c"query.condition",
        ))?;
        let mask_step = match (condition.masking(), NonZeroU32::new(mask_step)) {
            (None, _) => NonZeroU32::MIN,
            (Some(_), Some(step)) => step,
            (Some(_), None) => {
                return Err(Failure::new(
                    BagcertStatus::ZeroMaskStep,
                    c"query.mask_step",
                ));
            }
        };
        if lead > 0 && condition != Condition::DoubleMask {
            return Err(Failure::new(BagcertStatus::UnusedLead, c"query.lead"));
        }
        let too_many = Failure::new(BagcertStatus::TooManyPatches, c"query.patches_len")
            .lengths(BAGCERT_MAX_PATCHES, patches.len());
        let mut question = Self {
            patches: [UNUSED; BAGCERT_MAX_PATCHES],
            count: patches.len(),
            condition,
            mask_step,
            lead,
        };
        let places = question.patches.get_mut(..patches.len()).ok_or(too_many)?;
        for (place, patch) in places.iter_mut().zip(patches) {
            *place = PatchSize::try_from(*patch)?;
        }
        Ok(question)
    }

    /// The patch sizes.
    #[must_use]
    pub fn patches(&self) -> &[PatchSize] {
        self.patches.get(..self.count).unwrap_or_default()
    }

    /// What a map of this shape takes.
    pub(crate) fn memory_len(&self, shape: &Shape) -> Result<BagcertMemoryLen, Failure> {
        let table_len = match self.condition.masking() {
            None => shape.table_len(),
            Some(_) => shape.masks_len(self.count),
        };
        if table_len == usize::MAX {
            return Err(Failure::new(BagcertStatus::MapTooLarge, c"shape"));
        }
        Ok(BagcertMemoryLen {
            scores_len: shape.score_len(),
            table_len,
        })
    }

    /// Whether geometry and patch sizes fit the shape.
    pub(crate) fn check(&self, shape: &Shape, geometry: &Geometry) -> Result<(), Failure> {
        let same = |cells: u32, length: usize| usize::try_from(cells) == Ok(length);
        if !same(geometry.y.outputs(), shape.height()) || !same(geometry.x.outputs(), shape.width())
        {
            return Err(Failure::new(BagcertStatus::GeometryMismatch, c"geometry"));
        }
        MaskSet::new(geometry, self.patches()).map_err(|fault| Failure::of(fault, c""))?;
        Ok(())
    }
}

/// What a network gave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    /// Class slowest, then row, then column.
    Logits(&'a [f32]),
    /// In the same order, 0 or 1.
    Scores(&'a [u8]),
    /// Bit l of byte k * cells + y * width + x is the score of class 8k + l.
    Packed(&'a [u8]),
}

/// Where answers go.
#[derive(Debug)]
pub struct Answers<'a> {
    /// One for each patch size.
    pub verdicts: &'a mut [BagcertVerdict],
    /// One for each class, or none.
    pub votes: &'a mut [u32],
    /// Largest certified square, where it is wanted.
    pub largest_square: Option<&'a mut u32>,
}

impl Answers<'_> {
    /// Whether there is room for what the question asks.
    ///
    /// # Errors
    /// Where there is less or more than that.
    pub fn check(&self, shape: &Shape, question: &Question) -> Result<(), Failure> {
        let (needed, found) = (question.patches().len(), self.verdicts.len());
        if needed != found {
            let failure = Failure::new(BagcertStatus::VerdictsLength, c"output.verdicts_len");
            return Err(failure.lengths(needed, found));
        }
        let (needed, found) = (shape.classes(), self.votes.len());
        if found != 0 && needed != found {
            let failure = Failure::new(BagcertStatus::VotesLength, c"output.votes_len");
            return Err(failure.lengths(needed, found));
        }
        Ok(())
    }
}

/// Certifies one frame in the caller's memory. After a failure some answers may have been written.
///
/// # Errors
/// See [`BagcertStatus`].
pub(crate) fn certify(
    shape: Shape,
    geometry: &Geometry,
    question: &Question,
    frame: Frame<'_>,
    scores: &mut [u8],
    table: &mut [i16],
    answers: &mut Answers<'_>,
) -> Result<(), Failure> {
    question.check(&shape, geometry)?;
    answers.check(&shape, question)?;
    let map = score_map(shape, frame, scores)?;
    let fault = |fault| Failure::of(fault, c"memory.table");
    match question.condition.masking() {
        None => {
            let certifier = Certifier::new(&map, geometry, table).map_err(fault)?;
            let found = certifier.sweep(question.patches().iter().copied(), question.condition);
            for (place, verdict) in answers.verdicts.iter_mut().zip(found) {
                *place = verdict.map_err(fault)?.into();
            }
            if let Some(square) = &mut answers.largest_square {
                **square = certifier.largest_square();
            }
        }
        Some(masking) => by_masks(&map, geometry, question, masking, table, answers)?,
    }
    for (place, votes) in answers.votes.iter_mut().zip(map.votes()) {
        *place = votes;
    }
    Ok(())
}

fn by_masks(
    map: &ScoreMap<'_>,
    geometry: &Geometry,
    question: &Question,
    masking: Masking,
    table: &mut [i16],
    answers: &mut Answers<'_>,
) -> Result<(), Failure> {
    let fault = |fault| Failure::of(fault, c"memory.table");
    let set = MaskSet::new(geometry, question.patches()).map_err(fault)?;
    let set = set.with_step(question.mask_step).with_lead(question.lead);
    let mut certifier = MaskCertifier::new(map, set, masking, table).map_err(fault)?;
    for (place, verdict) in answers.verdicts.iter_mut().zip(certifier.verdicts()) {
        *place = verdict.map_err(fault)?.into();
    }
    Ok(())
}

fn score_map<'m>(
    shape: Shape,
    frame: Frame<'_>,
    memory: &'m mut [u8],
) -> Result<ScoreMap<'m>, Failure> {
    let fault = |fault| Failure::of(fault, c"memory.scores");
    let (classes, cells) = (shape.classes(), shape.cells());
    match frame {
        Frame::Logits(logits) => ScoreMap::from_logits(shape, logits, memory).map_err(fault),
        Frame::Scores(scores) => {
            check_scores_len(scores, classes.saturating_mul(cells))?;
            if let Some(at) = scores.iter().position(|score| *score > 1) {
                return Err(not_binary(shape, at.checked_div(cells), at));
            }
            let score = |class: usize, y: usize, x: usize| {
                scores.get(index(shape, class, y, x)).copied() == Some(1)
            };
            ScoreMap::from_scores(shape, score, memory).map_err(fault)
        }
        Frame::Packed(words) => {
            let chunks = classes.div_ceil(8);
            check_scores_len(words, chunks.saturating_mul(cells))?;
            // Bits of the last chunk's classes that there are; all eight where it is full.
            let used = 0xffu8.checked_shr(chunks.saturating_mul(8).saturating_sub(classes) as u32);
            let last = chunks.saturating_sub(1).saturating_mul(cells);
            let unused = |word: &u8| word & !used.unwrap_or(0) != 0;
            let words_of_last = words.get(last..).unwrap_or_default();
            if let Some(at) = words_of_last.iter().position(unused) {
                return Err(not_binary(shape, Some(classes), at));
            }
            let score = |class: usize, y: usize, x: usize| {
                let word = words.get(index(shape, class / 8, y, x)).copied();
                word.is_some_and(|word| word & (1 << (class % 8)) != 0)
            };
            ScoreMap::from_scores(shape, score, memory).map_err(fault)
        }
    }
}

/// Place of a cell in planes of the shape's cells.
fn index(shape: Shape, plane: usize, y: usize, x: usize) -> usize {
    let rows = plane.saturating_mul(shape.height()).saturating_add(y);
    rows.saturating_mul(shape.width()).saturating_add(x)
}

fn check_scores_len(scores: &[u8], needed: usize) -> Result<(), Failure> {
    if scores.len() == needed {
        return Ok(());
    }
    Err(Failure::new(BagcertStatus::ScoresLength, c"scores_len").lengths(needed, scores.len()))
}

/// The failure for place `at` in planes of the shape's cells.
#[cold]
fn not_binary(shape: Shape, class: Option<usize>, at: usize) -> Failure {
    let cell = at.checked_rem(shape.cells()).unwrap_or(0);
    let (y, x) = (
        cell.checked_div(shape.width()),
        cell.checked_rem(shape.width()),
    );
    Failure::new(BagcertStatus::NotBinary, c"scores").cell(
        class.unwrap_or(0),
        y.unwrap_or(0),
        x.unwrap_or(0),
    )
}
