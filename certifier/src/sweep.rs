//! Sums of a frame's margins or votes over windows and pairs of windows, for all classes.

use crate::lane::{Sought, lane, lane_len};
use crate::mask_set::{AxisMasks, Group, MaskSet};
use crate::overlay::{self, Rows, fits, overlay};
use crate::pieces::{pieces, pieces_mut};
use crate::plane::{Plane, TILE_CELLS, plane_len, sum_up};
use crate::score_map::{ScoreMap, place};
use crate::search::Cells;
use crate::shape::{LANES, Shape};
use crate::vector::{self, Vector};

/// Tables of every chunk of classes, and memory to go over windows.
pub(crate) struct Sweep<'m> {
    shape: Shape,
    tables: &'m mut [Vector],
    /// One vector for each window of a group, or what one class takes.
    worst: &'m mut [Vector],
    rows: Rows<'m>,
    /// For each row of windows of the only size, votes of the target that any of them holds at most.
    held: &'m mut [Vector],
    /// Whether vectors of 16-bit words can hold every number.
    small: bool,
    /// The windows, where all are of one size.
    only: Option<Group>,
}

/// Vectors that a [`Sweep`] takes.
pub(crate) const fn sweep_len(shape: &Shape) -> usize {
    shape
        .chunks()
        .saturating_mul(plane_len(shape.height(), shape.width()))
        .saturating_add(worst_len(shape))
        .saturating_add(overlay::rows_len(shape.width()))
        .saturating_add(shape.height().div_ceil(LANES))
}

/// Vectors for the most that each window gives, for eight classes or for one.
const fn worst_len(shape: &Shape) -> usize {
    let (eight, one) = (shape.cells(), lane_len(shape.height(), shape.width()));
    if eight > one { eight } else { one }
}

impl<'m> Sweep<'m> {
    /// Takes the first [`sweep_len`] vectors; the tables are still to be filled.
    pub(crate) fn split(
        shape: Shape,
        set: &MaskSet<'_>,
        memory: &'m mut [Vector],
    ) -> Option<(Self, &'m mut [Vector])> {
        let tables = shape
            .chunks()
            .saturating_mul(plane_len(shape.height(), shape.width()));
        let (tables, rest) = memory.split_at_mut_checked(tables)?;
        let (worst, rest) = rest.split_at_mut_checked(worst_len(&shape))?;
        let (rows, rest) = Rows::split(rest, shape.width())?;
        let (held, rest) = rest.split_at_mut_checked(shape.height().div_ceil(LANES))?;
        let mut groups = set.groups();
        let only = groups.next().filter(|_| groups.next().is_none());
        let sweep = Self {
            shape,
            tables,
            worst,
            rows,
            held,
            small: set.groups().all(|group| fits(shape, &group)),
            only,
        };
        Some((sweep, rest))
    }

    /// Fills the tables with `s_target - s_c`, where the target's own lane holds `s_target`.
    pub(crate) fn build_margins(&mut self, map: &ScoreMap<'_>, target: usize) -> Option<()> {
        let (home, bit) = place(target);
        let target = map.chunk(home)?;
        let width = self.shape.width();
        let len = plane_len(self.shape.height(), width);
        for ((chunk, words), corners) in (0..).zip(map.chunks()).zip(pieces_mut(self.tables, len)) {
            let own = if chunk == home { bit } else { 0 };
            sum_up(words, target, width, corners, |target, word| {
                vector::margin(target & bit != 0, word & !own)
            })?;
        }
        Some(())
    }

    /// Fills the tables with `s_c`.
    pub(crate) fn build_votes(&mut self, map: &ScoreMap<'_>) -> Option<()> {
        let width = self.shape.width();
        let len = plane_len(self.shape.height(), width);
        for (words, corners) in map.chunks().zip(pieces_mut(self.tables, len)) {
            sum_up(words, words, width, corners, |_, word| vector::scores(word))?;
        }
        Some(())
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The table of chunk `chunk`.
    pub(crate) fn plane(&self, chunk: usize) -> Option<Plane<'_>> {
        plane(self.tables, self.shape, chunk)
    }

