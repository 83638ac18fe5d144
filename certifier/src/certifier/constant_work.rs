//! Condition 3.2 with work that does not depend on the scores.

use core::hint::black_box;

use super::Certifier;
use crate::fault::Fault;
use crate::geometry::{Axis, AxisWindows};
use crate::patch::{PatchSize, Pixel};
use crate::search::Cells;
use crate::shape::LANES;
use crate::table::Chunk;
use crate::verdict::{Condition, Verdict};

/// Gain sought in each lane; -1, which no window gives, in lanes that do not matter.
type Target = [i64; LANES];

/// One of two numbers, without a branch: the compiler must not know that the mask is all or nothing.
fn choose(holds: bool, then: i64, otherwise: i64) -> i64 {
    let mask = black_box(i64::from(holds)).wrapping_neg();
    (then & mask) | (otherwise & !mask)
}

/// [`choose`] for cells, pixels and classes.
fn choose_index(holds: bool, then: u32, otherwise: u32) -> u32 {
    let mask = black_box(u32::from(holds)).wrapping_neg();
    (then & mask) | (otherwise & !mask)
}

/// What was found first in a search that goes on to the end.
#[derive(Clone, Copy)]
struct First<const N: usize> {
    at: [u32; N],
    found: bool,
}

impl<const N: usize> First<N> {
    const fn or(at: [u32; N]) -> Self {
        Self { at, found: false }
    }

    fn offer(&mut self, at: [u32; N], holds: bool) {
        let first = holds & !self.found;
        for (kept, new) in self.at.iter_mut().zip(at) {
            *kept = choose_index(first, new, *kept);
        }
        self.found |= holds;
    }
}

impl Certifier<'_> {
    /// Condition 3.2 in a number of steps that depends on shape, geometry and patch alone, for loops
    /// whose time must not vary from frame to frame. The verdict is that of
    /// [`certify`](Self::certify).
    ///
    /// Every window is looked at twice, whatever it holds: once for the slack, once for the place
    /// where it is attained. No step depends on a score but by a choice between two numbers, which is
    /// written without a branch; what the compiler makes of it has to be measured on the target.
    ///
    /// # Errors
    /// [`Fault::PatchTooLarge`] for a patch that does not fit the image.
    pub fn certify_constant_work(&self, patch: PatchSize) -> Result<Verdict, Fault> {
        let windows = self.geometry.windows(patch)?;
        let mut slack = i64::MAX;
        for (class, chunk) in self.chunks() {
            let gains = chunk.gains(&windows).most;
            for (lane, (margin, gain)) in chunk.margins().into_iter().zip(gains).enumerate() {
                let left = i64::from(margin).saturating_sub(gain.into());
                slack = choose(self.counts(class, lane) & (left < slack), left, slack);
            }
        }
        let origin = windows.cells(0, 0);
        // Maximal windows over these rows that give a lane its target.
        let in_rows = |y, y_end| {
            let chunks = self.chunks();
            chunks.fold(false, |any, (class, chunk)| {
                let most = chunk.most_in_rows(&windows, y, y_end);
                any | attains(&most, &self.target(class, &chunk, slack))
            })
        };
        let mut rows = First::or([origin.y, origin.y_end]);
        for (y, y_end) in regions(&windows.y) {
            rows.offer([y, y_end], in_rows(y, y_end));
        }
        let [y, y_end] = rows.at;
        let in_window = |x, x_end| {
            let cells = Cells { y, y_end, x, x_end };
            let chunks = self.chunks();
            chunks.fold(false, |any, (class, chunk)| {
                any | attains(&chunk.gain(cells), &self.target(class, &chunk, slack))
            })
        };
        let mut columns = First::or([origin.x, origin.x_end]);
        for (x, x_end) in regions(&windows.x) {
            columns.offer([x, x_end], in_window(x, x_end));
        }
        let [x, x_end] = columns.at;
        let mut rival = First::or([0]);
        for (class, chunk) in self.chunks() {
            let gains = chunk.gain(Cells { y, y_end, x, x_end });
            let target = self.target(class, &chunk, slack);
            let first = u32::try_from(class).unwrap_or(u32::MAX);
            for (lane, (gain, target)) in (0..).zip(gains.into_iter().zip(target)) {
                rival.offer([first.saturating_add(lane)], i64::from(gain) == target);
            }
        }
        let [rival] = rival.at;
        let worst = Pixel {
            x: position(&self.geometry.x, patch.width(), x_end, &windows.x),
            y: position(&self.geometry.y, patch.height(), y_end, &windows.y),
        };
        Ok(Verdict {
            predicted: self.predicted,
            certified: slack > 0,
            slack,
            rival: usize::try_from(rival).unwrap_or(usize::MAX),
            worst,
            second: None,
            patch,
            condition: Condition::SumWindow32,
        })
    }

    /// The gain that leaves `slack`, for every rival of a chunk.
    fn target(&self, class: usize, chunk: &Chunk<'_>, slack: i64) -> Target {
        let mut target = [-1; LANES];
        for (lane, (target, margin)) in target.iter_mut().zip(chunk.margins()).enumerate() {
            let gain = i64::from(margin).saturating_sub(slack);
            *target = choose(self.counts(class, lane), gain, -1);
        }
        target
    }

    /// [`is_rival`](Self::is_rival), without leaving out its second question.
    fn counts(&self, class: usize, lane: usize) -> bool {
        let class = class.saturating_add(lane);
        (class < self.shape.classes()) & (class != self.predicted)
    }
}

fn attains(gains: &[u32; LANES], target: &Target) -> bool {
    let lanes = gains.iter().zip(target);
    lanes.fold(false, |any, (gain, target)| {
        any | (i64::from(*gain) == *target)
    })
}

/// [`Axis::lowest_position`], in the same steps for the positions at the border as for all others.
fn position(axis: &Axis, patch: u32, end: u32, windows: &AxisWindows) -> u32 {
    let beyond = windows.first_end.saturating_add(1);
    let border = end < beyond;
    let position = axis.lowest_position(patch, choose_index(border, beyond, end), windows);
    choose_index(border, 0, position)
}

/// Start and end of the regions along one axis that may be the first to attain something: those
/// that the border clips, which start where the first maximal one does, then the maximal ones.
fn regions(windows: &AxisWindows) -> impl Iterator<Item = (u32, u32)> {
    let (start, length) = (windows.start, windows.length);
    let end = start.saturating_add(length);
    let clipped = (windows.first_end.min(end)..end).map(move |end| (start, end));
    let maximal = (0..windows.count).map(move |at| {
        let start = start.saturating_add(at);
        (start, start.saturating_add(length))
    });
    clipped.chain(maximal)
}
