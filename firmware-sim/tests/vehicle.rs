//! 100,000 cycles of the whole loop, from the camera's picture to the message that the vehicle takes,
//! with faults of every kind, singly and mixed. A network of one layer stands in for the real one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use bagcert_certifier::failsafe::{
    Event, FailSafe, Mode, Receiver, SelfTest, Sender, Status, Trust, self_test,
};
use bagcert_firmware_sim::{
    DataId, Frame, Header, KnownAnswer, Outcome, PictureGuard, Reason, Scores,
};
use support::engine::{Engine, PIXELS, patched, picture};
use support::*;

const CYCLES: u32 = 100_000;
const CAMERA: DataId = DataId(0xCA3E_0001);
const ANSWERS: u32 = 0x0BA6_CE28;
/// Cycles from one known answer to the next.
const EVERY: u32 = 8;
/// Messages that may be lost in a row, and one.
const MAX_DELTA: u16 = 4;
/// Cycles in the safe state before a reset.
const RESET_AFTER: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Injected {
    // Of the picture.
    Dropped,
    PictureFlipped,
    PictureTorn,
    PictureFrozen,
    Patched,
    // Of the scores, after they were sealed.
    Repeated,
    Flipped,
    HeaderFlipped,
    NotANumber,
    // Of time.
    Late,
    Overrun,
    ClockBack,
    // Of memory.
    Weights,
    ScoreMemory,
    TableMemory,
    LogicMemory,
    // Of the primary perception.
    Lie,
    Silent,
    // Of the message.
    MessageFlipped,
    MessageLost,
    MessageRepeated,
}

use Injected::*;

const ALL: [Injected; 21] = [
    Dropped,
    PictureFlipped,
    PictureTorn,
    PictureFrozen,
    Patched,
    Repeated,
    Flipped,
    HeaderFlipped,
    NotANumber,
    Late,
    Overrun,
    ClockBack,
    Weights,
    ScoreMemory,
    TableMemory,
    LogicMemory,
    Lie,
    Silent,
    MessageFlipped,
    MessageLost,
    MessageRepeated,
];

/// What must end in a fault of the loop, in the same cycle.
const FAULTS: [Injected; 11] = [
    Dropped,
    PictureFlipped,
    PictureTorn,
    PictureFrozen,
    Repeated,
    Flipped,
    HeaderFlipped,
    NotANumber,
    Late,
    Overrun,
    ClockBack,
];

fn flip(values: &mut [f32], random: &mut Random) {
    let at = random.below(values.len());
    values[at] = f32::from_bits(values[at].to_bits() ^ 1 << random.below(32));
}

