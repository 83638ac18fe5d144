//! [`overlay`](crate::overlay) for a single class and windows of a single size: eight windows to a
//! vector instead of eight classes.
//!
//! With one size, of two windows that meet the one that starts earlier also ends no later. So for
//! windows `V` of one row and `W` of another, with `B` the column sums over the rows that they share,
//!
//! > `a(V) - a(V n W) = (a(V) - B[end of V]) + B[start of W]` where `V` is not behind `W`,
//! > `a(V) - a(V n W) = (a(V) + B[start of V]) - B[end of W]` where it is not before `W`,
//!
//! and those that meet `W` are the `reach` windows up to it and the `reach` windows from it on: a
//! maximum over as many neighbours, the same number everywhere. At the borders it is taken over
//! fewer, by repeating the outermost one, which is among those counted there.

use crate::mask_set::{AxisMasks, Group};
use crate::pieces::{pieces, pieces_mut};
use crate::plane::Plane;
use crate::shape::{LANES, TableWord};
use crate::vector::{self, Vector};

/// What is asked of [`lane`](lane()).
#[derive(Clone, Copy)]
pub(crate) struct Sought<'h> {
    /// The class's lane in its chunk.
    pub(crate) lane: usize,
    /// Only the most over all pairs and its first window are of interest: sums of other windows may
    /// be given too low.
    pub(crate) only_most: bool,
    /// Sums below it are of no interest, and may be given too low. With `None` no pair is left out,
    /// whatever the scores.
    pub(crate) least: Option<i64>,
    /// For each row of windows, the most that a window's cells without those of another one may sum up to.
    pub(crate) held: &'h [TableWord],
}

