//! Summed-area tables (Crow 1984) over `E_c = 1 + D_c`, eight classes in one vector.
//!
//! The words wrap around at 16 bits. A window's sum, a difference of table words, is exact all the
//! same as long as the sum itself fits: `E_c <= 2`, so up to 32767 cells unsigned and 16383 cells
//! signed. Larger windows are summed in tiles.

use crate::geometry::Windows;
use crate::score_map::{ScoreMap, place};
use crate::search::Cells;
use crate::shape::{LANES, MARGIN_WORDS, ScoreWord, TableWord};

/// One value for each of eight classes.
pub(crate) type Vector = [TableWord; LANES];
/// Cells of a window whose sum fits a signed word.
const SIGNED_CELLS: u32 = 16_383;
/// Cells of a window whose sum fits an unsigned word.
const UNSIGNED_CELLS: u32 = 32_767;
/// An unbounded gain, should a table ever be shorter than its shape: never certified.
const UNBOUNDED: u32 = u32::MAX;

/// The tables of eight classes and their margins `S_ct - S_c`.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'t> {
    /// `(height + 1) x (width + 1)` sums over the cells above and to the left.
    corners: &'t [Vector],
    /// Low and high halves of the margins.
    margins: &'t [Vector],
    columns: usize,
}

/// What an attacker gains at most in each class, and the first row of maximal windows that gives it.
#[derive(Clone, Copy)]
pub(crate) struct Gains {
    pub(crate) most: [u32; LANES],
    pub(crate) row: [u32; LANES],
}

/// Vectors of one chunk for a map of `height` x `width` cells; `Shape::new` has checked the size.
pub(crate) const fn chunk_len(height: usize, width: usize) -> usize {
    height
        .saturating_add(1)
        .saturating_mul(width.saturating_add(1))
        .saturating_add(MARGIN_WORDS)
}

/// Fills one chunk after the other.
pub(crate) fn build(map: &ScoreMap<'_>, table: &mut [Vector]) {
    let shape = map.shape();
    let (height, width) = (shape.height(), shape.width());
    let predicted = map.predicted();
    let (home, bit) = place(predicted);
    let target = map.chunk(home).unwrap_or_default();
    let most = map.votes().max().unwrap_or(0);
    let mut votes = map.votes();
    for (words, chunk) in map
        .chunks()
        .zip(table.chunks_exact_mut(chunk_len(height, width)))
    {
        let Some((corners, margins)) = chunk.split_last_chunk_mut::<MARGIN_WORDS>() else {
            return;
        };
        let [low, high] = margins;
        for (low, high) in low.iter_mut().zip(high) {
            // A lane without a class gets an unused margin.
            let margin = most.saturating_sub(votes.next().unwrap_or(0));
            let [a, b, c, d] = margin.to_le_bytes();
            (*low, *high) = (
                TableWord::from_le_bytes([a, b]),
                TableWord::from_le_bytes([c, d]),
            );
        }
        sum_up(words, target, bit, corners, width);
    }
}

/// The summed-area table of one chunk.
fn sum_up(
    words: &[ScoreWord],
    target: &[ScoreWord],
    bit: ScoreWord,
    corners: &mut [Vector],
    width: usize,
) {
    let columns = width.saturating_add(1);
    let Some((first, rest)) = corners.split_at_mut_checked(columns) else {
        return;
    };
    first.fill([0; LANES]);
    let mut above: &[Vector] = first;
    let rows = words.chunks_exact(width).zip(target.chunks_exact(width));
    for ((words, target), row) in rows.zip(rest.chunks_exact_mut(columns)) {
        let Some((edge, sums)) = row.split_first_mut() else {
            return;
        };
        *edge = [0; LANES];
        let mut run: Vector = [0; LANES];
        let cells = words.iter().zip(target);
        for (((word, target), sum), above) in cells.zip(sums).zip(above.iter().skip(1)) {
            let base: TableWord = if target & bit != 0 { 2 } else { 1 };
            for (lane, ((run, sum), above)) in run.iter_mut().zip(sum).zip(above).enumerate() {
                let own = ScoreWord::from(1u8) << lane;
                let gain = if word & own != 0 {
                    base.wrapping_sub(1)
                } else {
                    base
                };
                *run = run.wrapping_add(gain);
                *sum = run.wrapping_add(*above);
            }
        }
        above = row;
    }
}

impl<'t> Chunk<'t> {
    pub(crate) fn new(vectors: &'t [Vector], width: usize) -> Option<Self> {
        let at = vectors.len().checked_sub(MARGIN_WORDS)?;
        let (corners, margins) = vectors.split_at_checked(at)?;
        Some(Self {
            corners,
            margins,
            columns: width.saturating_add(1),
        })
    }

