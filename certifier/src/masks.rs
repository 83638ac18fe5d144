//! Predictors that leave windows out, and their certificates.

use crate::certifier::check_grid;
use crate::fault::Fault;
use crate::geometry::Windows;
use crate::geometry_error::GeometryError;
use crate::mask_set::{Group, MaskSet, rectangle, regions};
use crate::patch::{PatchSize, Pixel};
use crate::score_map::ScoreMap;
use crate::shape::{LANES, Shape, TableWord};
use crate::sweep::{Sweep, sweep_len};
use crate::unanimous;
use crate::verdict::{Masking, Verdict};

/// A frame's prediction under masks, and its certificates.
///
/// Let *W* be the windows of a [`MaskSet`] and `v_c(A)` the votes of class `c` in the cells `A`.
/// A patch at `l` changes scores in `R(l)` only, and `R(l)` lies in some window of *W*.
///
/// # Double masking
///
/// Let `f(A)` be the class with the most votes outside `A`, the lowest one on a tie. Call a window
/// `W` *unanimous* for a class if `f(W u V)` is that class for every window `V`.
///
/// - *Prediction*: the class of a window that is unanimous for another class than `d`, the
///   prediction `f({})` of all votes; `d` where there is none.
/// - *Certified* against a patch size: outside `W u V` the predicted class has strictly more votes
///   than every rival, for every window `W` of that size and every window `V` of any size. The slack
///   is the least difference, in votes; certified means that it is above 0.
///
/// The prediction does not depend on the order in which windows are looked at. Two unanimous
/// windows `U` and `W` are for the same class: both times it is `f(U u W)`. In particular none
/// overrides `d` where one is unanimous for `d`.
///
/// *Why a certificate holds.* Let `s` be certified for `y`, let `s'` be any scores that are the same
/// outside `R(l)`, and let `W` be the window of this size that holds `R(l)`. For every `V` the votes
/// outside `W u V` are the same in both, and `y` has the most of them in `s`, without a tie. So `W`
/// is unanimous for `y` in `s'`, as it is in `s`. All unanimous windows of `s'` then are for `y`, so
/// that nothing but `y` can override; and if all votes of `s'` elect another class, `W` does
/// override it. Hence `s'` is predicted as `y`, and by the same words with `s` in its place so is
/// `s`. It goes both ways: if the frame at hand is certified, the frame without the patch is
/// predicted the same.
///
/// The proof asks that every region lies in *some* window of *W*, and nothing of their sizes: they
/// may be clipped by the border, differ where a stride does not divide, overlap or hold each other,
/// and a set with a larger step is as sound. (A window that holds all cells leaves no votes, hence a
/// slack of 0 at most: such a set certifies nothing.) A tie counts as not certified
/// though the lowest class would win it, as in the paper's conditions. That is the safe side: the
/// predictor itself breaks ties towards the lowest class, always, and strictly more votes leave it
/// nothing to break.
///
/// # The mask aggregator
///
/// `g_c = min over W of the votes of c outside W` is monotonically increasing, so that the paper's
/// Condition 3.1 applies.
///
/// - *Prediction*: the class with the largest `g_c`, the lowest one on a tie.
/// - *Certified* against a patch size: for every position `l` and every rival, `g` of the predicted
///   class stays strictly ahead after the scores on `R(l)` are set to 0 for it and to 1 for the
///   rival. The slack is the least difference. The set only shapes `g`; any patch size may be
///   certified.
///
/// # Which certifies more
///
/// Where all windows have the same number of cells and are the regions of the patch in question,
/// Condition 3.3 implies 3.2, that implies the certificate of the mask aggregator, and that the one
/// of double masking, each for the same class. (If 3.2 holds, `v_y` outside `R u W` is at least that
/// outside `R` less `|W|`, so still more than `v_c` outside `R`, which is no less than `g_c` under
/// attack. If that of the mask aggregator holds, take for `g_c` the window `W'` that attains it: `c`
/// gains the `|R \ W'|` cells of `R` outside it, at least as many votes as it could lose in
/// `W' \ R`.)
/// With windows of several sizes neither of the last two steps need hold.
///
/// # Cost
///
/// No pair of windows is worked out by itself. For windows of `n` rows and columns that meet `m`
/// others along their axis, a pass costs some `n m (n + width log m)` steps for every eight classes
/// and every pair of patch sizes; the prediction takes one at most, each certificate one, the mask
/// aggregator's another for the predicted class. Only on maps with more than 4095 rows or columns, or
/// more than 8191 cells in the rows of a window, pairs are looked at one by one.
pub struct MaskCertifier<'m> {
    map: &'m ScoreMap<'m>,
    set: MaskSet<'m>,
    masking: Masking,
    predicted: usize,
    sweep: Sweep<'m>,
    /// Two words for each window of a group.
    marks: &'m mut [[TableWord; MARK_WORDS]],
}

