//! Binary region scores `s = H(z)` and their votes (the paper's Sections 3.1 and 3.2).

use crate::fault::Fault;
use crate::pieces::{pieces, pieces_mut};
use crate::shape::{LANES, ScoreWord, Shape, VOTE_WORDS};

/// Binary region scores `s[c,y,x] = H(z[c,y,x])`, with `H(0) = 1`, in the caller's memory.
///
/// Bit `l` of word `k * cells + y * width + x` is the score of class `8k + l`. Behind the scores
/// lie the votes, four words a class.
pub struct ScoreMap<'m> {
    shape: Shape,
    scores: &'m [ScoreWord],
    votes: &'m [[ScoreWord; VOTE_WORDS]],
    predicted: usize,
}

impl<'m> ScoreMap<'m> {
    /// Binarises logits: `classes * height * width` numbers, row-major, class slowest.
    ///
    /// `memory` needs [`Shape::score_len`] words; what it holds before does not matter.
    ///
    /// # Errors
    /// A wrong number of logits, too little memory, or a logit that is NaN or infinite (the first
    /// one is named).
    pub fn from_logits(
        shape: Shape,
        logits: &[f32],
        memory: &'m mut [ScoreWord],
    ) -> Result<Self, Fault> {
        Self::damaged(shape, logits, memory, |_| ())
    }

    /// [`from_logits`](Self::from_logits), whose words `damage` may change before they are used, first
    /// the scores and then the votes: for fault injection, as a bit that flips in memory would.
    ///
    /// # Errors
    /// As [`from_logits`](Self::from_logits).
    pub fn damaged(
        shape: Shape,
        logits: &[f32],
        memory: &'m mut [ScoreWord],
        mut damage: impl FnMut(&mut [ScoreWord]),
    ) -> Result<Self, Fault> {
        let expected = shape.scores();
        if logits.len() != expected {
            return Err(Fault::LogitsLength {
                expected,
                found: logits.len(),
            });
        }
        let (scores, votes) = split(shape, memory)?;
        let chunks = pieces_mut(scores, shape.cells());
        let planes = logits.chunks(shape.cells().saturating_mul(LANES).max(1));
        let mut finite = true;
        for ((words, planes), votes) in chunks.zip(planes).zip(votes.chunks_mut(LANES)) {
            words.fill(0);
            let planes = pieces(planes, shape.cells());
            for ((lane, plane), vote) in planes.enumerate().zip(votes) {
                let bit = 1 << lane;
                let (count, plane_finite) = binarise(plane, words, bit);
                *vote = count.to_le_bytes();
                finite &= plane_finite;
            }
        }
        if !finite {
            return Err(non_finite(shape, logits));
        }
        damage(scores);
        damage(votes.as_flattened_mut());
        Ok(Self::complete(shape, scores, votes))
    }

    /// Takes scores as they are, from a function of class, row and column.
    ///
    /// # Errors
    /// Too little memory.
    pub fn from_scores(
        shape: Shape,
        mut score: impl FnMut(usize, usize, usize) -> bool,
        memory: &'m mut [ScoreWord],
    ) -> Result<Self, Fault> {
        let (scores, votes) = split(shape, memory)?;
        scores.fill(0);
        for (class, vote) in votes.iter_mut().enumerate() {
            let (chunk, bit) = place(class);
            let mut count = 0u32;
            let cells = pieces_mut(scores, shape.cells())
                .nth(chunk)
                .unwrap_or_default();
            for (y, row) in pieces_mut(cells, shape.width()).enumerate() {
                for (x, word) in row.iter_mut().enumerate() {
                    if score(class, y, x) {
                        *word |= bit;
                        count = count.saturating_add(1);
                    }
                }
            }
            *vote = count.to_le_bytes();
        }
        Ok(Self::complete(shape, scores, votes))
    }

