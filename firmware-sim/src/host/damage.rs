//! How faults are done to frames.

use std::collections::BTreeSet;

use bagcert_firmware_sim::{Payload, Scores};

/// Logits on the heap, as the host's capture stage hands them on.
#[derive(Clone, Debug)]
pub(crate) struct Logits(pub(crate) Vec<f32>);

impl Payload for Logits {
    fn scores(&self) -> Scores<'_> {
        Scores::Logits(&self.0)
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same faults in every run of a scenario.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Makes one logit a NaN.
    pub(crate) fn not_a_number(&mut self, logits: &mut [f32]) {
        let at = self.below(logits.len() as u64) as usize;
        if let Some(logit) = logits.get_mut(at) {
            *logit = f32::NAN;
        }
    }

    /// Flips `bits` different bits.
    pub(crate) fn flip(&mut self, logits: &mut [f32], bits: u32) {
        let all = logits.len() as u64 * 32;
        let wanted = u64::from(bits).min(all) as usize;
        let mut chosen = BTreeSet::new();
        while chosen.len() < wanted {
            chosen.insert(self.below(all));
        }
        for bit in chosen {
            if let Some(logit) = logits.get_mut((bit / 32) as usize) {
                *logit = f32::from_bits(logit.to_bits() ^ 1 << (bit % 32));
            }
        }
    }
}
