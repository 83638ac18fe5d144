//! What is looked at beside the frame itself: pictures, the model in memory, the certifier's memory,
//! stages that hang. And what the fail-safe logic is told of it all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::time::Duration;

use bagcert_certifier::Fault;
use bagcert_certifier::failsafe::{Deadline, FaultKind, Judgement};
use bagcert_firmware_sim::{
    DataId, Frame, Header, KnownAnswer, Outcome, PictureGuard, Reason, Report, Scores, Watchdog,
};
use support::engine::{Engine, PIXELS, picture};
use support::*;

const CAMERA: DataId = DataId(0xCA3E_0001);

fn sealed_picture(counter: u32, pixels: [f32; PIXELS]) -> Frame<[f32; PIXELS]> {
    let captured = taken(counter);
    Frame::seal(CAMERA, Header { counter, captured }, pixels)
}

#[test]
fn every_flipped_bit_and_every_tear_of_a_picture_is_seen() {
    let mut random = Random(11);
    let (before, now) = (picture(&mut random), picture(&mut random));
    let mut guard = PictureGuard::new(CAMERA);
    assert_eq!(guard.check(&sealed_picture(0, before)), Ok(()));
    let corrupt = |outcome| {
        assert!(
            matches!(outcome, Err(Reason::Corrupt { .. })),
            "{outcome:?}"
        )
    };
    for at in 0..PIXELS {
        for bit in 0..32 {
            let mut frame = sealed_picture(1, now);
            let pixel = &mut frame.payload_mut()[at];
            *pixel = f32::from_bits(pixel.to_bits() ^ 1 << bit);
            corrupt(guard.check(&frame));
        }
    }
    // Half of this picture, half of the one before, under either header.
    for cut in 1..PIXELS {
        for (counter, first, second) in [(1, &now, &before), (0, &before, &now)] {
            let mut frame = sealed_picture(counter, *first);
            frame.payload_mut()[cut..].copy_from_slice(&second[cut..]);
            corrupt(guard.check(&frame));
        }
    }
    let other = Frame::seal(ID, sealed_picture(1, now).header(), now);
    corrupt(guard.check(&other));
    assert_eq!(guard.check(&sealed_picture(1, now)), Ok(()));
}

#[test]
fn a_frozen_picture_under_a_moving_counter() {
    let mut random = Random(12);
    let mut guard = PictureGuard::new(CAMERA);
    let first = picture(&mut random);
    assert_eq!(guard.check(&sealed_picture(0, first)), Ok(()));
    for counter in 1..10 {
        let outcome = guard.check(&sealed_picture(counter, first));
        assert!(matches!(outcome, Err(Reason::Frozen { .. })), "{outcome:?}");
    }
    // The least noise is enough.
    let mut moved = first;
    moved[77] = f32::from_bits(moved[77].to_bits() + 1);
    assert_eq!(guard.check(&sealed_picture(10, moved)), Ok(()));
}

/// A camera that stopped, whose driver goes on through the buffers that it has filled.
#[test]
fn frozen_pictures_in_several_buffers_under_a_moving_counter() {
    for buffers in 2..=PictureGuard::REMEMBERED {
        let mut random = Random(13);
        let mut guard = PictureGuard::new(CAMERA);
        let pictures: Vec<_> = (0..buffers).map(|_| picture(&mut random)).collect();
        for (counter, pixels) in (0..).zip(&pictures) {
            assert_eq!(guard.check(&sealed_picture(counter, *pixels)), Ok(()));
        }
        for counter in buffers..10 * buffers {
            let pixels = pictures[counter % buffers];
            let outcome = guard.check(&sealed_picture(counter as u32, pixels));
            assert!(
                matches!(outcome, Err(Reason::Frozen { .. })),
                "{buffers} buffers: {outcome:?}"
            );
        }
        // It is alive again.
        let next = sealed_picture(1_000, picture(&mut random));
        assert_eq!(guard.check(&next), Ok(()));
    }
}

