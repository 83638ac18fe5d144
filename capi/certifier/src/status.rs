//! What a call returns, and what it says of what was wrong.

use core::ffi::CStr;

use bagcert_certifier::{Fault, GeometryError, ShapeError};

use crate::types::BagcertDetail;

/// How a call ended. Everything but BAGCERT_STATUS_OK means: no verdict.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BagcertStatus {
    /// Done.
    Ok = 0,
    /// A pointer that must lead somewhere is NULL.
    NullPointer = 1,
    /// A pointer is not aligned for its type.
    Misaligned = 2,
    /// An array is longer than the address space behind its pointer.
    ArrayTooLong = 3,
    /// Memory that is written overlaps other memory of the same call.
    Overlap = 4,
    /// Fewer than two classes.
    NoRival = 10,
    /// A score map without a cell.
    EmptyMap = 11,
    /// A score map too large for this machine.
    MapTooLarge = 12,
    /// An axis without a pixel.
    NoInputs = 20,
    /// An axis without a cell.
    NoOutputs = 21,
    /// A stride of 0.
    ZeroStride = 22,
    /// A receptive field with lo > hi.
    EmptyReceptiveField = 23,
    /// A length, stride or offset above 2^30.
    ExtentTooLarge = 24,
    /// The geometry's cells are not the score map's.
    GeometryMismatch = 25,
    /// More cells than 32 bits can count, or more than 2^31 - 1 windows.
    TooManyCells = 26,
    /// The query names no patch size.
    NoPatch = 30,
    /// The query names more than BAGCERT_MAX_PATCHES patch sizes.
    TooManyPatches = 31,
    /// A patch size with a side of 0.
    EmptyPatch = 32,
    /// A patch that does not fit the image.
    PatchTooLarge = 33,
    /// A patch that fits into none of the sizes that the masks were made for.
    PatchNotMasked = 34,
    /// A condition that is none of BagcertCondition.
    UnknownCondition = 35,
    /// A mask step of 0 under a masking condition.
    ZeroMaskStep = 36,
    /// A lead under another condition than double masking.
    UnusedLead = 37,
    /// The number of logits is not that of the shape.
    LogitsLength = 40,
    /// A logit is NaN or infinite.
    NonFinite = 41,
    /// The number of scores is not that of the shape.
    ScoresLength = 42,
    /// A score is neither 0 nor 1, or a class that does not exist has one.
    NotBinary = 43,
    /// The memory is too short.
    MemoryTooSmall = 50,
    /// The number of verdicts is not that of the query's patch sizes.
    VerdictsLength = 51,
    /// The number of votes is neither that of the classes nor 0.
    VotesLength = 52,
    /// A defect of this library.
    Internal = 99,
}

impl BagcertStatus {
    /// The status with this number in words, and what to do.
    #[must_use]
    pub fn text(number: i32) -> &'static CStr {
        let found = TEXTS.iter().find(|(status, _)| *status as i32 == number);
        found.map_or(c"no status of this library", |(_, text)| text)
    }
}

/// Every status with its text.
const TEXTS: [(BagcertStatus, &CStr); 31] = [
    (BagcertStatus::Ok, c"done"),
    (
        BagcertStatus::NullPointer,
        c"a pointer is NULL that must lead somewhere",
    ),
    (
        BagcertStatus::Misaligned,
        c"a pointer is not aligned for its type",
    ),
    (
        BagcertStatus::ArrayTooLong,
        c"an array is longer than the address space behind its pointer",
    ),
    (
        BagcertStatus::Overlap,
        c"memory that is written overlaps other memory of the call; give each its own",
    ),
    (
        BagcertStatus::NoRival,
        c"fewer than 2 classes leave no rival to certify against",
    ),
    (
        BagcertStatus::EmptyMap,
        c"the score map has no cell; height and width must be at least 1",
    ),
    (
        BagcertStatus::MapTooLarge,
        c"the score map is too large for this machine",
    ),
    (
        BagcertStatus::NoInputs,
        c"an axis needs at least 1 input pixel",
    ),
    (
        BagcertStatus::NoOutputs,
        c"an axis needs at least 1 output cell",
    ),
    (
        BagcertStatus::ZeroStride,
        c"an axis needs a stride of at least 1",
    ),
    (
        BagcertStatus::EmptyReceptiveField,
        c"the receptive field is empty; lo must not exceed hi",
    ),
    (
        BagcertStatus::ExtentTooLarge,
        c"a length, stride or offset of the geometry is above 2^30",
    ),
    (
        BagcertStatus::GeometryMismatch,
        c"the geometry's output cells are not the height and width of the score map",
    ),
    (
        BagcertStatus::TooManyCells,
        c"the affected region has more cells than 32 bits count, or the masks more than 2^31 - 1 windows; name fewer patch sizes or a larger mask step",
    ),
    (
        BagcertStatus::NoPatch,
        c"the query names no patch size",
    ),
    (
        BagcertStatus::TooManyPatches,
        c"the query names more than BAGCERT_MAX_PATCHES patch sizes; ask in several calls",
    ),
    (
        BagcertStatus::EmptyPatch,
        c"a patch covers no pixel; both sides must be at least 1",
    ),
    (
        BagcertStatus::PatchTooLarge,
        c"a patch does not fit the image; choose a smaller one",
    ),
    (
        BagcertStatus::PatchNotMasked,
        c"the masks were made for no size that a patch fits into",
    ),
    (
        BagcertStatus::UnknownCondition,
        c"the condition is none of BagcertCondition",
    ),
    (
        BagcertStatus::ZeroMaskStep,
        c"a masking condition needs a mask step of at least 1",
    ),
    (
        BagcertStatus::UnusedLead,
        c"only double masking asks for a lead; under another condition it must be 0",
    ),
    (
        BagcertStatus::LogitsLength,
        c"the number of logits is not classes * height * width",
    ),
    (
        BagcertStatus::NonFinite,
        c"a logit is NaN or infinite; this frame has no verdict",
    ),
    (
        BagcertStatus::ScoresLength,
        c"the number of scores is not that of the shape",
    ),
    (
        BagcertStatus::NotBinary,
        c"a score is neither 0 nor 1, or a bit is set for a class that does not exist; this frame has no verdict",
    ),
    (
        BagcertStatus::MemoryTooSmall,
        c"the memory is too short; size it with bagcert_memory_len, BAGCERT_SCORES_LEN, BAGCERT_TABLE_LEN or BAGCERT_MASKS_LEN",
    ),
    (
        BagcertStatus::VerdictsLength,
        c"the number of verdicts is not that of the query's patch sizes",
    ),
    (
        BagcertStatus::VotesLength,
        c"the number of votes is neither that of the classes nor 0",
    ),
    (
        BagcertStatus::Internal,
        c"a defect of this library; please report it",
    ),
];

