//! Conditions and verdicts.

use core::fmt;
use core::str::FromStr;

use crate::geometry::CellRect;
use crate::patch::{PatchSize, Pixel};

/// The conditions for a certificate: those of the paper for summed votes, and two for predictors
/// that leave windows out.
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
    /// Condition 3.1 for the mask aggregator; see [`Masking::Single`].
    Mask,
    /// Double masking; see [`Masking::Double`].
    DoubleMask,
}

/// A predictor that leaves windows out of the score map, by the masks of a
/// [`MaskSet`](crate::MaskSet). [`MaskCertifier`](crate::MaskCertifier) says what each one
/// predicts and when it is certified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Masking {
    /// The mask aggregator: a class counts the votes that any one window leaves it.
    Single,
    /// Double masking: windows on whose outcome no second window has a say override the vote.
    Double,
}

impl Condition {
    /// The masking predictor that the condition certifies; `None` for those that certify the
    /// plain sum of votes.
    pub const fn masking(self) -> Option<Masking> {
        match self {
            Self::WorstCase31 | Self::SumWindow32 | Self::SumGlobal33 => None,
            Self::Mask => Some(Masking::Single),
            Self::DoubleMask => Some(Masking::Double),
        }
    }
}

impl Masking {
    /// The condition that certifies this predictor.
    pub const fn condition(self) -> Condition {
        match self {
            Self::Single => Condition::Mask,
            Self::Double => Condition::DoubleMask,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorstCase31 => "3.1",
            Self::SumWindow32 => "3.2",
            Self::SumGlobal33 => "3.3",
            Self::Mask => "mask",
            Self::DoubleMask => "double-mask",
        })
    }
}

/// A text that names no condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownCondition;

impl fmt::Display for UnknownCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown condition; known are 3.1, 3.2, 3.3, mask and double-mask")
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
            "mask" => Ok(Self::Mask),
            "double-mask" => Ok(Self::DoubleMask),
            _ => Err(UnknownCondition),
        }
    }
}

/// The outcome for one frame and one patch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Verdict {
    /// Predicted class, by the predictor that the condition certifies.
    pub predicted: usize,
    /// Whether no patch of this size can change the prediction: `slack > 0`.
    pub certified: bool,
    /// Least margin, in votes, over rivals and positions that remains in the worst case; for double
    /// masking over rivals and pairs of windows, outside both, less the lead that the set asks for.
    pub slack: i64,
    /// Class at which it is attained; the lowest one at `worst`.
    pub rival: usize,
    /// Top-left pixel of the worst patch: of the positions that attain `slack` the one with the
    /// lowest y, and of these the lowest x. Under masks the first window that attains it, row by row,
    /// decides, and the lowest position is named whose region ends where the first one in that window
    /// does.
    pub worst: Pixel,
    /// For double masking, the window that attains `slack` together with the one at `worst`: the
    /// first one. `None` otherwise, and where it holds no cell.
    pub second: Option<CellRect>,
    /// Size of the patch.
    pub patch: PatchSize,
    /// Condition that was checked.
    pub condition: Condition,
}
