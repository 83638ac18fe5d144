//! Random larger maps and geometries, against the attacker that flips affected scores freely.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use bagcert_certifier::{
    Axis, Condition, Fault, Geometry, PatchSize, Pixel, ScoreMap, Shape, certify_monotone,
    rectangles_of_area,
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{Buffers, Case, PlainAxis, check, sum};

prop_compose! {
    /// Strides, gaps, uneven and one-sided receptive fields, cells that see only padding.
    fn axes(max_inputs: i64, max_outputs: i64)(
        inputs in 1..=max_inputs,
        outputs in 1..=max_outputs,
        stride in 1i64..=4,
        lo in -6i64..=4,
        length in 0i64..=8,
    ) -> PlainAxis {
        PlainAxis { inputs, outputs, stride, lo, hi: lo + length }
    }
}

/// Scores that lean to one class, so that certificates are in reach.
fn cases(max_classes: usize, inputs: i64, outputs: i64) -> impl Strategy<Value = Case> {
    let extents = (
        2..=max_classes,
        axes(inputs, outputs),
        axes(inputs, outputs),
    );
    extents.prop_flat_map(|(classes, x, y)| {
        let cells = (x.outputs * y.outputs) as usize;
        let scores = vec(any::<u8>(), classes * cells);
        (scores, 0..classes, any::<u8>(), any::<u8>()).prop_map(
            move |(noise, favourite, high, low)| {
                let scores = (0..classes).map(|class| {
                    let rate = if class == favourite {
                        high.max(low)
                    } else {
                        high.min(low)
                    };
                    let row = |row: &[u8]| row.iter().map(|noise| *noise < rate).collect();
                    let plane = &noise[class * cells..][..cells];
                    plane.chunks_exact(x.outputs as usize).map(row).collect()
                });
                Case {
                    x,
                    y,
                    scores: scores.collect(),
                }
            },
        )
    })
}

/// A patch that fits, for two fractions of the free room.
fn patch(case: &Case, w: u8, h: u8) -> (i64, i64) {
    let side = |inputs: i64, share: u8| 1 + (inputs - 1) * i64::from(share) / 255;
    (side(case.x.inputs, w), side(case.y.inputs, h))
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(600))]

    #[test]
    fn verdicts_match_the_attack(case in cases(19, 14, 9), w: u8, h: u8) {
        let patch = patch(&case, w, h);
        check(&mut Buffers::new(case.shape()), &case, &[(1, 1), patch]);
    }

    #[test]
    fn affected_cells_match_receptive_fields(x in axes(20, 12), y in axes(9, 7), w: u8, h: u8) {
        let case = Case { x, y, scores: vec![vec![vec![false]]] };
        let (w, h) = patch(&case, w, h);
        let geometry = case.geometry();
        let patch = PatchSize::new(w as u32, h as u32).unwrap();
        let mut largest = 0;
        for ((py, px), cells) in case.positions(w, h) {
            let at = Pixel { x: px as u32, y: py as u32 };
            let found = geometry.affected(patch, at);
            let mut listed = Vec::new();
            if let Some(rect) = found {
                for cy in rect.y.first..=rect.y.last {
                    for cx in rect.x.first..=rect.x.last {
                        listed.push((cy as usize, cx as usize));
                    }
                }
            }
            largest = largest.max(cells.len());
            prop_assert_eq!(listed, cells);
        }
        prop_assert_eq!(geometry.max_affected_cells(patch), Ok(largest as u32));
        prop_assert_eq!(geometry.x.receptive_field() as i64, x.hi - x.lo + 1);
    }

    #[test]
    fn slack_never_grows_with_the_patch(case in cases(5, 12, 8)) {
        let (width, height) = (case.x.inputs as u32, case.y.inputs as u32);
        Buffers::new(case.shape()).certify(&case, |_, certifier| {
            let slack = |w, h| {
                let patch = PatchSize::new(w, h).unwrap();
                certifier.certify(patch, Condition::SumWindow32).unwrap().slack
            };
            for w in 1..=width {
                for h in 1..=height {
                    assert!(w == 1 || slack(w, h) <= slack(w - 1, h));
                    assert!(h == 1 || slack(w, h) <= slack(w, h - 1));
                }
            }
            let side = width.min(height);
            let failing = (1..=side).find(|k| slack(*k, *k) <= 0).unwrap_or(side + 1);
            assert_eq!(certifier.largest_square(), failing - 1);
            let squares: Vec<_> = certifier.squares(Condition::SumWindow32).collect();
            assert_eq!(squares.len(), side as usize);
            for (k, verdict) in (1..).zip(squares) {
                assert_eq!(verdict.patch, PatchSize::new(k, k).unwrap());
                assert_eq!(verdict.slack, slack(k, k));
            }
        });
    }

    #[test]
    fn logits_become_scores(
        (classes, height, width, logits) in (2usize..20, 1usize..8, 1usize..13).prop_flat_map(
            |(c, h, w)| (Just(c), Just(h), Just(w), vec(prop_oneof![
                -1.0f32..1.0, Just(0.0), Just(-0.0), Just(f32::MIN_POSITIVE / 4.0),
                Just(-f32::MIN_POSITIVE / 4.0), Just(f32::MAX), Just(f32::MIN),
            ], c * h * w))
        ),
        spoil in any::<proptest::sample::Index>(),
    ) {
        let shape = Shape::new(classes, height, width).unwrap();
        let mut memory = vec![0xff; shape.score_len() + 3];
        let map = ScoreMap::from_logits(shape, &logits, &mut memory).unwrap();
        let mut votes = vec![0; classes];
        for (index, logit) in logits.iter().enumerate() {
            let (class, cell) = (index / (height * width), index % (height * width));
            let score = *logit >= 0.0;
            votes[class] += u32::from(score);
            prop_assert_eq!(map.score(class, cell / width, cell % width), Some(score));
        }
        prop_assert_eq!(map.votes().collect::<Vec<_>>(), votes);
        prop_assert_eq!(map.score(classes, 0, 0), None);
        prop_assert_eq!(map.score(0, height, 0), None);
        prop_assert_eq!(map.score(0, 0, width), None);

        // One bad logit anywhere is a fault that names it.
        let at = spoil.index(logits.len());
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut spoilt = logits.clone();
            spoilt[at] = bad;
            let cell = at % (height * width);
            let fault = ScoreMap::from_logits(shape, &spoilt, &mut memory).err();
            let (class, y, x) = (at / (height * width), cell / width, cell % width);
            prop_assert_eq!(fault, Some(Fault::NonFinite { class, y, x }));
        }
    }

    #[test]
    fn class_order_does_not_matter(case in cases(11, 9, 7), w: u8, h: u8, turn in 1usize..11) {
        let (w, h) = patch(&case, w, h);
        let patch = PatchSize::new(w as u32, h as u32).unwrap();
        let classes = case.scores.len();
        let mut turned = case.clone();
        turned.scores.rotate_left(turn % classes);
        let certify = |case: &Case| Buffers::new(case.shape()).certify(case, |map, certifier| {
            let verdict = certifier.certify(patch, Condition::SumWindow32).unwrap();
            (map.predicted(), verdict)
        });
        let (before, after) = (certify(&case), certify(&turned));
        if (after.0 + turn) % classes == before.0 {
            prop_assert_eq!(before.1.slack, after.1.slack);
            prop_assert_eq!(before.1.worst, after.1.worst);
        } else {
            // Another prediction can only come from a tie, and a tie is never certified.
            prop_assert!(!before.1.certified && !after.1.certified);
        }
    }

    #[test]
    fn rectangles_are_all_there_once(area in 0u32..200, width in 1u32..40, height in 1u32..40) {
        let found: Vec<_> = rectangles_of_area(area, width, height).collect();
        let mut expected = Vec::new();
        for w in 1..=width {
            for h in 1..=height {
                if w * h == area {
                    expected.push(PatchSize::new(w, h).unwrap());
                }
            }
        }
        prop_assert_eq!(found, expected);
    }
}

