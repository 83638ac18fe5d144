//! For every window of one set, the most that any window of another adds to it.
//!
//! For windows `W` of the first group and `V` of the second this is, lane by lane,
//!
//! > `a(W) + max over V of (a(V) - b(V n W))`,
//!
//! where `a` sums a table's cells and `b` the same less a constant for each cell. With the margins
//! `s_y - s_c` and a constant of 0 it is the largest sum over a union `V u W`.
//!
//! `V n W` runs from the later of both starts to the earlier of both ends. For rows of windows at a
//! given height the cells between two columns are a difference of column sums, `B[end] - B[start]`;
//! so wherever it is settled which window starts later and which ends earlier, `a(V) - b(V n W)` is a
//! term of `V` plus a term of `W`. Both starts and ends only grow along a row, hence for each `W` the
//! `V` with the same answer to both questions are neighbours, and a maximum over a range of terms
//! computed once a row remains: no pair is worked out by itself. Maxima over 1, 2, 4, ... neighbours
//! are made once a row as well; two of them, overlapping, cover any range.

use crate::mask_set::{AxisMasks, Group};
use crate::pieces::pieces_mut;
use crate::plane::Plane;
use crate::shape::{Shape, TableWord};
use crate::vector::{self, Vector};

/// Up to this many cells in the rows of the highest window, every number here fits one signed word:
/// each term is at most four times as large.
const ROW_CELLS: u64 = 8_191;
/// Up to this many columns and rows, a word numbers every place in the maxima of a row.
const SIDE_CELLS: usize = 4_095;

/// For one column of the first group: where in the maxima of the second those of its left range
/// stand, the same for its right range, the column's start and end, and how many of the second start
/// and end no later.
type Ranges = Vector;
/// No place in the maxima: the range is empty.
const EMPTY: TableWord = -1;

/// Memory for rows of windows. None of it need hold anything before.
pub(crate) struct Rows<'m> {
    /// `a(V)` for each column.
    own: &'m mut [Vector],
    /// `a(V) - B[end of V]`, and the maxima of 2, 4, ... of them.
    left: &'m mut [Vector],
    /// `a(V) - B[end of V] + B[start of V]`.
    inside: &'m mut [Vector],
    /// `a(V) + B[start of V]`, and the maxima of 2, 4, ... of them.
    right: &'m mut [Vector],
    /// Most of the columns before one, over all rows; of one and those after it.
    before: &'m mut [Vector],
    after: &'m mut [Vector],
    /// Column sums of a row of windows, and of the rows that two windows share.
    sums: &'m mut [Vector],
    shared: &'m mut [Vector],
    ranges: &'m mut [Ranges],
    /// For each column of the first group, the first of the second that meets it, and the first
    /// beyond.
    meets: &'m mut [Vector],
}

/// Vectors that [`Rows`] takes for a map of `width` columns.
pub(crate) const fn rows_len(width: usize) -> usize {
    // Arrays of at most a column more than the map has: eight, and the two with maxima.
    let arrays = levels(width).saturating_mul(2).saturating_add(8);
    width.saturating_add(1).saturating_mul(arrays)
}

/// Powers of two up to `width`: over how many neighbours there are maxima.
const fn levels(width: usize) -> usize {
    // At most 64: the cast is exact.
    usize::BITS.saturating_sub(width.leading_zeros()) as usize
}

impl<'m> Rows<'m> {
    /// Takes the first [`rows_len`] vectors.
    pub(crate) fn split(
        memory: &'m mut [Vector],
        width: usize,
    ) -> Option<(Self, &'m mut [Vector])> {
        let (rows, rest) = memory.split_at_mut_checked(rows_len(width))?;
        let columns = width.saturating_add(1);
        let maxima = columns.checked_mul(levels(width))?;
        let (left, rows) = rows.split_at_mut_checked(maxima)?;
        let (right, rows) = rows.split_at_mut_checked(maxima)?;
        let mut parts = pieces_mut(rows, columns);
        let rows = Self {
            own: parts.next()?,
            left,
            inside: parts.next()?,
            right,
            before: parts.next()?,
            after: parts.next()?,
            sums: parts.next()?,
            shared: parts.next()?,
            ranges: parts.next()?,
            meets: parts.next()?,
        };
        Some((rows, rest))
    }
}

/// Whether every window of the group is small enough for [`overlay`] on such a map.
pub(crate) fn fits(shape: Shape, group: &Group) -> bool {
    let width = u64::try_from(shape.width()).unwrap_or(u64::MAX);
    shape.height() <= SIDE_CELLS
        && shape.width() <= SIDE_CELLS
        && width.saturating_mul(group.y.longest().into()) <= ROW_CELLS
}

