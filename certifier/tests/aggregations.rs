//! Condition 3.1 for aggregations other than the sum.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use bagcert_certifier::{ClassScores, MonotoneAggregation, PatchSize, ScoreMap, certify_monotone};
use proptest::prelude::*;
use support::{Case, PlainAxis, assert_verdict};

fn plane(scores: &ClassScores<'_>) -> Vec<Vec<bool>> {
    let plane: Vec<Vec<bool>> = scores.rows().map(Iterator::collect).collect();
    assert_eq!(
        (plane.len(), plane[0].len()),
        (scores.height(), scores.width())
    );
    plane
}

/// Votes above a threshold, up to a cap.
struct Clipped {
    from: i64,
    to: i64,
}

impl Clipped {
    fn of(&self, plane: &[Vec<bool>]) -> i64 {
        support::sum(plane).clamp(self.from, self.to)
    }
}

impl MonotoneAggregation for Clipped {
    fn value(&self, scores: &ClassScores<'_>) -> i64 {
        let votes = scores.rows().flatten().filter(|score| *score).count() as i64;
        votes.clamp(self.from, self.to)
    }
}

/// Fewest votes that remain when any one `height` x `width` block of cells is masked.
struct MinMask {
    height: usize,
    width: usize,
}

impl MinMask {
    fn of(&self, plane: &[Vec<bool>]) -> i64 {
        let (rows, columns) = (plane.len(), plane[0].len());
        let (height, width) = (self.height.min(rows), self.width.min(columns));
        let mut least = i64::MAX;
        for y in 0..=rows - height {
            for x in 0..=columns - width {
                let mut left = 0;
                for (r, row) in plane.iter().enumerate() {
                    for (c, score) in row.iter().enumerate() {
                        let masked = (y..y + height).contains(&r) && (x..x + width).contains(&c);
                        left += i64::from(*score && !masked);
                    }
                }
                least = least.min(left);
            }
        }
        least
    }
}

impl MonotoneAggregation for MinMask {
    fn value(&self, scores: &ClassScores<'_>) -> i64 {
        self.of(&plane(scores))
    }
}

/// Rows that are full: monotone, and far from additive.
struct FullRows;

impl FullRows {
    fn of(plane: &[Vec<bool>]) -> i64 {
        plane
            .iter()
            .filter(|row| row.iter().all(|score| *score))
            .count() as i64
    }
}

impl MonotoneAggregation for FullRows {
    fn value(&self, scores: &ClassScores<'_>) -> i64 {
        scores
            .rows()
            .map(|mut row| i64::from(row.all(|score| score)))
            .sum()
    }
}

fn check(
    case: &Case,
    (w, h): (i64, i64),
    aggregation: &impl MonotoneAggregation,
    plain: impl Fn(&[Vec<bool>]) -> i64,
) {
    let mut memory = vec![0; case.shape().score_len()];
    let map = ScoreMap::from_scores(case.shape(), |c, y, x| case.scores[c][y][x], &mut memory);
    let patch = PatchSize::new(w as u32, h as u32).unwrap();
    let verdict = certify_monotone(&map.unwrap(), &case.geometry(), patch, aggregation).unwrap();
    let expected = case.attack(w, h, &plain);
    let values: Vec<i64> = case.scores.iter().map(|c| plain(c)).collect();
    assert_eq!(verdict.predicted, Case::argmax(&values));
    assert_verdict(&verdict, expected, case, (w, h), verdict.condition);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_monotone_aggregation(
        noise in proptest::collection::vec(0u8..100, 4 * 6 * 7),
        (height, width, classes) in (1i64..=6, 1i64..=7, 2usize..=4),
        (stride, lo, length) in (1i64..=3, -3i64..=2, 0i64..=4),
        (w, h) in (1i64..=5, 1i64..=5),
        rates in [0u8..100, 0u8..100],
        (from, to) in (0i64..6, 6i64..40),
    ) {
        let axis = |outputs| PlainAxis { inputs: 5, outputs, stride, lo, hi: lo + length };
        let scores = (0..classes).map(|class| {
            let rate = rates[usize::from(class > 0)];
            let cell = |y, x| noise[(class * 6 + y) * 7 + x] < rate;
            (0..height as usize).map(|y| (0..width as usize).map(|x| cell(y, x)).collect()).collect()
        });
        let case = Case { x: axis(width), y: axis(height), scores: scores.collect() };
        let clipped = Clipped { from, to };
        check(&case, (w, h), &clipped, |plane| clipped.of(plane));
        let mask = MinMask { height: 2, width: 3 };
        check(&case, (w, h), &mask, |plane| mask.of(plane));
        check(&case, (w, h), &FullRows, FullRows::of);
    }
}

#[test]
fn worst_case_scores_are_visible() {
    // What an aggregation sees outside its map, and that `score` and `rows` agree.
    struct Probe;
    impl MonotoneAggregation for Probe {
        fn value(&self, scores: &ClassScores<'_>) -> i64 {
            let plane = plane(scores);
            for (y, row) in plane.iter().enumerate() {
                for (x, score) in row.iter().enumerate() {
                    assert_eq!(scores.score(y, x), Some(*score));
                }
            }
            assert_eq!(scores.score(scores.height(), 0), None);
            assert_eq!(scores.score(0, scores.width()), None);
            support::sum(&plane)
        }
    }
    let axis = PlainAxis {
        inputs: 4,
        outputs: 4,
        stride: 1,
        lo: -1,
        hi: 0,
    };
    let scores = (0..3).map(|c| {
        (0..4)
            .map(|y| (0..4).map(|x| (x + y) % 3 == c).collect())
            .collect()
    });
    let case = Case {
        x: axis,
        y: axis,
        scores: scores.collect(),
    };
    check(&case, (2, 1), &Probe, support::sum);
}
