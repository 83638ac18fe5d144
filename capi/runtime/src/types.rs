//! The types of the header, beside those of the certifier's.

use std::ffi::c_char;

use bagcert_certifier_c::{BagcertGeometry, BagcertShape};

/// Number of this interface; it grows with every change that a program compiled before would not
/// survive. Compare it with what bagcert_abi returns.
pub const BAGCERT_ABI: u32 = 2;

/// An open model. 0 is none, and no number is given twice while the program runs.
pub type BagcertModel = u64;

/// What a model is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BagcertModelInfo {
    /// Channels of an image: red, green and blue.
    pub channels: usize,
    /// Rows of an image, in pixels.
    pub height: usize,
    /// Columns of an image, in pixels.
    pub width: usize,
    /// Values of an image: channels * height * width.
    pub image_len: usize,
    /// Extents of the score map.
    pub shape: BagcertShape,
    /// Which pixels each cell of the score map may depend on.
    pub geometry: BagcertGeometry,
    /// SHA-256 of the file, in lower-case hexadecimal, ended by a zero.
    pub sha256: [c_char; 65],
    /// Whether the file is the one that its manifest names, and answered its golden frames; it may have none,
    /// and `bagcert inspect` counts them.
    pub has_manifest: bool,
}

/// How long the two parts of a call took, in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct BagcertTimes {
    /// The forward pass.
    pub forward: u64,
    /// From logits to verdicts.
    pub certificate: u64,
}
