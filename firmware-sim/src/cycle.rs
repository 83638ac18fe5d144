//! The cycle itself.

use core::fmt;
use core::time::Duration;

use bagcert_certifier::{
    Condition, Fault, Geometry, PatchSize, ScoreWord, Shape, TableWord, Verdict,
};

use crate::certificate::{Channels, Damage, Memory, attempt};
use crate::frame::{DataId, Frame, Header, Payload};
use crate::log;
use crate::outcome::{Outcome, Reason, Report};
use crate::pace::Pace;
use crate::sequence::Sequence;

/// The clock that frames are stamped with and deadlines are held against.
pub trait Clock {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
}

/// What a loop is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// Extents of the score maps.
    pub shape: Shape,
    /// Which cells a patch can reach.
    pub geometry: Geometry,
    /// The patch to certify against.
    pub patch: PatchSize,
    /// The paper's condition.
    pub condition: Condition,
    /// The stream that frames must belong to.
    pub data_id: DataId,
    /// The oldest that a frame may be when its cycle begins; at most `deadline`.
    pub max_age: Duration,
    /// The longest from capture to verdict.
    pub deadline: Duration,
    /// The most frames that may be lost between two that are used.
    pub max_lost: u32,
}

/// Why a loop cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SetupError {
    /// The deadline is zero.
    NoTime,
    /// A frame could be young enough and yet past its deadline.
    AgeBeyondDeadline {
        /// The age allowed.
        max_age: Duration,
        /// The deadline.
        deadline: Duration,
    },
    /// Shape, geometry, patch and memory do not fit each other.
    Certifier(Fault),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTime => f.write_str("a deadline of zero cannot be met"),
            Self::AgeBeyondDeadline { max_age, deadline } => write!(
                f,
                "frames may be {max_age:?} old when a cycle begins, but their deadline is {deadline:?} after capture"
            ),
            Self::Certifier(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for SetupError {}

/// The certifying stage: one [`run`](Self::run) per camera period.
pub struct Cycle<'m> {
    settings: Settings,
    channels: Channels<'m>,
    sequence: Sequence,
    pace: Pace,
    /// Latest time seen on the clock.
    clock: Duration,
    cycle: u64,
}

impl<'m> Cycle<'m> {
    /// `scores` needs [`Shape::score_len`] words, `table` [`Shape::table_len`].
    ///
    /// # Errors
    /// Settings that contradict each other, and memory too small for them: found here, by a trial
    /// certificate, and not in the first cycle.
    pub fn new(
        settings: Settings,
        scores: &'m mut [ScoreWord],
        table: &'m mut [TableWord],
    ) -> Result<Self, SetupError> {
        Self::with(settings, Memory { scores, table }, None)
    }

