//! Which output cells a patch can reach: axes, receptive fields, patches and affected regions
//! (the paper's `R(l)`, Section 3.1).

use crate::geometry_error::GeometryError;
use crate::patch::{PatchSize, Pixel};

/// Largest magnitude of any length, stride or offset of an [`Axis`].
///
/// With it every product and sum of the geometry stays below `2^62`, so that nothing here can
/// overflow an `i64`.
pub const MAX_EXTENT: u32 = 1 << 30;

/// Output cells `first..=last` along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    /// First cell.
    pub first: u32,
    /// Last cell, inclusive.
    pub last: u32,
}

/// A rectangle of output cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CellRect {
    /// Columns.
    pub x: Span,
    /// Rows.
    pub y: Span,
}

/// Along one axis, output cell `i` reads the inputs `stride*i + lo ..= stride*i + hi`.
///
/// Inputs outside `0..inputs` are padding: constants that no patch can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Axis {
    inputs: u32,
    outputs: u32,
    stride: u32,
    lo: i32,
    hi: i32,
}

/// Cells `start..end` along one axis; empty where `start == end`. Never `start > end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Quotient rounded down. `None` only for a divisor of zero, which [`Axis::new`] refuses.
const fn floor_div(value: i64, divisor: u32) -> Option<i64> {
    value.checked_div_euclid(divisor as i64)
}

/// `value` clipped to `0..=max`.
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "0 <= value <= max"
)]
const fn clip(value: i64, max: u32) -> u32 {
    if value < 0 {
        0
    } else if value > max as i64 {
        max
    } else {
        value as u32
    }
}

impl Axis {
    /// An axis of `inputs` pixels and `outputs` cells.
    ///
    /// # Errors
    /// Zero lengths or stride, `lo > hi`, or a magnitude above [`MAX_EXTENT`].
    pub const fn new(
        inputs: u32,
        outputs: u32,
        stride: u32,
        lo: i32,
        hi: i32,
    ) -> Result<Self, GeometryError> {
        if inputs == 0 {
            return Err(GeometryError::NoInputs);
        }
        if outputs == 0 {
            return Err(GeometryError::NoOutputs);
        }
        if stride == 0 {
            return Err(GeometryError::ZeroStride);
        }
        if lo > hi {
            return Err(GeometryError::EmptyReceptiveField { lo, hi });
        }
        if inputs > MAX_EXTENT
            || outputs > MAX_EXTENT
            || stride > MAX_EXTENT
            || lo.unsigned_abs() > MAX_EXTENT
            || hi.unsigned_abs() > MAX_EXTENT
        {
            return Err(GeometryError::ExtentTooLarge);
        }
        Ok(Self {
            inputs,
            outputs,
            stride,
            lo,
            hi,
        })
    }

    /// Pixels of the image along this axis.
    pub const fn inputs(&self) -> u32 {
        self.inputs
    }

    /// Cells of the score map along this axis.
    pub const fn outputs(&self) -> u32 {
        self.outputs
    }

    /// Pixels from one cell's receptive field to the next one's.
    pub const fn stride(&self) -> u32 {
        self.stride
    }

    /// First offset that a cell reads.
    pub const fn lo(&self) -> i32 {
        self.lo
    }

    /// Last offset that a cell reads, inclusive.
    pub const fn hi(&self) -> i32 {
        self.hi
    }

    /// Length of the receptive field in pixels: `hi - lo + 1`.
    pub const fn receptive_field(&self) -> u32 {
        self.hi.abs_diff(self.lo).saturating_add(1)
    }

    /// Cells affected by the pixels `first..=last`, clipped to the grid; `None` where none is
    /// (or where `first > last`: no pixel at all).
    pub const fn affected(&self, first: u32, last: u32) -> Option<Span> {
        self.affected_wide(first as i64, last as i64)
    }

    const fn affected_wide(&self, first: i64, last: i64) -> Option<Span> {
        if first > last {
            return None;
        }
        let Cover { start, end } = self.cover(first, last);
        if start < end {
            Some(Span {
                first: start,
                last: end.saturating_sub(1),
            })
        } else {
            None
        }
    }

