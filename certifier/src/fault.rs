//! What can go wrong while a frame is certified.

use core::fmt;

use crate::geometry_error::GeometryError;
use crate::patch::PatchSize;
use crate::verdict::Condition;

/// Why no verdict was reached. A fault is never a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// A logit is NaN or infinite; the first one in row-major order (class slowest).
    NonFinite {
        /// Class of the logit.
        class: usize,
        /// Row of the cell.
        y: usize,
        /// Column of the cell.
        x: usize,
    },
    /// The logits are not `classes * height * width` numbers.
    LogitsLength {
        /// Logits that the shape asks for.
        expected: usize,
        /// Logits given.
        found: usize,
    },
    /// The caller's buffer is shorter than the shape asks for.
    MemoryTooSmall {
        /// Words needed.
        needed: usize,
        /// Words given.
        found: usize,
    },
    /// The geometry's output is not the score map's grid.
    GeometryMismatch {
        /// Rows of the score map.
        height: usize,
        /// Columns of the score map.
        width: usize,
        /// Output cells of the geometry's y axis.
        geometry_height: u32,
        /// Output cells of the geometry's x axis.
        geometry_width: u32,
    },
    /// The patch does not fit the image.
    PatchTooLarge {
        /// The patch.
        patch: PatchSize,
        /// Width of the image in pixels.
        image_width: u32,
        /// Height of the image in pixels.
        image_height: u32,
    },
    /// A set of masks for no patch size at all.
    NoPatch,
    /// The patch fits into none of the sizes that the masks were made for.
    PatchNotMasked {
        /// The patch.
        patch: PatchSize,
    },
    /// The condition is not one of summed votes, but of masks, which are part of the predictor.
    NeedsMasks {
        /// The condition.
        condition: Condition,
    },
    /// The patch or geometry is impossible in another way.
    Geometry(GeometryError),
}

impl From<GeometryError> for Fault {
    fn from(error: GeometryError) -> Self {
        match error {
            GeometryError::PatchTooLarge {
                patch,
                image_width,
                image_height,
            } => Self::PatchTooLarge {
                patch,
                image_width,
                image_height,
            },
            other => Self::Geometry(other),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NonFinite { class, y, x } => write!(
                f,
                "the logit of class {class} at row {y}, column {x} is NaN or infinite; this frame has no verdict"
            ),
            Self::LogitsLength { expected, found } => {
                write!(
                    f,
                    "the shape asks for {expected} logits, but {found} were given"
                )
            }
            Self::MemoryTooSmall { needed, found } => write!(
                f,
                "the buffer has {found} words, but {needed} are needed; size it with Shape::score_len, Shape::table_len or Shape::masks_len"
            ),
            Self::GeometryMismatch {
                height,
                width,
                geometry_height,
                geometry_width,
            } => write!(
                f,
                "the score map has {height}x{width} cells (height x width), but the geometry's output has {geometry_height}x{geometry_width}"
            ),
            Self::PatchTooLarge {
                patch,
                image_width,
                image_height,
            } => GeometryError::PatchTooLarge {
                patch,
                image_width,
                image_height,
            }
            .fmt(f),
            Self::NoPatch => f.write_str("masks need at least one patch size to be made for"),
            Self::PatchNotMasked { patch } => write!(
                f,
                "the masks were made for no size that a patch of {patch} pixels fits into; list it when they are made, for they are part of the predictor"
            ),
            Self::NeedsMasks { condition } => write!(
                f,
                "condition {condition} certifies another predictor than the sum of votes; use MaskCertifier"
            ),
            Self::Geometry(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Fault {}