    /// The tables of all chunks.
    pub(crate) fn planes(&self) -> impl Iterator<Item = Plane<'_>> {
        let width = self.shape.width();
        let len = plane_len(self.shape.height(), width);
        pieces(self.tables, len).map(move |corners| Plane::new(corners, width))
    }

    /// Sums over the union of two windows, or over one of them.
    pub(crate) fn union(plane: &Plane<'_>, a: &Cells, b: Option<&Cells>) -> Option<[i64; LANES]> {
        let Some(b) = b else {
            return plane.signed_sums(*a);
        };
        if a.area().saturating_add(b.area()) <= i64::from(TILE_CELLS) {
            let sums = vector::add(plane.sum(*a)?, &plane.sum(*b)?);
            let both = plane.sum(a.intersection(b))?;
            return Some(vector::sub(sums, &both).map(i64::from));
        }
        let mut sums = plane.signed_sums(*a)?;
        let both = plane.signed_sums(a.intersection(b))?;
        let lanes = sums.iter_mut().zip(plane.signed_sums(*b)?).zip(both);
        for ((sum, b), both) in lanes {
            *sum = sum.saturating_add(b).saturating_sub(both);
        }
        Some(sums)
    }

    /// Most that a window of the group sums up to, lane by lane.
    pub(crate) fn most(plane: &Plane<'_>, group: &Group) -> Option<[i64; LANES]> {
        if group.largest() <= i64::from(TILE_CELLS) {
            let mut most = vector::LEAST;
            for rows in group.y.spans() {
                most = vector::max(most, &row_most(plane, rows, &group.x)?);
            }
            return Some(most.map(i64::from));
        }
        let mut most = [i64::MIN; LANES];
        for cells in group.cells() {
            for (most, sum) in most.iter_mut().zip(plane.signed_sums(cells)?) {
                *most = sum.max(*most);
            }
        }
        Some(most)
    }

    /// Votes of the target that any one window of the set holds at most, by tables of its margins. Notes
    /// them row by row for [`each_worst_of`](Self::each_worst_of).
    pub(crate) fn most_held(&mut self, target: usize, set: &MaskSet<'_>) -> Option<i64> {
        let (chunk, lane) = (target.checked_div(LANES)?, target.checked_rem(LANES)?);
        let plane = plane(self.tables, self.shape, chunk)?;
        let mut most = 0;
        for group in set.groups() {
            most = most.max(*Self::most(&plane, &group)?.get(lane)?);
        }
        if let Some(group) = self.only.filter(|_| self.small) {
            let rows = self.held.as_flattened_mut().iter_mut().zip(group.y.spans());
            for (held, rows) in rows {
                *held = *row_most(&plane, rows, &group.x)?.get(lane)?;
            }
        }
        Some(most)
    }

    /// For each window `W` of `first`, in order with its number, the most of
    /// `a(W) + a(V) - b(V n W)` over the windows `V` of `set`; see [`overlay()`].
    ///
    /// `half` names the size of the set whose windows are those of `first`, where only the most over
    /// all pairs and its first window are of interest: numbers of later windows may then be too low.
    pub(crate) fn each_worst(
        &mut self,
        chunk: usize,
        less: &Vector,
        first: &Group,
        set: &MaskSet<'_>,
        half: Option<usize>,
        mut each: impl FnMut(usize, &Cells, &[i64; LANES]),
    ) -> Option<()> {
        let plane = plane(self.tables, self.shape, chunk)?;
        if !(self.small && fits(self.shape, first)) {
            return each_of_pairs(&plane, less, first, set, each);
        }
        let worst = self.worst.get_mut(..self.shape.cells())?;
        worst.fill(vector::LEAST);
        for (number, second) in set.groups().enumerate() {
            let half = half == Some(number);
            overlay(&plane, less, first, &second, half, &mut self.rows, worst)?;
        }
        for ((number, cells), worst) in first.cells().enumerate().zip(worst) {
            let worst = vector::add(plane.sum(cells)?, worst);
            each(number, &cells, &worst.map(i64::from));
        }
        Some(())
    }

    /// Whether [`each_worst_of`](Self::each_worst_of) can answer for windows of `first`: where they are
    /// the only ones of the set.
    pub(crate) fn by_class(&self, first: &Group) -> bool {
        self.small && self.only.as_ref() == Some(first)
    }

    /// For each window of the only size, in order with its number, the most that it and another one sum
    /// up to together, for a single class: [`each_worst`](Self::each_worst) at a tenth of the work, where
    /// [`by_class`](Self::by_class) allows it, and after [`most_held`](Self::most_held).
    ///
    /// `only_most` and `least` say what is of [interest](Sought).
    pub(crate) fn each_worst_of(
        &mut self,
        class: usize,
        only_most: bool,
        least: Option<i64>,
        each: impl FnMut(usize, i64),
    ) -> Option<()> {
        let plane = plane(self.tables, self.shape, class.checked_div(LANES)?)?;
        let sought = Sought {
            lane: class.checked_rem(LANES)?,
            only_most,
            least,
            held: self.held.as_flattened(),
        };
        lane(
            &plane,
            sought,
            &self.only?,
            self.shape.height(),
            self.worst,
            each,
        )
    }
}

/// Most that a window over some rows sums up to, for windows that fit one word.
fn row_most(plane: &Plane<'_>, (y, y_end): (u32, u32), columns: &AxisMasks) -> Option<Vector> {
    let mut most = vector::LEAST;
    let Some((starts, ends)) = columns.side_by_side() else {
        for (x, x_end) in columns.spans() {
            most = vector::max(most, &plane.sum(Cells { y, y_end, x, x_end })?);
        }
        return Some(most);
    };
    let (top, bottom) = (plane.rows_from(y)?, plane.rows_from(y_end)?);
    let (a, b) = (top.get(starts.clone())?, top.get(ends.clone())?);
    let (c, d) = (bottom.get(starts)?, bottom.get(ends)?);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        most = vector::max(most, &vector::window(a, b, c, d));
    }
    Some(most)
}

fn plane(tables: &[Vector], shape: Shape, chunk: usize) -> Option<Plane<'_>> {
    let corners = pieces(tables, plane_len(shape.height(), shape.width())).nth(chunk)?;
    Some(Plane::new(corners, shape.width()))
}

/// [`Sweep::each_worst`] pair by pair, for windows too large for words of 16 bits.
#[cold]
fn each_of_pairs(
    plane: &Plane<'_>,
    less: &Vector,
    first: &Group,
    set: &MaskSet<'_>,
    mut each: impl FnMut(usize, &Cells, &[i64; LANES]),
) -> Option<()> {
    for (number, window) in first.cells().enumerate() {
        let mut most = [i64::MIN; LANES];
        for other in set.groups().flat_map(Group::cells) {
            let area = window.intersection(&other).area();
            let sums = Sweep::union(plane, &window, Some(&other))?;
            for ((most, sum), less) in most.iter_mut().zip(sums).zip(less) {
                let sum = sum.saturating_add(area.saturating_mul(i64::from(*less)));
                *most = sum.max(*most);
            }
        }
        each(number, &window, &most);
    }
    Some(())
}