/// Words of a window's mark.
pub(crate) const MARK_WORDS: usize = 2;

/// See [`Shape::masks_len`].
pub(crate) const fn masks_len(shape: &Shape, patches: usize) -> usize {
    // No two windows of a size start at the same cell.
    let marks = shape.cells().saturating_mul(patches);
    sweep_len(shape)
        .saturating_mul(LANES)
        .saturating_add(marks.saturating_mul(MARK_WORDS))
}

/// A slack, the first window that attains it and the class; ordered as a verdict prefers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worst {
    slack: i64,
    window: usize,
    rival: usize,
}

impl Worst {
    /// Should a table ever be shorter than its shape: never certified.
    const NONE: Self = Self {
        slack: i64::MIN,
        window: 0,
        rival: 0,
    };
}

impl<'m> MaskCertifier<'m> {
    /// Works out the prediction. `memory` needs [`Shape::masks_len`] words for the number of
    /// patch sizes of the set; what it holds before does not matter.
    ///
    /// # Errors
    /// A geometry of the set whose output is not the map's grid, more windows than 32 bits can
    /// count, or too little memory.
    pub fn new(
        map: &'m ScoreMap<'m>,
        set: MaskSet<'m>,
        masking: Masking,
        memory: &'m mut [TableWord],
    ) -> Result<Self, Fault> {
        let shape = map.shape();
        check_grid(shape, set.geometry())?;
        let windows = set
            .groups()
            .fold(0u64, |sum, group| sum.saturating_add(group.count()));
        if u32::try_from(windows).is_err() {
            return Err(Fault::Geometry(GeometryError::TooManyCells));
        }
        let needed = shape.masks_len(set.patches().len());
        let too_small = Fault::MemoryTooSmall {
            needed,
            found: memory.len(),
        };
        let memory = memory.get_mut(..needed).ok_or(too_small)?;
        Self::split(map, set, masking, memory).ok_or(too_small)
    }

    fn split(
        map: &'m ScoreMap<'m>,
        set: MaskSet<'m>,
        masking: Masking,
        memory: &'m mut [TableWord],
    ) -> Option<Self> {
        let shape = map.shape();
        let vectors = sweep_len(&shape).checked_mul(LANES)?;
        let (vectors, marks) = memory.split_at_mut_checked(vectors)?;
        let (mut sweep, _) = Sweep::split(shape, &set, vectors.as_chunks_mut().0)?;
        let marks = marks.as_chunks_mut().0;
        let predicted = match masking {
            Masking::Single => mask_winner(map, &set, &mut sweep)?,
            Masking::Double => unanimous::predict(map, &set, &mut sweep, marks)?,
        };
        Some(Self {
            map,
            set,
            masking,
            predicted,
            sweep,
            marks,
        })
    }

    /// The class predicted.
    pub fn predicted(&self) -> usize {
        self.predicted
    }