/// Raises `worst`, one vector for each window of `first`, to the most that windows of `second` give,
/// without `a(W)`; start with `TableWord::MIN`. Both groups must [`fit`](fits).
///
/// `less` is the constant of `b`. With `half` only those windows of the second group count whose row
/// is not before that of the first; where both groups are the same and pairs unordered, that is
/// enough to find the most over all pairs, and its first window.
///
/// `None` where the memory is too small, after which `worst` means nothing.
#[inline(never)]
pub(crate) fn overlay(
    plane: &Plane<'_>,
    less: &Vector,
    first: &Group,
    second: &Group,
    half: bool,
    rows: &mut Rows<'_>,
    worst: &mut [Vector],
) -> Option<()> {
    let height = usize::try_from(first.y.count).ok()?;
    let width = usize::try_from(first.x.count).ok()?;
    let columns = usize::try_from(second.x.count).ok()?;
    let Rows {
        own,
        left,
        inside,
        right,
        before,
        after,
        sums,
        shared,
        ranges,
        meets,
    } = rows;
    let (own, inside) = (own.get_mut(..columns)?, inside.get_mut(..columns)?);
    let stride = plane.columns();
    let before = before.get_mut(..=columns)?;
    let after = after.get_mut(..=columns)?;
    before.fill(vector::LEAST);
    after.fill(vector::LEAST);
    let (ranges, meets) = (ranges.get_mut(..width)?, meets.get_mut(..width)?);
    let levels = fill_ranges(&first.x, &second.x, stride, ranges, meets)?;
    let (ranges, meets) = (&*ranges, &*meets);

    for (row, (top, bottom)) in (1usize..).zip(second.y.spans()) {
        subtract_rows(plane, top, bottom, &vector::ZERO, sums)?;
        let mut row_most = vector::LEAST;
        for ((start, end), own) in second.x.spans().zip(own.iter_mut()) {
            *own = vector::sub(*column(sums, end)?, column(sums, start)?);
            row_most = vector::max(row_most, own);
        }
        for (most, own) in after.iter_mut().zip(&*own) {
            *most = vector::max(*most, own);
        }
        let until = if half { height.min(row) } else { height };
        let lines = pieces_mut(worst, width).zip(first.y.spans().take(until));
        for (line, (first_top, first_bottom)) in lines {
            let (from, to) = (top.max(first_top), bottom.min(first_bottom));
            if from >= to {
                for worst in line {
                    *worst = vector::max(*worst, &row_most);
                }
                continue;
            }
            let rows = i16::try_from(to.saturating_sub(from)).ok()?;
            let slope = less.map(|less| less.wrapping_mul(rows));
            subtract_rows(plane, from, to, &slope, shared)?;
            let shared = &**shared;
            let terms = own.iter().zip(left.iter_mut());
            let terms = terms.zip(inside.iter_mut()).zip(right.iter_mut());
            for ((start, end), (((own, left), inside), right)) in second.x.spans().zip(terms) {
                let (start, end) = (column(shared, start)?, column(shared, end)?);
                *left = vector::sub(*own, end);
                *inside = vector::add(*left, start);
                *right = vector::add(*own, start);
            }
            fill_maxima(left, columns, stride, levels)?;
            fill_maxima(right, columns, stride, levels)?;
            let (left, right) = (&**left, &**right);
            for (worst, ranges) in line.iter_mut().zip(ranges) {
                let [a, b, c, d, start, end, starts, ends] =
                    ranges.map(|at| usize::from(at.cast_unsigned()));
                let (start, end) = (shared.get(start)?, shared.get(end)?);
                let mut best = *worst;
                if let (Some(a), Some(b)) = (left.get(a), left.get(b)) {
                    best = vector::max(best, &vector::add(vector::max(*a, b), start));
                }
                if let (Some(c), Some(d)) = (right.get(c), right.get(d)) {
                    best = vector::max(best, &vector::sub(vector::max(*c, d), end));
                }
                if starts < ends {
                    if let Some(most) = most(inside.get(starts..ends)?) {
                        best = vector::max(best, &most);
                    }
                } else if ends < starts
                    && let Some(most) = most(own.get(ends..starts)?)
                {
                    best = vector::max(best, &vector::sub(vector::add(most, start), end));
                }
                *worst = best;
            }
        }
    }
    // Windows beside, to the left and to the right, whatever their row.
    for (before, after) in before.iter_mut().skip(1).zip(&*after) {
        *before = *after;
    }
    running_most(before.iter_mut());
    running_most(after.iter_mut().rev());
    for line in pieces_mut(worst, width).take(height) {
        for (worst, [low, high, ..]) in line.iter_mut().zip(meets) {
            let low = before.get(usize::from(low.cast_unsigned()))?;
            let high = after.get(usize::from(high.cast_unsigned()))?;
            *worst = vector::max(vector::max(*worst, low), high);
        }
    }
    Some(())
}