/// Two bits may lie as far apart as they like: at the order of a CRC of 32 bits a vote of one class and the size of another one's
/// logit would go unnoticed.
#[test]
fn two_flipped_bits_are_seen_at_any_distance() {
    const WORDS: usize = 10 * 32 * 32;
    let words: [f32; WORDS] = std::array::from_fn(|at| at as f32 - 5_000.5);
    let captured = taken(1);
    let mut frame = Frame::seal(
        CAMERA,
        Header {
            counter: 1,
            captured,
        },
        words,
    );
    let mut guard = PictureGuard::new(CAMERA);
    let flip = |frame: &mut Frame<[f32; WORDS]>, bit: usize| {
        let word = &mut frame.payload_mut()[bit / 32];
        *word = f32::from_bits(word.to_bits() ^ 1 << (bit % 32));
    };
    for distance in [1, 31, 32, 65_533, 65_534, 65_535, 2 * 65_534, 4 * 65_534] {
        for first in (0..WORDS * 32 - distance).step_by(4_099) {
            flip(&mut frame, first);
            flip(&mut frame, first + distance);
            assert!(
                matches!(guard.check(&frame), Err(Reason::Corrupt { .. })),
                "{first} and {distance} on"
            );
            flip(&mut frame, first);
            flip(&mut frame, first + distance);
        }
    }
    assert_eq!(guard.check(&frame), Ok(()));
}

/// Which flipped weights one known answer shows: all that change a bit of it, hence not those of a
/// class of which the picture shows nothing.
#[test]
fn a_known_answer_shows_flipped_weights() {
    let mut random = Random(13);
    let golden = picture(&mut random);
    let sound = Engine::new();
    let answer = KnownAnswer::new(Scores::Logits(&sound.logits(&golden)));
    assert_eq!(answer.check(Scores::Logits(&sound.logits(&golden))), Ok(()));
    let mut unseen = 0;
    for at in 0..sound.weights.len() {
        for bit in 0..32 {
            let mut damaged = sound.clone();
            let weight = &mut damaged.weights[at];
            *weight = f32::from_bits(weight.to_bits() ^ 1 << bit);
            let logits = damaged.logits(&golden);
            let same = logits.map(f32::to_bits) == sound.logits(&golden).map(f32::to_bits);
            let expected = if same { Ok(()) } else { Err(Reason::Model) };
            assert_eq!(answer.check(Scores::Logits(&logits)), expected);
            unseen += u32::from(same);
        }
    }
    println!(
        "of {} flipped bits {unseen} change nothing",
        sound.weights.len() * 32
    );
    assert!(unseen < 64, "{unseen}");
    // A picture that shows a class nothing says nothing of its weights.
    let mut blind = golden;
    blind[..SIDE * SIDE].fill(0.0);
    let answer = KnownAnswer::new(Scores::Logits(&sound.logits(&blind)));
    let mut damaged = sound;
    damaged.weights[0] = 9.0;
    assert_eq!(
        answer.check(Scores::Logits(&damaged.logits(&blind))),
        Ok(())
    );
}

/// Every bit of the scores, the votes and the tables, in either memory: it shows, or the verdict is
/// that of sound memory.
#[test]
fn every_flipped_bit_of_the_certifiers_memory_shows_or_does_no_harm() {
    let mut random = Random(14);
    let shape = settings().shape;
    let scores = (shape.classes().div_ceil(8) * shape.cells() * 8) as u64;
    let votes = shape.classes() as u64 * 32;
    let tables = shape.table_len() as u64 * 16;
    let mut twin = Twin::new();
    let mut cycle = twin.cycle();
    let clock = TestClock::default();
    let (mut seen, mut harmless) = (0u32, 0u32);
    let mut counter = 0;
    for round in 0..4 {
        let logits = if round == 0 {
            unanimous(1)
        } else {
            random.logits()
        };
        let alone = verdict(&logits);
        let flips = (0..scores)
            .map(|bit| (Some(bit), None, None))
            .chain((0..votes).map(|bit| (None, Some(bit), None)))
            .chain((0..tables).map(|bit| (None, None, Some(bit))));
        for (number, (score, vote, table)) in flips.enumerate() {
            let mut flip = FlipMemory {
                memory: number % 2,
                score,
                vote,
                table,
                ..FlipMemory::default()
            };
            let frame = sealed(counter, logits);
            clock.set(begins(counter), WORK);
            let outcome = cycle.run_damaged(&clock, Some(&frame), &mut flip).outcome;
            counter += 1;
            match outcome {
                Outcome::Fault { reason } => {
                    assert_eq!(reason, Reason::Memory);
                    seen += 1;
                }
                Outcome::Certified { class, slack } => {
                    assert!(alone.certified);
                    assert_eq!((class, slack), (alone.predicted, alone.slack));
                    harmless += 1;
                }
                Outcome::NotCertified { class, slack } => {
                    assert!(!alone.certified);
                    assert_eq!((class, slack), (alone.predicted, alone.slack));
                    harmless += 1;
                }
            }
        }
    }
    println!("{seen} flipped bits showed, {harmless} did no harm");
    assert!(seen > 1000 && harmless > 1000);
}