proptest! {
    #![proptest_config(config(6))]

    /// The paper's CIFAR-10 size.
    #[test]
    fn full_size_maps(noise in vec(any::<u8>(), 10 * 32 * 32), rate in 0u8..120, half in 0i64..7) {
        let axis = PlainAxis { inputs: 32, outputs: 32, stride: 1, lo: -half, hi: half };
        let scores = noise.chunks(1024).enumerate().map(|(class, plane)| {
            let rate = if class == 6 { 250 } else { rate };
            let row = |row: &[u8]| row.iter().map(|noise| *noise < rate).collect();
            plane.chunks(32).map(row).collect()
        });
        let case = Case { x: axis, y: axis, scores: scores.collect() };
        let geometry = case.geometry();
        Buffers::new(case.shape()).certify(&case, |map, certifier| {
            for (w, h) in [(5, 5), (24, 1), (2, 12)] {
                let patch = PatchSize::new(w, h).unwrap();
                let expected = case.attack(w.into(), h.into(), sum);
                let verdict = certifier.certify(patch, Condition::SumWindow32).unwrap();
                let size = (w.into(), h.into());
                support::assert_verdict(&verdict, expected, &case, size, Condition::SumWindow32);
            }
            let patch = PatchSize::new(12, 2).unwrap();
            let slow = certify_monotone(map, &geometry, patch, &bagcert_certifier::Sum).unwrap();
            let fast = certifier.certify(patch, Condition::WorstCase31).unwrap();
            assert_eq!(slow, fast);
        });
    }
}

/// The affected regions that the paper's receptive fields give for 5x5 on CIFAR-10.
#[test]
fn paper_regions() {
    for (half, cells) in [(2, 81), (3, 121), (4, 169), (5, 225), (6, 289)] {
        let axis = Axis::new(32, 32, 1, -half, half).unwrap();
        let geometry = Geometry { x: axis, y: axis };
        assert_eq!(
            geometry.max_affected_cells(PatchSize::new(5, 5).unwrap()),
            Ok(cells)
        );
    }
}
