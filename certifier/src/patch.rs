//! Patches: their size and where they lie.

use core::{fmt, str::FromStr};

use crate::geometry_error::GeometryError;

/// A pixel of the image, counted from the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Pixel {
    /// Column.
    pub x: u32,
    /// Row.
    pub y: u32,
}

/// Size of a patch in pixels, width first; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PatchSize {
    width: u32,
    height: u32,
}

impl PatchSize {
    /// A patch of `width` x `height` pixels.
    ///
    /// # Errors
    /// [`GeometryError::EmptyPatch`] where a side is zero.
    pub const fn new(width: u32, height: u32) -> Result<Self, GeometryError> {
        if width == 0 || height == 0 {
            Err(GeometryError::EmptyPatch { width, height })
        } else {
            Ok(Self { width, height })
        }
    }

    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        self.height
    }
}

impl fmt::Display for PatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// Why a text is no patch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParsePatchError {
    /// It is not two whole numbers with an `x` between them, or one of them is too large.
    Format,
    /// It is, and no patch can have that size.
    Size(GeometryError),
}

impl fmt::Display for ParsePatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("write WIDTHxHEIGHT in whole pixels, for example 5x5"),
            Self::Size(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ParsePatchError {}

impl FromStr for PatchSize {
    type Err = ParsePatchError;

    /// `WIDTHxHEIGHT` in pixels, digits alone on both sides of an `x` or `X`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |digits: &str| {
            // `parse` alone would take a sign.
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let (width, height) = text
            .split_once(['x', 'X'])
            .and_then(|(width, height)| Some((side(width)?, side(height)?)))
            .ok_or(ParsePatchError::Format)?;
        Self::new(width, height).map_err(ParsePatchError::Size)
    }
}

/// Every rectangle of `area` pixels that fits an image, width ascending. None for an area of 0.
pub fn rectangles_of_area(
    area: u32,
    image_width: u32,
    image_height: u32,
) -> impl Iterator<Item = PatchSize> {
    (1..=image_width.min(area)).filter_map(move |width| {
        let height = area.checked_div(width)?;
        let fits = width.checked_mul(height) == Some(area) && height <= image_height;
        if fits {
            PatchSize::new(width, height).ok()
        } else {
            None
        }
    })
}
