//! The prediction of double masking: windows on whose outcome no second window has a say.
//!
//! A window `W` is unanimous for a class if `f(W u V)` is that class for every window `V`, where
//! `f(A)` is the class with the most votes outside `A`. A set may ask for a lead: then it is that class with
//! so many votes less, too. Where all votes elect `d`, three steps find whether some window is
//! unanimous for another class:
//!
//! 1. If every window by itself leaves `d` ahead, none is.
//! 2. Otherwise pairs are played off. A window that is unanimous has its own class, `f(W u W)`, with
//!    every other one; so `f(U u W)` rules out `U`, `W` or both, unless it is the class of both.
//!    Windows not ruled out yet are kept in a pile whose members all have one class: the next window
//!    joins it if it has the same, else it is played off against the top until it is ruled out or the
//!    pile is gone. Each play rules one window out, so there are fewer plays than windows, and at the
//!    end only the pile's class can have a unanimous window.
//! 3. If that is not `d`, one pass over all pairs tells whether a window is unanimous for it.
//!
//! The first two steps ask for no lead: who is unanimous by one is so without.

use core::hint::select_unpredictable as select;

use crate::mask_set::{Group, MaskSet, Work};
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
    let constant = set.work() == Work::Constant;
    sweep.build_margins(map, plain)?;
    let agreed = all_elect(map, set, sweep, plain)?;
    // Here and below the mode is asked for first: the other way round the answer to the second question
    // would show in the count of instructions.
    if !constant && agreed {
        return Some(plain);
    }
    let class = playoff(map, set, sweep, plain, marks)?.unwrap_or(plain);
    if !constant && class == plain {
        return Some(plain);
    }
    // Where the work is constant this may be for `plain` itself: whatever comes of it then, `plain` stays.
    sweep.build_margins(map, class)?;
    let unanimous = has_unanimous(map, set, sweep, class, marks)?;
    let class = select(unanimous, class, plain);
    // Even where the tables hold them already: to see whether they do would show as well.
    sweep.build_margins(map, class)?;
    Some(class)
}

/// The room of a class that can never win: the target itself, or none at all.
const NO_RIVAL: i64 = i64::MAX;

/// Votes that rival `class` may gain on `target` before it wins: its margin, less one where a tie
/// would do.
// By selection, so that it takes the same steps for every target.
fn room(class: usize, target: usize, most: i64, votes: u32) -> i64 {
    let margin = most.saturating_sub(votes.into());
    let room = select(class < target, margin.saturating_sub(1), margin);
    select(class == target, NO_RIVAL, room)
}

/// The room of every class of a chunk where `target` has to win with `lead` votes less.
fn rooms(map: &ScoreMap<'_>, target: usize, lead: u32, chunk: usize) -> [i64; LANES] {
    let most = i64::from(map.votes_of(target).unwrap_or(0)).saturating_sub(lead.into());
    let mut rooms = [NO_RIVAL; LANES];
    let votes = map.votes().enumerate().skip(chunk.saturating_mul(LANES));
    for (found, (class, votes)) in rooms.iter_mut().zip(votes) {
        *found = room(class, target, most, votes);
    }
    rooms
}

// Without a short cut, as below.
fn within(lost: &[i64; LANES], rooms: &[i64; LANES]) -> bool {
    let lanes = lost.iter().zip(rooms);
    lanes.fold(true, |all, (lost, room)| all & (lost <= room))
}