    fn complete(
        shape: Shape,
        scores: &'m [ScoreWord],
        votes: &'m [[ScoreWord; VOTE_WORDS]],
    ) -> Self {
        let mut predicted = 0;
        let mut most = 0;
        for (class, vote) in votes.iter().enumerate() {
            let vote = u32::from_le_bytes(*vote);
            // Strictly more: the lowest class wins a tie.
            if vote > most {
                (predicted, most) = (class, vote);
            }
        }
        Self {
            shape,
            scores,
            votes,
            predicted,
        }
    }

    /// Extents of the map.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The score of one class at one cell; `None` outside the map.
    pub fn score(&self, class: usize, y: usize, x: usize) -> Option<bool> {
        // The last chunk has bits for more classes than there are.
        if class >= self.shape.classes() {
            return None;
        }
        let (chunk, bit) = place(class);
        let word = pieces(self.chunk(chunk)?, self.shape.width())
            .nth(y)?
            .get(x)?;
        Some(word & bit != 0)
    }

    /// Votes `S_c` in class order.
    pub fn votes(&self) -> impl Iterator<Item = u32> {
        self.votes.iter().map(|vote| u32::from_le_bytes(*vote))
    }

    /// The class with the most votes; the lowest one on a tie.
    pub fn predicted(&self) -> usize {
        self.predicted
    }

    /// Score words of eight classes, one a cell, row-major.
    pub(crate) fn chunk(&self, chunk: usize) -> Option<&'m [ScoreWord]> {
        pieces(self.scores, self.shape.cells()).nth(chunk)
    }

    /// [`chunk`](Self::chunk) for every eight classes.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &'m [ScoreWord]> {
        pieces(self.scores, self.shape.cells())
    }
}

/// Chunk of a class and its bit there.
pub(crate) const fn place(class: usize) -> (usize, ScoreWord) {
    (class / LANES, 1 << (class % LANES))
}

type Parts<'m> = (&'m mut [ScoreWord], &'m mut [[ScoreWord; VOTE_WORDS]]);

/// The caller's memory as score words and votes.
fn split(shape: Shape, memory: &mut [ScoreWord]) -> Result<Parts<'_>, Fault> {
    let too_small = Fault::MemoryTooSmall {
        needed: shape.score_len(),
        found: memory.len(),
    };
    let votes_len = shape.classes().saturating_mul(VOTE_WORDS);
    let scores_len = shape.score_len().saturating_sub(votes_len);
    let (scores, rest) = memory.split_at_mut_checked(scores_len).ok_or(too_small)?;
    let votes = rest.get_mut(..votes_len).ok_or(too_small)?;
    Ok((scores, votes.as_chunks_mut().0))
}

/// Sets `bit` in the words of one class's cells with a logit of at least zero; counts them, and
/// says whether every logit is finite.
// Plain loops over one width of numbers each, in a function of their own: the compiler makes vector
// instructions of them.
#[inline(never)]
fn binarise(plane: &[f32], words: &mut [ScoreWord], bit: ScoreWord) -> (u32, bool) {
    let (mut count, mut spoilt) = (0u32, 0u32);
    for logit in plane {
        count = count.wrapping_add(u32::from(*logit >= 0.0));
        // NaN and infinity are the numbers with all exponent bits set; one more carries into the sign.
        spoilt |= (logit.to_bits() & 0x7fff_ffff).wrapping_add(0x0080_0000);
    }
    for (logit, word) in plane.iter().zip(words) {
        *word |= if *logit >= 0.0 { bit } else { 0 };
    }
    (count, spoilt >> 31 == 0)
}

/// The fault for the first logit that is not finite.
#[cold]
fn non_finite(shape: Shape, logits: &[f32]) -> Fault {
    for (class, plane) in pieces(logits, shape.cells()).enumerate() {
        for (y, row) in pieces(plane, shape.width()).enumerate() {
            if let Some(x) = row.iter().position(|logit| !logit.is_finite()) {
                return Fault::NonFinite { class, y, x };
            }
        }
    }
    Fault::NonFinite {
        class: 0,
        y: 0,
        x: 0,
    }
}
