//! What a geometry or a patch can be refused for.

use core::fmt;

use crate::geometry::MAX_EXTENT;
use crate::patch::PatchSize;

/// Why a geometry or a patch size cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GeometryError {
    /// The axis has no input pixel.
    NoInputs,
    /// The axis has no output cell.
    NoOutputs,
    /// The stride is zero.
    ZeroStride,
    /// The receptive field is empty: `lo > hi`.
    EmptyReceptiveField {
        /// First offset read.
        lo: i32,
        /// Last offset read.
        hi: i32,
    },
    /// A length, stride or offset is larger than [`MAX_EXTENT`].
    ExtentTooLarge,
    /// A patch side is zero.
    EmptyPatch {
        /// Width asked for, in pixels.
        width: u32,
        /// Height asked for, in pixels.
        height: u32,
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
    /// The affected region has more than `u32::MAX` cells, or a set of masks more than 2^31 - 1 windows.
    TooManyCells,
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInputs => f.write_str("an axis needs at least one input pixel"),
            Self::NoOutputs => f.write_str("an axis needs at least one output cell"),
            Self::ZeroStride => f.write_str("an axis needs a stride of at least 1"),
            Self::EmptyReceptiveField { lo, hi } => {
                write!(
                    f,
                    "the receptive field {lo}..={hi} is empty; lo must not exceed hi"
                )
            }
            Self::ExtentTooLarge => write!(
                f,
                "a length, stride or offset of the geometry is larger than {MAX_EXTENT}"
            ),
            Self::EmptyPatch { width, height } => {
                write!(
                    f,
                    "a patch of {width}x{height} pixels is empty; both sides must be at least 1"
                )
            }
            Self::PatchTooLarge {
                patch,
                image_width,
                image_height,
            } => write!(
                f,
                "a patch of {patch} pixels does not fit an image of {image_width}x{image_height}; choose a smaller one"
            ),
            Self::TooManyCells => {
                f.write_str("the affected region has more cells than a 32-bit count can hold, or the masks have more than 2^31 - 1 windows; choose smaller patches, fewer sizes or a larger mask step")
            }
        }
    }
}

impl core::error::Error for GeometryError {}