    /// Margins `S_ct - S_c` in votes.
    pub(crate) fn margins(&self) -> [u32; LANES] {
        let mut margins = [0; LANES];
        if let [low, high] = self.margins {
            for ((margin, low), high) in margins.iter_mut().zip(low).zip(high) {
                let ([a, b], [c, d]) = (low.to_le_bytes(), high.to_le_bytes());
                *margin = u32::from_le_bytes([a, b, c, d]);
            }
        }
        margins
    }

    /// Most that any maximal window gives.
    pub(crate) fn gains(&self, windows: &Windows) -> Gains {
        let area = windows.y.length.saturating_mul(windows.x.length);
        if area > SIGNED_CELLS {
            return self.large_gains(windows);
        }
        let mut gains = Gains {
            most: [0; LANES],
            row: [0; LANES],
        };
        for row in 0..windows.y.count {
            let Some(most) = self.row_gains(windows, row) else {
                return Gains {
                    most: [UNBOUNDED; LANES],
                    row: [0; LANES],
                };
            };
            for ((best, at), most) in gains.most.iter_mut().zip(&mut gains.row).zip(most) {
                let most = u32::from(most.cast_unsigned());
                if most > *best {
                    (*best, *at) = (most, row);
                }
            }
        }
        gains
    }

    /// Most that the maximal windows of one row give, for windows of at most [`SIGNED_CELLS`].
    fn row_gains(&self, windows: &Windows, row: u32) -> Option<Vector> {
        let cells = windows.cells(row, 0);
        let count = usize::try_from(windows.x.count).ok()?;
        let top = self.row(cells.y)?;
        let bottom = self.row(cells.y_end)?;
        let (x, x_end) = (
            usize::try_from(cells.x).ok()?,
            usize::try_from(cells.x_end).ok()?,
        );
        let top_left = top.get(x..)?.get(..count)?;
        let top_right = top.get(x_end..)?.get(..count)?;
        let bottom_left = bottom.get(x..)?.get(..count)?;
        let bottom_right = bottom.get(x_end..)?.get(..count)?;
        let mut most: Vector = [0; LANES];
        for (((a, b), c), d) in top_left
            .iter()
            .zip(top_right)
            .zip(bottom_left)
            .zip(bottom_right)
        {
            for ((((most, a), b), c), d) in most.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *most = (*most).max(d.wrapping_sub(*c).wrapping_sub(*b).wrapping_add(*a));
            }
        }
        Some(most)
    }

    #[cold]
    fn large_gains(&self, windows: &Windows) -> Gains {
        let mut gains = Gains {
            most: [0; LANES],
            row: [0; LANES],
        };
        for row in 0..windows.y.count {
            for column in 0..windows.x.count {
                let gain = self.gain(windows.cells(row, column));
                for ((best, at), gain) in gains.most.iter_mut().zip(&mut gains.row).zip(gain) {
                    if gain > *best {
                        (*best, *at) = (gain, row);
                    }
                }
            }
        }
        gains
    }

    /// Sum of `E_c` over any window, tile by tile.
    pub(crate) fn gain(&self, cells: Cells) -> [u32; LANES] {
        let mut gain = [0u32; LANES];
        let tile_width = cells.x_end.saturating_sub(cells.x).clamp(1, UNSIGNED_CELLS);
        let tile_height = UNSIGNED_CELLS.checked_div(tile_width).unwrap_or(1).max(1);
        let mut y = cells.y;
        while y < cells.y_end {
            let y_end = y.saturating_add(tile_height).min(cells.y_end);
            let mut x = cells.x;
            while x < cells.x_end {
                let x_end = x.saturating_add(tile_width).min(cells.x_end);
                let Some(tile) = self.tile(Cells { y, y_end, x, x_end }) else {
                    return [UNBOUNDED; LANES];
                };
                for (gain, tile) in gain.iter_mut().zip(tile) {
                    *gain = gain.saturating_add(u32::from(tile.cast_unsigned()));
                }
                x = x_end;
            }
            y = y_end;
        }
        gain
    }

    /// Sum over a window of at most [`UNSIGNED_CELLS`], as unsigned words.
    fn tile(&self, cells: Cells) -> Option<Vector> {
        let (x, x_end) = (
            usize::try_from(cells.x).ok()?,
            usize::try_from(cells.x_end).ok()?,
        );
        let (top, bottom) = (self.row(cells.y)?, self.row(cells.y_end)?);
        let (a, b, c, d) = (
            top.get(x)?,
            top.get(x_end)?,
            bottom.get(x)?,
            bottom.get(x_end)?,
        );
        let mut sum: Vector = [0; LANES];
        for ((((sum, a), b), c), d) in sum.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum = d.wrapping_sub(*c).wrapping_sub(*b).wrapping_add(*a);
        }
        Some(sum)
    }

    /// Row `y` of the table, `0..=height`.
    fn row(&self, y: u32) -> Option<&'t [Vector]> {
        let start = usize::try_from(y).ok()?.checked_mul(self.columns)?;
        self.corners.get(start..)?.get(..self.columns)
    }
}
