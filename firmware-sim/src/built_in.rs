//! Synthetic frames for a self-test that runs on any target: the same logits, hence the same
//! answers, bit for bit.

use core::num::NonZeroU8;
use core::time::Duration;

use bagcert_certifier::failsafe::{FailSafe, Limits, LimitsError, MESSAGE_LEN, Sender, self_test};
use bagcert_certifier::{Axis, Condition, Fault, Geometry, PatchSize, Shape, ShapeError};

use crate::cycle::Settings;
use crate::frame::DataId;
use crate::outcome::Report;

/// Classes of the built-in frames.
pub const CLASSES: usize = 10;
/// Rows and columns of their score maps.
pub const SIDE: usize = 32;
/// Logits of one frame.
pub const LOGITS: usize = CLASSES * SIDE * SIDE;
/// Extents of their score maps, for sizing memory.
pub const SHAPE: Result<Shape, ShapeError> = Shape::new(CLASSES, SIDE, SIDE);

/// Ten classes on 32x32 cells, receptive field 7, patch 5x5, 30 frames a second.
///
/// # Errors
/// None with these numbers; but nothing here may panic.
pub fn settings() -> Result<Settings, Fault> {
    let axis = Axis::new(32, 32, 1, -3, 3).map_err(Fault::Geometry)?;
    Ok(Settings {
        shape: SHAPE.map_err(|_| Fault::LogitsLength {
            expected: LOGITS,
            found: 0,
        })?,
        geometry: Geometry { x: axis, y: axis },
        patch: PatchSize::new(5, 5).map_err(Fault::Geometry)?,
        condition: Condition::SumWindow32,
        data_id: DataId(0x0BA6_CE27),
        max_age: Duration::from_millis(20),
        deadline: Duration::from_millis(33),
        max_lost: 3,
    })
}

/// Fills in the logits of frame `number`: one class leads, by more or less.
pub fn fill(number: u32, logits: &mut [f32]) {
    let mut random = Random(u64::from(number));
    let lead = random.below(CLASSES as u32) as usize;
    let votes = random.below(30).saturating_add(16);
    for (class, plane) in logits.chunks_mut(SIDE * SIDE).enumerate() {
        let share = if class == lead { votes } else { 15 };
        for logit in plane {
            let size = random.below(1000).saturating_add(1) as f32 / 250.0;
            *logit = if random.below(100) < share {
                size
            } else {
                -size
            };
        }
    }
}

/// The fail-safe logic behind the loop, and its messages.
pub struct Output {
    fail_safe: FailSafe,
    sender: Sender,
}

impl Output {
    /// After a self-test.
    ///
    /// # Errors
    /// None with these limits; but nothing here may panic.
    pub fn new() -> Result<Self, LimitsError> {
        let limits = Limits {
            classes: CLASSES,
            max_age: Duration::from_millis(20),
            max_lost: 3,
            good_cycles: NonZeroU8::MIN,
            strikes: 4,
            window: 16,
        };
        Ok(Self {
            fail_safe: FailSafe::new(limits, self_test())?,
            sender: Sender::new(0x0BA6_CE28),
        })
    }

    /// The protected message of a cycle. The primary perception agrees with the certifier but for
    /// every seventh frame, and is silent in every eleventh.
    pub fn message(&mut self, number: u32, report: &Report, now: Duration) -> [u8; MESSAGE_LEN] {
        use crate::outcome::Outcome;
        let class = match report.outcome {
            Outcome::Certified { class, .. } | Outcome::NotCertified { class, .. } => class,
            Outcome::Fault { .. } => 0,
        };
        let primary = match number {
            _ if number % 11 == 10 => None,
            _ if number % 7 == 6 => Some(if class == 0 { 1 } else { 0 }),
            _ => Some(class),
        };
        self.sender
            .send(&self.fail_safe.step(&report.input(primary, now)))
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        // The upper 32 bits, scaled; the shift leaves a number below `bound`.
        let high = (z ^ (z >> 31)) >> 32;
        (high.wrapping_mul(u64::from(bound)) >> 32) as u32
    }
}