#[test]
#[allow(clippy::cognitive_complexity, reason = "one loop, one story")]
fn a_hundred_thousand_cycles_from_picture_to_message() {
    let mut random = Random(0x7EA1);
    let sound = Engine::new();
    let mut engine = sound.clone();
    let golden = picture(&mut random);
    let known = KnownAnswer::new(Scores::Logits(&sound.logits(&golden)));
    let mut guard = PictureGuard::new(CAMERA);
    let mut twin = Twin::new();
    let mut cycle = twin.cycle();
    let clock = TestClock::default();
    let mut logic = FailSafe::new(limits(), self_test()).unwrap();
    let mut sender = Sender::new(ANSWERS);
    let mut receiver = Receiver::new(ANSWERS, MAX_DELTA);

    let mut injections: BTreeMap<Injected, u32> = BTreeMap::new();
    let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
    let mut transitions: BTreeMap<(Mode, Mode), u32> = BTreeMap::new();
    let mut trusts: BTreeMap<Trust, u32> = BTreeMap::new();
    let mut statuses: BTreeMap<Status, u32> = BTreeMap::new();
    let (mut mixed, mut harmless, mut under_patch, mut latent) = (0, 0, 0, 0);
    let mut recovering = 0;
    let (mut lies_seen, mut lies_unseen) = (0, 0);
    // The last picture that came whole, the last sealed scores, the last message.
    let mut last_picture: Option<[f32; PIXELS]> = None;
    let mut last_frame: Option<Frame<[f32; PIXELS]>> = None;
    let mut last_message: Option<[u8; 20]> = None;
    // When the model was damaged, and how long it took to be noticed at most.
    let mut damaged: Option<u32> = None;
    let mut longest = 0;
    let mut in_safe_state = 0;
    // The counter of the last sound message.
    let mut last_number = u16::MAX;
    let mut late_messages = 0;
    for counter in 0..CYCLES {
        let inject = |kind: &Injected| {
            let rare = matches!(kind, ClockBack | Weights | LogicMemory);
            counter > 0 && random.one_in(if rare { 600 } else { 90 })
        };
        let faults: Vec<Injected> = ALL.into_iter().filter(inject).collect();
        let has = |fault| faults.contains(&fault);
        for fault in &faults {
            *injections.entry(*fault).or_default() += 1;
        }
        mixed += u32::from(faults.len() > 1);
        if has(Weights) && damaged.is_none() {
            flip(&mut engine.weights, &mut random);
            let (now, before) = (engine.logits(&golden), sound.logits(&golden));
            if now.map(f32::to_bits) == before.map(f32::to_bits) {
                // This known answer cannot show it, now or later: counted, and taken back.
                latent += 1;
                engine = sound.clone();
            } else {
                damaged = Some(counter);
            }
        }

        // The camera.
        let clean = picture(&mut random);
        let mut scene = clean;
        if has(Patched) {
            scene = patched(&clean, &mut random);
        }
        let mut seen = FAULTS.iter().any(|fault| has(*fault));
        if has(PictureFrozen) {
            scene = last_picture.unwrap_or(scene);
        }
        let header = Header {
            counter,
            captured: taken(counter),
        };
        let mut shot = Frame::seal(CAMERA, header, scene);
        if has(PictureTorn) {
            // A scene that did not change cannot be torn, but then it is frozen.
            let from = random.below(PIXELS - 40);
            let before = last_picture.unwrap_or(clean);
            shot.payload_mut()[from..].copy_from_slice(&before[from..]);
        }
        if has(PictureFlipped) {
            flip(shot.payload_mut(), &mut random);
        }

        // The forward pass.
        let mut refused: Option<Reason> = None;
        let mut sent: Option<Frame<[f32; PIXELS]>> = None;
        if !has(Dropped) {
            refused = guard.check(&shot).err();
            if refused.is_none() {
                last_picture = Some(scene);
            }
            if refused.is_none() && counter % EVERY == 0 {
                refused = known.check(Scores::Logits(&engine.logits(&golden))).err();
            }
            if refused.is_none() {
                let mut logits = engine.logits(&scene);
                if has(NotANumber) {
                    logits[random.below(PIXELS)] = [f32::NAN, f32::INFINITY][random.below(2)];
                }
                let frame = Frame::seal(ID, header, logits);
                let before = last_frame.replace(frame.clone());
                let mut frame = if has(Repeated) {
                    before.unwrap()
                } else {
                    frame
                };
                if has(Flipped) {
                    flip(frame.payload_mut(), &mut random);
                }
                if has(HeaderFlipped) {
                    frame.header_mut().counter ^= 1 << random.below(32);
                }
                sent = Some(frame);
            }
        }

        // The loop.
        let lateness = if has(Late) {
            MAX_AGE + Duration::from_nanos(1 + random.next() % 5_000_000)
        } else {
            Duration::from_millis(10)
        };
        let work = if has(Overrun) {
            DEADLINE - lateness + Duration::from_nanos(1 + random.next() % 2_000_000)
        } else {
            WORK
        };
        let back = if has(ClockBack) {
            PERIOD * 2
        } else {
            Duration::ZERO
        };
        let now = taken(counter) + lateness;
        clock.set(now.saturating_sub(back), work);
        let mut damage = FlipMemory {
            memory: random.below(2),
            score: has(ScoreMemory).then(|| random.next()),
            vote: None,
            table: has(TableMemory).then(|| random.next()),
            ..FlipMemory::default()
        };
        let report = match (refused, &sent) {
            (Some(reason), _) => cycle.refuse(&clock, reason),
            (None, frame) => cycle.run_damaged(&clock, frame.as_ref(), &mut damage),
        };
        let outcome = report.outcome;
        if let Some(reason) = outcome.fault() {
            *reasons.entry(reason.name()).or_default() += 1;
        }

        // The primary perception says what the loop says, unless it lies.
        let truth = match outcome {
            Outcome::Certified { class, .. } | Outcome::NotCertified { class, .. } => Some(class),
            Outcome::Fault { .. } => Some(random.below(CLASSES)),
        };
        let primary = if has(Silent) {
            None
        } else if has(Lie) {
            truth.map(|class| (class + 1 + random.below(CLASSES - 1)) % CLASSES)
        } else {
            truth
        };
        if has(LogicMemory) {
            let words = logic.words_mut().count();
            let at = random.below(words);
            *logic.words_mut().nth(at).unwrap() ^= 1 << random.below(32);
        }
        let before = if has(LogicMemory) {
            Mode::SafeState
        } else {
            logic.mode()
        };
        let step = (now + work).saturating_sub(back);
        let output = logic.step(&report.input(primary, step));
        *transitions.entry((before, output.mode)).or_default() += 1;
        *trusts.entry(output.trust).or_default() += 1;

        // Nothing is named with a certificate that the loop has not certified, and no fault has a class.
        assert!(output.class.is_some() == output.trust.has_class());
        if output.trust.is_certified() {
            assert!(outcome.is_certified(), "{faults:?}: {report:?}: {output:?}");
            assert_eq!(output.class.map(usize::from), truth);
        }
        if outcome.fault().is_some() {
            assert!(output.class.is_none(), "{faults:?}: {output:?}");
        }
        // A model that is damaged and gives no number, or is noticed, is a fault of its own.
        seen &= outcome.fault().is_none();
        assert!(
            !seen,
            "undetected in cycle {counter}: {faults:?}: {report:?}"
        );
        if has(LogicMemory) {
            assert_eq!(output.trust, Trust::SafeStop, "{faults:?}");
        }
        if let Outcome::Certified { .. } | Outcome::NotCertified { .. } = outcome {
            // The verdict of sound memory on what the model, damaged or not, gave for the scene.
            let logits = engine.logits(&scene);
            let alone = verdict(&logits);
            let expected = if alone.certified {
                Outcome::Certified {
                    class: alone.predicted,
                    slack: alone.slack,
                }
            } else {
                Outcome::NotCertified {
                    class: alone.predicted,
                    slack: alone.slack,
                }
            };
            assert_eq!(outcome, expected, "{faults:?}");
            harmless += u32::from(has(ScoreMemory) || has(TableMemory));
            if has(Patched) && outcome.is_certified() {
                let without = verdict(&engine.logits(&clean)).predicted;
                assert_eq!(truth, Some(without), "a patch made a certified answer");
                under_patch += 1;
            }
            if has(Lie) && !has(Silent) {
                if outcome.is_certified() {
                    let event = output.event;
                    assert!(
                        matches!(event, Event::Contradicted | Event::Integrity),
                        "{event}"
                    );
                    lies_seen += 1;
                } else {
                    assert!(output.trust <= Trust::Unverified);
                    lies_unseen += 1;
                }
            }
        }
        if faults.is_empty() && damaged.is_none() && outcome.fault().is_some() {
            // Only on the way back: the gap may be too wide, or the clock not have caught up.
            let name = outcome.fault().unwrap().name();
            assert!(matches!(name, "jump" | "clock-backwards"), "{name}");
            recovering += 1;
        }
        if let Some(since) = damaged {
            if outcome.fault() == Some(Reason::Model) {
                longest = longest.max(counter - since);
                assert_eq!(output.trust, Trust::SafeStop);
            }
            // Where the frame of that cycle is lost or refused, the next known answer shows it.
            assert!(
                counter - since <= 8 * EVERY,
                "a damaged model was not noticed"
            );
        }

        // The message.
        let message = sender.send(&output);
        let previous = last_message.replace(message);
        let mut arrived = Some(message);
        if has(MessageRepeated) {
            arrived = previous;
        }
        if has(MessageLost) {
            arrived = None;
        }
        if has(MessageFlipped)
            && let Some(message) = &mut arrived
        {
            message[random.below(20)] ^= 1 << random.below(8);
        }
        let (status, received) = receiver.receive(arrived.as_ref().map(|message| &message[..]));
        *statuses.entry(status).or_default() += 1;
        let number = |message: &[u8; 20]| u16::from_be_bytes([message[2], message[3]]);
        let delta = number(&message).wrapping_sub(last_number);
        if has(MessageLost) || has(MessageFlipped) {
            assert_eq!(received, None, "{faults:?}: {status}");
        } else if has(MessageRepeated) {
            // It is known, or it has never come before: then it is late by one cycle, which a counter
            // cannot tell.
            assert!(received.is_none() || delta > 1, "{faults:?}: {status}");
            late_messages += u32::from(received.is_some());
        } else if (1..=MAX_DELTA).contains(&delta) {
            assert_eq!(received, Some(output), "{status}");
        } else {
            assert_eq!(status, Status::WrongSequence);
        }
        if status != Status::Error && status != Status::NoNewData {
            last_number = arrived.as_ref().map_or(last_number, number);
        }

        // A reset, with all that is tested again.
        in_safe_state = if output.mode == Mode::SafeState {
            in_safe_state + 1
        } else {
            0
        };
        if in_safe_state > RESET_AFTER {
            engine = sound.clone();
            damaged = None;
            assert_eq!(known.check(Scores::Logits(&engine.logits(&golden))), Ok(()));
            if logic.reset(SelfTest::Passed).mode == Mode::SafeState {
                logic = FailSafe::new(limits(), self_test()).unwrap();
            }
            assert_eq!(logic.mode(), Mode::Init);
            in_safe_state = 0;
        }
    }
    println!(
        "{CYCLES} cycles, {mixed} with several faults\ninjected {injections:?}\nreasons {reasons:?}\n\
         transitions {transitions:?}\ntrust {trusts:?}\nmessages {statuses:?}\n\
         memory damage without harm {harmless}; certified under a patch {under_patch}; damaged weights \
         that the known answer cannot show {latent}, noticed after at most {longest} cycles; lies seen \
         {lies_seen}, unseen for want of a certificate {lies_unseen}; faults on the way back {recovering}; messages \
         late by a cycle {late_messages}"
    );
    // The test has tested something.
    for fault in ALL {
        assert!(
            injections.get(&fault).is_some_and(|count| *count > 100),
            "{fault:?}"
        );
    }
    for reason in [
        "missing",
        "corrupt",
        "repeated",
        "frozen",
        "stale",
        "overrun",
        "non-finite",
        "memory",
        "model",
        "clock-backwards",
    ] {
        assert!(
            reasons.get(reason).is_some_and(|count| *count > 30),
            "{reason}"
        );
    }
    for trust in Trust::ALL {
        assert!(
            trusts.get(&trust).is_some_and(|count| *count > 100),
            "{trust}"
        );
    }
    for status in Status::ALL {
        let least = if status == Status::WrongSequence {
            0
        } else {
            100
        };
        assert!(
            statuses.get(&status).copied().unwrap_or(0) >= least,
            "{status}"
        );
    }
    for (from, to) in [
        (Mode::Init, Mode::Nominal),
        (Mode::Nominal, Mode::Degraded),
        (Mode::Degraded, Mode::Nominal),
        (Mode::Nominal, Mode::SafeState),
    ] {
        assert!(transitions.contains_key(&(from, to)), "{from} {to}");
    }
    assert!(under_patch > 100 && lies_seen > 50 && harmless > 50 && mixed > 1_000);
}
