//! The fail-safe logic, cycle by cycle.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use std::num::NonZeroU8;
use std::time::Duration;

use bagcert_certifier::failsafe::{
    Deadline, Event, FailSafe, FaultKind, Input, Judgement, Limits, LimitsError, Mark, Mode,
    Output, SelfTest, Trust, self_test,
};
use proptest::prelude::*;

const CLASSES: usize = 10;
const PERIOD: Duration = Duration::from_millis(33);
const GOOD: u8 = 3;
const STRIKES: u8 = 4;
const WINDOW: u8 = 8;
const MAX_LOST: u32 = 2;
const MAX_AGE: Duration = Duration::from_millis(20);

fn limits() -> Limits {
    Limits {
        classes: CLASSES,
        max_age: MAX_AGE,
        max_lost: MAX_LOST,
        good_cycles: NonZeroU8::new(GOOD).unwrap(),
        strikes: STRIKES,
        window: WINDOW,
    }
}

type Change = fn(&mut Input);

/// Steps at the camera's rate.
struct Bench {
    logic: FailSafe,
    number: u32,
}

const CERTIFIED: Judgement = Judgement::Certified { class: 3 };
const NOT_CERTIFIED: Judgement = Judgement::NotCertified { class: 3 };
const FRAME: Judgement = Judgement::Fault(FaultKind::Frame);

impl Bench {
    fn new() -> Bench {
        Bench {
            logic: FailSafe::new(limits(), SelfTest::Passed).unwrap(),
            number: 0,
        }
    }

    fn nominal() -> Bench {
        let mut bench = Bench::new();
        for _ in 0..GOOD {
            bench.step(CERTIFIED, Some(3));
        }
        assert_eq!(bench.logic.mode(), Mode::Nominal);
        bench
    }

    /// What a sound cycle has.
    fn input(&mut self, judgement: Judgement, primary: Option<usize>) -> Input {
        self.number += 1;
        Input {
            judgement,
            primary,
            frame: Some(Mark {
                counter: self.number,
                age: Duration::from_millis(10),
            }),
            deadline: Deadline::Met,
            now: PERIOD * self.number,
        }
    }

    fn step(&mut self, judgement: Judgement, primary: Option<usize>) -> Output {
        let input = self.input(judgement, primary);
        self.logic.step(&input)
    }

    fn with(&mut self, change: impl FnOnce(&mut Input)) -> Output {
        let mut input = self.input(CERTIFIED, Some(3));
        change(&mut input);
        self.logic.step(&input)
    }
}

#[test]
fn the_start_takes_good_cycles_and_gives_no_class() {
    let mut bench = Bench::new();
    for cycle in 1..=GOOD {
        let output = bench.step(CERTIFIED, Some(3));
        assert_eq!((output.trust, output.class), (Trust::None, None));
        let mode = if cycle < GOOD {
            Mode::Init
        } else {
            Mode::Nominal
        };
        assert_eq!(output.mode, mode);
    }
    assert_eq!(bench.step(CERTIFIED, Some(3)).trust, Trust::Confirmed);
    // A fault sends the count back to nothing.
    let mut bench = Bench::new();
    for _ in 1..GOOD {
        bench.step(CERTIFIED, Some(3));
    }
    bench.step(FRAME, None);
    for cycle in 1..=GOOD {
        assert_eq!(bench.logic.mode(), Mode::Init, "{cycle}");
        bench.step(NOT_CERTIFIED, Some(3));
    }
    assert_eq!(bench.logic.mode(), Mode::Nominal);
    // Without a primary perception it ends in the degraded mode.
    let mut bench = Bench::new();
    for _ in 0..GOOD {
        bench.step(CERTIFIED, None);
    }
    assert_eq!(bench.logic.mode(), Mode::Degraded);
    let output = bench.step(CERTIFIED, None);
    assert_eq!((output.trust, output.class), (Trust::Fallback, Some(3)));
}

