//! The least margin that masks leave the predicted class: over pairs of windows, or over a region and
//! the windows of the mask aggregator.

use core::hint::select_unpredictable as select;

use super::{MARK_WORDS, MaskCertifier, from_mark, to_mark};
use crate::mask_set::{Group, Work};
use crate::search::Cells;
use crate::shape::{LANES, TableWord};
use crate::sweep::Sweep;

/// A slack, the first window that attains it and the class; the least is what a verdict names.
#[derive(Clone, Copy)]
pub(super) struct Worst {
    pub(super) slack: i64,
    pub(super) window: usize,
    pub(super) rival: usize,
}

impl Worst {
    /// Should a table ever be shorter than its shape: never certified.
    pub(super) const NONE: Self = Self {
        slack: i64::MIN,
        window: 0,
        rival: 0,
    };

    /// Above every other.
    const START: Self = Self {
        slack: i64::MAX,
        window: usize::MAX,
        rival: usize::MAX,
    };

    /// The lesser slack; of equals the first window, and there the lowest class.
    // Without short cuts, so that it takes the same steps whichever it is.
    fn min(self, other: Self) -> Self {
        let class = self.rival < other.rival;
        let window = (self.window < other.window) | ((self.window == other.window) & class);
        let less = (self.slack < other.slack) | ((self.slack == other.slack) & window);
        Self {
            slack: self.slack.min(other.slack),
            window: select(less, self.window, other.window),
            rival: select(less, self.rival, other.rival),
        }
    }
}

