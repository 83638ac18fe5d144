//! Whatever comes, a cycle ends with an answer, and certifies only what is new, young and in time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::time::Duration;

use bagcert_firmware_sim::{Frame, Header};
use proptest::prelude::*;
use support::*;

/// What may come in one cycle.
#[derive(Clone, Debug)]
struct Step {
    frame: Option<Header>,
    now: Duration,
    work: Duration,
    /// A bit to flip after sealing.
    flip: Option<(usize, u32)>,
}

/// Times near each other, so that all orders come up, and now and then any time at all.
fn time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        20 => (0u64..60).prop_map(|ms| Duration::from_millis(ms * 5)),
        1 => any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let counter = prop_oneof![20 => 0u32..12, 1 => any::<u32>()];
    let header = (counter, time()).prop_map(|(counter, captured)| Header { counter, captured });
    (
        prop::option::weighted(0.9, header),
        time(),
        (0u64..40).prop_map(Duration::from_millis),
        prop::option::weighted(0.1, (0..LEN, 0u32..32)),
    )
        .prop_map(|(frame, now, work, flip)| Step {
            frame,
            now,
            work,
            flip,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_new_young_and_timely_frames_are_certified(
        mut steps in prop::collection::vec(step(), 1..40),
        in_order in any::<bool>(),
    ) {
        if in_order {
            // Otherwise the clock goes back most of the time.
            steps.sort_by_key(|step| step.now);
        }
        let mut memory = Memory::new();
        let mut cycle = memory.cycle();
        let clock = TestClock::default();
        let mut certified: Vec<Header> = Vec::new();
        for step in steps {
            let frame = step.frame.map(|header| {
                let mut frame = Frame::seal(ID, header, unanimous(1));
                if let Some((at, bit)) = step.flip {
                    let logit = &mut frame.payload_mut()[at];
                    *logit = f32::from_bits(logit.to_bits() ^ 1 << bit);
                }
                frame
            });
            let report = cycle.run(clock.set(step.now, step.work), frame.as_ref());
            if !report.outcome.is_certified() {
                prop_assert!(report.outcome.fault().is_some());
                continue;
            }
            let header = step.frame.expect("certified without a frame");
            prop_assert!(step.flip.is_none());
            prop_assert!(step.now - header.captured <= MAX_AGE);
            prop_assert!(step.now + step.work - header.captured <= DEADLINE);
            for before in &certified {
                prop_assert!(header.captured > before.captured);
            }
            certified.push(header);
        }
    }

    #[test]
    fn arbitrary_logits_are_judged_without_a_panic(bits in prop::collection::vec(any::<u32>(), LEN)) {
        let logits: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let mut memory = Memory::new();
        let mut cycle = memory.cycle();
        let clock = TestClock::default();
        let header = Header { counter: 0, captured: taken(0) };
        let frame = Frame::seal(ID, header, logits.as_slice());
        let report = cycle.run(clock.set(begins(0), WORK), Some(&frame));
        let finite = logits.iter().all(|logit| logit.is_finite());
        prop_assert_eq!(report.outcome.fault().is_none(), finite);
    }
}
