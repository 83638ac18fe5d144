//! The supervising stage: called once a cycle by a timer. It certifies what has come, takes the
//! primary perception's class, and sends one answer.

use std::time::Duration;

use bagcert_certifier::failsafe::{
    FailSafe, Limits, MESSAGE_LEN, Mode, Output, Receiver, SelfTest, Sender, Status, self_test,
};
use bagcert_firmware_sim::{Clock, Cycle, Frame, Outcome, Reason, Report, Watchdog};
use clap::ValueEnum;

use super::damage::{FlipMemory, Random, Values};
use super::scenario::Kind;

/// The stream of the answers.
const ANSWERS: u32 = 0x0BA6_CE28;
/// Messages that the receiving end may lose in a row, and one.
const MAX_DELTA: u16 = 4;

/// Where the primary perception's class comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Primary {
    /// The model's own prediction, certified or not: one perception that is watched.
    Model,
    /// The frame's label: another perception, which is always right.
    Label,
    /// There is none.
    None,
}

/// What came for a cycle.
pub(crate) enum Arrival {
    Frame(Frame<Values>),
    Refused(Reason),
    Nothing,
}

/// One cycle, done.
pub(crate) struct Turn {
    pub(crate) report: Report,
    pub(crate) before: Mode,
    pub(crate) output: Output,
    /// What the primary perception said.
    pub(crate) primary: Option<usize>,
    pub(crate) message: [u8; MESSAGE_LEN],
    /// What the receiving end made of the message.
    pub(crate) status: Status,
    pub(crate) received: Option<Output>,
    /// Whether the message of the cycle before was taken: it is known when it comes again.
    pub(crate) knows_last: bool,
    /// A reset that followed, and the mode that it led to.
    pub(crate) reset: Option<Mode>,
}

/// The stage with its memory.
pub(crate) struct Supervisor<'m> {
    cycle: Cycle<'m>,
    limits: Limits,
    logic: FailSafe,
    pub(crate) watchdog: Watchdog,
    sender: Sender,
    receiver: Receiver,
    primary: Primary,
    seed: u64,
    /// Cycles in the safe state after which it is reset; `None` for never.
    reset_after: Option<u32>,
    in_safe_state: u32,
    last: Option<[u8; MESSAGE_LEN]>,
    /// Whether the last message was taken.
    taken: bool,
}

impl<'m> Supervisor<'m> {
    pub(crate) fn new(
        cycle: Cycle<'m>,
        limits: Limits,
        logic: FailSafe,
        watchdog: Watchdog,
        primary: Primary,
        seed: u64,
        reset_after: Option<u32>,
    ) -> Supervisor<'m> {
        Supervisor {
            cycle,
            limits,
            logic,
            watchdog,
            sender: Sender::new(ANSWERS),
            receiver: Receiver::new(ANSWERS, MAX_DELTA),
            primary,
            seed,
            reset_after,
            in_safe_state: 0,
            last: None,
            taken: false,
        }
    }

    /// One cycle. `label` is what the frame shows, where that is known.
    pub(crate) fn turn(
        &mut self,
        number: u32,
        clock: &impl Clock,
        arrival: &Arrival,
        label: Option<usize>,
        faults: &[Kind],
    ) -> Turn {
        let report = match arrival {
            Arrival::Frame(frame) => {
                let mut damage = FlipMemory {
                    seed: self.seed,
                    cycle: number,
                    faults,
                    scores_done: false,
                };
                self.cycle.run_damaged(clock, Some(frame), &mut damage)
            }
            Arrival::Refused(reason) => self.cycle.refuse(clock, *reason),
            Arrival::Nothing => match self.watchdog.check(clock.now()) {
                Ok(()) => self.cycle.run::<Values>(clock, None),
                Err(reason) => self.cycle.refuse(clock, reason),
            },
        };
        let primary = self.primary(&report, label, faults);
        let before = self.logic.mode();
        if has(faults, |kind| matches!(kind, Kind::FlipLogic)) {
            Random::of(self.seed, number, Kind::FlipLogic).flip_word(self.logic.words_mut());
        }
        let output = self.logic.step(&report.input(primary, clock.now()));
        let message = self.sender.send(&output);
        let knows_last = self.taken;
        let (status, received) = self.receive(number, message, faults);
        self.taken = received.is_some();
        Turn {
            report,
            before,
            output,
            primary,
            message,
            status,
            received,
            knows_last,
            reset: None,
        }
    }

    /// Whether it is time for a reset, after the cycle that ended with this output.
    pub(crate) fn wants_reset(&mut self, output: &Output) -> bool {
        if output.mode != Mode::SafeState {
            self.in_safe_state = 0;
            return false;
        }
        self.in_safe_state = self.in_safe_state.saturating_add(1);
        self.reset_after
            .is_some_and(|cycles| self.in_safe_state >= cycles)
    }

    /// A reset, with `model` what the known answer through the model said. A logic whose memory is
    /// damaged is made anew.
    pub(crate) fn reset(&mut self, model: Result<(), Reason>, now: Duration) -> Mode {
        let outcome = match model {
            Ok(()) => self_test(),
            Err(_) => SelfTest::Failed,
        };
        self.in_safe_state = 0;
        // After a failed one a stage that hangs goes on to be seen.
        if outcome == SelfTest::Passed {
            self.cycle.reset();
            self.watchdog.reset(now);
        }
        let mode = self.logic.reset(outcome).mode;
        if mode == Mode::SafeState
            && outcome == SelfTest::Passed
            && let Ok(logic) = FailSafe::new(self.limits, outcome)
        {
            self.logic = logic;
        }
        self.logic.mode()
    }

    fn primary(&self, report: &Report, label: Option<usize>, faults: &[Kind]) -> Option<usize> {
        let truth = match self.primary {
            Primary::None => None,
            Primary::Label => label,
            Primary::Model => match report.outcome {
                Outcome::Certified { class, .. } | Outcome::NotCertified { class, .. } => {
                    Some(class)
                }
                Outcome::Fault { .. } => None,
            },
        };
        let mut said = truth;
        for kind in faults {
            match kind {
                Kind::Lie(Some(class)) => said = Some(*class),
                Kind::Lie(None) => {
                    let next = truth.map_or(0, |class| class.saturating_add(1));
                    said = next.checked_rem(self.limits.classes);
                }
                Kind::Silent => said = None,
                _ => {}
            }
        }
        said
    }

    /// The message's way to the other end.
    fn receive(
        &mut self,
        number: u32,
        message: [u8; MESSAGE_LEN],
        faults: &[Kind],
    ) -> (Status, Option<Output>) {
        let before = self.last.replace(message);
        let mut arrived = Some(message);
        for kind in faults {
            match kind {
                Kind::RepeatMessage => arrived = before.or(arrived),
                Kind::DropMessage => arrived = None,
                Kind::FlipMessage(bits) => {
                    if let Some(message) = &mut arrived {
                        Random::of(self.seed, number, *kind).flip_bytes(message, *bits);
                    }
                }
                _ => {}
            }
        }
        self.receiver
            .receive(arrived.as_ref().map(<[u8; MESSAGE_LEN]>::as_slice))
    }
}

pub(crate) fn has(faults: &[Kind], kind: impl Fn(&Kind) -> bool) -> bool {
    faults.iter().any(kind)
}

/// The clock of a stage that a scenario can set back.
pub(crate) fn set_back(faults: &[Kind], now: Duration) -> Duration {
    faults.iter().fold(now, |now, kind| match kind {
        Kind::ClockBack(delay) => now.saturating_sub(*delay),
        _ => now,
    })
}
