//! The types of the header.

use core::ffi::c_char;

use bagcert_certifier::{
    Axis, CellRect, Condition, Geometry, GeometryError, PatchSize, Pixel, Shape, ShapeError,
    Verdict,
};

/// Number of this interface; it grows with every change that a program compiled before would not
/// survive. Compare it with what `bagcert_certifier_abi` returns.
pub const BAGCERT_CERTIFIER_ABI: u32 = 2;

/// Patch sizes that one query may name.
pub const BAGCERT_MAX_PATCHES: usize = 32;

/// Extents of a score map.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertShape {
    /// Classes, at least 2.
    pub classes: usize,
    /// Rows of cells.
    pub height: usize,
    /// Columns of cells.
    pub width: usize,
}

/// Along one axis, output cell i reads the pixels stride * i + lo to stride * i + hi, both
/// included. Pixels outside the image are padding, which no patch changes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertAxis {
    /// Pixels of the image.
    pub inputs: u32,
    /// Cells of the score map.
    pub outputs: u32,
    /// Pixels from one cell's receptive field to the next one's.
    pub stride: u32,
    /// First offset that a cell reads.
    pub lo: i32,
    /// Last offset that a cell reads.
    pub hi: i32,
}

/// Which pixels each cell reads. It must be that of the network that gave the scores.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertGeometry {
    /// Columns.
    pub x: BagcertAxis,
    /// Rows.
    pub y: BagcertAxis,
}

/// Size of a patch in pixels, both sides at least 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertPatch {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// A pixel, counted from the top left.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertPixel {
    /// Column.
    pub x: u32,
    /// Row.
    pub y: u32,
}

/// A rectangle of cells, first and last included.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertCells {
    /// First column.
    pub first_x: u32,
    /// Last column.
    pub last_x: u32,
    /// First row.
    pub first_y: u32,
    /// Last row.
    pub last_y: u32,
}

/// What a certificate rests on, and which predictor answers. The first three answer with the class
/// that has the most votes, the lowest one on a tie; the masking ones are predictors of their own.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BagcertCondition {
    /// Condition 3.1: the worst case; for summed votes the same as Condition 3.2.
    WorstCase31 = 1,
    /// Condition 3.2: for every place of the patch, the margin outside what it reaches.
    SumWindow32 = 2,
    /// Condition 3.3: the margin of the whole map; weaker than 3.2.
    SumGlobal33 = 3,
    /// Condition 3.1 for the mask aggregator.
    Mask = 4,
    /// Double masking.
    DoubleMask = 5,
}

/// What is asked of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BagcertQuery {
    /// The patch sizes, one verdict each. Under a masking condition they are part of the predictor:
    /// fix them for a deployment.
    pub patches: *const BagcertPatch,
    /// Their number, from 1 to BAGCERT_MAX_PATCHES.
    pub patches_len: usize,
    /// A BagcertCondition; any other number is refused.
    pub condition: u32,
    /// Under a masking condition, the step from window to window, at least 1: every mask_step-th
    /// window along each axis, mask_step - 1 cells longer. Part of the predictor. Not looked at
    /// under another condition.
    pub mask_step: u32,
    /// Under double masking, the votes by which a class must be ahead beyond a majority: to override the
    /// vote outside a window, and to be certified. Part of the predictor. 0 under another condition.
    pub lead: u32,
}

/// Lengths of the memory that a query takes, in words.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertMemoryLen {
    /// Words of 1 byte.
    pub scores_len: usize,
    /// Words of 2 bytes.
    pub table_len: usize,
}

/// The caller's memory. What it holds before a call does not matter; it may be used for the next
/// frame, and for anything else between calls.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BagcertMemory {
    /// For scores and votes. After a call that succeeded it begins with the packed scores, as
    /// bagcert_certify_packed takes them.
    pub scores: *mut u8,
    /// Its length in bytes.
    pub scores_len: usize,
    /// For summed-area tables.
    pub table: *mut i16,
    /// Its length in words of 2 bytes.
    pub table_len: usize,
}

/// The answer for one patch size. Where there is none (the call returned anything but
/// BAGCERT_STATUS_OK), predicted and rival are SIZE_MAX, certified is false and slack INT64_MIN.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagcertVerdict {
    /// Predicted class, by the predictor of the condition.
    pub predicted: usize,
    /// Whether no patch of this size can change the prediction: slack > 0.
    pub certified: bool,
    /// Votes that are left to the prediction in the worst case, above its strongest rival.
    pub slack: i64,
    /// The class at which that is so.
    pub rival: usize,
    /// Top-left pixel of the worst patch.
    pub worst: BagcertPixel,
    /// Whether there is a second window; only for double masking.
    pub has_second: bool,
    /// The second window of the worst pair.
    pub second: BagcertCells,
    /// The patch size.
    pub patch: BagcertPatch,
    /// The condition, a BagcertCondition.
    pub condition: u32,
}

/// More of what was wrong. Fields that do not matter are 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BagcertDetail {
    /// The argument that is to blame, as the header names it; never null, "" where it is none.
    pub argument: *const c_char,
    /// For lengths: how many there must be.
    pub needed: usize,
    /// For lengths: how many there are.
    pub found: usize,
    /// For scores and logits: the class.
    pub class_index: usize,
    /// For scores and logits: the row of the cell.
    pub y: usize,
    /// For scores and logits: the column of the cell.
    pub x: usize,
}

