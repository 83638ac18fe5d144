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
//! computed once a row remains: no pair is worked out by itself.

use crate::mask_set::{AxisMasks, Group};
use crate::pieces::pieces_mut;
use crate::plane::Plane;
use crate::shape::{LANES, Shape, TableWord};
use crate::vector::{self, Vector};

/// Up to this many cells in the rows of the highest window, every number here fits one signed word:
/// each term is at most four times as large.
const ROW_CELLS: u64 = 8_191;

const LEAST: Vector = [TableWord::MIN; LANES];

/// For one column of the first group, the ends of the ranges of columns of the second, and its own
/// start and end.
type Ranges = Vector;

/// Memory for rows of windows. None of it need hold anything before.
pub(crate) struct Rows<'m> {
    /// `a(V)` for each column.
    own: &'m mut [Vector],
    /// `a(V) - B[end of V]`.
    left: &'m mut [Vector],
    /// `a(V) - B[end of V] + B[start of V]`.
    inside: &'m mut [Vector],
    /// `a(V) + B[start of V]`.
    right: &'m mut [Vector],
    /// Most of the columns before one, over all rows; of one and those after it.
    before: &'m mut [Vector],
    after: &'m mut [Vector],
    /// Column sums of a row of windows, and of the rows that two windows share.
    sums: &'m mut [Vector],
    shared: &'m mut [Vector],
    ranges: &'m mut [Vector],
}

/// Vectors that [`Rows`] takes for a map of `width` columns.
pub(crate) const fn rows_len(width: usize) -> usize {
    // Nine arrays of at most a column more than the map has.
    width.saturating_add(1).saturating_mul(9)
}

impl<'m> Rows<'m> {
    /// Takes the first [`rows_len`] vectors.
    pub(crate) fn split(
        memory: &'m mut [Vector],
        width: usize,
    ) -> Option<(Self, &'m mut [Vector])> {
        let (rows, rest) = memory.split_at_mut_checked(rows_len(width))?;
        let mut parts = pieces_mut(rows, width.saturating_add(1));
        let rows = Self {
            own: parts.next()?,
            left: parts.next()?,
            inside: parts.next()?,
            right: parts.next()?,
            before: parts.next()?,
            after: parts.next()?,
            sums: parts.next()?,
            shared: parts.next()?,
            ranges: parts.next()?,
        };
        Some((rows, rest))
    }
}

/// Whether every window of the group is small enough for [`overlay`] on such a map.
pub(crate) fn fits(shape: Shape, group: &Group) -> bool {
    let long = |length: usize| u64::try_from(length).is_ok_and(|length| length <= ROW_CELLS);
    let width = u64::try_from(shape.width()).unwrap_or(u64::MAX);
    long(shape.height())
        && long(shape.width())
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
    } = rows;
    let (own, left) = (own.get_mut(..columns)?, left.get_mut(..columns)?);
    let (inside, right) = (inside.get_mut(..columns)?, right.get_mut(..columns)?);
    let before = before.get_mut(..=columns)?;
    let after = after.get_mut(..=columns)?;
    before.fill(LEAST);
    after.fill(LEAST);
    let ranges = ranges.get_mut(..width)?;
    fill_ranges(&first.x, &second.x, ranges)?;
    let ranges = &*ranges;

    for (row, (top, bottom)) in (1usize..).zip(second.y.spans()) {
        subtract_rows(plane, top, bottom, &vector::ZERO, sums)?;
        let mut row_most = LEAST;
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
            for (worst, ranges) in line.iter_mut().zip(ranges) {
                let [low, starts, ends, high, start, end, _, _] =
                    ranges.map(|at| usize::from(at.cast_unsigned()));
                let (start, end) = (shared.get(start)?, shared.get(end)?);
                let mut best = *worst;
                if let Some(most) = most(left.get(low..starts.min(ends))?) {
                    best = vector::max(best, &vector::add(most, start));
                }
                if let Some(most) = most(right.get(starts.max(ends)..high)?) {
                    best = vector::max(best, &vector::sub(most, end));
                }
                if starts < ends {
                    if let Some(most) = most(inside.get(starts..ends)?) {
                        best = vector::max(best, &most);
                    }
                } else if let Some(most) = most(own.get(ends..starts)?) {
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
        for (worst, [low, _, _, high, ..]) in line.iter_mut().zip(ranges) {
            let low = before.get(usize::from(low.cast_unsigned()))?;
            let high = after.get(usize::from(high.cast_unsigned()))?;
            *worst = vector::max(vector::max(*worst, low), high);
        }
    }
    Some(())
}

/// For each column of the first group, the columns of the second that meet it, `low..high`, and how
/// many of the second start no later (`starts`) and end no later (`ends`), clipped to that range.
fn fill_ranges(first: &AxisMasks, second: &AxisMasks, ranges: &mut [Ranges]) -> Option<()> {
    let (mut low, mut starts, mut ends, mut high) = (0, 0, 0, 0);
    // Each of them only grows, since both sides' starts and ends do.
    let grow = |at: &mut u32, counts: &dyn Fn((u32, u32)) -> bool| {
        while *at < second.count && counts(second.span(*at)) {
            *at = at.saturating_add(1);
        }
        *at
    };
    for ((start, end), ranges) in first.spans().zip(ranges) {
        let low = grow(&mut low, &|(_, second_end)| second_end <= start);
        let starts = grow(&mut starts, &|(second_start, _)| second_start <= start);
        let ends = grow(&mut ends, &|(_, second_end)| second_end <= end);
        let high = grow(&mut high, &|(second_start, _)| second_start < end).max(low);
        let (starts, ends) = (starts.clamp(low, high), ends.clamp(low, high));
        let found = [low, starts, ends, high, start, end];
        for (range, found) in ranges.iter_mut().zip(found) {
            *range = TableWord::try_from(found).ok()?;
        }
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
    let mut most = LEAST;
    for vector in vectors {
        most = vector::max(most, vector);
        *vector = most;
    }
}