/// Fills in ranges for rows of `stride` places, and says how many levels of maxima they need.
///
/// For each column of the first group, `low..high` are the columns of the second that meet it; those
/// before both `starts` and `ends` are its left range, those from both on its right one.
fn fill_ranges(
    first: &AxisMasks,
    second: &AxisMasks,
    stride: usize,
    ranges: &mut [Ranges],
    meets: &mut [Vector],
) -> Option<usize> {
    let mut levels = 1;
    let mut places = |from: u32, to: u32| {
        let Some(level) = to.saturating_sub(from).checked_ilog2() else {
            return Some([EMPTY; 2]);
        };
        let row = stride.checked_mul(usize::try_from(level).ok()?)?;
        levels = levels.max(usize::try_from(level).ok()?.saturating_add(1));
        let second = to.checked_sub(1u32.checked_shl(level)?)?;
        let place = |column: u32| {
            let place = row.checked_add(usize::try_from(column).ok()?)?;
            Some(u16::try_from(place).ok()?.cast_signed())
        };
        Some([place(from)?, place(second)?])
    };
    let (mut low, mut starts, mut ends, mut high) = (0, 0, 0, 0);
    // Each of them only grows, since both sides' starts and ends do.
    let grow = |at: &mut u32, counts: &dyn Fn((u32, u32)) -> bool| {
        while *at < second.count && counts(second.span(*at)) {
            *at = at.saturating_add(1);
        }
        *at
    };
    for (((start, end), ranges), meets) in first.spans().zip(ranges).zip(meets) {
        let low = grow(&mut low, &|(_, second_end)| second_end <= start);
        let starts = grow(&mut starts, &|(second_start, _)| second_start <= start);
        let ends = grow(&mut ends, &|(_, second_end)| second_end <= end);
        let high = grow(&mut high, &|(second_start, _)| second_start < end).max(low);
        let (starts, ends) = (starts.clamp(low, high), ends.clamp(low, high));
        let word = |number: u32| TableWord::try_from(number).ok();
        let [a, b] = places(low, starts.min(ends))?;
        let [c, d] = places(starts.max(ends), high)?;
        let (start, end) = (word(start)?, word(end)?);
        *ranges = [a, b, c, d, start, end, word(starts)?, word(ends)?];
        *meets = [word(low)?, word(high)?, 0, 0, 0, 0, 0, 0];
    }
    Some(levels)
}

/// From the first `columns` places of a row of `stride`, the maxima over 2, 4, ... neighbours in the
/// rows behind it.
#[inline(always)]
fn fill_maxima(maxima: &mut [Vector], columns: usize, stride: usize, levels: usize) -> Option<()> {
    let mut rest = maxima;
    let mut apart = 1usize;
    for _ in 1..levels {
        let (row, next) = rest.split_at_mut_checked(stride)?;
        let row = row.get(..columns)?;
        let pairs = row.iter().zip(row.get(apart..)?);
        for (most, (a, b)) in next.iter_mut().zip(pairs) {
            *most = vector::max(*a, b);
        }
        apart = apart.checked_mul(2)?;
        rest = next;
    }
    Some(())
}

/// Sums over the rows `top..bottom` of all columns before each, less `slope` for every column.
#[inline(always)]
fn subtract_rows(
    plane: &Plane<'_>,
    top: u32,
    bottom: u32,
    slope: &Vector,
    sums: &mut [Vector],
) -> Option<()> {
    let columns = plane.columns();
    let top = plane.rows_from(top)?.get(..columns)?;
    let bottom = plane.rows_from(bottom)?.get(..columns)?;
    let mut less = vector::ZERO;
    for ((sum, top), bottom) in sums.get_mut(..columns)?.iter_mut().zip(top).zip(bottom) {
        *sum = vector::sub(vector::sub(*bottom, top), &less);
        less = vector::add(less, slope);
    }
    Some(())
}

#[inline(always)]
fn column(sums: &[Vector], at: u32) -> Option<&Vector> {
    sums.get(usize::try_from(at).ok()?)
}

/// Most of all vectors, lane by lane; `None` where there are none.
#[inline(always)]
fn most(vectors: &[Vector]) -> Option<Vector> {
    let (first, rest) = vectors.split_first()?;
    let mut most = *first;
    let (fours, rest) = rest.as_chunks::<4>();
    for [a, b, c, d] in fours {
        most = vector::max(vector::max(most, a), &vector::max(vector::max(*b, c), d));
    }
    for vector in rest {
        most = vector::max(most, vector);
    }
    Some(most)
}

fn running_most<'v>(vectors: impl Iterator<Item = &'v mut Vector>) {
    let mut most = vector::LEAST;
    for vector in vectors {
        most = vector::max(most, vector);
        *vector = most;
    }
}
