//! Predictors that leave windows out, and their certificates.

mod worst;

use core::hint::select_unpredictable as select;

use crate::certifier::check_grid;
use crate::fault::Fault;
use crate::geometry::Windows;
use crate::geometry_error::GeometryError;
use crate::mask_set::{Group, MaskSet, Work, rectangle, regions};
use crate::patch::{PatchSize, Pixel};
use crate::score_map::ScoreMap;
use crate::search::Cells;
use crate::shape::{LANES, Shape, TableWord};
use crate::sweep::{Sweep, sweep_len};
use crate::unanimous;
use crate::verdict::{Masking, Verdict};
use worst::Worst;

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
/// A set [with a lead](MaskSet::with_lead) of `k` votes asks both for more: unanimous for a class is a window
/// only where that class is elected outside `W u V` even with `k` votes less, and the slack is less by `k`.
///
/// The prediction does not depend on the order in which windows are looked at. Two unanimous
/// windows `U` and `W` are for the same class: both times it is `f(U u W)`, whatever the lead. In particular
/// none overrides `d` where one is unanimous for `d`.
///
/// *Why a certificate holds.* Let `s` be certified for `y`, let `s'` be any scores that are the same
/// outside `R(l)`, and let `W` be the window of this size that holds `R(l)`. For every `V` the votes
/// outside `W u V` are the same in both, and `y` has the most of them in `s`, without a tie and by more than
/// `k`. So `W` is unanimous for `y` in `s'`, as it is in `s`. All unanimous windows of `s'` then are for `y`, so
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
/// No pair of windows is worked out by itself. Where all windows are of one size, rivals are taken one by
/// one: for `n` rows and columns of windows that meet `m` others along their axis, a pass for one rival
/// costs some `n m n log m / 8` steps. With several sizes eight classes are taken at once, in some
/// `n m (n + width log m)` steps for every pair of sizes. The certificate takes one pass over all rivals
/// at most, the prediction one and the playing off of at most two pairs for each window. Only on maps
/// with more than 4095 rows or columns, or more than 8191 cells in the rows of a window, pairs are
/// looked at one by one.
///
/// With [`Work::Least`] a rival costs a pass only where bounds leave it a chance. With
/// [`Work::Constant`] every map of a shape costs the same.
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

impl<'m> MaskCertifier<'m> {
    /// Works out the prediction. `memory` needs [`Shape::masks_len`] words for the number of
    /// patch sizes of the set; what it holds before does not matter.
    ///
    /// # Errors
    /// A geometry of the set whose output is not the map's grid, more than 2^31 - 1
    /// windows, or too little memory.
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
        // The playoff takes two steps for each window, counted in 32 bits.
        if windows > u64::from(u32::MAX >> 1) {
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
        let (size, windows, step, lead, worst, second) = match self.masking {
            Masking::Single => {
                let worst = self.worst_region(&regions(&own)).unwrap_or(Worst::NONE);
                (patch, own, 1, 0, worst, None)
            }
            Masking::Double => {
                let not_masked = Fault::PatchNotMasked { patch };
                let (number, group) = self.set.group_of(patch).ok_or(not_masked)?;
                let size = *self.set.patches().get(number).ok_or(not_masked)?;
                let windows = geometry.windows(size)?;
                let worst = self.worst_pair(number, &group).unwrap_or(Worst::NONE);
                let second = self.second(&group, &worst);
                let (step, lead) = (self.set.step().get(), self.set.lead());
                (size, windows, step, lead, worst, second)
            }
        };
        let slack = worst.slack.saturating_sub(lead.into());
        Ok(Verdict {
            predicted: self.predicted,
            certified: slack > 0,
            slack,
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

    /// The first window of the set that, with the worst one, leaves the slack.
    fn second(&self, group: &Group, worst: &Worst) -> Option<crate::geometry::CellRect> {
        let window = group.nth(u32::try_from(worst.window).ok()?)?;
        let plane = self.sweep.plane(worst.rival / LANES)?;
        let margin = self.margin(worst.rival);
        let lane = worst.rival % LANES;
        let sum = |cells: Cells| plane.signed_sum(cells, lane);
        let first = sum(window)?;
        let leaves = |other: &Cells| {
            let both = sum(window.intersection(other));
            let lost = sum(*other).zip(both).map(|(second, both)| {
                let second = second.saturating_sub(both);
                first.saturating_add(second)
            });
            lost.is_some_and(|lost| margin.saturating_sub(lost) == worst.slack)
        };
        let mut all = (0u32..).zip(self.set.groups().flat_map(Group::cells));
        let found = match self.set.work() {
            Work::Least => all.find(|(_, other)| leaves(other))?.0,
            // By the lowest number, which takes the same steps wherever it is found.
            Work::Constant => all.fold(u32::MAX, |first, (number, other)| {
                first.min(select(leaves(&other), number, u32::MAX))
            }),
        };
        let found = self.set.nth(found);
        rectangle(&found?)
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
            winner.1 = select(left > winner.0, class, winner.1);
            winner.0 = left.max(winner.0);
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
