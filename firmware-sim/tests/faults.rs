//! Every fault is detected in the cycle that it falls into, and nothing is certified there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::time::Duration;

use bagcert_certifier::Fault;
use bagcert_firmware_sim::{
    Binary, Cycle, DataId, Frame, Header, Outcome, Reason, SetupError, stages,
};
use heapless::spsc::Queue;
use support::*;

type Logits = [f32; LEN];

/// A loop that has certified the frames 0, 1 and 2 and waits for frame 3.
fn after_three_frames<T>(test: impl FnOnce(&mut Cycle<'_>, &TestClock) -> T) -> T {
    let mut memory = Memory::new();
    let mut cycle = memory.cycle();
    let clock = TestClock::default();
    for counter in 0..3 {
        let report = cycle.run(
            clock.set(begins(counter), WORK),
            Some(&sealed(counter, unanimous(1))),
        );
        assert!(report.outcome.is_certified(), "{report:?}");
        assert_eq!(report.counter, Some(counter));
    }
    test(&mut cycle, &clock)
}

/// Gives `frame` to the fourth cycle, whose reason for a fault comes back. A sound frame 4 after it
/// must be certified again: no fault of these latches.
#[track_caller]
fn fault_of(frame: Option<Frame<Logits>>, work: Duration) -> Reason {
    after_three_frames(|cycle, clock| {
        let report = cycle.run(clock.set(begins(3), work), frame.as_ref());
        assert_eq!(report.cycle, 3);
        let reason = report.outcome.fault().expect("a fault was to be detected");
        let next = cycle.run(clock.set(begins(4), WORK), Some(&sealed(4, unanimous(1))));
        assert!(next.outcome.is_certified(), "{next:?}");
        reason
    })
}

#[test]
fn a_sound_frame_has_the_certifiers_own_verdict() {
    let mut random = Random(1);
    let mut seen = [0; 2];
    for _ in 0..300 {
        let logits = random.logits();
        let alone = verdict(&logits);
        let outcome = after_three_frames(|cycle, clock| {
            cycle
                .run(clock.set(begins(3), WORK), Some(&sealed(3, logits)))
                .outcome
        });
        let (class, slack) = (alone.predicted, alone.slack);
        seen[usize::from(alone.certified)] += 1;
        if alone.certified {
            assert_eq!(outcome, Outcome::Certified { class, slack });
        } else {
            assert_eq!(outcome, Outcome::NotCertified { class, slack });
        }
    }
    assert!(seen[0] > 50 && seen[1] > 50, "{seen:?}");
}

#[test]
fn no_frame() {
    assert_eq!(fault_of(None, WORK), Reason::Missing);
}

#[test]
fn the_same_frame_again() {
    let again = sealed(2, unanimous(1));
    assert_eq!(fault_of(Some(again), WORK), Reason::Repeated { counter: 2 });
}

#[test]
fn the_same_counter_on_a_new_picture() {
    let header = Header {
        counter: 2,
        captured: taken(3),
    };
    let frozen = Frame::seal(ID, header, unanimous(2));
    assert_eq!(
        fault_of(Some(frozen), WORK),
        Reason::Repeated { counter: 2 }
    );
}

#[test]
fn a_frame_from_before() {
    let header = Header {
        counter: 1,
        captured: taken(3),
    };
    let old = Frame::seal(ID, header, unanimous(1));
    // The counter is taken over, so that the next frame seems to follow on a gap of two.
    assert_eq!(
        fault_of(Some(old), WORK),
        Reason::Backwards {
            counter: 1,
            last: 2
        }
    );
}

#[test]
fn a_replayed_run_of_frames_never_certifies() {
    after_three_frames(|cycle, clock| {
        for (step, counter) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
            let now = begins(3 + step as u32);
            let report = cycle.run(clock.set(now, WORK), Some(&sealed(counter, unanimous(1))));
            assert!(report.outcome.fault().is_some(), "{report:?}");
        }
    });
}

#[test]
fn a_new_counter_on_an_old_time() {
    let header = Header {
        counter: 3,
        captured: taken(2),
    };
    let frame = Frame::seal(ID, header, unanimous(1));
    let expected = Reason::NotNewer {
        captured: taken(2),
        last: taken(2),
    };
    assert_eq!(fault_of(Some(frame), WORK), expected);
}

#[test]
fn a_time_to_come() {
    let captured = begins(3) + Duration::from_nanos(1);
    let frame = Frame::seal(
        ID,
        Header {
            counter: 3,
            captured,
        },
        unanimous(1),
    );
    let expected = Reason::FromTheFuture {
        captured,
        now: begins(3),
    };
    assert_eq!(fault_of(Some(frame), WORK), expected);
}

