//! A small loop to test: settings, a clock that the test drives, synthetic logits.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod engine;

use std::cell::Cell;
use std::time::Duration;

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, PatchSize, ScoreMap, ScoreWord, Shape, TableWord, Verdict,
};
use bagcert_firmware_sim::{Clock, Cycle, DataId, Frame, Header, Settings};

pub(crate) const CLASSES: usize = 4;
pub(crate) const SIDE: usize = 8;
/// Scores of one frame.
pub(crate) const LEN: usize = CLASSES * SIDE * SIDE;
pub(crate) const ID: DataId = DataId(0x0BA6_CE27);
pub(crate) const PERIOD: Duration = Duration::from_millis(33);
pub(crate) const DEADLINE: Duration = Duration::from_millis(30);
pub(crate) const MAX_AGE: Duration = Duration::from_millis(20);
pub(crate) const MAX_LOST: u32 = 3;

/// Four classes on 8x8 cells, receptive field 3, patch 2x2.
pub(crate) fn settings() -> Settings {
    let axis = Axis::new(SIDE as u32, SIDE as u32, 1, -1, 1).unwrap();
    Settings {
        shape: Shape::new(CLASSES, SIDE, SIDE).unwrap(),
        geometry: Geometry { x: axis, y: axis },
        patch: PatchSize::new(2, 2).unwrap(),
        condition: Condition::SumWindow32,
        data_id: ID,
        max_age: MAX_AGE,
        deadline: DEADLINE,
        max_lost: MAX_LOST,
    }
}

/// The caller's memory.
pub(crate) struct Memory {
    pub(crate) scores: Vec<ScoreWord>,
    pub(crate) table: Vec<TableWord>,
}

impl Memory {
    pub(crate) fn new() -> Memory {
        let shape = settings().shape;
        Memory {
            scores: vec![0; shape.score_len()],
            table: vec![0; shape.table_len()],
        }
    }

    fn parts(&mut self) -> bagcert_firmware_sim::Memory<'_> {
        bagcert_firmware_sim::Memory {
            scores: &mut self.scores,
            table: &mut self.table,
        }
    }

    pub(crate) fn cycle(&mut self) -> Cycle<'_> {
        Cycle::new(settings(), &mut self.scores, &mut self.table).unwrap()
    }
}

/// A clock that stands still, except that every second reading comes `work` later: the end of a
/// cycle.
#[derive(Default)]
pub(crate) struct TestClock {
    at: Cell<Duration>,
    work: Cell<Duration>,
    at_end: Cell<bool>,
}

impl TestClock {
    /// The next cycle begins `at` and takes `work`.
    pub(crate) fn set(&self, at: Duration, work: Duration) -> &TestClock {
        self.at.set(at);
        self.work.set(work);
        self.at_end.set(false);
        self
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        let end = self.at_end.replace(true);
        self.at.get() + if end { self.work.get() } else { Duration::ZERO }
    }
}

pub(crate) const WORK: Duration = Duration::from_millis(1);

/// When the camera takes frame `counter`.
pub(crate) fn taken(counter: u32) -> Duration {
    PERIOD * (counter + 1)
}

/// When its cycle begins: after a forward pass of ten milliseconds.
pub(crate) fn begins(counter: u32) -> Duration {
    taken(counter) + Duration::from_millis(10)
}

pub(crate) fn sealed(counter: u32, logits: [f32; LEN]) -> Frame<[f32; LEN]> {
    let captured = taken(counter);
    Frame::seal(ID, Header { counter, captured }, logits)
}

/// Logits in which every cell votes for `class` alone: certified.
pub(crate) fn unanimous(class: usize) -> [f32; LEN] {
    std::array::from_fn(|at| {
        if at / (SIDE * SIDE) == class {
            2.5
        } else {
            -1.5
        }
    })
}

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Logits with a leading class, by more or less: some certified, some not.
    pub(crate) fn logits(&mut self) -> [f32; LEN] {
        let lead = self.below(CLASSES);
        let strength = 30 + self.below(70);
        std::array::from_fn(|at| {
            let votes = if at / (SIDE * SIDE) == lead {
                strength
            } else {
                15
            };
            let size = (1 + self.below(1000)) as f32 / 250.0;
            if self.below(100) < votes { size } else { -size }
        })
    }
}

/// The certifier alone, with nothing around it.
pub(crate) fn verdict(logits: &[f32]) -> Verdict {
    let settings = settings();
    let mut memory = Memory::new();
    let map = ScoreMap::from_logits(settings.shape, logits, &mut memory.scores).unwrap();
    Certifier::new(&map, &settings.geometry, &mut memory.table)
        .unwrap()
        .certify(settings.patch, settings.condition)
        .unwrap()
}

/// The caller's memory, twice.
pub(crate) struct Twin {
    first: Memory,
    second: Memory,
}

impl Twin {
    pub(crate) fn new() -> Twin {
        Twin {
            first: Memory::new(),
            second: Memory::new(),
        }
    }

    pub(crate) fn cycle(&mut self) -> Cycle<'_> {
        let (first, second) = (self.first.parts(), self.second.parts());
        Cycle::redundant(settings(), first, second).unwrap()
    }
}

/// Flips one bit of the certifier's memory, and says what there was to flip.
#[derive(Default)]
pub(crate) struct FlipMemory {
    pub(crate) memory: usize,
    /// A bit of the scores, of the votes behind them, or of the tables; taken modulo their number.
    pub(crate) score: Option<u64>,
    pub(crate) vote: Option<u64>,
    pub(crate) table: Option<u64>,
    pub(crate) calls: usize,
}

impl bagcert_firmware_sim::Damage for FlipMemory {
    fn scores(&mut self, memory: usize, words: &mut [ScoreWord]) {
        if memory != self.memory {
            return;
        }
        let bit = [self.score, self.vote][self.calls];
        self.calls += 1;
        if let Some(bit) = bit {
            let bit = (bit % (words.len() as u64 * 8)) as usize;
            words[bit / 8] ^= 1 << (bit % 8);
        }
    }

    fn table(&mut self, memory: usize, words: &mut [TableWord]) {
        if let Some(bit) = self.table.filter(|_| memory == self.memory) {
            let bit = (bit % (words.len() as u64 * 16)) as usize;
            words[bit / 16] ^= 1 << (bit % 16);
        }
    }
}
