//! What a cycle ends with.

use core::fmt;
use core::time::Duration;

use bagcert_certifier::Fault;
use bagcert_certifier::failsafe::{Deadline, FaultKind, Input, Judgement, Mark};

use crate::pace::Forecast;

/// The one answer of a cycle. There is no fourth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// No patch of the stated size can have changed the class of this frame.
    Certified {
        /// Predicted class.
        class: usize,
        /// Least margin in votes; positive.
        slack: i64,
    },
    /// A sound frame, but some patch could have changed its class.
    NotCertified {
        /// Predicted class; not to be relied on.
        class: usize,
        /// Least margin in votes; zero or negative.
        slack: i64,
    },
    /// No verdict: the frame or the time is not to be trusted.
    Fault {
        /// Why.
        reason: Reason,
    },
}

impl Outcome {
    /// Whether the class is certified.
    pub fn is_certified(&self) -> bool {
        matches!(self, Self::Certified { .. })
    }

    /// The reason of a fault.
    pub fn fault(&self) -> Option<Reason> {
        match self {
            Self::Fault { reason } => Some(*reason),
            _ => None,
        }
    }
}

/// Why a cycle ended in a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Reason {
    /// No frame came in time.
    Missing,
    /// Header or scores are not those that were sealed, or belong to another stream.
    Corrupt {
        /// The frame's seal.
        sealed: u64,
        /// The seal that its content asks for.
        computed: u64,
    },
    /// The counter stands still: a frame seen before, or a frozen camera.
    Repeated {
        /// The counter, of this frame and of the last one.
        counter: u32,
    },
    /// The counter has gone back: an old frame.
    Backwards {
        /// The counter of this frame.
        counter: u32,
        /// The counter of the last frame.
        last: u32,
    },
    /// More frames were lost since the last one than the settings allow.
    Jump {
        /// Frames lost.
        lost: u32,
    },
    /// The counter moved on, the time of capture did not.
    NotNewer {
        /// Time of capture of this frame.
        captured: Duration,
        /// Latest time of capture so far.
        last: Duration,
    },
    /// The frame was taken after the cycle began: the clocks disagree.
    FromTheFuture {
        /// Time of capture.
        captured: Duration,
        /// When the cycle began.
        now: Duration,
    },
    /// The frame was too old when the cycle began.
    Stale {
        /// Its age.
        age: Duration,
    },
    /// The verdict came after the deadline, and was discarded.
    Overrun {
        /// Time from capture to verdict.
        latency: Duration,
    },
    /// The clock went back.
    ClockBackwards,
    /// A score of a ready map is neither 0 nor 1.
    NotBinary {
        /// Index of the first one in the map, row-major, class slowest.
        index: usize,
    },
    /// A ready map has another number of scores than the shape.
    ScoresLength {
        /// Scores that the shape asks for.
        expected: usize,
        /// Scores given.
        found: usize,
    },
    /// The certifier reached no verdict.
    Certifier(Fault),
    /// The picture is one of the last [`PictureGuard::REMEMBERED`](crate::PictureGuard::REMEMBERED), to the last bit, under a
    /// counter that moves on.
    Frozen {
        /// Checksum of both pictures.
        content: u64,
    },
    /// Two certificates of the same scores, worked out in separate memory, differ.
    Memory,
    /// A frame whose answer is known was answered otherwise: the model in memory is damaged.
    Model,
    /// A stage gave no sign of life for longer than it may.
    Hang {
        /// Time since its last one.
        silent: Duration,
    },
}

