//! The windows that a masking predictor leaves out, fixed before any frame is seen.

use core::num::NonZeroU32;
use core::ops::Range;

use crate::fault::Fault;
use crate::geometry::{AxisWindows, CellRect, Geometry, Span, Windows};
use crate::patch::PatchSize;
use crate::search::Cells;

/// The windows of a deployment: rectangles of cells such that the affected region `R(l)` of every
/// patch size, at every position, lies in one of them.
///
/// They are part of the *predictor*: another set of patch sizes, or another step, is another
/// predictor, which may name another class for the same scores. Fix both for a deployment, before
/// the first frame; list every size that is to be certified. Each size adds its own windows, so a
/// few sizes of very different shape need no common window as large as all of them together.
///
/// With a step of 1 the windows of a size are its maximal affected regions. A step of `k` takes
/// every `k`-th of them along each axis and makes it `k - 1` cells longer, so that about one in
/// `k * k` windows is left and each region still lies in one: faster, and weaker, for larger masks
/// hide more votes.
#[derive(Clone, Copy, Debug)]
pub struct MaskSet<'p> {
    geometry: Geometry,
    patches: &'p [PatchSize],
    step: NonZeroU32,
    lead: u32,
    work: Work,
}

/// How much of the work on a frame may depend on its scores. The answers are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Work {
    /// What cannot change the answer is left out: for most frames a small part of the worst case.
    #[default]
    Least,
    /// The same steps for every map of a shape, so that no map takes longer than another, and the
    /// time tells nothing of the scores.
    Constant,
}

/// Windows along one axis, in order: neither starts nor ends ever decrease, and no window ends
/// before it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AxisMasks {
    start: u32,
    step: u32,
    length: u32,
    /// No window reaches beyond this cell (exclusive).
    limit: u32,
    pub(crate) count: u32,
}

impl AxisMasks {
    fn new(windows: &AxisWindows, step: NonZeroU32) -> Self {
        let last = windows
            .start
            .saturating_add(windows.count.saturating_sub(1));
        let longer = if windows.length == 0 {
            0
        } else {
            step.get().saturating_sub(1)
        };
        Self {
            start: windows.start,
            step: step.get(),
            length: windows.length.saturating_add(longer),
            limit: last.saturating_add(windows.length),
            count: windows.count.div_ceil(step.get()),
        }
    }

    /// Cells `start..end` of a window.
    #[inline(always)]
    pub(crate) fn span(&self, at: u32) -> (u32, u32) {
        let start = self.start.saturating_add(self.step.saturating_mul(at));
        (start, start.saturating_add(self.length).min(self.limit))
    }

    /// Cells of the longest window.
    pub(crate) fn longest(&self) -> u32 {
        let (start, end) = self.span(0);
        end.saturating_sub(start)
    }

    /// The starts of all windows and their ends, where each is one further than the one before.
    pub(crate) fn side_by_side(&self) -> Option<(Range<usize>, Range<usize>)> {
        let (start, count) = (
            usize::try_from(self.start).ok()?,
            usize::try_from(self.count).ok()?,
        );
        let length = usize::try_from(self.length).ok()?;
        let range = |from: usize| Some(from..from.checked_add(count)?);
        let ends = range(start.checked_add(length)?)?;
        (self.step == 1).then_some((range(start)?, ends))
    }

    /// From how many windows on, itself included, one and the window behind share no cell. (Only the
    /// last window may be cut off, and it starts where a whole one would.)
    pub(crate) fn reach(&self) -> u32 {
        let further = self.length.saturating_sub(1).checked_div(self.step);
        further.unwrap_or(0).saturating_add(1).min(self.count)
    }

    /// Every window's cells, in order.
    #[inline(always)]
    pub(crate) fn spans(self) -> impl Iterator<Item = (u32, u32)> {
        let mut next = self.start;
        (0..self.count).map(move |_| {
            let start = next;
            next = next.saturating_add(self.step);
            (start, start.saturating_add(self.length).min(self.limit))
        })
    }
}

/// The windows of one patch size: each row with each column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) y: AxisMasks,
    pub(crate) x: AxisMasks,
}

impl Group {
    fn new(windows: &Windows, step: NonZeroU32) -> Self {
        Self {
            y: AxisMasks::new(&windows.y, step),
            x: AxisMasks::new(&windows.x, step),
        }
    }

    /// Every window, row by row.
    pub(crate) fn cells(self) -> impl Iterator<Item = Cells> {
        self.y.spans().flat_map(move |(y, y_end)| {
            let row = self.x.spans();
            row.map(move |(x, x_end)| Cells { y, y_end, x, x_end })
        })
    }

    /// Number of windows. They start at distinct cells, except for a single one that may be empty.
    pub(crate) fn count(&self) -> u64 {
        u64::from(self.y.count).saturating_mul(self.x.count.into())
    }

