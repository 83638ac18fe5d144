//! The answer of a cycle, and its eight bytes in a message.

use super::e2e::HEADER_LEN;
use super::event::Event;
use super::table::{Mode, Trust};

/// Bytes of an answer.
pub const PAYLOAD_LEN: usize = 8;
/// Bytes of its message: the header of Profile 4, then the answer.
pub const MESSAGE_LEN: usize = HEADER_LEN + PAYLOAD_LEN;

/// Stands for no class in a message.
const NO_CLASS: u16 = u16::MAX;

/// The one answer of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Output {
    /// The mode after this cycle.
    pub mode: Mode,
    /// What the cycle amounted to.
    pub event: Event,
    /// What stands behind the class.
    pub trust: Trust,
    /// The class; `None` exactly where there is no trust in any.
    pub class: Option<u16>,
    /// Strikes within the window.
    pub strikes: u8,
    /// Lower half of the alive counter of the last frame that had one; 0 before the first.
    pub frame: u16,
}

impl Output {
    /// The answer of a logic that cannot trust its own memory.
    pub(super) const fn damaged() -> Self {
        Self {
            mode: Mode::SafeState,
            event: Event::Integrity,
            trust: Trust::SafeStop,
            class: None,
            strikes: 0,
            frame: 0,
        }
    }

    /// The bytes of a message: trust, mode, class (big end first), event, strikes, frame (big end
    /// first).
    pub fn encode(&self) -> [u8; PAYLOAD_LEN] {
        let [class_high, class_low] = self.class.unwrap_or(NO_CLASS).to_be_bytes();
        let [frame_high, frame_low] = self.frame.to_be_bytes();
        [
            self.trust as u8,
            self.mode as u8,
            class_high,
            class_low,
            self.event as u8,
            self.strikes,
            frame_high,
            frame_low,
        ]
    }

    /// Reads what [`encode`](Self::encode) wrote. `None` for bytes that no answer has: a number that
    /// stands for nothing, or parts that contradict each other.
    pub fn decode(bytes: &[u8; PAYLOAD_LEN]) -> Option<Self> {
        let [
            trust,
            mode,
            class_high,
            class_low,
            event,
            strikes,
            frame_high,
            frame_low,
        ] = *bytes;
        let class = u16::from_be_bytes([class_high, class_low]);
        let output = Self {
            mode: *Mode::ALL.get(usize::from(mode))?,
            event: *Event::ALL.get(usize::from(event))?,
            trust: *Trust::ALL.get(usize::from(trust))?,
            class: (class != NO_CLASS).then_some(class),
            strikes,
            frame: u16::from_be_bytes([frame_high, frame_low]),
        };
        output.is_consistent().then_some(output)
    }

    /// Whether the parts fit each other, whatever the limits were.
    fn is_consistent(&self) -> bool {
        self.class.is_some() == self.trust.has_class()
            && (self.mode == Mode::SafeState) == (self.trust == Trust::SafeStop)
            && (!self.trust.is_certified() || self.event.is_certified())
            && !(self.event.is_fault() && self.trust.has_class())
            && self.strikes <= 32
    }
}
