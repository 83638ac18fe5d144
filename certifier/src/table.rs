//! Summed-area tables (Crow 1984) over `E_c = 1 + D_c`, eight classes in one vector.
//!
//! The words wrap around at 16 bits. A window's sum, a difference of table words, is exact all the
//! same as long as the sum itself fits: `E_c <= 2`, so up to 32767 cells unsigned and 16383 cells
//! signed. Larger windows are summed in tiles.

use crate::geometry::Windows;
use crate::pieces::pieces_mut;
use crate::plane::{self, Plane, tiles};
use crate::score_map::{ScoreMap, place};
use crate::search::Cells;
use crate::shape::{LANES, MARGIN_WORDS, TableWord};
use crate::vector::{self, Vector};

/// Cells of a window whose sum fits a signed word.
const SIGNED_CELLS: u32 = 16_383;
/// An unbounded gain, should a table ever be shorter than its shape: never certified.
const UNBOUNDED: u32 = u32::MAX;

/// The tables of eight classes and their margins `S_ct - S_c`.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'t> {
    plane: Plane<'t>,
    /// Low and high halves of the margins.
    margins: &'t [Vector; MARGIN_WORDS],
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

/// Fills one chunk after the other. `None` where the table is not of the map's size: a half-filled
/// one must not be read.
pub(crate) fn build(map: &ScoreMap<'_>, table: &mut [Vector]) -> Option<()> {
    let shape = map.shape();
    let (height, width) = (shape.height(), shape.width());
    let predicted = map.predicted();
    let (home, bit) = place(predicted);
    let target = map.chunk(home)?;
    let most = map.votes().max().unwrap_or(0);
    let mut votes = map.votes();
    for (words, chunk) in map
        .chunks()
        .zip(pieces_mut(table, chunk_len(height, width)))
    {
        let (corners, margins) = chunk.split_last_chunk_mut::<MARGIN_WORDS>()?;
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
        plane::sum_up(words, target, width, corners, |target, word| {
            vector::attack_gain(target & bit != 0, word)
        })?;
    }
    Some(())
}

impl<'t> Chunk<'t> {
    /// From vectors that [`build`] has filled. (Too few would mean margins of zero and gains without
    /// a bound.)
    pub(crate) fn new(vectors: &'t [Vector], width: usize) -> Self {
        let (corners, margins) = vectors
            .split_last_chunk()
            .unwrap_or((&[], &[vector::ZERO; MARGIN_WORDS]));
        Self {
            plane: Plane::new(corners, width),
            margins,
        }
    }

    /// Margins `S_ct - S_c` in votes.
    pub(crate) fn margins(&self) -> [u32; LANES] {
        let mut margins = [0; LANES];
        let [low, high] = self.margins;
        for ((margin, low), high) in margins.iter_mut().zip(low).zip(high) {
            let ([a, b], [c, d]) = (low.to_le_bytes(), high.to_le_bytes());
            *margin = u32::from_le_bytes([a, b, c, d]);
        }
        margins
    }

    /// Most that any maximal window gives.
    pub(crate) fn gains(&self, windows: &Windows) -> Gains {
        if !is_small(windows) {
            return self.large_gains(windows);
        }
        let Some((most, row)) = self.small_gains(windows) else {
            return Gains {
                most: [UNBOUNDED; LANES],
                row: [0; LANES],
            };
        };
        Gains {
            most: most.map(unsigned),
            row: row.map(unsigned),
        }
    }

    /// The same, all in vectors, where every number fits one signed word.
    // On its own, or the compiler splits its vectors for the wider numbers around it.
    #[inline(never)]
    fn small_gains(&self, windows: &Windows) -> Option<(Vector, Vector)> {
        let first = windows.cells(0, 0);
        let (mut top, mut bottom) = (
            self.plane.rows_from(first.y)?,
            self.plane.rows_from(first.y_end)?,
        );
        let columns = Columns::new(windows)?;
        let (mut most, mut at, mut row) = (vector::ZERO, vector::ZERO, vector::ZERO);
        for _ in 0..windows.y.count {
            let here = columns.most(top, bottom)?;
            at = vector::where_greater(&here, &most, &row, &at);
            most = vector::max(most, &here);
            row = vector::add(row, &[1; LANES]);
            (top, bottom) = self.plane.next_rows(top, bottom)?;
        }
        Some((most, at))
    }

    /// Whether a maximal window over the rows `y..y_end` gives a lane its target.
    pub(crate) fn row_attains(
        &self,
        windows: &Windows,
        y: u32,
        y_end: u32,
        target: &Target,
    ) -> bool {
        if !is_small(windows) {
            return self.column(windows, y, y_end, target).is_some();
        }
        let most =
            || Columns::new(windows)?.most(self.plane.rows_from(y)?, self.plane.rows_from(y_end)?);
        most().is_some_and(|most| lane_of(&most.map(unsigned), target).is_some())
    }