    /// Cells of the largest window.
    pub(crate) fn largest(&self) -> i64 {
        i64::from(self.y.longest()).saturating_mul(self.x.longest().into())
    }

    /// Window `at` of [`cells`](Self::cells).
    pub(crate) fn nth(&self, at: u32) -> Option<Cells> {
        let (row, column) = (at.checked_div(self.x.count)?, at.checked_rem(self.x.count)?);
        let ((y, y_end), (x, x_end)) = (self.y.span(row), self.x.span(column));
        (row < self.y.count).then_some(Cells { y, y_end, x, x_end })
    }
}

impl<'p> MaskSet<'p> {
    /// Windows for every one of these patch sizes, with a step of 1.
    ///
    /// # Errors
    /// [`Fault::NoPatch`] for an empty list, [`Fault::PatchTooLarge`] for a size that does not fit
    /// the image.
    pub fn new(geometry: &Geometry, patches: &'p [PatchSize]) -> Result<Self, Fault> {
        if patches.is_empty() {
            return Err(Fault::NoPatch);
        }
        for patch in patches {
            geometry.windows(*patch)?;
        }
        Ok(Self {
            geometry: *geometry,
            patches,
            step: NonZeroU32::MIN,
            lead: 0,
            work: Work::Least,
        })
    }

    /// The same with fewer, larger windows: every `step`-th along each axis.
    #[must_use]
    pub const fn with_step(self, step: NonZeroU32) -> Self {
        Self { step, ..self }
    }

    /// The same windows for a double masking that asks for more. A window overrides the vote only where its
    /// class, with `votes` fewer, is still elected outside every second window (the lowest class on a tie),
    /// and a frame is certified only where the lead is more than `votes`. Part of the predictor, as the
    /// windows are. It then differs from the plain vote on fewer frames, so that more of them may be
    /// right, and certifies fewer. The mask aggregator is not changed.
    #[must_use]
    pub const fn with_lead(self, votes: u32) -> Self {
        Self {
            lead: votes,
            ..self
        }
    }

    /// The same windows and answers, with another amount of work.
    #[must_use]
    pub const fn with_work(self, work: Work) -> Self {
        Self { work, ..self }
    }

    /// Votes that double masking asks for beyond a majority.
    pub const fn lead(&self) -> u32 {
        self.lead
    }

    /// How much of the work may depend on the scores.
    pub const fn work(&self) -> Work {
        self.work
    }

    /// Which cells a patch reaches.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The patch sizes.
    pub const fn patches(&self) -> &'p [PatchSize] {
        self.patches
    }

    /// Step from window to window, in maximal regions.
    pub const fn step(&self) -> NonZeroU32 {
        self.step
    }

    /// Every window, in the order of the patch sizes and for each row by row. Windows without a
    /// cell, where no cell sees the image, are left out.
    pub fn windows(&self) -> impl Iterator<Item = CellRect> {
        let all = self.groups().flat_map(Group::cells);
        all.filter_map(|cells| rectangle(&cells))
    }

    /// The windows of each patch size.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Group> + use<'p> {
        let (geometry, step) = (self.geometry, self.step);
        let sizes = self.patches.iter();
        // Every size was found to fit when the set was made.
        sizes.filter_map(move |patch| Some(Group::new(&geometry.windows(*patch).ok()?, step)))
    }

    /// Window `number` of all windows, those without a cell counted.
    pub(crate) fn nth(&self, mut number: u32) -> Option<Cells> {
        for group in self.groups() {
            if u64::from(number) < group.count() {
                return group.nth(number);
            }
            number = number.checked_sub(u32::try_from(group.count()).ok()?)?;
        }
        None
    }

    /// The windows that hold every affected region of a patch, with the number of their size: its
    /// own ones, or those of the first size that the patch fits into.
    pub(crate) fn group_of(&self, patch: PatchSize) -> Option<(usize, Group)> {
        let holds =
            |size: &PatchSize| patch.width() <= size.width() && patch.height() <= size.height();
        let own = self.patches.iter().position(|size| *size == patch);
        let number = own.or_else(|| self.patches.iter().position(holds))?;
        Some((number, self.groups().nth(number)?))
    }
}

/// The maximal affected regions themselves.
pub(crate) fn regions(windows: &Windows) -> Group {
    Group::new(windows, NonZeroU32::MIN)
}

/// Cells as the public interface names them; `None` where there are none.
pub(crate) fn rectangle(cells: &Cells) -> Option<CellRect> {
    let span = |first: u32, end: u32| {
        let last = end.checked_sub(1)?;
        (first <= last).then_some(Span { first, last })
    };
    Some(CellRect {
        x: span(cells.x, cells.x_end)?,
        y: span(cells.y, cells.y_end)?,
    })
}