    /// Whether no patch of this size can change the prediction.
    ///
    /// For double masking the patch must be one of the set's sizes, or fit into one, as which it
    /// is then certified.
    ///
    /// # Errors
    /// [`Fault::PatchTooLarge`] for a patch that does not fit the image,
    /// [`Fault::PatchNotMasked`] for one that no size of the set has room for.
    pub fn certify(&mut self, patch: PatchSize) -> Result<Verdict, Fault> {
        let geometry = *self.set.geometry();
        let own = geometry.windows(patch)?;
        let (size, windows, step, worst, second) = match self.masking {
            Masking::Single => {
                let worst = self.worst_region(&regions(&own)).unwrap_or(Worst::NONE);
                (patch, own, 1, worst, None)
            }
            Masking::Double => {
                let not_masked = Fault::PatchNotMasked { patch };
                let (number, group) = self.set.group_of(patch).ok_or(not_masked)?;
                let size = *self.set.patches().get(number).ok_or(not_masked)?;
                let windows = geometry.windows(size)?;
                let worst = self.worst_pair(number, &group).unwrap_or(Worst::NONE);
                let second = self.second(&group, &worst);
                (size, windows, self.set.step().get(), worst, second)
            }
        };
        Ok(Verdict {
            predicted: self.predicted,
            certified: worst.slack > 0,
            slack: worst.slack,
            rival: worst.rival,
            worst: self.pixel(size, &windows, step, worst.window),
            second,
            patch,
            condition: self.masking.condition(),
        })
    }

    /// Verdicts for every size of the set, in its order.
    pub fn verdicts(&mut self) -> impl Iterator<Item = Result<Verdict, Fault>> {
        let patches = self.set.patches().iter();
        patches.map(|patch| self.certify(*patch))
    }

    /// Votes of the predicted class less those of each other, in class order.
    fn margins(&self) -> impl Iterator<Item = i64> {
        let votes = |class| self.map.votes().nth(class).map_or(0, i64::from);
        let most = votes(self.predicted);
        self.map
            .votes()
            .map(move |votes| most.saturating_sub(votes.into()))
    }

    /// The least margin outside two windows, one of the group.
    fn worst_pair(&mut self, number: usize, group: &Group) -> Option<Worst> {
        let held = self.sweep.most_held(self.predicted, &self.set)?;
        if self.sweep.by_class(group) {
            return self.worst_pair_by_class(group, held);
        }
        let mut least: Option<Worst> = None;
        for chunk in 0..self.sweep.shape().chunks() {
            let mut rivals = Rivals::new(chunk, self.predicted, self.margins());
            if let Some(least) = least {
                let most = Sweep::most(&self.sweep.plane(chunk)?, group)?;
                let bound = rivals.bounds(&most, held).flatten().min();
                if bound.is_none_or(|bound| bound > least.slack) {
                    continue;
                }
            }
            let half = Some(number);
            let each = |window, _: &_, union: &[i64; LANES]| {
                rivals.gain(&mut least, window, union);
            };
            self.sweep
                .each_worst(chunk, &[0; LANES], group, &self.set, half, each)?;
        }
        least
    }

    /// The same, rival by rival: first the one that may come closest, then those that may come as close
    /// as any has.
    fn worst_pair_by_class(&mut self, group: &Group, held: i64) -> Option<Worst> {
        let mut closest: Option<(i64, usize)> = None;
        for chunk in 0..self.sweep.shape().chunks() {
            let bounds = self.bounds(chunk, group, held)?;
            for (rival, bound) in (0..).zip(bounds) {
                let rival = chunk.saturating_mul(LANES).saturating_add(rival);
                let found = bound.map(|bound| (bound, rival));
                closest = closest.into_iter().chain(found).min();
            }
        }
        let (_, closest) = closest?;
        let mut least = self.worst_pair_for(closest)?;
        for chunk in 0..self.sweep.shape().chunks() {
            let bounds = self.bounds(chunk, group, held)?;
            for (rival, bound) in (0..).zip(bounds) {
                let rival = chunk.saturating_mul(LANES).saturating_add(rival);
                if rival != closest && bound.is_some_and(|bound| bound <= least.slack) {
                    least = least.min(self.worst_pair_for(rival)?);
                }
            }
        }
        Some(least)
    }

