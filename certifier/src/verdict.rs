//! Conditions and verdicts.

use core::fmt;
use core::str::FromStr;

use crate::patch::{PatchSize, Pixel};

/// The paper's conditions for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Condition {
    /// Condition 3.1: the worst case of a monotone aggregation, here of the sum. See
    /// [`certify_monotone`](crate::certify_monotone) for other aggregations.
    WorstCase31,
    /// Condition 3.2: for every window, the margin outside it against its cells.
    SumWindow32,
    /// Condition 3.3: the margin of the whole map against twice the largest window.
    SumGlobal33,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorstCase31 => "3.1",
            Self::SumWindow32 => "3.2",
            Self::SumGlobal33 => "3.3",
        })
    }
}

/// A text that names no condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownCondition;

impl fmt::Display for UnknownCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown condition; known are 3.1, 3.2 and 3.3")
    }
}

impl core::error::Error for UnknownCondition {}

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "3.1" => Ok(Self::WorstCase31),
            "3.2" => Ok(Self::SumWindow32),
            "3.3" => Ok(Self::SumGlobal33),
            _ => Err(UnknownCondition),
        }
    }
}

/// The outcome for one frame and one patch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verdict {
    /// Predicted class.
    pub predicted: usize,
    /// Whether no patch of this size can change the prediction: `slack > 0`.
    pub certified: bool,
    /// Least margin, in votes, over rivals and positions that remains in the worst case.
    pub slack: i64,
    /// Class at which it is attained; the lowest one at `worst`.
    pub rival: usize,
    /// Top-left pixel of the worst patch: of the positions that attain `slack` the one with the
    /// lowest y, and of these the lowest x.
    pub worst: Pixel,
    /// Size of the patch.
    pub patch: PatchSize,
    /// Condition that was checked.
    pub condition: Condition,
}
