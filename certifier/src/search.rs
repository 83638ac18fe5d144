//! The lowest patch position that attains the worst slack.

use crate::geometry::{Geometry, PatchSize, Pixel, Windows};

/// Cells `y..y_end` x `x..x_end`, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) y: u32,
    pub(crate) y_end: u32,
    pub(crate) x: u32,
    pub(crate) x_end: u32,
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
/// `row` is the first row of maximal windows where one attains it. `column` finds, for cells
/// `y..y_end`, the first column of maximal windows that attains it there; `attains` asks one
/// window. A larger window must attain it wherever a smaller one does; the regions that the border
/// clips, all of them inside maximal ones, therefore need only a binary search.
pub(crate) fn lowest_worst(
    geometry: &Geometry,
    windows: &Windows,
    patch: PatchSize,
    row: u32,
    mut column: impl FnMut(u32, u32) -> Option<u32>,
    mut attains: impl FnMut(Cells) -> bool,
) -> (Cells, Pixel) {
    let mut cells = windows.cells(row, 0);
    let mut found = None;
    if row == 0 {
        // Regions of the positions above the first maximal one: same start, smaller end.
        cells.y_end = lowest(windows.y.first_end.min(cells.y_end), cells.y_end, |end| {
            let hit = column(cells.y, end);
            if hit.is_some() {
                found = Some((end, hit));
            }
            hit.is_some()
        });
    }
    let hit = match found {
        Some((end, hit)) if end == cells.y_end => hit,
        _ => column(cells.y, cells.y_end),
    };
    // A maximal window of this row attains it, by the choice of `row`.
    let hit = hit.unwrap_or(0);
    let across = windows.cells(row, hit);
    (cells.x, cells.x_end) = (across.x, across.x_end);
    if hit == 0 {
        cells.x_end = lowest(windows.x.first_end.min(cells.x_end), cells.x_end, |x_end| {
            attains(Cells { x_end, ..cells })
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