    /// The least margin to a single rival.
    fn worst_pair_for(&mut self, rival: usize) -> Option<Worst> {
        let margin = self.margins().nth(rival)?;
        let mut least: Option<Worst> = None;
        self.sweep.each_worst_of(rival, 0, true, |window, union| {
            let slack = margin.saturating_sub(union);
            if least.is_none_or(|least| slack < least.slack) {
                least = Some(Worst {
                    slack,
                    window,
                    rival,
                });
            }
        })?;
        least
    }

    /// What the margins of a chunk's rivals cannot fall below; `None` where there is no rival.
    fn bounds(&self, chunk: usize, group: &Group, held: i64) -> Option<[Option<i64>; LANES]> {
        let rivals = Rivals::new(chunk, self.predicted, self.margins());
        let most = Sweep::most(&self.sweep.plane(chunk)?, group)?;
        let mut found = [None; LANES];
        for (found, bound) in found.iter_mut().zip(rivals.bounds(&most, held)) {
            *found = bound;
        }
        Some(found)
    }

    /// The first window of the set that, with the worst one, leaves the slack.
    fn second(&self, group: &Group, worst: &Worst) -> Option<crate::geometry::CellRect> {
        let window = group.nth(u32::try_from(worst.window).ok()?)?;
        let plane = self.sweep.plane(worst.rival / LANES)?;
        let margin = self.margins().nth(worst.rival)?;
        let lane = worst.rival % LANES;
        let mut all = self.set.groups().flat_map(Group::cells);
        let found = all.find(|other| {
            let union = Sweep::union(&plane, &window, Some(other));
            let lost = union.and_then(|union| union.get(lane).copied());
            lost.is_some_and(|lost| margin.saturating_sub(lost) == worst.slack)
        });
        rectangle(&found?)
    }

    /// Condition 3.1 for the mask aggregator, over affected regions.
    fn worst_region(&mut self, group: &Group) -> Option<Worst> {
        let predicted = self.predicted;
        let (home, lane) = (predicted / LANES, predicted % LANES);
        let less = |chunk| {
            // Cells of `R n V` are 0 for the predicted class, but 1 for every rival.
            let mut less = [1; LANES];
            if chunk == home
                && let Some(less) = less.get_mut(lane)
            {
                *less = 0;
            }
            less
        };
        // What the predicted class loses at most where a region and a window are left out.
        let marks = &mut *self.marks;
        let each = |number, _: &_, most: &[i64; LANES]| {
            let most = most.get(lane).and_then(|most| u32::try_from(*most).ok());
            if let Some(mark) = marks.get_mut(number) {
                // Out of range is impossible; it would count as losing everything.
                *mark = to_mark(most.unwrap_or(u32::MAX));
            }
        };
        self.sweep
            .each_worst(home, &less(home), group, &self.set, None, each)?;
        let mut least: Option<Worst> = None;
        for chunk in 0..self.sweep.shape().chunks() {
            let mut rivals = Rivals::new(chunk, predicted, self.margins());
            let marks = &*self.marks;
            let each = |number, cells: &crate::search::Cells, most: &[i64; LANES]| {
                let lost = marks.get(number).map_or(u32::MAX, |mark| from_mark(*mark));
                let lost = i64::from(lost).saturating_add(cells.area());
                rivals.gain(
                    &mut least,
                    number,
                    &most.map(|most| lost.saturating_sub(most)),
                );
            };
            self.sweep
                .each_worst(chunk, &less(chunk), group, &self.set, None, each)?;
        }
        least
    }