#[test]
fn lost_frames_are_counted_and_too_many_are_a_fault() {
    for lost in 1..=MAX_LOST + 2 {
        after_three_frames(|cycle, clock| {
            let counter = 3 + lost;
            let frame = sealed(counter, unanimous(1));
            let report = cycle.run(clock.set(begins(counter), WORK), Some(&frame));
            if lost <= MAX_LOST {
                assert!(report.outcome.is_certified());
                assert_eq!(report.lost, lost);
            } else {
                assert_eq!(report.outcome.fault(), Some(Reason::Jump { lost }));
            }
        });
    }
}

#[test]
fn the_counter_wraps() {
    let mut memory = Memory::new();
    let mut cycle = memory.cycle();
    let clock = TestClock::default();
    for step in 0..4 {
        let header = Header {
            counter: (u32::MAX - 1).wrapping_add(step),
            captured: taken(step),
        };
        let frame = Frame::seal(ID, header, unanimous(0));
        let report = cycle.run(clock.set(begins(step), WORK), Some(&frame));
        assert!(report.outcome.is_certified(), "{report:?}");
        assert_eq!(report.lost, 0);
    }
}

#[test]
fn age_is_held_against_its_limit_to_the_nanosecond() {
    for (age, stale) in [(MAX_AGE, false), (MAX_AGE + Duration::from_nanos(1), true)] {
        let outcome = after_three_frames(|cycle, clock| {
            let frame = sealed(3, unanimous(1));
            cycle
                .run(clock.set(taken(3) + age, WORK), Some(&frame))
                .outcome
        });
        assert_eq!(outcome.fault(), stale.then_some(Reason::Stale { age }));
    }
}

#[test]
fn a_verdict_past_the_deadline_is_discarded() {
    let to_spare = DEADLINE - Duration::from_millis(10);
    let late = to_spare + Duration::from_nanos(1);
    let expected = Reason::Overrun {
        latency: DEADLINE + Duration::from_nanos(1),
    };
    assert_eq!(fault_of(Some(sealed(3, unanimous(1))), late), expected);
    after_three_frames(|cycle, clock| {
        let report = cycle.run(
            clock.set(begins(3), to_spare),
            Some(&sealed(3, unanimous(1))),
        );
        assert!(report.outcome.is_certified());
        assert_eq!(report.latency, Some(DEADLINE));
    });
}

#[test]
fn a_clock_that_goes_back() {
    after_three_frames(|cycle, clock| {
        let before = begins(2);
        let report = cycle.run(clock.set(before, WORK), Some(&sealed(3, unanimous(1))));
        assert_eq!(report.outcome.fault(), Some(Reason::ClockBackwards));
    });
}

#[test]
fn numbers_that_are_none() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 77, LEN - 1] {
            let mut logits = unanimous(1);
            logits[at] = bad;
            let expected = Fault::NonFinite {
                class: at / (SIDE * SIDE),
                y: at % (SIDE * SIDE) / SIDE,
                x: at % SIDE,
            };
            // Sealed with the number in it: the seal is sound, the scores are not.
            let reason = fault_of(Some(sealed(3, logits)), WORK);
            assert_eq!(reason, Reason::Certifier(expected));
        }
    }
}

#[test]
fn every_single_flipped_bit() {
    after_three_frames(|cycle, clock| {
        let sound = sealed(3, unanimous(1));
        clock.set(begins(3), WORK);
        for at in 0..LEN {
            for bit in 0..32 {
                let mut frame = sound.clone();
                let logit = &mut frame.payload_mut()[at];
                *logit = f32::from_bits(logit.to_bits() ^ 1 << bit);
                let report = cycle.run(clock.set(begins(3), WORK), Some(&frame));
                let fault = report.outcome.fault();
                assert!(matches!(fault, Some(Reason::Corrupt { .. })), "{report:?}");
                clock.set(begins(3) + WORK, WORK);
            }
        }
        for bit in 0..32 {
            let mut frame = sound.clone();
            frame.header_mut().counter ^= 1 << bit;
            let report = cycle.run(clock.set(begins(3), WORK), Some(&frame));
            assert!(matches!(
                report.outcome.fault(),
                Some(Reason::Corrupt { .. })
            ));
            assert_eq!(report.counter, None);
        }
        for nanos in 0..30 {
            let mut frame = sound.clone();
            frame.header_mut().captured += Duration::from_nanos(1 << nanos);
            let report = cycle.run(clock.set(begins(3), WORK), Some(&frame));
            assert!(matches!(
                report.outcome.fault(),
                Some(Reason::Corrupt { .. })
            ));
        }
        let report = cycle.run(clock.set(begins(3), WORK), Some(&sound));
        assert!(report.outcome.is_certified(), "{report:?}");
    });
}

#[test]
fn a_frame_of_another_stream() {
    let header = Header {
        counter: 3,
        captured: taken(3),
    };
    let frame = Frame::seal(DataId(ID.0 + 1), header, unanimous(1));
    assert!(matches!(
        fault_of(Some(frame), WORK),
        Reason::Corrupt { .. }
    ));
}

