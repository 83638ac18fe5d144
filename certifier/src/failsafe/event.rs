//! What comes in, and what it amounts to.

use core::fmt;
use core::time::Duration;

use crate::verdict::Verdict;

/// What the certifying stage said in this cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Judgement {
    /// No patch of the stated size can have changed this class.
    Certified {
        /// Predicted class.
        class: usize,
    },
    /// A sound frame, but some patch could have changed the class.
    NotCertified {
        /// Predicted class; not to be relied on.
        class: usize,
    },
    /// No verdict.
    Fault(FaultKind),
}

impl From<&Verdict> for Judgement {
    fn from(verdict: &Verdict) -> Self {
        let class = verdict.predicted;
        // Both are asked, so that a verdict that contradicts itself certifies nothing.
        if verdict.certified && verdict.slack > 0 {
            Self::Certified { class }
        } else {
            Self::NotCertified { class }
        }
    }
}

/// Faults by what they say of later cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FaultKind {
    /// This frame is of no use: missing, damaged, repeated, stale, or without finite logits. The next
    /// one may be sound.
    Frame,
    /// The verdict came too late, or its stage did not answer.
    Late,
    /// The machine is not to be trusted: its memory, its model, its clock. Nothing that it says later is
    /// worth more.
    Integrity,
}

/// Whether the verdict came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Deadline {
    /// It did.
    Met,
    /// It did not.
    Missed,
}

/// The frame that a verdict is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mark {
    /// Alive counter: one more for every frame, wrapping at 2^32.
    pub counter: u32,
    /// Time from its capture to this cycle.
    pub age: Duration,
}

/// All that is known in one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Input {
    /// The certifying stage.
    pub judgement: Judgement,
    /// The primary perception's class for the same frame, where it gave one.
    pub primary: Option<usize>,
    /// The frame; `None` where none came, or where its header is not to be trusted.
    pub frame: Option<Mark>,
    /// Whether the verdict was there in time.
    pub deadline: Deadline,
    /// The clock at this step. It must move on from step to step.
    pub now: Duration,
}

/// What the inputs of a cycle amount to: one event, that of the first line here that applies, from
/// the bottom up. The last two are no cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Event {
    /// Certified, and the primary perception says the same.
    Confirmed,
    /// Certified, and the primary perception says another class.
    Contradicted,
    /// Certified, and the primary perception says nothing, or no class that there is.
    FallbackOnly,
    /// Not certified; there is the primary perception's class.
    Unverified,
    /// Not certified, and the primary perception says nothing, or no class that there is.
    Unknown,
    /// No verdict of this frame, or a frame that is too old or out of order.
    FrameFault,
    /// The verdict was late.
    Late,
    /// Memory, model or clock are not to be trusted, or the input contradicts itself.
    Integrity,
    /// A reset, with its self-test passed.
    ResetPassed,
    /// A reset whose self-test failed.
    ResetFailed,
}

impl Event {
    /// All of them, in the order of the table's columns.
    pub const ALL: [Self; 10] = [
        Self::Confirmed,
        Self::Contradicted,
        Self::FallbackOnly,
        Self::Unverified,
        Self::Unknown,
        Self::FrameFault,
        Self::Late,
        Self::Integrity,
        Self::ResetPassed,
        Self::ResetFailed,
    ];

    /// A short name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Contradicted => "contradicted",
            Self::FallbackOnly => "fallback-only",
            Self::Unverified => "unverified",
            Self::Unknown => "unknown",
            Self::FrameFault => "frame-fault",
            Self::Late => "late",
            Self::Integrity => "integrity",
            Self::ResetPassed => "reset-passed",
            Self::ResetFailed => "reset-failed",
        }
    }

    /// Whether this cycle's own verdict was certified.
    pub const fn is_certified(self) -> bool {
        matches!(
            self,
            Self::Confirmed | Self::Contradicted | Self::FallbackOnly
        )
    }

    /// Whether it is a fault.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::FrameFault | Self::Late | Self::Integrity | Self::ResetFailed
        )
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
