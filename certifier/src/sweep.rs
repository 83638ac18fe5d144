//! Sums of a frame's margins or votes over windows and pairs of windows, for all classes.

use crate::lane::{lane, lane_len};
use crate::mask_set::{Group, MaskSet};
use crate::overlay::{self, Rows, fits, overlay};
use crate::pieces::{pieces, pieces_mut};
use crate::plane::{Plane, TILE_CELLS, plane_len, sum_up};
use crate::score_map::{ScoreMap, place};
use crate::search::Cells;
use crate::shape::{LANES, Shape, TableWord};
use crate::vector::{self, Vector};

/// Tables of every chunk of classes, and memory to go over windows.
pub(crate) struct Sweep<'m> {
    shape: Shape,
    tables: &'m mut [Vector],
    /// One vector for each window of a group, or what one class takes.
    worst: &'m mut [Vector],
    rows: Rows<'m>,
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
        let mut groups = set.groups();
        let only = groups.next().filter(|_| groups.next().is_none());
        let sweep = Self {
            shape,
            tables,
            worst,
            rows,
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
            let mut most = [TableWord::MIN; LANES];
            for cells in group.cells() {
                most = vector::max(most, &plane.sum(cells)?);
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

    /// Votes of the target that any one window of the set holds at most, by tables of its margins.
    pub(crate) fn most_held(&self, target: usize, set: &MaskSet<'_>) -> Option<i64> {
        let plane = self.plane(target.checked_div(LANES)?)?;
        let lane = target.checked_rem(LANES)?;
        let mut held = 0;
        for group in set.groups() {
            held = held.max(*Self::most(&plane, &group)?.get(lane)?);
        }
        Some(held)
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
    /// [`by_class`](Self::by_class) allows it.
    pub(crate) fn each_worst_of(
        &mut self,
        class: usize,
        half: bool,
        each: impl FnMut(usize, i64),
    ) -> Option<()> {
        let plane = plane(self.tables, self.shape, class.checked_div(LANES)?)?;
        let (class, height) = (class.checked_rem(LANES)?, self.shape.height());
        lane(&plane, class, half, &self.only?, height, self.worst, each)
    }
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