#[test]
fn each_pair_of_answers_has_its_trust() {
    for (judgement, primary, trust, class) in [
        (CERTIFIED, Some(3), Trust::Confirmed, Some(3)),
        (CERTIFIED, Some(5), Trust::Overrides, Some(3)),
        (CERTIFIED, None, Trust::Fallback, Some(3)),
        // No class that there is: as if the primary perception had said nothing.
        (CERTIFIED, Some(CLASSES), Trust::Fallback, Some(3)),
        (NOT_CERTIFIED, Some(5), Trust::Unverified, Some(5)),
        (NOT_CERTIFIED, Some(3), Trust::Unverified, Some(3)),
        (NOT_CERTIFIED, None, Trust::None, None),
        (NOT_CERTIFIED, Some(CLASSES), Trust::None, None),
    ] {
        let output = Bench::nominal().step(judgement, primary);
        assert_eq!((output.trust, output.class), (trust, class));
    }
}

#[test]
fn degraded_heals_after_good_cycles_in_a_row() {
    let mut bench = Bench::nominal();
    let output = bench.step(FRAME, Some(3));
    assert_eq!(
        (output.mode, output.trust, output.class),
        (Mode::Degraded, Trust::None, None)
    );
    for round in 0..2 {
        for cycle in 1..GOOD {
            let output = bench.step(NOT_CERTIFIED, Some(3));
            assert_eq!(output.mode, Mode::Degraded, "{round} {cycle}");
            // The primary perception alone is not enough here.
            assert_eq!((output.trust, output.class), (Trust::None, None));
        }
        if round == 0 {
            // Not a fault, but no good cycle.
            let output = bench.step(CERTIFIED, None);
            assert_eq!(
                (output.mode, output.trust),
                (Mode::Degraded, Trust::Fallback)
            );
        }
    }
    assert_eq!(bench.step(CERTIFIED, Some(3)).mode, Mode::Nominal);
}

#[test]
fn strikes_within_the_window_latch() {
    // So far apart that never enough fall into one window.
    let mut bench = Bench::nominal();
    for round in 0..20 {
        for gap in 0..WINDOW.div_ceil(STRIKES - 1) {
            let output = if gap == 0 {
                bench.step(FRAME, None)
            } else {
                bench.step(CERTIFIED, Some(3))
            };
            assert_ne!(output.mode, Mode::SafeState, "{round}");
            assert!(output.strikes < STRIKES);
        }
    }
    // The last of the strikes lies just within, or just without the window.
    for (gap, latched) in [(WINDOW - STRIKES, true), (WINDOW - STRIKES + 1, false)] {
        let mut bench = Bench::nominal();
        for _ in 1..STRIKES {
            assert_eq!(bench.step(FRAME, None).mode, Mode::Degraded);
        }
        for _ in 0..gap {
            bench.step(CERTIFIED, Some(3));
        }
        let output = bench.step(FRAME, None);
        assert_eq!(output.mode == Mode::SafeState, latched);
        assert_eq!(output.trust == Trust::SafeStop, latched);
    }
    // Contradictions count, and in the very cycle that latches the class is gone.
    let mut bench = Bench::nominal();
    for strike in 1..=STRIKES {
        let output = bench.step(CERTIFIED, Some(5));
        if strike < STRIKES {
            assert_eq!((output.trust, output.class), (Trust::Overrides, Some(3)));
        } else {
            assert_eq!((output.trust, output.class), (Trust::SafeStop, None));
        }
    }
}

#[test]
fn strikes_latch_in_every_mode() {
    let mut bench = Bench::new();
    for strike in 1..=STRIKES {
        let mode = bench.step(FRAME, None).mode;
        let expected = if strike < STRIKES {
            Mode::Init
        } else {
            Mode::SafeState
        };
        assert_eq!(mode, expected);
    }
}