    /// The lowest position whose region ends where the first region in the window ends.
    fn pixel(&self, size: PatchSize, windows: &Windows, step: u32, window: usize) -> Pixel {
        let columns = windows.x.count.div_ceil(step.max(1));
        let window = u32::try_from(window).unwrap_or(0);
        let row = window.checked_div(columns).unwrap_or(0);
        let column = window.checked_rem(columns).unwrap_or(0);
        let cells = windows.cells(row.saturating_mul(step), column.saturating_mul(step));
        if cells.area() == 0 {
            return Pixel { x: 0, y: 0 };
        }
        let geometry = self.set.geometry();
        let x = geometry
            .x
            .lowest_position(size.width(), cells.x_end, &windows.x);
        let y = geometry
            .y
            .lowest_position(size.height(), cells.y_end, &windows.y);
        Pixel { x, y }
    }
}

/// The rivals of one chunk: how far they are behind, and the most that each gained so far.
struct Rivals {
    first: usize,
    margins: [Option<i64>; LANES],
    gained: [i64; LANES],
}

impl Rivals {
    fn new(chunk: usize, predicted: usize, margins: impl Iterator<Item = i64>) -> Self {
        let first = chunk.saturating_mul(LANES);
        let mut found = [None; LANES];
        let margins = margins.enumerate().skip(first);
        for (found, (class, margin)) in found.iter_mut().zip(margins) {
            *found = (class != predicted).then_some(margin);
        }
        Self {
            first,
            margins: found,
            gained: [i64::MIN; LANES],
        }
    }

    /// What each gains on the predicted class in a window; windows come in order.
    fn gain(&mut self, least: &mut Option<Worst>, window: usize, gains: &[i64; LANES]) {
        let mut more = false;
        for (gained, gain) in self.gained.iter_mut().zip(gains) {
            more |= *gain > *gained;
            *gained = (*gain).max(*gained);
        }
        // Only a larger gain than in earlier windows can leave less.
        if more {
            for (lane, (margin, gain)) in self.margins.iter().zip(gains).enumerate() {
                if let Some(margin) = margin {
                    let found = Worst {
                        slack: margin.saturating_sub(*gain),
                        window,
                        rival: self.first.saturating_add(lane),
                    };
                    *least = Some(least.map_or(found, |least| least.min(found)));
                }
            }
        }
    }

    /// What the margins cannot fall below outside two windows, of which the first takes `most` from
    /// them: the second one takes nothing but votes of the predicted class that the first has left, and
    /// `held` at most. `None` where there is no rival.
    fn bounds(&self, most: &[i64; LANES], held: i64) -> impl Iterator<Item = Option<i64>> {
        let lanes = self.margins.iter().zip(most);
        lanes.map(move |(margin, most)| Some((*margin)?.saturating_sub(*most).saturating_sub(held)))
    }
}

/// The class with the most votes left by its worst window; fills the tables with votes.
fn mask_winner(map: &ScoreMap<'_>, set: &MaskSet<'_>, sweep: &mut Sweep<'_>) -> Option<usize> {
    sweep.build_votes(map)?;
    let mut votes = map.votes().enumerate();
    let mut winner = (i64::MIN, 0);
    for plane in sweep.planes() {
        let mut lost = [0; LANES];
        for group in set.groups() {
            for (lost, most) in lost.iter_mut().zip(Sweep::most(&plane, &group)?) {
                *lost = most.max(*lost);
            }
        }
        for (lost, (class, votes)) in lost.into_iter().zip(votes.by_ref()) {
            let left = i64::from(votes).saturating_sub(lost);
            if left > winner.0 {
                winner = (left, class);
            }
        }
    }
    Some(winner.1)
}

pub(crate) fn to_mark(number: u32) -> [TableWord; MARK_WORDS] {
    let [a, b, c, d] = number.to_le_bytes();
    [
        TableWord::from_le_bytes([a, b]),
        TableWord::from_le_bytes([c, d]),
    ]
}

pub(crate) fn from_mark([low, high]: [TableWord; MARK_WORDS]) -> u32 {
    let ([a, b], [c, d]) = (low.to_le_bytes(), high.to_le_bytes());
    u32::from_le_bytes([a, b, c, d])
}
