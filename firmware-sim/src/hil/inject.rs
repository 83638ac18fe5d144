//! Damage done to messages on their way to the target.

use clap::ValueEnum;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// One to four bits flip.
    Flip,
    /// It ends early, and its end is lost with the rest.
    Cut,
    /// It comes twice.
    Repeat,
    /// It comes after the next one.
    Swap,
    /// It does not come.
    Drop,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flip => "flip",
            Self::Cut => "cut",
            Self::Repeat => "repeat",
            Self::Swap => "swap",
            Self::Drop => "drop",
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `bound`, which is at least one.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let below = (z ^ (z >> 31)).checked_rem(bound as u64).unwrap_or(0);
        usize::try_from(below).unwrap_or(0)
    }

    /// A message with some bits flipped, of which its end may be one.
    pub(crate) fn flipped(&mut self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        let first = self.below(message.len() * 8);
        for bit in first..first + 1 + self.below(4) {
            if let Some(byte) = message.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
        message
    }

    /// The beginning of a message, at least one byte of it.
    pub(crate) fn cut(&mut self, message: &[u8]) -> Vec<u8> {
        let len = 1 + self.below(message.len().saturating_sub(2).max(1));
        message.iter().copied().take(len).collect()
    }
}