#[test]
fn what_is_not_to_be_trusted_latches_at_once() {
    let wrong: [(&str, Change); 6] = [
        ("fault of the machine", |input| {
            input.judgement = Judgement::Fault(FaultKind::Integrity);
        }),
        ("a clock that goes back", |input| {
            input.now = input.now.checked_sub(PERIOD * 2).unwrap();
        }),
        ("a clock that stands still", |input| input.now -= PERIOD),
        ("a verdict of no frame", |input| input.frame = None),
        ("a class that is none", |input| {
            input.judgement = Judgement::Certified { class: CLASSES };
        }),
        ("another class that is none", |input| {
            input.judgement = Judgement::NotCertified { class: usize::MAX };
        }),
    ];
    for (what, change) in wrong {
        let mut bench = Bench::nominal();
        let output = bench.with(change);
        assert_eq!(
            (output.event, output.mode, output.trust, output.class),
            (Event::Integrity, Mode::SafeState, Trust::SafeStop, None),
            "{what}"
        );
        // Nothing that comes later is worth anything, until it is reset.
        for _ in 0..100 {
            let output = bench.step(CERTIFIED, Some(3));
            assert_eq!(
                (output.mode, output.trust),
                (Mode::SafeState, Trust::SafeStop)
            );
        }
        assert_eq!(bench.logic.reset(SelfTest::Failed).mode, Mode::SafeState);
        let output = bench.logic.reset(SelfTest::Passed);
        assert_eq!(
            (output.mode, output.trust, output.class),
            (Mode::Init, Trust::None, None)
        );
        for _ in 0..GOOD {
            assert_eq!(bench.step(CERTIFIED, Some(3)).trust, Trust::None);
        }
        assert_eq!(
            bench.step(CERTIFIED, Some(3)).trust,
            Trust::Confirmed,
            "{what}"
        );
    }
}

#[test]
fn frames_out_of_order_too_old_or_late() {
    let wrong: [(&str, Event, Change); 7] = [
        ("the same counter", Event::FrameFault, |input| {
            input.frame.as_mut().unwrap().counter -= 1;
        }),
        ("an older counter", Event::FrameFault, |input| {
            input.frame.as_mut().unwrap().counter -= 2;
        }),
        ("a jump", Event::FrameFault, |input| {
            input.frame.as_mut().unwrap().counter += MAX_LOST + 1;
        }),
        ("an old frame", Event::FrameFault, |input| {
            input.frame.as_mut().unwrap().age = MAX_AGE + Duration::from_nanos(1);
        }),
        ("no frame", Event::FrameFault, |input| {
            (input.frame, input.judgement) = (None, FRAME);
        }),
        ("a late verdict", Event::Late, |input| {
            input.deadline = Deadline::Missed;
        }),
        ("a stage that does not answer", Event::Late, |input| {
            input.judgement = Judgement::Fault(FaultKind::Late);
        }),
    ];
    for (what, event, change) in wrong {
        let mut bench = Bench::nominal();
        let output = bench.with(change);
        assert_eq!(output.event, event, "{what}");
        assert_eq!(
            (output.mode, output.trust, output.class),
            (Mode::Degraded, Trust::None, None),
            "{what}"
        );
    }
    // What is just within the limits is none.
    let mut bench = Bench::nominal();
    let output = bench.with(|input| {
        let mark = input.frame.as_mut().unwrap();
        (mark.counter, mark.age) = (mark.counter + MAX_LOST, MAX_AGE);
    });
    assert_eq!(output.trust, Trust::Confirmed);
    // The counter wraps.
    let mut bench = Bench::nominal();
    bench.with(|input| input.frame.as_mut().unwrap().counter = u32::MAX);
    bench.number = u32::MAX;
    for counter in [0, 1] {
        let output = bench.logic.step(&Input {
            judgement: CERTIFIED,
            primary: Some(3),
            frame: Some(Mark {
                counter,
                age: Duration::ZERO,
            }),
            deadline: Deadline::Met,
            now: Duration::from_secs(1000) * (counter + 1),
        });
        assert_eq!(output.event, Event::Confirmed, "{counter}");
    }
}

/// A limit that lets any number of frames be lost lets none come twice.
#[test]
fn a_counter_that_goes_back_is_never_in_order() {
    let forward = u32::MAX / 2;
    for max_lost in [forward, u32::MAX - 1, u32::MAX] {
        let limits = Limits {
            max_lost,
            good_cycles: NonZeroU8::MIN,
            ..limits()
        };
        let steps = [
            (0, Event::FrameFault),
            (1, Event::Confirmed),
            (forward, Event::Confirmed),
            (forward + 1, Event::FrameFault),
            (u32::MAX, Event::FrameFault),
        ];
        for (step, event) in steps {
            let mut bench = Bench::new();
            bench.logic = FailSafe::new(limits, SelfTest::Passed).unwrap();
            bench.step(CERTIFIED, Some(3));
            let output = bench.with(|input| {
                input.frame.as_mut().unwrap().counter = 1u32.wrapping_add(step);
            });
            assert_eq!(output.event, event, "{step} of {max_lost}");
            assert_eq!(output.trust.is_certified(), event.is_certified());
        }
    }
}

