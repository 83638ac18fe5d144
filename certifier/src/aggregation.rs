//! Condition 3.1 for any monotone aggregation.

use crate::certifier::check_grid;
use crate::fault::Fault;
use crate::geometry::Geometry;
use crate::patch::PatchSize;
use crate::pieces::pieces;
use crate::score_map::{ScoreMap, place};
use crate::search::{Attains, Cells, lowest_worst};
use crate::shape::{ScoreWord, Shape};
use crate::verdict::{Condition, Verdict};

/// The scores of one class, as they are or with a window overwritten in the worst way.
#[derive(Clone, Copy)]
pub struct ClassScores<'a> {
    shape: Shape,
    words: &'a [ScoreWord],
    bit: ScoreWord,
    overwritten: Option<(Cells, bool)>,
}

impl ClassScores<'_> {
    /// Rows of cells.
    pub fn height(&self) -> usize {
        self.shape.height()
    }

    /// Columns of cells.
    pub fn width(&self) -> usize {
        self.shape.width()
    }

    /// The scores row by row: `height` iterators of `width` scores.
    pub fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = bool>> {
        let (bit, overwritten) = (self.bit, self.overwritten);
        (0u32..)
            .zip(pieces(self.words, self.shape.width()))
            .map(move |(y, row)| {
                (0u32..).zip(row).map(move |(x, word)| match overwritten {
                    Some((cells, score))
                        if (cells.y..cells.y_end).contains(&y)
                            && (cells.x..cells.x_end).contains(&x) =>
                    {
                        score
                    }
                    _ => word & bit != 0,
                })
            })
    }

    /// The score of one cell; `None` outside the map.
    pub fn score(&self, y: usize, x: usize) -> Option<bool> {
        if let Some((cells, score)) = self.overwritten {
            let inside = |from, to, at| u32::try_from(at).is_ok_and(|at| (from..to).contains(&at));
            if inside(cells.y, cells.y_end, y) && inside(cells.x, cells.x_end, x) {
                return Some(score);
            }
        }
        let word = pieces(self.words, self.width()).nth(y)?.get(x)?;
        Some(word & self.bit != 0)
    }
}

/// An aggregation `g` that is monotonically increasing: where no score of a class falls, its value
/// does not fall. (Condition 3.1 is a proof only if this holds.)
pub trait MonotoneAggregation {
    /// The value `g(s)_c` of one class.
    fn value(&self, scores: &ClassScores<'_>) -> i64;
}

/// Number of votes: the aggregation of Conditions 3.2 and 3.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum;

impl MonotoneAggregation for Sum {
    fn value(&self, scores: &ClassScores<'_>) -> i64 {
        scores
            .rows()
            .flatten()
            .fold(0, |sum, score| sum.saturating_add(i64::from(score)))
    }
}

/// Condition 3.1: whether `g(s_wc)_ct > g(s_wc)_c` for every rival and position, where `s_wc` is
/// `s` with, on the affected region, 0 for the predicted class and 1 for every rival.
///
/// The prediction is the class with the largest value, the lowest one on a tie; the slack is the
/// least `g(s_wc)_ct - g(s_wc)_c`. Each maximal window costs one aggregation for each class: for
/// the sum, [`Certifier`](crate::Certifier) reaches the same verdict far faster.
///
/// # Errors
/// A geometry whose output is not the map's grid, or a patch that does not fit the image.
pub fn certify_monotone(
    map: &ScoreMap<'_>,
    geometry: &Geometry,
    patch: PatchSize,
    aggregation: &impl MonotoneAggregation,
) -> Result<Verdict, Fault> {
    let shape = map.shape();
    check_grid(shape, geometry)?;
    let windows = geometry.windows(patch)?;
    let value = |class: usize, overwritten| {
        let (chunk, bit) = place(class);
        let words = map.chunk(chunk).unwrap_or_default();
        aggregation.value(&ClassScores {
            shape,
            words,
            bit,
            overwritten,
        })
    };
    let mut predicted = (0, value(0, None));
    for class in 1..shape.classes() {
        let next = value(class, None);
        if next > predicted.1 {
            predicted = (class, next);
        }
    }
    let predicted = predicted.0;
    // Least slack in one window, and the lowest class that attains it.
    let worst = |cells: Cells| {
        let target = value(predicted, Some((cells, false)));
        let rivals = (0..shape.classes()).filter(|class| *class != predicted);
        let slacks = rivals.map(|class| {
            (
                target.saturating_sub(value(class, Some((cells, true)))),
                class,
            )
        });
        // With no rival, which no shape allows, nothing would be certified.
        slacks.min().unwrap_or((i64::MIN, predicted))
    };
    let mut least = (i64::MAX, 0);
    for row in 0..windows.y.count {
        for column in 0..windows.x.count {
            least = least.min((worst(windows.cells(row, column)).0, row));
        }
    }
    let (slack, row) = least;
    let attains = At(|cells| worst(cells).0 == slack);
    let (cells, worst_pixel) = lowest_worst(geometry, &windows, patch, row, &attains);
    Ok(Verdict {
        predicted,
        certified: slack > 0,
        slack,
        rival: worst(cells).1,
        worst: worst_pixel,
        second: None,
        patch,
        condition: Condition::WorstCase31,
    })
}

/// Windows that attain the least slack, by a function.
struct At<F>(F);

impl<F: Fn(Cells) -> bool> Attains for At<F> {
    fn window(&self, cells: Cells) -> bool {
        self.0(cells)
    }
}