    /// The same as a half-open range, for `first <= last`. Both ends never decrease as the pixels
    /// move right, and each moves by at most one cell per pixel.
    ///
    /// Cell `i` is affected where `stride*i + lo <= last` and `stride*i + hi >= first`.
    #[allow(
        clippy::arithmetic_side_effects,
        reason = "pixels are below 2^33 and the axis' numbers at most 2^30: far inside i64"
    )]
    pub(crate) const fn cover(&self, first: i64, last: i64) -> Cover {
        let outputs = self.outputs;
        let up = self.stride as i64 - 1;
        // Were a quotient ever missing, every cell would count as affected: the safe side.
        let start = match floor_div(first - self.hi as i64 + up, self.stride) {
            Some(cell) => clip(cell, outputs),
            None => 0,
        };
        let end = match floor_div(last - self.lo as i64, self.stride) {
            Some(cell) => clip(cell + 1, outputs),
            None => outputs,
        };
        Cover { start, end }
    }

    /// The affected regions of a patch `patch` pixels long that no other position's region
    /// contains. `None` where the patch is empty or does not fit.
    #[allow(
        clippy::arithmetic_side_effects,
        reason = "1 <= patch <= inputs <= 2^30, and all other operands at most 2^31"
    )]
    pub(crate) const fn windows(&self, patch: u32) -> Option<AxisWindows> {
        if patch == 0 || patch > self.inputs {
            return None;
        }
        let inputs = self.inputs as i64;
        let low = self.cover(0, patch as i64 - 1);
        let high = self.cover(inputs - patch as i64, inputs - 1);
        // Of the positions whose region starts at cell k, the rightmost, stride*k + hi, reaches
        // furthest: to k + length, unless the grid or the image ends there. Hence all maximal
        // regions have this length, unless a single one covers everything that can be reached.
        let reach = self.receptive_field() as i64 - 1 + patch as i64 - 1;
        let length = match floor_div(reach, self.stride) {
            Some(cells) => cells + 1,
            None => self.outputs as i64,
        };
        let last_start = high.end as i64 - length;
        let (count, length) = if last_start >= low.start as i64 {
            (
                clip(last_start - low.start as i64 + 1, u32::MAX),
                clip(length, u32::MAX),
            )
        } else {
            (1, high.end.saturating_sub(low.start))
        };
        Some(AxisWindows {
            start: low.start,
            count,
            length,
            first_end: low.end,
        })
    }

    /// Lowest position of a patch whose region ends at cell `end` (exclusive) or beyond.
    #[allow(
        clippy::arithmetic_side_effects,
        reason = "|product| <= 2^61, |sum| < 2^62"
    )]
    pub(crate) const fn lowest_position(&self, patch: u32, end: u32, windows: &AxisWindows) -> u32 {
        if end <= windows.first_end {
            return 0;
        }
        let pixel = (end as i64 - 1) * self.stride as i64 + self.lo as i64 - (patch as i64 - 1);
        clip(pixel, self.inputs)
    }
}

/// The maximal affected regions along one axis: `start + m .. start + m + length` for every
/// `m < count`. Every other region lies inside one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AxisWindows {
    /// First cell of the first region.
    pub(crate) start: u32,
    /// Number of regions, at least one.
    pub(crate) count: u32,
    /// Cells of each region; zero where no cell sees the image.
    pub(crate) length: u32,
    /// End (exclusive) of the region of the patch at pixel 0, which starts at `start` too.
    pub(crate) first_end: u32,
}

/// Both axes of a network's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Geometry {
    /// Columns.
    pub x: Axis,
    /// Rows.
    pub y: Axis,
}

impl Geometry {
    /// The affected region `R(l)` of a patch whose top-left pixel is `at`; `None` where no cell
    /// sees it.
    pub const fn affected(&self, patch: PatchSize, at: Pixel) -> Option<CellRect> {
        let (x, y) = (at.x as i64, at.y as i64);
        match (
            self.x
                .affected_wide(x, x.saturating_add(patch.width() as i64).saturating_sub(1)),
            self.y
                .affected_wide(y, y.saturating_add(patch.height() as i64).saturating_sub(1)),
        ) {
            (Some(x), Some(y)) => Some(CellRect { x, y }),
            _ => None,
        }
    }

    /// `max |R(l)|` over all positions inside the image, in cells.
    ///
    /// # Errors
    /// The patch does not fit the image, or the count does not fit 32 bits.
    pub fn max_affected_cells(&self, patch: PatchSize) -> Result<u32, GeometryError> {
        let windows = self.windows(patch)?;
        windows
            .x
            .length
            .checked_mul(windows.y.length)
            .ok_or(GeometryError::TooManyCells)
    }

    pub(crate) fn windows(&self, patch: PatchSize) -> Result<Windows, GeometryError> {
        match (
            self.x.windows(patch.width()),
            self.y.windows(patch.height()),
        ) {
            (Some(x), Some(y)) => Ok(Windows { x, y }),
            _ => Err(GeometryError::PatchTooLarge {
                patch,
                image_width: self.x.inputs,
                image_height: self.y.inputs,
            }),
        }
    }
}

/// The maximal affected regions of one patch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    pub(crate) x: AxisWindows,
    pub(crate) y: AxisWindows,
}
