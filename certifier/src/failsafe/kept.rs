//! What is kept from cycle to cycle, twice: as it is, and with every bit turned.
//!
//! A bit that flips in either copy shows at the next step. Words and not enums are kept: any bits are
//! a word, but not any bits are a mode.

use core::hint::black_box;
use core::num::NonZeroU8;
use core::time::Duration;

use super::limits::Limits;
use super::table::Mode;

/// Words of each copy.
const WORDS: usize = 15;

/// What is kept, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) limits: Limits,
    pub(super) mode: Mode,
    /// Good cycles in a row.
    pub(super) good: u32,
    /// Strikes of the last 32 cycles, the newest in bit 0.
    pub(super) strikes: u32,
    /// Alive counter of the last frame.
    pub(super) counter: Option<u32>,
    /// The latest step's time.
    pub(super) time: Option<Duration>,
}

/// Both copies.
pub(super) struct Twice {
    words: [u32; WORDS],
    turned: [u32; WORDS],
}

impl Kept {
    pub(super) fn new(limits: Limits, mode: Mode) -> Self {
        Self {
            limits,
            mode,
            good: 0,
            strikes: 0,
            counter: None,
            time: None,
        }
    }

    fn words(&self) -> [u32; WORDS] {
        let limits = &self.limits;
        let [age_high, age_low] = halves(limits.max_age.as_secs());
        let [high, low] = halves(self.time.unwrap_or_default().as_secs());
        [
            // At most 65,535: checked when they were set.
            limits.classes as u32,
            age_high,
            age_low,
            limits.max_age.subsec_nanos(),
            limits.max_lost,
            u32::from_be_bytes([0, limits.good_cycles.get(), limits.strikes, limits.window]),
            self.mode as u32,
            self.good,
            self.strikes,
            u32::from(self.counter.is_some()),
            self.counter.unwrap_or_default(),
            u32::from(self.time.is_some()),
            high,
            low,
            self.time.unwrap_or_default().subsec_nanos(),
        ]
    }

    fn of(words: &[u32; WORDS]) -> Option<Self> {
        let [
            classes,
            age_high,
            age_low,
            age_nanos,
            max_lost,
            small,
            rest @ ..,
        ] = *words;
        let [
            mode,
            good,
            strikes,
            counted,
            counter,
            timed,
            high,
            low,
            nanos,
        ] = rest;
        let [_, good_cycles, limit, window] = small.to_be_bytes();
        Some(Self {
            limits: Limits {
                classes: classes as usize,
                max_age: Duration::new(joined(age_high, age_low), age_nanos.min(999_999_999)),
                max_lost,
                good_cycles: NonZeroU8::new(good_cycles)?,
                strikes: limit,
                window,
            },
            mode: *Mode::ALL.get(mode as usize)?,
            good,
            strikes,
            counter: (counted == 1).then_some(counter),
            time: (timed == 1).then_some(Duration::new(joined(high, low), nanos.min(999_999_999))),
        })
    }
}

impl Twice {
    pub(super) fn new(kept: &Kept) -> Self {
        let words = kept.words();
        Self {
            words,
            turned: words.map(|word| !word),
        }
    }

    /// What is kept; `None` where the copies differ.
    pub(super) fn load(&self) -> Option<Kept> {
        // The compiler could prove the copies equal, and leave the comparison out.
        let (words, turned) = (black_box(&self.words), black_box(&self.turned));
        let same = words
            .iter()
            .zip(turned)
            .all(|(word, turned)| *word == !*turned);
        if same { Kept::of(words) } else { None }
    }

    pub(super) fn store(&mut self, kept: &Kept) {
        *self = Self::new(kept);
    }

    pub(super) fn words_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.words.iter_mut().chain(&mut self.turned)
    }
}

fn halves(number: u64) -> [u32; 2] {
    [(number >> 32) as u32, number as u32]
}

fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