impl MaskCertifier<'_> {
    /// The least margin outside two windows, one of the group, which is that of size `number`.
    pub(super) fn worst_pair(&mut self, number: usize, group: &Group) -> Option<Worst> {
        let held = self.sweep.most_held(self.predicted, &self.set)?;
        if self.sweep.by_class(group) {
            return self.worst_pair_by_class(group, held);
        }
        let mut least = Worst::START;
        for chunk in 0..self.sweep.shape().chunks() {
            let bounds = self.bounds(chunk, group, held)?;
            let close = bounds.iter().flatten().any(|bound| *bound <= least.slack);
            if self.set.work() == Work::Least && !close {
                continue;
            }
            let mut gains = Gains::START;
            let each = |window, _: &_, union: &[i64; LANES]| gains.gain(window, union);
            self.sweep
                .each_worst(chunk, &[0; LANES], group, &self.set, Some(number), each)?;
            least = self.least(least, chunk, &gains);
        }
        Some(least)
    }

    /// The same, rival by rival: first the one that may come closest, then those that may come as
    /// close as any has.
    fn worst_pair_by_class(&mut self, group: &Group, held: i64) -> Option<Worst> {
        let mut least = Worst::START;
        if self.set.work() == Work::Constant {
            // Nothing is skipped, not even the predicted class: where it stands would show.
            for number in 1..self.sweep.shape().classes() {
                let before = number.saturating_sub(1);
                let rival = select(before < self.predicted, before, number);
                least = least.min(self.worst_pair_for(rival, None)?);
            }
            return Some(least);
        }
        let closest = self.closest(group, held)?;
        least = least.min(self.worst_pair_for(closest, Some(i64::MAX))?);
        for chunk in 0..self.sweep.shape().chunks() {
            let bounds = self.bounds(chunk, group, held)?;
            for (rival, bound) in classes(chunk).zip(bounds) {
                if rival != closest && bound.is_some_and(|bound| bound <= least.slack) {
                    least = least.min(self.worst_pair_for(rival, Some(least.slack))?);
                }
            }
        }
        Some(least)
    }

    /// The least margin to a single rival. One above `most` is of no interest, and may be given too high;
    /// with `None` no pair of windows is left out.
    fn worst_pair_for(&mut self, rival: usize, most: Option<i64>) -> Option<Worst> {
        let margin = self.margin(rival);
        let least = most.map(|most| margin.saturating_sub(most));
        let (mut most, mut first) = (i64::MIN, 0);
        self.sweep
            .each_worst_of(rival, true, least, |window, union| {
                let more = union > most;
                first = select(more, window, first);
                most = select(more, union, most);
            })?;
        Some(Worst {
            slack: margin.saturating_sub(most),
            window: first,
            rival,
        })
    }

    /// The rival whose margin has the lowest bound.
    fn closest(&self, group: &Group, held: i64) -> Option<usize> {
        let mut closest = (i64::MAX, None);
        for chunk in 0..self.sweep.shape().chunks() {
            for (rival, bound) in classes(chunk).zip(self.bounds(chunk, group, held)?) {
                if let Some(bound) = bound.filter(|bound| *bound < closest.0) {
                    closest = (bound, Some(rival));
                }
            }
        }
        closest.1
    }

    /// What the margin to each class of a chunk cannot fall below outside a window of the group and
    /// another one: this takes nothing from it but votes of the predicted class that the first has
    /// left, and `held` at most. `None` where there is no rival.
    fn bounds(&self, chunk: usize, group: &Group, held: i64) -> Option<[Option<i64>; LANES]> {
        let most = Sweep::most(&self.sweep.plane(chunk)?, group)?;
        let mut bounds = [None; LANES];
        for ((bound, rival), most) in bounds.iter_mut().zip(classes(chunk)).zip(most) {
            if self.is_rival(rival) {
                let margin = self.margin(rival);
                *bound = Some(margin.saturating_sub(most).saturating_sub(held));
            }
        }
        Some(bounds)
    }

    /// Condition 3.1 for the mask aggregator, over affected regions.
    pub(super) fn worst_region(&mut self, group: &Group) -> Option<Worst> {
        let (home, lane) = (self.predicted / LANES, self.predicted % LANES);
        // Cells of `R n V` are 0 for the predicted class, but 1 for every rival.
        let less = |chunk| {
            let mut less = [1; LANES];
            if chunk == home
                && let Some(less) = less.get_mut(lane)
            {
                *less = 0;
            }
            less
        };
        let marks = &mut *self.marks;
        let each = |number, _: &_, most: &[i64; LANES]| {
            note_lost(marks, number, most.get(lane).copied());
        };
        self.sweep
            .each_worst(home, &less(home), group, &self.set, None, each)?;
        let mut least = Worst::START;
        for chunk in 0..self.sweep.shape().chunks() {
            let mut gains = Gains::START;
            let marks = &*self.marks;
            let each = |number, cells: &Cells, most: &[i64; LANES]| {
                let lost = lost(marks, number).saturating_add(cells.area());
                gains.gain(number, &most.map(|most| lost.saturating_sub(most)));
            };
            self.sweep
                .each_worst(chunk, &less(chunk), group, &self.set, None, each)?;
            least = self.least(least, chunk, &gains);
        }
        Some(least)
    }

    /// Votes of the predicted class less those of another.
    pub(super) fn margin(&self, rival: usize) -> i64 {
        let votes = |class| self.map.votes_of(class).map_or(0, i64::from);
        votes(self.predicted).saturating_sub(votes(rival))
    }

    fn is_rival(&self, class: usize) -> bool {
        class < self.sweep.shape().classes() && class != self.predicted
    }

    /// The least of `least` and what a chunk's gains leave its rivals.
    fn least(&self, least: Worst, chunk: usize, gains: &Gains) -> Worst {
        let lanes = classes(chunk).zip(gains.most).zip(gains.window);
        let rivals = lanes.filter(|((rival, _), _)| self.is_rival(*rival));
        rivals.fold(least, |least, ((rival, gain), window)| {
            least.min(Worst {
                slack: self.margin(rival).saturating_sub(gain),
                window,
                rival,
            })
        })
    }
}

/// Classes of a chunk.
fn classes(chunk: usize) -> impl Iterator<Item = usize> {
    let first = chunk.saturating_mul(LANES);
    first..first.saturating_add(LANES)
}

/// Most that any window gave so far on each class of a chunk, and the first that did.
struct Gains {
    most: [i64; LANES],
    window: [usize; LANES],
}

impl Gains {
    const START: Self = Self {
        most: [i64::MIN; LANES],
        window: [0; LANES],
    };

    /// Windows come in order.
    fn gain(&mut self, window: usize, gains: &[i64; LANES]) {
        let lanes = self.most.iter_mut().zip(&mut self.window);
        for ((most, first), gain) in lanes.zip(gains) {
            *first = select(*gain > *most, window, *first);
            *most = (*gain).max(*most);
        }
    }
}

/// Notes what the predicted class loses at most where a region and a window are left out.
fn note_lost(marks: &mut [[TableWord; MARK_WORDS]], region: usize, most: Option<i64>) {
    if let Some(mark) = marks.get_mut(region) {
        // Out of range is impossible; it would count as losing everything.
        let most = most.and_then(|most| u32::try_from(most).ok());
        *mark = to_mark(most.unwrap_or(u32::MAX));
    }
}

/// What [`note_lost`] has noted.
fn lost(marks: &[[TableWord; MARK_WORDS]], region: usize) -> i64 {
    i64::from(marks.get(region).map_or(u32::MAX, |mark| from_mark(*mark)))
}