/// Where answers go. What these point to is overwritten by every call that can make sense of the
/// pointers, whether it succeeds or not: no answer of an earlier frame is left.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct BagcertOutput {
    /// One verdict for each patch size of the query, in its order.
    pub verdicts: *mut BagcertVerdict,
    /// Number of verdicts; must be patches_len of the query.
    pub verdicts_len: usize,
    /// Votes of every class on the whole map; NULL where they are not wanted.
    pub votes: *mut u32,
    /// Number of votes; must be the number of classes, or 0 where they are not wanted.
    pub votes_len: usize,
    /// Largest k such that every square patch up to k x k is certified under Condition 3.2, 0 where
    /// none is; NULL where it is not wanted. Under a masking condition it is set to 0.
    pub largest_square: *mut u32,
    /// What was wrong, where the call fails; NULL where it is not wanted.
    pub detail: *mut BagcertDetail,
}

/// No verdict.
pub(crate) const NO_VERDICT: BagcertVerdict = BagcertVerdict {
    predicted: usize::MAX,
    certified: false,
    slack: i64::MIN,
    rival: usize::MAX,
    worst: BagcertPixel { x: 0, y: 0 },
    has_second: false,
    second: NO_CELLS,
    patch: BagcertPatch {
        width: 0,
        height: 0,
    },
    condition: 0,
};

const NO_CELLS: BagcertCells = BagcertCells {
    first_x: 0,
    last_x: 0,
    first_y: 0,
    last_y: 0,
};

impl TryFrom<BagcertShape> for Shape {
    type Error = ShapeError;

    fn try_from(shape: BagcertShape) -> Result<Self, ShapeError> {
        Shape::new(shape.classes, shape.height, shape.width)
    }
}

impl From<Shape> for BagcertShape {
    fn from(shape: Shape) -> Self {
        Self {
            classes: shape.classes(),
            height: shape.height(),
            width: shape.width(),
        }
    }
}

impl TryFrom<BagcertAxis> for Axis {
    type Error = GeometryError;

    fn try_from(axis: BagcertAxis) -> Result<Self, GeometryError> {
        Axis::new(axis.inputs, axis.outputs, axis.stride, axis.lo, axis.hi)
    }
}

impl From<Axis> for BagcertAxis {
    fn from(axis: Axis) -> Self {
        Self {
            inputs: axis.inputs(),
            outputs: axis.outputs(),
            stride: axis.stride(),
            lo: axis.lo(),
            hi: axis.hi(),
        }
    }
}

impl TryFrom<BagcertGeometry> for Geometry {
    type Error = GeometryError;

    fn try_from(geometry: BagcertGeometry) -> Result<Self, GeometryError> {
        Ok(Self {
            x: geometry.x.try_into()?,
            y: geometry.y.try_into()?,
        })
    }
}

impl From<Geometry> for BagcertGeometry {
    fn from(geometry: Geometry) -> Self {
        Self {
            x: geometry.x.into(),
            y: geometry.y.into(),
        }
    }
}

impl TryFrom<BagcertPatch> for PatchSize {
    type Error = GeometryError;

    fn try_from(patch: BagcertPatch) -> Result<Self, GeometryError> {
        PatchSize::new(patch.width, patch.height)
    }
}

impl From<PatchSize> for BagcertPatch {
    fn from(patch: PatchSize) -> Self {
        Self {
            width: patch.width(),
            height: patch.height(),
        }
    }
}

impl From<Pixel> for BagcertPixel {
    fn from(pixel: Pixel) -> Self {
        Self {
            x: pixel.x,
            y: pixel.y,
        }
    }
}

impl From<CellRect> for BagcertCells {
    fn from(cells: CellRect) -> Self {
        Self {
            first_x: cells.x.first,
            last_x: cells.x.last,
            first_y: cells.y.first,
            last_y: cells.y.last,
        }
    }
}

impl BagcertCondition {
    /// The condition with this number; `None` for any other number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Condition> {
        let known = [
            (Self::WorstCase31, Condition::WorstCase31),
            (Self::SumWindow32, Condition::SumWindow32),
            (Self::SumGlobal33, Condition::SumGlobal33),
            (Self::Mask, Condition::Mask),
            (Self::DoubleMask, Condition::DoubleMask),
        ];
        let found = known.into_iter().find(|(own, _)| *own as u32 == number);
        found.map(|(_, condition)| condition)
    }
}

impl From<Condition> for BagcertCondition {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::WorstCase31 => Self::WorstCase31,
            Condition::SumWindow32 => Self::SumWindow32,
            Condition::SumGlobal33 => Self::SumGlobal33,
            Condition::Mask => Self::Mask,
            Condition::DoubleMask => Self::DoubleMask,
        }
    }
}

impl From<Verdict> for BagcertVerdict {
    fn from(verdict: Verdict) -> Self {
        Self {
            predicted: verdict.predicted,
            certified: verdict.certified,
            slack: verdict.slack,
            rival: verdict.rival,
            worst: verdict.worst.into(),
            has_second: verdict.second.is_some(),
            second: verdict.second.map_or(NO_CELLS, BagcertCells::from),
            patch: verdict.patch.into(),
            condition: BagcertCondition::from(verdict.condition) as u32,
        }
    }
}