/// The same flips with one memory only: some of them are wrong certificates. This is what the second
/// memory is for.
#[test]
fn one_memory_alone_would_certify_wrongly() {
    let mut random = Random(15);
    let mut memory = Memory::new();
    let mut cycle = memory.cycle();
    let clock = TestClock::default();
    let mut wrong = 0;
    for counter in 0..20_000 {
        let logits = random.logits();
        let alone = verdict(&logits);
        let mut flip = FlipMemory {
            table: Some(random.next()),
            ..FlipMemory::default()
        };
        clock.set(begins(counter), WORK);
        let frame = sealed(counter, logits);
        let outcome = cycle.run_damaged(&clock, Some(&frame), &mut flip).outcome;
        wrong += u32::from(outcome.is_certified() && !alone.certified);
    }
    assert!(wrong > 0);
    println!("{wrong} wrong certificates of 20000");
}

#[test]
fn a_stage_that_hangs() {
    let ms = Duration::from_millis;
    let mut watchdog = Watchdog::new(ms(100), ms(50));
    assert_eq!(watchdog.check(ms(150)), Ok(()));
    let silent = ms(100) + Duration::from_nanos(1);
    assert_eq!(
        watchdog.check(ms(150) + Duration::from_nanos(1)),
        Err(Reason::Hang { silent })
    );
    watchdog.alive(ms(160));
    // A sign of life that comes out of order does not count.
    watchdog.alive(ms(20));
    assert_eq!(watchdog.check(ms(260)), Ok(()));
    assert_eq!(watchdog.check(ms(20)), Ok(()));
    assert!(watchdog.check(ms(261)).is_err());
    // One far ahead hides a hang, until the reset.
    watchdog.alive(ms(1_000_000));
    assert_eq!(watchdog.check(ms(5_000)), Ok(()));
    watchdog.reset(ms(5_000));
    assert_eq!(watchdog.check(ms(5_100)), Ok(()));
    assert!(watchdog.check(ms(5_101)).is_err());
}

#[test]
fn a_frame_that_was_refused_before_has_its_reason() {
    let mut memory = Memory::new();
    let mut cycle = memory.cycle();
    let clock = TestClock::default();
    clock.set(begins(0), WORK);
    assert!(
        cycle
            .run(&clock, Some(&sealed(0, unanimous(1))))
            .outcome
            .is_certified()
    );
    clock.set(begins(1), WORK);
    let report = cycle.refuse(&clock, Reason::Model);
    assert_eq!(report.outcome.fault(), Some(Reason::Model));
    assert_eq!(
        (report.cycle, report.counter, report.latency),
        (1, None, None)
    );
    // Even then the clock is looked at.
    clock.set(begins(0), WORK);
    let report = cycle.refuse(&clock, Reason::Memory);
    assert_eq!(report.outcome.fault(), Some(Reason::ClockBackwards));
    clock.set(begins(2), WORK);
    let report = cycle.run(&clock, Some(&sealed(2, unanimous(1))));
    assert!(report.outcome.is_certified());
    assert_eq!(report.lost, 1);
}

