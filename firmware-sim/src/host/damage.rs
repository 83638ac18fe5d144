//! How faults are done to pictures, logits and memory.

use std::collections::BTreeSet;

use bagcert_certifier::{ScoreWord, TableWord};
use bagcert_firmware_sim::{Damage, Payload, Scores};

use super::scenario::Kind;

/// Numbers on the heap, pixels or logits, as the host's stages hand them on.
#[derive(Clone, Debug)]
pub(crate) struct Values(pub(crate) Vec<f32>);

impl Payload for Values {
    fn scores(&self) -> Scores<'_> {
        Scores::Logits(&self.0)
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same faults in every run of a scenario.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Numbers of one fault in one cycle, whatever else falls into it.
    pub(crate) fn of(seed: u64, cycle: u32, kind: Kind) -> Random {
        let mut random = Random(seed ^ u64::from(cycle) << 16 ^ kind.index() as u64);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// Makes one value a NaN.
    pub(crate) fn not_a_number(&mut self, values: &mut [f32]) {
        let at = self.below(values.len() as u64) as usize;
        if let Some(value) = values.get_mut(at) {
            *value = f32::NAN;
        }
    }

    /// `bits` different numbers of bits below `all`.
    fn bits(&mut self, all: u64, bits: u32) -> BTreeSet<u64> {
        let wanted = u64::from(bits).min(all) as usize;
        let mut chosen = BTreeSet::new();
        while chosen.len() < wanted {
            chosen.insert(self.below(all));
        }
        chosen
    }

    /// Flips `bits` different bits of numbers.
    pub(crate) fn flip(&mut self, values: &mut [f32], bits: u32) {
        for bit in self.bits(values.len() as u64 * 32, bits) {
            if let Some(value) = values.get_mut((bit / 32) as usize) {
                *value = f32::from_bits(value.to_bits() ^ 1 << (bit % 32));
            }
        }
    }

    /// Flips `bits` different bits of bytes.
    pub(crate) fn flip_bytes(&mut self, bytes: &mut [u8], bits: u32) {
        for bit in self.bits(bytes.len() as u64 * 8, bits) {
            if let Some(byte) = bytes.get_mut((bit / 8) as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Flips one bit of words that are somewhere in between.
    pub(crate) fn flip_word<'w>(&mut self, words: impl Iterator<Item = &'w mut u32>) {
        let mut words: Vec<&mut u32> = words.collect();
        let at = self.below(words.len() as u64) as usize;
        let bit = self.below(32);
        if let Some(word) = words.get_mut(at) {
            **word ^= 1 << bit;
        }
    }
}

/// Damage to the first of the certifier's two memories.
pub(crate) struct FlipMemory<'f> {
    pub(crate) seed: u64,
    pub(crate) cycle: u32,
    pub(crate) faults: &'f [Kind],
    /// Whether the scores were damaged already: the votes come second.
    pub(crate) scores_done: bool,
}

impl Damage for FlipMemory<'_> {
    fn scores(&mut self, memory: usize, words: &mut [ScoreWord]) {
        if memory != 0 || std::mem::replace(&mut self.scores_done, true) {
            return;
        }
        for kind in self.faults {
            if let Kind::FlipScores(bits) = kind {
                Random::of(self.seed, self.cycle, *kind).flip_bytes(words, *bits);
            }
        }
    }

    fn table(&mut self, memory: usize, words: &mut [TableWord]) {
        if memory != 0 {
            return;
        }
        for kind in self.faults {
            if let Kind::FlipTable(bits) = kind {
                let mut random = Random::of(self.seed, self.cycle, *kind);
                for bit in random.bits(words.len() as u64 * 16, *bits) {
                    if let Some(word) = words.get_mut((bit / 16) as usize) {
                        *word ^= 1 << (bit % 16);
                    }
                }
            }
        }
    }
}
