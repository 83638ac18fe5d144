//! Eight 16-bit words at once, written so that the compiler makes one vector instruction of each.

use crate::shape::{LANES, ScoreWord, TableWord};

/// One value for each of eight classes.
pub(crate) type Vector = [TableWord; LANES];

pub(crate) const ZERO: Vector = [0; LANES];
/// Below or equal to every vector.
pub(crate) const LEAST: Vector = [TableWord::MIN; LANES];

/// `-s_c` of the eight classes for every score word. Left to itself the compiler takes bits apart
/// one by one; a table of 4 KiB makes one load of it.
static NEGATED_SCORES: [Vector; 256] = negated_scores();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, where a wrong index is a compile error"
)]
const fn negated_scores() -> [Vector; 256] {
    let mut table = [ZERO; 256];
    let mut word = 0;
    while word < 256 {
        let mut lane = 0;
        while lane < LANES {
            table[word][lane] = if word >> lane & 1 == 1 { -1 } else { 0 };
            lane += 1;
        }
        word += 1;
    }
    table
}

#[inline(always)]
fn map2(mut a: Vector, b: &Vector, f: impl Fn(TableWord, TableWord) -> TableWord) -> Vector {
    for (a, b) in a.iter_mut().zip(b) {
        *a = f(*a, *b);
    }
    a
}

/// `a + b`, wrapping.
#[inline(always)]
pub(crate) fn add(a: Vector, b: &Vector) -> Vector {
    map2(a, b, TableWord::wrapping_add)
}

/// `a - b`, wrapping.
#[inline(always)]
pub(crate) fn sub(a: Vector, b: &Vector) -> Vector {
    map2(a, b, TableWord::wrapping_sub)
}

/// A window's sum from the table at its top left, top right, bottom left and bottom right corner.
#[inline(always)]
pub(crate) fn window(a: &Vector, b: &Vector, c: &Vector, d: &Vector) -> Vector {
    add(sub(sub(*d, c), b), a)
}

/// The larger of both, as signed words.
#[inline(always)]
pub(crate) fn max(a: Vector, b: &Vector) -> Vector {
    map2(a, b, TableWord::max)
}

/// `1 + s_ct - s_c` for the eight scores of a word: what an attacker gains there.
#[inline(always)]
pub(crate) fn attack_gain(target: bool, word: ScoreWord) -> Vector {
    let base = [if target { 2 } else { 1 }; LANES];
    // A word indexes all of the table: `get` is never `None`, and costs no check.
    NEGATED_SCORES
        .get(usize::from(word))
        .map_or(base, |negated| add(base, negated))
}

/// `s_ct - s_c` for the eight scores of a word.
#[inline(always)]
pub(crate) fn margin(target: bool, word: ScoreWord) -> Vector {
    let base = [TableWord::from(target); LANES];
    // As in `attack_gain`: never `None`.
    NEGATED_SCORES
        .get(usize::from(word))
        .map_or(base, |negated| add(base, negated))
}

/// The eight scores of a word.
#[inline(always)]
pub(crate) fn scores(word: ScoreWord) -> Vector {
    NEGATED_SCORES
        .get(usize::from(word))
        .map_or(ZERO, |negated| sub(ZERO, negated))
}

/// `then` in the lanes where `a > b`, else `otherwise`.
#[inline(always)]
pub(crate) fn where_greater(a: &Vector, b: &Vector, then: &Vector, otherwise: &Vector) -> Vector {
    let mut out = ZERO;
    let lanes = a.iter().zip(b).zip(then).zip(otherwise);
    for (out, (((a, b), then), otherwise)) in out.iter_mut().zip(lanes) {
        *out = if a > b { *then } else { *otherwise };
    }
    out
}

/// Whether any lane of `a` equals that of `b`.
#[inline(always)]
pub(crate) fn any_equal(a: &Vector, b: &Vector) -> bool {
    // Without a short cut: one comparison of whole vectors.
    a.iter().zip(b).fold(false, |any, (a, b)| any | (a == b))
}