/// One reading far ahead, of the clock or of a time of capture, refuses all that comes after it, until the reset.
#[test]
fn a_reset_forgets_a_clock_that_leapt() {
    let far = begins(1_000_000);
    for header in [false, true] {
        let clock = TestClock::default();
        let mut memory = Memory::new();
        let mut cycle = memory.cycle();
        let good = |counter| sealed(counter, unanimous(1));
        let report = cycle.run(clock.set(begins(0), WORK), Some(&good(0)));
        assert!(report.outcome.is_certified());
        let mut leapt = good(1);
        if header {
            let captured = far;
            let header = Header {
                counter: 1,
                captured,
            };
            leapt = Frame::seal(ID, header, unanimous(1));
        }
        cycle.run(clock.set(far + WORK, WORK), Some(&leapt));
        for counter in 2..9 {
            let report = cycle.run(clock.set(begins(counter), WORK), Some(&good(counter)));
            assert_eq!(report.outcome.fault(), Some(Reason::ClockBackwards));
        }
        cycle.reset();
        for counter in 9..12 {
            let report = cycle.run(clock.set(begins(counter), WORK), Some(&good(counter)));
            assert!(report.outcome.is_certified(), "{report:?}");
        }
    }
}

#[test]
fn what_the_fail_safe_logic_is_told() {
    let report = |outcome| Report {
        cycle: 7,
        counter: Some(5),
        captured: Some(DEADLINE - WORK),
        lost: 0,
        latency: Some(WORK),
        outcome,
        forecast: None,
    };
    let input = report(Outcome::Certified { class: 3, slack: 1 }).input(Some(4), DEADLINE);
    assert_eq!(input.judgement, Judgement::Certified { class: 3 });
    assert_eq!(
        (input.primary, input.now, input.deadline),
        (Some(4), DEADLINE, Deadline::Met)
    );
    let mark = input.frame.unwrap();
    assert_eq!((mark.counter, mark.age), (5, WORK));
    // A report that contradicts itself certifies nothing.
    let input = report(Outcome::Certified { class: 3, slack: 0 }).input(None, DEADLINE);
    assert_eq!(input.judgement, Judgement::NotCertified { class: 3 });
    // Whatever holds up the step after the verdict makes the frame older.
    let certified = report(Outcome::Certified { class: 3, slack: 1 });
    let age = |report: &Report, now| report.input(None, now).frame.unwrap().age;
    assert_eq!(age(&certified, DEADLINE * 3), DEADLINE * 2 + WORK);
    let slow = Report {
        latency: Some(2 * WORK),
        ..certified
    };
    assert_eq!(
        age(&slow, DEADLINE),
        2 * WORK,
        "the clocks disagree: the older counts"
    );
    for useless in [
        Report {
            latency: None,
            ..certified
        },
        Report {
            captured: None,
            ..certified
        },
        Report {
            captured: Some(DEADLINE + WORK),
            ..certified
        },
    ] {
        assert_eq!(age(&useless, DEADLINE), Duration::MAX);
    }

    let non_finite = Fault::NonFinite {
        class: 0,
        y: 0,
        x: 0,
    };
    let silent = DEADLINE;
    for (reason, kind) in [
        (Reason::Missing, FaultKind::Frame),
        (Reason::Frozen { content: 0 }, FaultKind::Frame),
        (Reason::Certifier(non_finite), FaultKind::Frame),
        (Reason::Overrun { latency: silent }, FaultKind::Late),
        (Reason::Hang { silent }, FaultKind::Late),
        (Reason::ClockBackwards, FaultKind::Integrity),
        (Reason::Certifier(Fault::NoPatch), FaultKind::Integrity),
        (Reason::Memory, FaultKind::Integrity),
        (Reason::Model, FaultKind::Integrity),
    ] {
        let input = report(Outcome::Fault { reason }).input(Some(1), DEADLINE);
        assert_eq!(input.judgement, Judgement::Fault(kind), "{reason}");
        let late = input.deadline == Deadline::Missed;
        assert_eq!(late, kind == FaultKind::Late);
    }
}