/// Memory of [`lane`](lane()): none of it need hold anything before.
pub(crate) struct Lane<'m> {
    /// The class's table at the windows' starts and ends: a row of windows for each of its rows.
    starts: &'m mut [Vector],
    ends: &'m mut [Vector],
    /// The most for each window, row by row, in rows of whole vectors.
    worst: &'m mut [Vector],
    /// Two buffers for maxima over neighbours, and the second windows to be looked at there.
    left: [&'m mut [Vector]; 2],
    right: [&'m mut [Vector]; 2],
    /// `a(V)` for a row of windows.
    own: &'m mut [Vector],
    /// The most of each column, and of each row.
    columns: &'m mut [Vector],
    rows: &'m mut [Vector],
    /// `B` at the starts and ends of a row of windows.
    shared_starts: &'m mut [Vector],
    shared_ends: &'m mut [Vector],
    /// Vectors to a row of windows.
    stride: usize,
}

/// Rows of windows beside the tables.
const ROWS: usize = 4;

/// Vectors for a map of `height` x `width` cells, whatever the windows.
pub(crate) const fn lane_len(height: usize, width: usize) -> usize {
    let stride = width.div_ceil(LANES);
    let tables = height.saturating_add(1).saturating_mul(2);
    let rows = tables.saturating_add(height).saturating_add(ROWS);
    let slides = slide_len(stride).saturating_mul(4);
    let most = height.div_ceil(LANES);
    rows.saturating_mul(stride)
        .saturating_add(slides)
        .saturating_add(most)
}

/// Vectors of a buffer for maxima: twice a row, for at most as many neighbours, and what is read
/// beyond them in whole vectors.
const fn slide_len(stride: usize) -> usize {
    stride.saturating_mul(2).saturating_add(2)
}

impl<'m> Lane<'m> {
    /// From [`lane_len`] vectors, for the windows of a group on a map of `height` rows.
    fn split(memory: &'m mut [Vector], height: usize, columns: usize) -> Option<Self> {
        let stride = columns.div_ceil(LANES);
        let table = height.checked_add(1)?.checked_mul(stride)?;
        let (starts, memory) = memory.split_at_mut_checked(table)?;
        let (ends, memory) = memory.split_at_mut_checked(table)?;
        let (worst, memory) = memory.split_at_mut_checked(height.checked_mul(stride)?)?;
        let (most, memory) = memory.split_at_mut_checked(height.div_ceil(LANES))?;
        let rows = stride.checked_mul(ROWS)?;
        let (rows, memory) = memory.split_at_mut_checked(rows)?;
        let mut rows = pieces_mut(rows, stride);
        let mut slides = pieces_mut(memory, slide_len(stride));
        Some(Self {
            starts,
            ends,
            worst,
            left: [slides.next()?, slides.next()?],
            right: [slides.next()?, slides.next()?],
            own: rows.next()?,
            columns: rows.next()?,
            rows: most,
            shared_starts: rows.next()?,
            shared_ends: rows.next()?,
            stride,
        })
    }

    /// Gathers the class's table at the windows' starts and ends.
    fn gather(&mut self, plane: &Plane<'_>, lane: usize, windows: &AxisMasks) -> Option<()> {
        let starts = pieces_mut(self.starts, self.stride);
        let rows = starts.zip(pieces_mut(self.ends, self.stride));
        for (row, (starts, ends)) in (0..).zip(rows) {
            let corners = plane.rows_from(row)?.get(..plane.columns())?;
            let (starts, ends) = (starts.as_flattened_mut(), ends.as_flattened_mut());
            // Words beyond the last window are never read for a window.
            if let Some((start, end)) = windows.side_by_side() {
                take(corners.get(start)?, lane, starts)?;
                take(corners.get(end)?, lane, ends)?;
                continue;
            }
            let at = |column: u32| {
                let corner = corners.get(usize::try_from(column).ok()?)?;
                corner.get(lane).copied()
            };
            let words = starts.iter_mut().zip(ends);
            for ((start, end), (from, to)) in words.zip(windows.spans()) {
                (*start, *end) = (at(from)?, at(to)?);
            }
        }
        Some(())
    }

    /// The most of each column and of each row of windows.
    fn fill_most(&mut self, group: &Group, columns: usize) -> Option<()> {
        self.columns.fill(vector::LEAST);
        let rows = self.rows.as_flattened_mut().iter_mut();
        for (row_most, rows) in rows.zip(group.y.spans()) {
            sums(self.starts, self.ends, self.stride, rows, self.own)?;
            for (most, own) in self.columns.iter_mut().zip(&*self.own) {
                *most = vector::max(*most, own);
            }
            let words = self.own.as_flattened().get(..columns)?;
            *row_most = words.iter().fold(TableWord::MIN, |a, b| a.max(*b));
        }
        Some(())
    }
}

/// For each window `W` of the group, in order, the most that the cells of `W` and another one, `V`, sum up
/// to together; `each` gets the window's number and that sum.
///
/// The group must [`fit`](crate::overlay::fits), and the memory have [`lane_len`] vectors. Pairs are
/// unordered, so where only the most matters `V` need not lie in a row before that of `W`.
///
/// `None` where the memory is too small.
#[inline(never)]
pub(crate) fn lane(
    plane: &Plane<'_>,
    sought: Sought<'_>,
    group: &Group,
    height: usize,
    memory: &mut [Vector],
    mut each: impl FnMut(usize, i64),
) -> Option<()> {
    let columns = usize::try_from(group.x.count).ok()?;
    let reach = usize::try_from(group.x.reach()).ok()?;
    let mut lane = Lane::split(memory, height, columns)?;
    lane.gather(plane, sought.lane, &group.x)?;
    lane.fill_most(group, columns)?;
    let Lane {
        starts,
        ends,
        worst,
        mut left,
        mut right,
        own,
        columns: most_of,
        rows: row_most,
        shared_starts,
        shared_ends,
        stride,
    } = lane;
    let (starts, ends, most_of) = (&*starts, &*ends, &*most_of);
    let count = usize::try_from(group.y.count).ok()?;
    let row_most = row_most.as_flattened().get(..count)?;
    // Of two windows that do not meet the sum is known at once: less is of no interest then.
    let least = match sought.least {
        Some(least) if sought.only_most => {
            let column_most = most_of.as_flattened().get(..columns)?;
            let reach_down = usize::try_from(group.y.reach()).ok()?;
            let apart = apart(row_most, reach_down).max(apart(column_most, reach));
            Some(least.max(apart))
        }
        least => least,
    };
    worst.fill(vector::LEAST);
    let rows = group.y.spans().zip(row_most).zip(sought.held);
    for (row, (((top, bottom), most), held)) in (1usize..).zip(rows) {
        sums(starts, ends, stride, (top, bottom), own)?;
        let until = if sought.only_most {
            count.min(row)
        } else {
            count
        };
        let firsts = group.y.spans().zip(row_most).zip(sought.held).take(until);
        for (line, (((first_top, first_bottom), first_most), first_held)) in
            pieces_mut(worst, stride).zip(firsts)
        {
            // A second window adds no more to the first than it may hold without it, and the other way
            // round.
            let by_first = i64::from(*first_most).saturating_add(i64::from(*held));
            let by_second = i64::from(*most).saturating_add(i64::from(*first_held));
            if least.is_some_and(|least| by_first.min(by_second) < least) {
                continue;
            }
            let (from, to) = (top.max(first_top), bottom.min(first_bottom));
            if from >= to {
                for worst in line {
                    *worst = vector::max(*worst, &[*most; LANES]);
                }
                continue;
            }
            difference(starts, stride, (from, to), shared_starts)?;
            difference(ends, stride, (from, to), shared_ends)?;
            let (shared_starts, shared_ends) = (&*shared_starts, &*shared_ends);
            let before = (columns, reach, true);
            let left = neighbours(&mut left, own, shared_ends, vector::sub, before)?;
            let behind = (columns, reach, false);
            let right = neighbours(&mut right, own, shared_starts, vector::add, behind)?;
            let terms = left.iter().zip(right).zip(shared_starts).zip(shared_ends);
            for (worst, (((left, right), start), end)) in line.iter_mut().zip(terms) {
                let both = vector::max(vector::add(*left, start), &vector::sub(*right, end));
                *worst = vector::max(*worst, &both);
            }
        }
    }
    // Windows beside, to the left and to the right, whatever their row.
    let own_most = |most: Vector, _: &Vector| most;
    let (before, behind) = ((columns, columns, true), (columns, columns, false));
    let before = neighbours(&mut left, most_of, most_of, own_most, before)?;
    let after = neighbours(&mut right, most_of, most_of, own_most, behind)?;
    let (before, after) = (before.as_flattened(), after.as_flattened().get(..columns)?);
    let lines = pieces(worst, stride).zip(group.y.spans());
    let mut number = 0usize;
    for (line, (top, bottom)) in lines {
        sums(starts, ends, stride, (top, bottom), own)?;
        let line = line.as_flattened().iter().zip(own.as_flattened());
        for (column, (worst, own)) in line.take(columns).enumerate() {
            let before = column.checked_sub(reach).and_then(|at| before.get(at));
            let after = after.get(column.saturating_add(reach));
            let beside = before
                .into_iter()
                .chain(after)
                .fold(*worst, |a, b| a.max(*b));
            each(number, i64::from(*own).saturating_add(beside.into()));
            number = number.saturating_add(1);
        }
    }
    Some(())
}

/// One lane of each vector.
fn take(vectors: &[Vector], lane: usize, words: &mut [TableWord]) -> Option<()> {
    for (word, vector) in words.iter_mut().zip(vectors) {
        *word = *vector.get(lane)?;
    }
    Some(())
}

/// The most that two of these give together which are at least `reach` apart; `i64::MIN` where none are.
fn apart(most: &[TableWord], reach: usize) -> i64 {
    let mut best = (i64::MIN, i64::MIN);
    for (before, most) in most.iter().zip(most.iter().skip(reach)) {
        best.0 = best.0.max(i64::from(*before));
        best.1 = best.1.max(best.0.saturating_add(i64::from(*most)));
    }
    best.1
}

/// `a` of a row of windows over the rows `from..to`.
#[inline(always)]
fn sums(
    starts: &[Vector],
    ends: &[Vector],
    stride: usize,
    (from, to): (u32, u32),
    sums: &mut [Vector],
) -> Option<()> {
    let starts = two_rows(starts, stride, (from, to))?;
    let ends = two_rows(ends, stride, (from, to))?;
    for (sum, ((a, c), (b, d))) in sums.iter_mut().zip(starts.zip(ends)) {
        *sum = vector::window(a, b, c, d);
    }
    Some(())
}

/// `B` over the rows `from..to`, from the table at all starts or all ends.
#[inline(always)]
fn difference(
    table: &[Vector],
    stride: usize,
    rows: (u32, u32),
    shared: &mut [Vector],
) -> Option<()> {
    for (shared, (top, bottom)) in shared.iter_mut().zip(two_rows(table, stride, rows)?) {
        *shared = vector::sub(*bottom, top);
    }
    Some(())
}

/// Two rows of a table, side by side.
#[inline(always)]
fn two_rows(
    table: &[Vector],
    stride: usize,
    (from, to): (u32, u32),
) -> Option<impl Iterator<Item = (&Vector, &Vector)>> {
    let row = |at: u32| {
        let from = stride.checked_mul(usize::try_from(at).ok()?)?;
        table.get(from..)?.get(..stride)
    };
    Some(row(from)?.iter().zip(row(to)?))
}

/// For each window the most of `term(own, shared)` over `reach` windows: up to it with `before`,
/// else from it on.
#[inline(always)]
fn neighbours<'b>(
    buffers: &'b mut [&mut [Vector]; 2],
    own: &[Vector],
    shared: &[Vector],
    term: impl Fn(Vector, &Vector) -> Vector,
    (columns, reach, before): (usize, usize, bool),
) -> Option<&'b [Vector]> {
    let [from, to] = buffers;
    let (mut from, mut to) = (&mut **from, &mut **to);
    let stride = own.len();
    let words = from.as_flattened_mut();
    // Windows behind the last one repeat it; those before the first do likewise.
    let (ahead, behind) = if before {
        (reach.checked_sub(1)?, 0)
    } else {
        (0, reach)
    };
    let places = words.get_mut(ahead..)?.as_chunks_mut::<LANES>().0;
    for (place, (own, shared)) in places.iter_mut().zip(own.iter().zip(shared)) {
        *place = term(*own, shared);
    }
    if before {
        let first = *words.get(ahead)?;
        words.get_mut(..ahead)?.fill(first);
    } else {
        let last = *words.get(columns.checked_sub(1)?)?;
        words.get_mut(columns..)?.get_mut(..behind)?.fill(last);
    }
    // Maxima over 2, 4, ... neighbours from each place on, at last over all.
    let mut covered = 1usize;
    while covered < reach {
        let further = covered.min(reach.checked_sub(covered)?);
        covered = covered.checked_add(further)?;
        // What is still to be read from here on, in whole vectors.
        let rest = reach.checked_sub(covered)?.div_ceil(LANES);
        let here = from.get(..stride.checked_add(rest)?)?;
        let there = from.as_flattened().get(further..)?.as_chunks::<LANES>().0;
        for (most, (a, b)) in to.iter_mut().zip(here.iter().zip(there)) {
            *most = vector::max(*a, b);
        }
        (from, to) = (to, from);
    }
    from.get(..stride)
}