    /// A cycle that works each certificate out twice, in two memories, and answers with a fault where
    /// they differ.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn redundant(
        settings: Settings,
        first: Memory<'m>,
        second: Memory<'m>,
    ) -> Result<Self, SetupError> {
        Self::with(settings, first, Some(second))
    }

    fn with(
        settings: Settings,
        mut first: Memory<'m>,
        mut second: Option<Memory<'m>>,
    ) -> Result<Self, SetupError> {
        let (max_age, deadline) = (settings.max_age, settings.deadline);
        if deadline.is_zero() {
            return Err(SetupError::NoTime);
        }
        if max_age > deadline {
            return Err(SetupError::AgeBeyondDeadline { max_age, deadline });
        }
        for memory in [Some(&mut first), second.as_mut()].into_iter().flatten() {
            attempt(&settings, memory).map_err(SetupError::Certifier)?;
        }
        Ok(Self {
            settings,
            channels: Channels { first, second },
            sequence: Sequence::new(settings.max_lost),
            pace: Pace::new(deadline),
            clock: Duration::ZERO,
            cycle: 0,
        })
    }

    /// One cycle over the frame that came, or over none.
    ///
    /// `clock` is read at the start and once the verdict is there.
    pub fn run<P: Payload>(&mut self, clock: &impl Clock, frame: Option<&Frame<P>>) -> Report {
        self.run_damaged(clock, frame, &mut ())
    }

    /// [`run`](Self::run), with damage to the certifier's memory: for fault injection.
    pub fn run_damaged<P: Payload>(
        &mut self,
        clock: &impl Clock,
        frame: Option<&Frame<P>>,
        damage: &mut impl Damage,
    ) -> Report {
        self.answer(|cycle, report| cycle.judge(clock, frame, damage, report))
    }

    /// A cycle whose frame was refused by an earlier stage, for this reason.
    pub fn refuse(&mut self, clock: &impl Clock, reason: Reason) -> Report {
        self.answer(|cycle, _| cycle.read(clock).and(Err(reason)))
    }

    /// Forgets the last frame and the last reading of the clock, for a reset after faults: a single reading, or a time of capture, that
    /// was far ahead would refuse every later one. The next frame is then as the first. A [`Watchdog`](crate::Watchdog) has a reset of its own.
    pub fn reset(&mut self) {
        self.sequence = Sequence::new(self.settings.max_lost);
        self.clock = Duration::ZERO;
    }

    fn answer(
        &mut self,
        judge: impl FnOnce(&mut Self, &mut Report) -> Result<Verdict, Reason>,
    ) -> Report {
        let mut report = Report {
            cycle: self.cycle,
            counter: None,
            captured: None,
            lost: 0,
            latency: None,
            outcome: Outcome::Fault {
                reason: Reason::Missing,
            },
            forecast: None,
        };
        self.cycle = self.cycle.saturating_add(1);
        report.outcome = match judge(self, &mut report) {
            // Both are asked, so that a verdict that contradicts itself certifies nothing.
            Ok(verdict) if verdict.certified && verdict.slack > 0 => Outcome::Certified {
                class: verdict.predicted,
                slack: verdict.slack,
            },
            Ok(verdict) => Outcome::NotCertified {
                class: verdict.predicted,
                slack: verdict.slack,
            },
            Err(reason) => Outcome::Fault { reason },
        };
        if let Some(latency) = report.latency {
            self.pace.observe(latency);
        }
        report.forecast = self.pace.forecast();
        log::cycle(&report);
        report
    }

    fn judge<P: Payload>(
        &mut self,
        clock: &impl Clock,
        frame: Option<&Frame<P>>,
        damage: &mut impl Damage,
        report: &mut Report,
    ) -> Result<Verdict, Reason> {
        let start = self.read(clock)?;
        let frame = frame.ok_or(Reason::Missing)?;
        // First of all: an unsound header must not reach the sequence.
        frame.check(self.settings.data_id)?;
        let header = frame.header();
        report.counter = Some(header.counter);
        report.captured = Some(header.captured);
        report.lost = self.sequence.admit(header, start)?;
        let age = since(header, start)?;
        if age > self.settings.max_age {
            return Err(Reason::Stale { age });
        }
        let verdict = self
            .channels
            .verdict(&self.settings, frame.scores(), damage)?;
        let latency = since(header, self.read(clock)?)?;
        report.latency = Some(latency);
        if latency > self.settings.deadline {
            return Err(Reason::Overrun { latency });
        }
        Ok(verdict)
    }

    /// Reads the clock, which must not go back.
    fn read(&mut self, clock: &impl Clock) -> Result<Duration, Reason> {
        let now = clock.now();
        if now < self.clock {
            return Err(Reason::ClockBackwards);
        }
        self.clock = now;
        Ok(now)
    }
}

/// Time from capture to `now`.
fn since(header: Header, now: Duration) -> Result<Duration, Reason> {
    let captured = header.captured;
    now.checked_sub(captured)
        .ok_or(Reason::FromTheFuture { captured, now })
}
