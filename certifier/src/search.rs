//! The lowest patch position that attains the worst slack.

use crate::geometry::{Geometry, Windows};
use crate::patch::{PatchSize, Pixel};

/// Cells `y..y_end` x `x..x_end`, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) y: u32,
    pub(crate) y_end: u32,
    pub(crate) x: u32,
    pub(crate) x_end: u32,
}

impl Cells {
    /// Number of cells.
    pub(crate) fn area(&self) -> i64 {
        let height = self.y_end.saturating_sub(self.y);
        i64::from(height).saturating_mul(self.x_end.saturating_sub(self.x).into())
    }

    /// The cells that both hold; an empty window where there are none.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let (y, x) = (self.y.max(other.y), self.x.max(other.x));
        Self {
            y,
            y_end: self.y_end.min(other.y_end).max(y),
            x,
            x_end: self.x_end.min(other.x_end).max(x),
        }
    }
}

impl Windows {
    /// The maximal window in row `row` and column `column`.
    pub(crate) fn cells(&self, row: u32, column: u32) -> Cells {
        let y = self.y.start.saturating_add(row);
        let x = self.x.start.saturating_add(column);
        Cells {
            y,
            y_end: y.saturating_add(self.y.length),
            x,
            x_end: x.saturating_add(self.x.length),
        }
    }
}

/// The window that attains the worst slack at the lowest position, and that position.
///
/// `row` is the first row of maximal windows where one attains it. A larger window must attain it
/// wherever a smaller one does; the regions that the border clips, all of them inside maximal
/// ones, therefore need only a binary search.
pub(crate) fn lowest_worst(
    geometry: &Geometry,
    windows: &Windows,
    patch: PatchSize,
    row: u32,
    attains: &impl Attains,
) -> (Cells, Pixel) {
    let mut cells = windows.cells(row, 0);
    if row == 0 {
        // Regions of the positions above the first maximal one: same start, smaller end.
        cells.y_end = lowest(windows.y.first_end.min(cells.y_end), cells.y_end, |end| {
            attains.row(windows, cells.y, end)
        });
    }
    // A maximal window of this row attains it, by the choice of `row`.
    let column = attains.column(windows, cells.y, cells.y_end).unwrap_or(0);
    let across = windows.cells(row, column);
    (cells.x, cells.x_end) = (across.x, across.x_end);
    if column == 0 {
        cells.x_end = lowest(windows.x.first_end.min(cells.x_end), cells.x_end, |x_end| {
            attains.window(Cells { x_end, ..cells })
        });
    }
    let x = geometry
        .x
        .lowest_position(patch.width(), cells.x_end, &windows.x);
    let y = geometry
        .y
        .lowest_position(patch.height(), cells.y_end, &windows.y);
    (cells, Pixel { x, y })
}

/// Where the worst slack is attained.
pub(crate) trait Attains {
    /// In this window.
    fn window(&self, cells: Cells) -> bool;

    /// First column of maximal windows over the rows `y..y_end`.
    fn column(&self, windows: &Windows, y: u32, y_end: u32) -> Option<u32> {
        (0..windows.x.count).find(|column| {
            self.window(Cells {
                y,
                y_end,
                ..windows.cells(0, *column)
            })
        })
    }

    /// In any maximal column over the rows `y..y_end`.
    fn row(&self, windows: &Windows, y: u32, y_end: u32) -> bool {
        self.column(windows, y, y_end).is_some()
    }
}

/// Lowest number in `low..=high` that holds, where it holds at `high` and from the lowest on.
pub(crate) fn lowest(mut low: u32, mut high: u32, mut holds: impl FnMut(u32) -> bool) -> u32 {
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle.saturating_add(1);
        }
    }
    high
}
