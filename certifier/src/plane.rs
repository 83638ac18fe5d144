//! One summed-area table (Crow 1984), eight classes in one vector, whose words wrap around.

use crate::pieces::{pieces, pieces_mut};
use crate::search::Cells;
use crate::shape::{LANES, ScoreWord};
use crate::vector::{self, Vector};

/// Cells of a window whose sum is exact: unsigned, where a cell counts up to 2; signed, where it
/// counts -1, 0 or 1.
pub(crate) const TILE_CELLS: u32 = 32_767;

/// `(height + 1) x (width + 1)` sums over the cells above and to the left.
#[derive(Clone, Copy)]
pub(crate) struct Plane<'t> {
    corners: &'t [Vector],
    columns: usize,
}

/// Vectors of one table for a map of `height` x `width` cells; `Shape::new` has checked the size.
pub(crate) const fn plane_len(height: usize, width: usize) -> usize {
    height
        .saturating_add(1)
        .saturating_mul(width.saturating_add(1))
}

/// Fills a table from one chunk of score words. `cell` gives what a cell counts, from the word of
/// the target's chunk there and the word of this one. `None` where the table is too short.
#[inline(always)]
pub(crate) fn sum_up(
    words: &[ScoreWord],
    target: &[ScoreWord],
    width: usize,
    corners: &mut [Vector],
    cell: impl Fn(ScoreWord, ScoreWord) -> Vector,
) -> Option<()> {
    let columns = width.saturating_add(1);
    let (first, rest) = corners.split_at_mut_checked(columns)?;
    first.fill([0; LANES]);
    let mut above: &[Vector] = first;
    let rows = pieces(words, width).zip(pieces(target, width));
    for ((words, target), row) in rows.zip(pieces_mut(rest, columns)) {
        let (edge, sums) = row.split_first_mut()?;
        *edge = [0; LANES];
        let mut run: Vector = vector::ZERO;
        let cells = words.iter().zip(target);
        for (((word, target), sum), above) in cells.zip(sums).zip(above.iter().skip(1)) {
            run = vector::add(run, &cell(*target, *word));
            *sum = vector::add(run, above);
        }
        above = row;
    }
    Some(())
}

impl<'t> Plane<'t> {
    /// From a table that [`sum_up`] has filled.
    pub(crate) fn new(corners: &'t [Vector], width: usize) -> Self {
        Self {
            corners,
            columns: width.saturating_add(1),
        }
    }

    /// The table from row `y` on, `0..=height`.
    #[inline(always)]
    pub(crate) fn rows_from(&self, y: u32) -> Option<&'t [Vector]> {
        self.corners
            .get(usize::try_from(y).ok()?.checked_mul(self.columns)?..)
    }

    /// Both one row further down.
    #[inline(always)]
    pub(crate) fn next_rows(
        &self,
        top: &'t [Vector],
        bottom: &'t [Vector],
    ) -> Option<(&'t [Vector], &'t [Vector])> {
        Some((top.get(self.columns..)?, bottom.get(self.columns..)?))
    }

    /// Columns of the table, one more than the map has.
    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    /// Sum over a window of at most [`TILE_CELLS`].
    #[inline(always)]
    pub(crate) fn sum(&self, cells: Cells) -> Option<Vector> {
        let (x, x_end) = (
            usize::try_from(cells.x).ok()?,
            usize::try_from(cells.x_end).ok()?,
        );
        let (top, bottom) = (self.rows_from(cells.y)?, self.rows_from(cells.y_end)?);
        let (a, b, c, d) = (
            top.get(x)?,
            top.get(x_end)?,
            bottom.get(x)?,
            bottom.get(x_end)?,
        );
        Some(vector::window(a, b, c, d))
    }

    /// One lane of [`signed_sums`](Self::signed_sums).
    #[inline(always)]
    pub(crate) fn signed_sum(&self, cells: Cells, lane: usize) -> Option<i64> {
        if cells.area() > i64::from(TILE_CELLS) {
            return self.signed_sums(cells)?.get(lane).copied();
        }
        let (x, x_end) = (
            usize::try_from(cells.x).ok()?,
            usize::try_from(cells.x_end).ok()?,
        );
        let (top, bottom) = (self.rows_from(cells.y)?, self.rows_from(cells.y_end)?);
        let [a, b, c, d] = [
            *top.get(x)?.get(lane)?,
            *top.get(x_end)?.get(lane)?,
            *bottom.get(x)?.get(lane)?,
            *bottom.get(x_end)?.get(lane)?,
        ];
        Some(i64::from(d.wrapping_sub(c).wrapping_sub(b).wrapping_add(a)))
    }

    /// Signed sums over any window, for tables whose cells count -1, 0 or 1.
    pub(crate) fn signed_sums(&self, cells: Cells) -> Option<[i64; LANES]> {
        if cells.area() <= i64::from(TILE_CELLS) {
            return Some(self.sum(cells)?.map(i64::from));
        }
        let mut sums = [0i64; LANES];
        for tile in tiles(cells) {
            for (sum, tile) in sums.iter_mut().zip(self.sum(tile)?) {
                *sum = sum.saturating_add(i64::from(tile));
            }
        }
        Some(sums)
    }
}

/// A window cut into pieces of at most [`TILE_CELLS`].
pub(crate) fn tiles(cells: Cells) -> impl Iterator<Item = Cells> {
    let width = cells.x_end.saturating_sub(cells.x).clamp(1, TILE_CELLS);
    let height = TILE_CELLS.checked_div(width).unwrap_or(1).max(1);
    let rows = cuts(cells.y, cells.y_end, height);
    rows.flat_map(move |(y, y_end)| {
        cuts(cells.x, cells.x_end, width).map(move |(x, x_end)| Cells { y, y_end, x, x_end })
    })
}

/// `from..to` in pieces of `length`.
fn cuts(from: u32, to: u32, length: u32) -> impl Iterator<Item = (u32, u32)> {
    let mut next = from;
    core::iter::from_fn(move || {
        let start = next;
        if start >= to {
            return None;
        }
        next = start.saturating_add(length).min(to);
        Some((start, next))
    })
}