#[test]
fn every_flipped_bit_of_its_own_memory_is_a_safe_stop_for_good() {
    let words = Bench::nominal().logic.words_mut().count();
    for word in 0..words {
        for bit in 0..32 {
            let mut bench = Bench::nominal();
            *bench.logic.words_mut().nth(word).unwrap() ^= 1 << bit;
            for _ in 0..3 {
                let output = bench.step(CERTIFIED, Some(3));
                assert_eq!(
                    (output.mode, output.trust),
                    (Mode::SafeState, Trust::SafeStop)
                );
                assert_eq!(output.class, None);
                // Its limits are lost.
                assert_eq!(bench.logic.reset(SelfTest::Passed).mode, Mode::SafeState);
            }
            assert_eq!(bench.logic.mode(), Mode::SafeState);
        }
    }
    // The same bits in both copies, so that they agree, in a mode that is none.
    let mut bench = Bench::nominal();
    let half = words / 2;
    *bench.logic.words_mut().nth(6).unwrap() ^= 8;
    *bench.logic.words_mut().nth(half + 6).unwrap() ^= 8;
    assert_eq!(bench.step(CERTIFIED, Some(3)).trust, Trust::SafeStop);
}

#[test]
fn limits_that_cannot_be_kept_to() {
    let refused = |change: fn(&mut Limits)| {
        let mut limits = limits();
        change(&mut limits);
        let error = FailSafe::new(limits, SelfTest::Passed).err().unwrap();
        (error, error.to_string())
    };
    for classes in [0, 1, 65_536, usize::MAX] {
        let mut limits = limits();
        limits.classes = classes;
        let error = FailSafe::new(limits, SelfTest::Passed).err().unwrap();
        assert_eq!(error, LimitsError::Classes { classes });
        assert!(error.to_string().contains(&classes.to_string()));
    }
    let (error, text) = refused(|limits| limits.window = 0);
    assert_eq!(error, LimitsError::Window { window: 0 });
    assert!(text.contains("over 0 cycles"));
    let (error, _) = refused(|limits| limits.window = 33);
    assert_eq!(error, LimitsError::Window { window: 33 });
    let (error, text) = refused(|limits| limits.strikes = 9);
    assert_eq!(
        error,
        LimitsError::Strikes {
            strikes: 9,
            window: 8
        }
    );
    assert!(text.contains("9 strikes within 8 cycles"));
    let (error, _) = refused(|limits| limits.strikes = 0);
    assert_eq!(
        error,
        LimitsError::Strikes {
            strikes: 0,
            window: 8
        }
    );
    let (error, text) = refused(|limits| limits.max_age = Duration::ZERO);
    assert_eq!(error, LimitsError::NoTime);
    assert!(text.contains("age"));
    // The edges are allowed, and work.
    let mut wide = limits();
    (wide.classes, wide.strikes, wide.window) = (65_535, 32, 32);
    let mut bench = Bench {
        logic: FailSafe::new(wide, SelfTest::Passed).unwrap(),
        number: 0,
    };
    for strike in 1..=32 {
        let output = bench.step(FRAME, None);
        assert_eq!(output.mode == Mode::SafeState, strike == 32);
        assert_eq!(output.strikes, strike);
    }
}