    /// Most that any maximal window over the rows `y..y_end` gives.
    pub(crate) fn most_in_rows(&self, windows: &Windows, y: u32, y_end: u32) -> [u32; LANES] {
        if is_small(windows) {
            let most = || {
                Columns::new(windows)?.most(self.plane.rows_from(y)?, self.plane.rows_from(y_end)?)
            };
            return most().map_or([UNBOUNDED; LANES], |most| most.map(unsigned));
        }
        let mut most = [0; LANES];
        for column in 0..windows.x.count {
            let cells = Cells {
                y,
                y_end,
                ..windows.cells(0, column)
            };
            for (most, gain) in most.iter_mut().zip(self.gain(cells)) {
                *most = gain.max(*most);
            }
        }
        most
    }

    /// First column of maximal windows over the rows `y..y_end` that gives a lane its target.
    pub(crate) fn column(
        &self,
        windows: &Windows,
        y: u32,
        y_end: u32,
        target: &Target,
    ) -> Option<u32> {
        if is_small(windows) {
            // -1 is no gain: lanes that do not matter never have it.
            let target = target.map(|gain| gain.and_then(word).unwrap_or(-1));
            let (top, bottom) = (self.plane.rows_from(y)?, self.plane.rows_from(y_end)?);
            let column = Columns::new(windows)?.position(top, bottom, &target)?;
            return u32::try_from(column).ok();
        }
        (0..windows.x.count).find(|column| {
            let cells = Cells {
                y,
                y_end,
                ..windows.cells(0, *column)
            };
            lane_of(&self.gain(cells), target).is_some()
        })
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
        for tile in tiles(cells) {
            let Some(tile) = self.plane.sum(tile) else {
                return [UNBOUNDED; LANES];
            };
            for (gain, tile) in gain.iter_mut().zip(tile) {
                *gain = gain.saturating_add(unsigned(tile));
            }
        }
        gain
    }
}

/// The columns of maximal windows.
#[derive(Clone, Copy)]
struct Columns {
    x: usize,
    x_end: usize,
    count: usize,
}

impl Columns {
    fn new(windows: &Windows) -> Option<Self> {
        let first = windows.cells(0, 0);
        Some(Self {
            x: usize::try_from(first.x).ok()?,
            x_end: usize::try_from(first.x_end).ok()?,
            count: usize::try_from(windows.x.count).ok()?,
        })
    }

    /// Most that the windows between two rows of the table give, for windows that fit one word.
    #[inline(always)]
    fn most(&self, top: &[Vector], bottom: &[Vector]) -> Option<Vector> {
        let [a, b, c, d] = self.corners(top, bottom)?;
        let (a4, a) = a.as_chunks::<4>();
        let (b4, b) = b.as_chunks::<4>();
        let (c4, c) = c.as_chunks::<4>();
        let (d4, d) = d.as_chunks::<4>();
        let mut most = vector::ZERO;
        for (((a, b), c), d) in a4.iter().zip(b4).zip(c4).zip(d4) {
            most = sums(a, b, c, d).fold(most, |most, sum| vector::max(most, &sum));
        }
        Some(sums(a, b, c, d).fold(most, |most, sum| vector::max(most, &sum)))
    }

    /// First of these windows that gives a lane its target.
    #[inline(never)]
    fn position(&self, top: &[Vector], bottom: &[Vector], target: &Vector) -> Option<usize> {
        let [a, b, c, d] = self.corners(top, bottom)?;
        sums(a, b, c, d).position(|sum| vector::any_equal(&sum, target))
    }

    /// The table at the windows' four corners.
    #[inline(always)]
    fn corners<'r>(&self, top: &'r [Vector], bottom: &'r [Vector]) -> Option<[&'r [Vector]; 4]> {
        Some([
            top.get(self.x..)?.get(..self.count)?,
            top.get(self.x_end..)?.get(..self.count)?,
            bottom.get(self.x..)?.get(..self.count)?,
            bottom.get(self.x_end..)?.get(..self.count)?,
        ])
    }
}

/// Sums of the windows with these corners.
#[inline(always)]
fn sums(a: &[Vector], b: &[Vector], c: &[Vector], d: &[Vector]) -> impl Iterator<Item = Vector> {
    let corners = a.iter().zip(b).zip(c).zip(d);
    corners.map(|(((a, b), c), d)| vector::window(a, b, c, d))
}

/// Gain sought in each lane; `None` in lanes that do not matter.
pub(crate) type Target = [Option<u32>; LANES];

/// First lane that has its target.
pub(crate) fn lane_of(gain: &[u32; LANES], target: &Target) -> Option<usize> {
    gain.iter()
        .zip(target)
        .position(|(gain, target)| Some(*gain) == *target)
}

/// Whether every gain and every row number fits one signed word.
fn is_small(windows: &Windows) -> bool {
    let area = windows.y.length.saturating_mul(windows.x.length);
    area <= SIGNED_CELLS && windows.y.count <= SIGNED_CELLS
}

/// A table word as the number that it stands for.
fn unsigned(word: TableWord) -> u32 {
    u32::from(word.cast_unsigned())
}

/// A gain as a table word.
fn word(gain: u32) -> Option<TableWord> {
    TableWord::try_from(gain).ok()
}