/// Whether outside every single window `class`, whose margins the tables hold, has won.
fn all_elect(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &Sweep<'_>,
    class: usize,
) -> Option<bool> {
    let mut all = true;
    for (chunk, plane) in sweep.planes().enumerate() {
        let rooms = rooms(map, class, 0, chunk);
        for group in set.groups() {
            all &= within(&Sweep::most(&plane, &group)?, &rooms);
        }
    }
    Some(all)
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
            let lost = select(class == target, 0, lost);
            let left = i64::from(votes).saturating_add(lost);
            best.1 = select(left > best.0, class, best.1);
            best.0 = left.max(best.0);
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
    let constant = set.work() == Work::Constant;
    let count = set
        .groups()
        .fold(0u64, |sum, group| sum.saturating_add(group.count()));
    let count = u32::try_from(count).ok()?;
    let last = count.checked_sub(1)?;
    let mut groups = set.groups();
    let only = groups.next().filter(|_| groups.next().is_none());
    let nth = |number| match &only {
        Some(group) => group.nth(number),
        None => set.nth(number),
    };
    // The window whose turn it is, and the class that it elects by itself.
    let (mut number, mut own, mut turned) = (0, 0, true);
    // The class of the pile, which means nothing while the pile is empty.
    let (mut class, mut height) = (0, 0usize);
    // Each step sees a window off or takes one from the pile, to which each comes once at most.
    for _ in 0..count.saturating_mul(2) {
        let done = number == count;
        if !constant && done {
            break;
        }
        let at = number.min(last);
        let window = nth(at)?;
        if constant || turned {
            own = elected(map, sweep, target, &window, None)?;
        }
        let joins = (height == 0) | (class == own);
        let mut both = own;
        if constant || !joins {
            let top = from_mark(*pile.get(height.saturating_sub(1))?);
            let top = nth(select(height == 0, at, top))?;
            both = elected(map, sweep, target, &top, Some(&window))?;
        }
        // Beyond the top nothing is read: a window that does not join may stand there as well.
        let place = height.min(pile.len().saturating_sub(1));
        *pile.get_mut(place)? = to_mark(at);
        let (joins, topples) = (joins & !done, !joins & !done & (class != both));
        turned = joins | (!done & (both != own));
        class = select(joins, own, class);
        height = height
            .saturating_add(usize::from(joins))
            .saturating_sub(usize::from(topples));
        number = number.saturating_add(u32::from(turned));
    }
    Some((height > 0).then_some(class))
}

/// Whether a window is unanimous for `class`, whose margins the tables hold.
fn has_unanimous(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    class: usize,
    marks: &mut [Mark],
) -> Option<bool> {
    match set.groups().next() {
        Some(group) if sweep.by_class(&group) => {
            has_unanimous_by_class(map, set, sweep, class, marks, &group)
        }
        _ => has_unanimous_by_chunk(map, set, sweep, class, marks),
    }
}

/// The same, eight classes at a time.
fn has_unanimous_by_chunk(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    class: usize,
    marks: &mut [Mark],
) -> Option<bool> {
    let mut found = false;
    for group in set.groups() {
        let windows = usize::try_from(group.count()).ok()?;
        // Marked: another class wins with some second window.
        let marks = marks.get_mut(..windows)?;
        marks.fill(to_mark(0));
        for chunk in 0..sweep.shape().chunks() {
            let rooms = rooms(map, class, set.lead(), chunk);
            let each = |number: usize, _: &Cells, lost: &[i64; LANES]| {
                if let Some(mark) = marks.get_mut(number) {
                    *mark = to_mark(from_mark(*mark) | u32::from(!within(lost, &rooms)));
                }
            };
            sweep.each_worst(chunk, &[0; LANES], &group, set, None, each)?;
        }
        found |= has_unmarked(marks);
        if set.work() == Work::Least && found {
            break;
        }
    }
    Some(found)
}

/// The same, rival by rival: those that no pair of windows can bring ahead are left out.
fn has_unanimous_by_class(
    map: &ScoreMap<'_>,
    set: &MaskSet<'_>,
    sweep: &mut Sweep<'_>,
    class: usize,
    marks: &mut [Mark],
    group: &Group,
) -> Option<bool> {
    let constant = set.work() == Work::Constant;
    let marks = marks.get_mut(..usize::try_from(group.count()).ok()?)?;
    // Marked: another class wins with some second window.
    marks.fill(to_mark(0));
    let held = sweep.most_held(class, set)?;
    for chunk in 0..sweep.shape().chunks() {
        let most = Sweep::most(&sweep.plane(chunk)?, group)?;
        let lanes = (0..).zip(most).zip(rooms(map, class, set.lead(), chunk));
        for ((lane, most), room) in lanes {
            if room == NO_RIVAL {
                continue;
            }
            if !constant && most.saturating_add(held) <= room {
                continue;
            }
            let rival = chunk.saturating_mul(LANES).saturating_add(lane);
            let least = (!constant).then_some(room.saturating_add(1));
            sweep.each_worst_of(rival, false, least, |number, lost| {
                if let Some(mark) = marks.get_mut(number) {
                    *mark = to_mark(from_mark(*mark) | u32::from(lost > room));
                }
            })?;
            if !constant && !has_unmarked(marks) {
                return Some(false);
            }
        }
    }
    Some(has_unmarked(marks))
}

// Without a short cut: it takes the same steps whatever is marked.
fn has_unmarked(marks: &[Mark]) -> bool {
    marks
        .iter()
        .fold(false, |any, mark| any | (from_mark(*mark) == 0))
}