#[test]
fn logits_of_another_shape() {
    after_three_frames(|cycle, clock| {
        let logits = unanimous(1);
        let short = &logits[..LEN - 1];
        let header = Header {
            counter: 3,
            captured: taken(3),
        };
        let report = cycle.run(
            clock.set(begins(3), WORK),
            Some(&Frame::seal(ID, header, short)),
        );
        let expected = Fault::LogitsLength {
            expected: LEN,
            found: LEN - 1,
        };
        assert_eq!(report.outcome.fault(), Some(Reason::Certifier(expected)));
    });
}

#[test]
fn a_ready_map_has_the_verdict_of_its_logits_and_only_zeros_and_ones() {
    let mut random = Random(2);
    for _ in 0..100 {
        let logits = random.logits();
        let bits = logits.map(|logit| u8::from(logit >= 0.0));
        let header = Header {
            counter: 3,
            captured: taken(3),
        };
        let run = |bits: &[u8]| {
            after_three_frames(|cycle, clock| {
                let frame = Frame::seal(ID, header, Binary(bits));
                cycle.run(clock.set(begins(3), WORK), Some(&frame)).outcome
            })
        };
        let alone = verdict(&logits);
        match run(&bits) {
            Outcome::Certified { class, slack } => {
                assert!(alone.certified);
                assert_eq!((class, slack), (alone.predicted, alone.slack));
            }
            Outcome::NotCertified { class, slack } => {
                assert!(!alone.certified);
                assert_eq!((class, slack), (alone.predicted, alone.slack));
            }
            Outcome::Fault { reason } => panic!("{reason}"),
        }
        let index = random.below(LEN);
        let mut bad = bits;
        bad[index] = 2 + random.below(254) as u8;
        assert_eq!(run(&bad).fault(), Some(Reason::NotBinary { index }));
        let expected = Reason::ScoresLength {
            expected: LEN,
            found: LEN - 1,
        };
        assert_eq!(run(&bits[1..]).fault(), Some(expected));
    }
}

#[test]
fn a_full_queue_hands_the_frame_back_and_counts_it() {
    let mut queue: Queue<Frame<Logits>, 3> = Queue::new();
    let (mut capture, mut intake) = stages(&mut queue);
    for counter in 0..2 {
        assert!(capture.offer(sealed(counter, unanimous(1))).is_ok());
    }
    for counter in 2..5 {
        let back = capture.offer(sealed(counter, unanimous(1))).unwrap_err();
        assert_eq!(back.header().counter, counter);
    }
    assert_eq!(capture.refused(), 3);
    let newest = intake.newest().unwrap();
    assert_eq!(newest.header().counter, 1);
    assert_eq!(intake.superseded(), 1);
    assert!(intake.newest().is_none());
    assert!(capture.offer(sealed(5, unanimous(1))).is_ok());
    assert_eq!(intake.newest().unwrap().header().counter, 5);
}

#[test]
fn settings_that_contradict_each_other_are_refused_at_once() {
    let mut memory = Memory::new();
    let sound = settings();
    let mut refuse = |settings, scores: usize, table: usize| {
        Cycle::new(
            settings,
            &mut memory.scores[..scores],
            &mut memory.table[..table],
        )
        .err()
        .expect("to be refused")
    };
    let (scores, table) = (sound.shape.score_len(), sound.shape.table_len());
    assert!(matches!(
        refuse(sound, scores - 1, table),
        SetupError::Certifier(Fault::MemoryTooSmall { .. })
    ));
    assert!(matches!(
        refuse(sound, scores, table - 1),
        SetupError::Certifier(Fault::MemoryTooSmall { .. })
    ));
    let mut other = sound;
    other.deadline = Duration::ZERO;
    assert_eq!(refuse(other, scores, table), SetupError::NoTime);
    other = sound;
    other.max_age = DEADLINE + Duration::from_nanos(1);
    assert!(matches!(
        refuse(other, scores, table),
        SetupError::AgeBeyondDeadline { .. }
    ));
    other = sound;
    other.patch = bagcert_certifier::PatchSize::new(9, 1).unwrap();
    assert!(matches!(
        refuse(other, scores, table),
        SetupError::Certifier(Fault::PatchTooLarge { .. })
    ));
}

#[test]
fn the_seal_is_the_published_crc() {
    // The check value of CRC-64/XZ over "123456789" in the CRC catalogue.
    let crc = crc::Crc::<u64, crc::Table<16>>::new(&crc::CRC_64_XZ);
    assert_eq!(crc.checksum(b"123456789"), 0x995D_C9BB_DF19_39FA);
    // A byte that says that maps are ready, then the map itself.
    let sealed = bagcert_firmware_sim::checksum(bagcert_firmware_sim::Scores::Binary(&[0, 1, 1]));
    assert_eq!(sealed, crc.checksum(&[1, 0, 1, 1]));
}
