//! Numbers that depend on what they are for, not on what was drawn before: a resumed run or attack draws the
//! same ones.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for each pair.
    pub(crate) fn new(seed: i64, index: i64) -> Self {
        Self(mixed(seed as u64) ^ mixed(!(index as u64)))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// A number below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let wide = (self.next() >> 32) * u64::from(end);
        (wide >> 32) as u32
    }

    /// A number in [0, 1).
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 24) as f32
    }
}

fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_and_reach_all() {
        let mut random = Random::new(1, 2);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            let number = random.below(5);
            if let Some(seen) = seen.get_mut(number as usize) {
                *seen += 1;
            }
        }
        assert_eq!(seen.iter().sum::<i32>(), 1000);
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