/// Why a call gives no verdict.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// The kind.
    pub status: BagcertStatus,
    /// The argument to blame; empty where it is none.
    pub argument: &'static CStr,
    /// Items needed and found, or 0.
    pub lengths: (usize, usize),
    /// Class, row and column, or 0.
    pub cell: (usize, usize, usize),
}

impl Failure {
    pub(crate) const NONE: Self = Self::new(BagcertStatus::Ok, c"");

    /// A failure by one argument.
    #[must_use]
    pub const fn new(status: BagcertStatus, argument: &'static CStr) -> Self {
        Self {
            status,
            argument,
            lengths: (0, 0),
            cell: (0, 0, 0),
        }
    }

    /// With the items needed and found.
    #[must_use]
    pub const fn lengths(self, needed: usize, found: usize) -> Self {
        Self {
            lengths: (needed, found),
            ..self
        }
    }

    /// With a class, row and column.
    #[must_use]
    pub const fn cell(self, class: usize, y: usize, x: usize) -> Self {
        Self {
            cell: (class, y, x),
            ..self
        }
    }

    /// A fault of the certifier; `memory` is the argument where that is too short.
    #[must_use]
    pub fn of(fault: Fault, memory: &'static CStr) -> Self {
        use BagcertStatus as Status;
        match fault {
            Fault::NonFinite { class, y, x } => {
                Self::new(Status::NonFinite, c"logits").cell(class, y, x)
            }
            Fault::LogitsLength { expected, found } => {
                Self::new(Status::LogitsLength, c"logits_len").lengths(expected, found)
            }
            Fault::MemoryTooSmall { needed, found } => {
                Self::new(Status::MemoryTooSmall, memory).lengths(needed, found)
            }
            Fault::GeometryMismatch { .. } => Self::new(Status::GeometryMismatch, c"geometry"),
            Fault::PatchTooLarge { .. } => Self::new(Status::PatchTooLarge, c"query.patches"),
            Fault::NoPatch => Self::new(Status::NoPatch, c"query.patches_len"),
            Fault::PatchNotMasked { .. } => Self::new(Status::PatchNotMasked, c"query.patches"),
            // Conditions are sent where they belong.
            Fault::NeedsMasks { .. } => Self::new(Status::Internal, c"query.condition"),
            Fault::Geometry(error) => error.into(),
        }
    }
}

impl From<GeometryError> for Failure {
    fn from(error: GeometryError) -> Self {
        use BagcertStatus as Status;
        let (status, argument) = match error {
            GeometryError::NoInputs => (Status::NoInputs, c"geometry"),
            GeometryError::NoOutputs => (Status::NoOutputs, c"geometry"),
            GeometryError::ZeroStride => (Status::ZeroStride, c"geometry"),
            GeometryError::EmptyReceptiveField { .. } => (Status::EmptyReceptiveField, c"geometry"),
            GeometryError::ExtentTooLarge => (Status::ExtentTooLarge, c"geometry"),
            GeometryError::EmptyPatch { .. } => (Status::EmptyPatch, c"query.patches"),
            GeometryError::PatchTooLarge { .. } => (Status::PatchTooLarge, c"query.patches"),
            GeometryError::TooManyCells => (Status::TooManyCells, c"geometry"),
        };
        Self::new(status, argument)
    }
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        let status = match error {
            ShapeError::NoRival { .. } => BagcertStatus::NoRival,
            ShapeError::Empty { .. } => BagcertStatus::EmptyMap,
            ShapeError::TooLarge => BagcertStatus::MapTooLarge,
        };
        Self::new(status, c"shape")
    }
}

impl From<Failure> for BagcertDetail {
    fn from(failure: Failure) -> Self {
        let ((needed, found), (class_index, y, x)) = (failure.lengths, failure.cell);
        Self {
            argument: failure.argument.as_ptr(),
            needed,
            found,
            class_index,
            y,
            x,
        }
    }
}