impl Reason {
    /// A short name of its own for every kind, for counts and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Corrupt { .. } => "corrupt",
            Self::Repeated { .. } => "repeated",
            Self::Backwards { .. } => "backwards",
            Self::Jump { .. } => "jump",
            Self::NotNewer { .. } => "not-newer",
            Self::FromTheFuture { .. } => "from-the-future",
            Self::Stale { .. } => "stale",
            Self::Overrun { .. } => "overrun",
            Self::ClockBackwards => "clock-backwards",
            Self::NotBinary { .. } => "not-binary",
            Self::ScoresLength { .. } => "scores-length",
            Self::Certifier(Fault::NonFinite { .. }) => "non-finite",
            Self::Certifier(_) => "certifier",
            Self::Frozen { .. } => "frozen",
            Self::Memory => "memory",
            Self::Model => "model",
            Self::Hang { .. } => "hang",
        }
    }

    /// What it says of later cycles.
    pub fn kind(&self) -> FaultKind {
        match self {
            Self::Missing
            | Self::Corrupt { .. }
            | Self::Repeated { .. }
            | Self::Backwards { .. }
            | Self::Jump { .. }
            | Self::NotNewer { .. }
            | Self::FromTheFuture { .. }
            | Self::Stale { .. }
            | Self::NotBinary { .. }
            | Self::ScoresLength { .. }
            // A patch may bring it about.
            | Self::Certifier(Fault::NonFinite { .. })
            | Self::Frozen { .. } => FaultKind::Frame,
            Self::Overrun { .. } | Self::Hang { .. } => FaultKind::Late,
            // What was found sound when the loop was set up is sound no more.
            Self::ClockBackwards | Self::Certifier(_) | Self::Memory | Self::Model => {
                FaultKind::Integrity
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no frame came in time"),
            Self::Corrupt { sealed, computed } => write!(
                f,
                "the frame is damaged or of another stream: sealed with {sealed:016x}, its content gives {computed:016x}"
            ),
            Self::Repeated { counter } => {
                write!(f, "the counter stands still at {counter}: a repeated frame")
            }
            Self::Backwards { counter, last } => {
                write!(
                    f,
                    "the counter went back from {last} to {counter}: an old frame"
                )
            }
            Self::Jump { lost } => write!(f, "{lost} frames were lost on the way"),
            Self::NotNewer { captured, last } => write!(
                f,
                "the frame was taken at {captured:?}, not after the last one ({last:?})"
            ),
            Self::FromTheFuture { captured, now } => {
                write!(
                    f,
                    "the frame was taken at {captured:?}, but it is only {now:?}"
                )
            }
            Self::Stale { age } => write!(f, "the frame was already {age:?} old"),
            Self::Overrun { latency } => write!(
                f,
                "the verdict came {latency:?} after capture, past the deadline, and was discarded"
            ),
            Self::ClockBackwards => f.write_str("the clock went back"),
            Self::NotBinary { index } => {
                write!(f, "score {index} of the ready map is neither 0 nor 1")
            }
            Self::ScoresLength { expected, found } => write!(
                f,
                "the shape asks for {expected} scores, but the ready map has {found}"
            ),
            Self::Certifier(fault) => fault.fmt(f),
            Self::Frozen { content } => write!(
                f,
                "the picture is that of a frame shortly before (checksum {content:016x}), though the counter moves on"
            ),
            Self::Memory => f.write_str(
                "two certificates of the same scores, in separate memory, differ: one memory is damaged",
            ),
            Self::Model => f.write_str(
                "a frame whose answer is known was answered otherwise: the model in memory is damaged",
            ),
            Self::Hang { silent } => {
                write!(f, "a stage has given no sign of life for {silent:?}")
            }
        }
    }
}

/// All that is known of a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Report {
    /// Number of the cycle, from 0.
    pub cycle: u64,
    /// Counter of the frame; `None` without a frame, or where its seal does not fit.
    pub counter: Option<u32>,
    /// When the frame was taken; known where its counter is.
    pub captured: Option<Duration>,
    /// Frames lost between the last one and this one. Where the frame is used all the same, this
    /// is the only sign of them beside their own cycles' faults.
    pub lost: u32,
    /// Time from capture to verdict; `None` where it did not come to a verdict.
    pub latency: Option<Duration>,
    /// The answer.
    pub outcome: Outcome,
    /// What the latencies so far let expect of the next one; `None` before the first.
    pub forecast: Option<Forecast>,
}

impl Report {
    /// Time from capture to `now`. Without a verdict, or where the times contradict each other, the frame is of no use.
    fn age(&self, now: Duration) -> Duration {
        let age = self.captured.and_then(|captured| now.checked_sub(captured));
        match (age, self.latency) {
            (Some(age), Some(latency)) => age.max(latency),
            _ => Duration::MAX,
        }
    }

    /// What the fail-safe logic is to know of this cycle: `primary` is the class that the primary
    /// perception gives for the same frame, `now` the clock at the step.
    ///
    /// The frame's age is the time from capture to `now`, however long ago the verdict was there.
    pub fn input(&self, primary: Option<usize>, now: Duration) -> Input {
        let (judgement, late) = match self.outcome {
            Outcome::Certified { class, slack } if slack > 0 => {
                (Judgement::Certified { class }, false)
            }
            Outcome::Certified { class, .. } | Outcome::NotCertified { class, .. } => {
                (Judgement::NotCertified { class }, false)
            }
            Outcome::Fault { reason } => {
                let kind = reason.kind();
                (Judgement::Fault(kind), kind == FaultKind::Late)
            }
        };
        let mark = |counter| Mark {
            counter,
            age: self.age(now),
        };
        Input {
            judgement,
            primary,
            frame: self.counter.map(mark),
            deadline: if late {
                Deadline::Missed
            } else {
                Deadline::Met
            },
            now,
        }
    }
}
