//! Sums over rectangles of cells.

use std::ops::{Add, Sub};

use bagcert_certifier::CellRect;

/// A summed-area table (Crow 1984) of one class's numbers, with a row and a column of zeros before the first.
pub(crate) struct Table<T> {
    sums: Vec<T>,
    columns: usize,
}

impl<T: Copy + Default + Add<Output = T> + Sub<Output = T>> Table<T> {
    /// Of `values`, row by row.
    pub(crate) fn new(values: impl IntoIterator<Item = T>, columns: usize) -> Self {
        let zero = T::default();
        let mut sums = vec![zero; columns + 1];
        let mut along = zero;
        for value in values {
            if sums.len().is_multiple_of(columns + 1) {
                sums.push(zero);
                along = zero;
            }
            along = along + value;
            let above = sums.len() - (columns + 1);
            sums.push(along + sums.get(above).copied().unwrap_or_default());
        }
        Self { sums, columns }
    }

    fn at(&self, row: u32, column: u32) -> T {
        let index = row as usize * (self.columns + 1) + column as usize;
        self.sums.get(index).copied().unwrap_or_default()
    }

    /// The sum of all.
    pub(crate) fn total(&self) -> T {
        self.sums.last().copied().unwrap_or_default()
    }

    /// The sum of those in `region`, which must lie in the map.
    pub(crate) fn sum(&self, region: &CellRect) -> T {
        let (top, bottom) = (region.y.first, region.y.last + 1);
        let (left, right) = (region.x.first, region.x.last + 1);
        self.at(bottom, right) - self.at(top, right) - self.at(bottom, left) + self.at(top, left)
    }
}
