//! The prediction of double masking: windows on whose outcome no second window has a say.
//!
//! A window `W` is unanimous for a class if `f(W u V)` is that class for every window `V`, where
//! `f(A)` is the class with the most votes outside `A`. Where all votes elect `d`, three steps find
//! whether some window is unanimous for another class:
//!
//! 1. If every window by itself leaves `d` ahead, none is.
//! 2. Otherwise pairs are played off. A window that is unanimous has its own class, `f(W u W)`, with
//!    every other one; so `f(U u W)` rules out `U`, `W` or both, unless it is the class of both.
//!    Windows not ruled out yet are kept in a pile whose members all have one class: the next window
//!    joins it if it has the same, else it is played off against the top until it is ruled out or the
//!    pile is gone. Each play rules one window out, so there are fewer plays than windows, and at the
//!    end only the pile's class can have a unanimous window.
//! 3. If that is not `d`, one pass over all pairs tells whether a window is unanimous for it.

use crate::mask_set::{Group, MaskSet};
use crate::masks::{MARK_WORDS, from_mark, to_mark};
use crate::score_map::ScoreMap;
use crate::search::Cells;
use crate::shape::{LANES, TableWord};
use crate::sweep::Sweep;

type Mark = [TableWord; MARK_WORDS];

/// The class predicted; leaves the tables filled with its margins.
pub(crate) fn predict(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    marks: &mut [Mark],
) -> Option<usize> {
    let plain = map.predicted();
    sweep.build_margins(map, plain)?;
    if all_elect(map, set, sweep, plain)? {
        return Some(plain);
    }
    match playoff(map, set, sweep, plain, marks)? {
        Some(class) if class != plain => {
            sweep.build_margins(map, class)?;
            let unanimous = match set.groups().next() {
                Some(group) if sweep.by_class(&group) => {
                    has_unanimous_by_class(map, set, sweep, class, marks)?
                }
                _ => has_unanimous(map, set, sweep, class, marks)?,
            };
            if unanimous {
                return Some(class);
            }
            sweep.build_margins(map, plain)?;
        }
        _ => {}
    }
    Some(plain)
}

/// Votes that rival `class` may gain on `target` before it wins: its margin, less one where a tie
/// would do. `None` for the target itself.
fn room(class: usize, target: usize, most: u32, votes: u32) -> Option<i64> {
    let margin = i64::from(most).saturating_sub(votes.into());
    match class {
        _ if class == target => None,
        _ if class < target => Some(margin.saturating_sub(1)),
        _ => Some(margin),
    }
}

/// The room of every class of a chunk; none where there is no class.
fn rooms(map: &ScoreMap<'_>, target: usize, chunk: usize) -> [Option<i64>; LANES] {
    let most = map.votes().nth(target).unwrap_or(0);
    let mut rooms = [None; LANES];
    let votes = map.votes().enumerate().skip(chunk.saturating_mul(LANES));
    for (found, (class, votes)) in rooms.iter_mut().zip(votes) {
        *found = room(class, target, most, votes);
    }
    rooms
}

fn within(lost: &[i64; LANES], rooms: &[Option<i64>; LANES]) -> bool {
    let mut lanes = lost.iter().zip(rooms);
    lanes.all(|(lost, room)| room.is_none_or(|room| *lost <= room))
}

