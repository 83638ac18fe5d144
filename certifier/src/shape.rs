//! The extents of a score map and the memory that it needs.

use core::fmt;

use crate::masks::masks_len;

/// Unit of the caller's score buffer: eight classes of one cell.
pub type ScoreWord = u8;
/// Unit of the caller's table buffer.
pub type TableWord = i16;

/// Classes that share one score word and one vector of the table.
pub(crate) const LANES: usize = 8;
/// Score words that hold one class's votes (a `u32`).
pub(crate) const VOTE_WORDS: usize = 4;
/// Table words that hold one class's margin (a `u32`).
pub(crate) const MARGIN_WORDS: usize = 2;

/// Why a shape cannot be certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ShapeError {
    /// Fewer than two classes: there is no rival, and a certificate would say nothing.
    NoRival {
        /// Number of classes asked for.
        classes: usize,
    },
    /// The map has no cell.
    Empty {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
    },
    /// The buffers' lengths do not fit this machine's `usize`, or a cell count 32 bits.
    TooLarge,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRival { classes } => write!(
                f,
                "{classes} classes leave no rival to certify against; at least 2 are needed"
            ),
            Self::Empty { height, width } => {
                write!(f, "a score map of {height}x{width} cells is empty")
            }
            Self::TooLarge => f.write_str("the score map is too large for this machine"),
        }
    }
}

impl core::error::Error for ShapeError {}

/// Extents of a score map: classes x height x width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    classes: usize,
    height: usize,
    width: usize,
    // Derived and checked in `new`, so that nothing that uses them can overflow.
    cells: usize,
    score_len: usize,
    table_len: usize,
}

/// `$a.$op($b)`, or `ShapeError::TooLarge`.
macro_rules! checked {
    ($a:expr, $op:ident, $b:expr) => {
        match usize::$op($a, $b) {
            Some(value) => value,
            None => return Err(ShapeError::TooLarge),
        }
    };
}

impl Shape {
    /// `classes` x `height` x `width` scores.
    ///
    /// # Errors
    /// Fewer than two classes, no cell, or buffers too large to address.
    pub const fn new(classes: usize, height: usize, width: usize) -> Result<Self, ShapeError> {
        if classes < 2 {
            return Err(ShapeError::NoRival { classes });
        }
        if height == 0 || width == 0 {
            return Err(ShapeError::Empty { height, width });
        }
        let cells = checked!(height, checked_mul, width);
        // Cell counts are kept in u32, and E_c sums (at most two per cell) too.
        if cells > (u32::MAX / 2) as usize {
            return Err(ShapeError::TooLarge);
        }
        let chunks = classes.div_ceil(LANES);
        let lanes = checked!(chunks, checked_mul, LANES);
        let scores = checked!(chunks, checked_mul, cells);
        let votes = checked!(classes, checked_mul, VOTE_WORDS);
        let score_len = checked!(scores, checked_add, votes);
        let rows = checked!(height, checked_add, 1);
        let columns = checked!(width, checked_add, 1);
        let corners = checked!(rows, checked_mul, columns);
        let table = checked!(lanes, checked_mul, corners);
        let margins = checked!(lanes, checked_mul, MARGIN_WORDS);
        let table_len = checked!(table, checked_add, margins);
        Ok(Self {
            classes,
            height,
            width,
            cells,
            score_len,
            table_len,
        })
    }

    /// Number of classes, at least two.
    pub const fn classes(&self) -> usize {
        self.classes
    }

    /// Rows of cells.
    pub const fn height(&self) -> usize {
        self.height
    }

    /// Columns of cells.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Cells per class: `height * width`, at most `u32::MAX / 2`.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// Length of the buffer that a [`ScoreMap`](crate::ScoreMap) needs, in [`ScoreWord`]s.
    pub const fn score_len(&self) -> usize {
        self.score_len
    }

    /// Length of the buffer that a [`Certifier`](crate::Certifier) needs, in [`TableWord`]s.
    pub const fn table_len(&self) -> usize {
        self.table_len
    }

    /// Length of the buffer that a [`MaskCertifier`](crate::MaskCertifier) needs for windows of
    /// `patches` sizes, in [`TableWord`]s; `usize::MAX` where it does not fit this machine.
    pub const fn masks_len(&self, patches: usize) -> usize {
        masks_len(self, patches)
    }

    /// Groups of [`LANES`] classes.
    pub(crate) const fn chunks(&self) -> usize {
        self.classes.div_ceil(LANES)
    }

    /// Scores of the whole map: `classes * cells`. Cannot overflow: it is at most eight times the
    /// score words, and fewer than the table words.
    pub(crate) const fn scores(&self) -> usize {
        self.classes.saturating_mul(self.cells)
    }
}
