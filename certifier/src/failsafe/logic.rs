//! One step a cycle.

use super::event::{Deadline, Event, FaultKind, Input, Judgement};
use super::kept::{Kept, Twice};
use super::limits::{Limits, LimitsError};
use super::output::Output;
use super::self_test::SelfTest;
use super::table::{Mode, Next, Trust, reaction};

/// The fail-safe logic with its memory.
pub struct FailSafe {
    kept: Twice,
}

impl FailSafe {
    /// In `Init`, or in `SafeState` where the self-test failed.
    ///
    /// # Errors
    /// Limits that cannot be kept to.
    pub fn new(limits: Limits, self_test: SelfTest) -> Result<Self, LimitsError> {
        limits.check()?;
        let mode = match self_test {
            SelfTest::Passed => Mode::Init,
            SelfTest::Failed => Mode::SafeState,
        };
        Ok(Self {
            kept: Twice::new(&Kept::new(limits, mode)),
        })
    }

    /// The mode after the last step. `SafeState` where the logic's own memory is damaged.
    pub fn mode(&self) -> Mode {
        self.kept.load().map_or(Mode::SafeState, |kept| kept.mode)
    }

    /// One cycle, whether a frame and a verdict came or not.
    ///
    /// Where the logic's own memory is damaged the output is a safe stop, in this step and in every
    /// later one, whatever is reset: the limits are not known any more, and a new `FailSafe` is to be
    /// made.
    pub fn step(&mut self, input: &Input) -> Output {
        let Some(mut kept) = self.kept.load() else {
            return Output::damaged();
        };
        let (event, class) = classify(&mut kept, input);
        self.react(kept, event, class, input.primary)
    }

    /// A reset: to `Init` where the self-test passed, else to `SafeState`.
    ///
    /// The caller runs the self-test anew: [`self_test`](super::self_test()) and whatever else the
    /// machine needs, such as golden frames through the engine.
    pub fn reset(&mut self, self_test: SelfTest) -> Output {
        let Some(kept) = self.kept.load() else {
            return Output::damaged();
        };
        let event = match self_test {
            SelfTest::Passed => Event::ResetPassed,
            SelfTest::Failed => Event::ResetFailed,
        };
        self.react(kept, event, None, None)
    }

    /// The words of what is kept, both copies, to be damaged by fault injection.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut u32> {
        self.kept.words_mut()
    }

    fn react(
        &mut self,
        mut kept: Kept,
        event: Event,
        class: Option<usize>,
        primary: Option<usize>,
    ) -> Output {
        let reaction = reaction(kept.mode, event);
        advance(&mut kept, reaction.next);
        let trust = if kept.mode == Mode::SafeState {
            Trust::SafeStop
        } else {
            reaction.trust
        };
        let class = match trust {
            Trust::SafeStop | Trust::None => None,
            Trust::Unverified => primary,
            Trust::Fallback | Trust::Overrides | Trust::Confirmed => class,
        };
        self.kept.store(&kept);
        Output {
            mode: kept.mode,
            event,
            trust,
            // Fits: classes are fewer than 65,536, and a class that is not below them is none.
            class: class.and_then(|class| u16::try_from(class).ok()),
            strikes: struck(&kept),
            frame: kept.counter.unwrap_or_default() as u16,
        }
    }
}

/// The event of a cycle, and the class of its verdict.
fn classify(kept: &mut Kept, input: &Input) -> (Event, Option<usize>) {
    let moved_on = kept.time.is_none_or(|last| input.now > last);
    // The latest time: a clock that went back must catch up, or be reset.
    kept.time = kept.time.max(Some(input.now));
    let in_order = order(kept, input);
    if !moved_on {
        return (Event::Integrity, None);
    }
    let (certified, class) = match input.judgement {
        Judgement::Fault(FaultKind::Integrity) => return (Event::Integrity, None),
        Judgement::Fault(FaultKind::Late) => return (Event::Late, None),
        Judgement::Fault(FaultKind::Frame) => {
            let late = input.deadline == Deadline::Missed;
            let event = if late { Event::Late } else { Event::FrameFault };
            return (event, None);
        }
        Judgement::Certified { class } => (true, class),
        Judgement::NotCertified { class } => (false, class),
    };
    // A verdict of no frame, or for a class that is none: whoever says so is not to be trusted.
    let Some(mark) = input.frame else {
        return (Event::Integrity, None);
    };
    if class >= kept.limits.classes {
        return (Event::Integrity, None);
    }
    if input.deadline == Deadline::Missed {
        return (Event::Late, None);
    }
    if !in_order || mark.age > kept.limits.max_age {
        return (Event::FrameFault, None);
    }
    let primary = input.primary.filter(|class| *class < kept.limits.classes);
    let event = match (certified, primary) {
        (true, Some(primary)) if primary == class => Event::Confirmed,
        (true, Some(_)) => Event::Contradicted,
        (true, None) => Event::FallbackOnly,
        (false, Some(_)) => Event::Unverified,
        (false, None) => Event::Unknown,
    };
    (event, Some(class))
}

/// Steps of the wrapping counter that count as forward: half of its range.
const FORWARD: u32 = u32::MAX / 2;

/// Whether the alive counter has moved on, by no more than allowed. It is taken over also where it has
/// not, so that a restarted camera costs one cycle and not all of them.
fn order(kept: &mut Kept, input: &Input) -> bool {
    let Some(mark) = input.frame else {
        return false;
    };
    let before = kept.counter.replace(mark.counter);
    before.is_none_or(|before| {
        let lost = mark.counter.wrapping_sub(before).wrapping_sub(1);
        // A counter that stands still has lost 2^32 - 1, one that goes back at least half of its range.
        lost < FORWARD && lost <= kept.limits.max_lost
    })
}

fn advance(kept: &mut Kept, next: Next) {
    kept.strikes = kept.strikes.wrapping_shl(1);
    let good = kept.good.saturating_add(1);
    kept.good = 0;
    match next {
        Next::Good(mode) => {
            kept.good = good;
            if good >= u32::from(kept.limits.good_cycles.get()) {
                kept.mode = mode;
            }
        }
        Next::Plain(mode) => kept.mode = mode,
        Next::Strike(mode) => {
            kept.strikes |= 1;
            let too_many = struck(kept) >= kept.limits.strikes;
            kept.mode = if too_many { Mode::SafeState } else { mode };
        }
        Next::Latch => kept.mode = Mode::SafeState,
        Next::Restart => *kept = Kept::new(kept.limits, Mode::Init),
    }
}

/// Strikes within the window.
fn struck(kept: &Kept) -> u8 {
    let beyond = 32u32.saturating_sub(u32::from(kept.limits.window));
    let window = u32::MAX.checked_shr(beyond).unwrap_or(0);
    // At most 32.
    (kept.strikes & window).count_ones() as u8
}