/// Whether outside every single window `class`, whose margins the tables hold, has won.
fn all_elect(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &Sweep<'_>,
    class: usize,
) -> Option<bool> {
    for (chunk, plane) in sweep.planes().enumerate() {
        let rooms = rooms(map, class, chunk);
        for group in set.groups() {
            if !within(&Sweep::most(&plane, &group)?, &rooms) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// `f` of one window or the union of two, by tables that hold the margins of `target`.
fn elected(
    map: &ScoreMap<'_>,
    sweep: &Sweep<'_>,
    target: usize,
    a: &Cells,
    b: Option<&Cells>,
) -> Option<usize> {
    let mut votes = map.votes().enumerate();
    let mut best = (i64::MIN, 0);
    for plane in sweep.planes() {
        // A class has its votes less those removed; to all of them the target's removed are added,
        // which changes no order.
        let lost = Sweep::union(&plane, a, b)?;
        for (lost, (class, votes)) in lost.into_iter().zip(votes.by_ref()) {
            let lost = if class == target { 0 } else { lost };
            let left = i64::from(votes).saturating_add(lost);
            if left > best.0 {
                best = (left, class);
            }
        }
    }
    Some(best.1)
}

/// The only class, if any, that a window may be unanimous for.
fn playoff(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &Sweep<'_>,
    target: usize,
    pile: &mut [Mark],
) -> Option<Option<usize>> {
    let (mut class, mut height) = (None, 0usize);
    let windows = set.groups().flat_map(Group::cells);
    for (number, window) in (0u32..).zip(windows) {
        let own = elected(map, sweep, target, &window, None)?;
        loop {
            if height == 0 || class == Some(own) {
                class = Some(own);
                *pile.get_mut(height)? = to_mark(number);
                height = height.saturating_add(1);
                break;
            }
            let top = pile.get(height.checked_sub(1)?)?;
            let top = nth(set, from_mark(*top))?;
            let both = elected(map, sweep, target, &top, Some(&window))?;
            if class != Some(both) {
                height = height.saturating_sub(1);
            }
            if both != own {
                break;
            }
        }
    }
    Some(if height == 0 { None } else { class })
}

/// Window `number` of all windows of the set.
fn nth(set: &MaskSet<'_>, mut number: u32) -> Option<Cells> {
    for group in set.groups() {
        if u64::from(number) < group.count() {
            return group.nth(number);
        }
        number = number.checked_sub(u32::try_from(group.count()).ok()?)?;
    }
    None
}

/// Whether a window is unanimous for `class`, whose margins the tables hold.
fn has_unanimous(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    class: usize,
    marks: &mut [Mark],
) -> Option<bool> {
    for group in set.groups() {
        let windows = usize::try_from(group.count()).ok()?;
        // Marked: another class wins with some second window.
        let marks = marks.get_mut(..windows)?;
        marks.fill(to_mark(0));
        for chunk in 0..sweep.shape().chunks() {
            let rooms = rooms(map, class, chunk);
            let each = |number: usize, _: &Cells, lost: &[i64; LANES]| {
                if let Some(mark) = marks.get_mut(number)
                    && !within(lost, &rooms)
                {
                    *mark = to_mark(1);
                }
            };
            sweep.each_worst(chunk, &[0; LANES], &group, set, None, each)?;
        }
        if marks.contains(&to_mark(0)) {
            return Some(true);
        }
    }
    Some(false)
}

/// The same, rival by rival: those that no pair of windows can bring ahead are left out.
fn has_unanimous_by_class(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    class: usize,
    marks: &mut [Mark],
) -> Option<bool> {
    let group = set.groups().next()?;
    let marks = marks.get_mut(..usize::try_from(group.count()).ok()?)?;
    marks.fill(to_mark(0));
    let held = sweep.most_held(class, set)?;
    for chunk in 0..sweep.shape().chunks() {
        let most = Sweep::most(&sweep.plane(chunk)?, &group)?;
        let lanes = (0..).zip(most).zip(rooms(map, class, chunk));
        for ((lane, most), room) in lanes {
            let Some(room) = room.filter(|room| most.saturating_add(held) > *room) else {
                continue;
            };
            let rival = chunk.saturating_mul(LANES).saturating_add(lane);
            sweep.each_worst_of(rival, 0, false, |number, lost| {
                if let Some(mark) = marks.get_mut(number)
                    && lost > room
                {
                    *mark = to_mark(1);
                }
            })?;
            if !marks.contains(&to_mark(0)) {
                return Some(false);
            }
        }
    }
    Some(true)
}
