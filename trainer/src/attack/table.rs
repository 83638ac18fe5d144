//! Sums over rectangles of cells.

use bagcert_certifier::CellRect;

/// A summed-area table (Crow 1984), with a row and a column of zeros before the first.
pub(super) struct Table {
    sums: Vec<i64>,
    columns: usize,
}

impl Table {
    pub(super) fn new(values: &[i64], columns: usize) -> Self {
        let mut sums = vec![0; columns + 1];
        for (row, values) in values.chunks(columns).enumerate() {
            let mut along = 0;
            sums.push(0);
            for (column, value) in values.iter().enumerate() {
                along += value;
                let above = row * (columns + 1) + column + 1;
                sums.push(along + sums.get(above).copied().unwrap_or(0));
            }
        }
        Self { sums, columns }
    }

    fn at(&self, row: u32, column: u32) -> i64 {
        let index = row as usize * (self.columns + 1) + column as usize;
        self.sums.get(index).copied().unwrap_or(0)
    }

    pub(super) fn total(&self) -> i64 {
        self.sums.last().copied().unwrap_or(0)
    }

    pub(super) fn sum(&self, region: &CellRect) -> i64 {
        let (top, bottom) = (region.y.first, region.y.last + 1);
        let (left, right) = (region.x.first, region.x.last + 1);
        self.at(bottom, right) - self.at(top, right) - self.at(bottom, left) + self.at(top, left)
    }
}