#[test]
fn a_failed_self_test_starts_in_the_safe_state() {
    assert_eq!(self_test(), SelfTest::Passed);
    let mut bench = Bench::new();
    bench.logic = FailSafe::new(limits(), SelfTest::Failed).unwrap();
    assert_eq!(bench.step(CERTIFIED, Some(3)).trust, Trust::SafeStop);
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        20 => (0u64..40).prop_map(Duration::from_millis),
        1 => any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn class() -> impl Strategy<Value = usize> {
    prop_oneof![20 => 0..CLASSES, 1 => any::<usize>()]
}

fn judgement() -> impl Strategy<Value = Judgement> {
    prop_oneof![
        6 => class().prop_map(|class| Judgement::Certified { class }),
        3 => class().prop_map(|class| Judgement::NotCertified { class }),
        2 => Just(FRAME),
        1 => Just(Judgement::Fault(FaultKind::Late)),
        1 => Just(Judgement::Fault(FaultKind::Integrity)),
    ]
}

#[derive(Clone, Debug)]
struct Step {
    judgement: Judgement,
    primary: Option<usize>,
    /// How far the counter moves on, and the frame's age.
    frame: Option<(u32, Duration)>,
    missed: bool,
    /// How far the clock moves on, or back.
    clock: i64,
    reset: Option<SelfTest>,
}

fn step() -> impl Strategy<Value = Step> {
    let forward = prop_oneof![10 => Just(1u32), 1 => 0u32..6, 1 => any::<u32>()];
    let reset = prop_oneof![Just(SelfTest::Passed), Just(SelfTest::Failed)];
    (
        judgement(),
        prop::option::weighted(0.8, class()),
        prop::option::weighted(0.95, (forward, duration())),
        prop::bool::weighted(0.05),
        prop_oneof![30 => Just(33i64), 1 => -50i64..50],
        prop::option::weighted(0.1, reset),
    )
        .prop_map(|(judgement, primary, frame, missed, clock, reset)| Step {
            judgement,
            primary,
            frame,
            missed,
            clock,
            reset,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_gains_trust_that_its_cycle_has_not(steps in prop::collection::vec(step(), 1..120)) {
        let mut logic = FailSafe::new(limits(), SelfTest::Passed).unwrap();
        let (mut counter, mut clock) = (0u32, 1_000_000i64);
        let mut latest = 0;
        // Good cycles since the last one that was none.
        let mut good = 0;
        for step in steps {
            let before = logic.mode();
            if let Some(self_test) = step.reset {
                let output = logic.reset(self_test);
                let passed = self_test == SelfTest::Passed;
                prop_assert_eq!(output.mode, if passed { Mode::Init } else { Mode::SafeState });
                prop_assert!(!output.trust.has_class() && output.class.is_none());
                good = 0;
                if passed {
                    latest = 0;
                }
                continue;
            }
            clock = (clock + step.clock).max(1);
            let frame = step.frame.map(|(forward, age)| {
                counter = counter.wrapping_add(forward);
                Mark { counter, age }
            });
            let output = logic.step(&Input {
                judgement: step.judgement,
                primary: step.primary,
                frame,
                deadline: if step.missed { Deadline::Missed } else { Deadline::Met },
                now: Duration::from_millis(clock as u64),
            });
            let backwards = clock <= latest;
            latest = latest.max(clock);

            // What is said must be what is sent.
            prop_assert_eq!(Output::decode(&output.encode()), Some(output));
            prop_assert_eq!(output.class.is_some(), output.trust.has_class());
            let faulty = backwards
                || matches!(step.judgement, Judgement::Fault(_))
                || step.missed
                || frame.is_none_or(|mark| mark.age > MAX_AGE);
            if faulty {
                prop_assert!(!output.trust.has_class(), "{output:?}");
                prop_assert!(output.event.is_fault());
                prop_assert_ne!(output.mode, Mode::Nominal);
            }
            if output.trust.is_certified() {
                let Judgement::Certified { class } = step.judgement else {
                    panic!("certified trust without a certificate: {output:?}");
                };
                prop_assert_eq!(output.class.map(usize::from), Some(class));
            }
            match output.trust {
                Trust::Confirmed => prop_assert_eq!(output.class.map(usize::from), step.primary),
                Trust::Overrides => prop_assert_ne!(output.class.map(usize::from), step.primary),
                Trust::Unverified => {
                    prop_assert_eq!(output.class.map(usize::from), step.primary);
                    prop_assert_eq!(before, Mode::Nominal);
                }
                _ => {}
            }
            // The safe state is left by a reset only, and entered at once.
            if before == Mode::SafeState {
                prop_assert_eq!(output.mode, Mode::SafeState);
            }
            prop_assert_eq!(output.mode == Mode::SafeState, output.trust == Trust::SafeStop);
            // Nominal is earned.
            let sound = matches!(output.event, Event::Confirmed | Event::Unverified);
            let plain = matches!(output.event, Event::FallbackOnly | Event::Unknown);
            good = if sound || (plain && before == Mode::Init) { good + 1 } else { 0 };
            if output.mode == Mode::Nominal && before != Mode::Nominal {
                prop_assert!(good >= u32::from(GOOD), "{good}");
            }
        }
    }
}
