//! Mistakes that certificates for patches invite, each as the smallest map that shows it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod support;

use bagcert_certifier::{Condition, Fault, PatchSize, Pixel, Sum, Verdict, certify_monotone};
use support::{Buffers, Case, PlainAxis, check};

/// One row of cells that each see one pixel.
fn row(scores: &[&[u8]]) -> Case {
    let cells = scores[0].len() as i64;
    let x = PlainAxis {
        inputs: cells,
        outputs: cells,
        stride: 1,
        lo: 0,
        hi: 0,
    };
    let y = PlainAxis {
        inputs: 1,
        outputs: 1,
        stride: 1,
        lo: 0,
        hi: 0,
    };
    let scores = scores
        .iter()
        .map(|s| vec![s.iter().map(|s| *s == 1).collect()])
        .collect();
    Case { x, y, scores }
}

fn certify(case: &Case, w: u32, h: u32, condition: Condition) -> Verdict {
    let patch = PatchSize::new(w, h).unwrap();
    Buffers::new(case.shape()).certify(case, |_, certifier| {
        certifier.certify(patch, condition).unwrap()
    })
}

#[test]
fn the_runner_up_need_not_be_the_worst_rival() {
    // Votes 3, 2, 1. Three neighbours can give class 1 at most 3, but class 2 as much as 5.
    let case = row(&[&[1, 1, 0, 1, 0], &[0, 1, 1, 0, 0], &[1, 0, 0, 0, 0]]);
    let verdict = certify(&case, 3, 1, Condition::SumWindow32);
    assert_eq!((verdict.slack, verdict.rival), (-3, 2));
    let runner_up = Case {
        scores: case.scores[..2].to_vec(),
        ..case
    };
    assert_eq!(certify(&runner_up, 3, 1, Condition::SumWindow32).slack, -2);
}

#[test]
fn the_runner_up_alone_would_certify_wrongly() {
    // Class 1 is 7 votes behind and has 2 of any 4 neighbours: 6 to gain. Class 2 is 8 behind, and
    // has none of the first 4: 8 to gain, a tie.
    let case = row(&[
        &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        &[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
        &[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    ]);
    let verdict = certify(&case, 4, 1, Condition::SumWindow32);
    assert_eq!(
        (verdict.slack, verdict.rival, verdict.certified),
        (0, 2, false)
    );
    check(&mut Buffers::new(case.shape()), &case, &[(4, 1)]);
    let runner_up = Case {
        scores: case.scores[..2].to_vec(),
        ..case
    };
    let verdict = certify(&runner_up, 4, 1, Condition::SumWindow32);
    assert_eq!((verdict.slack, verdict.certified), (1, true));
}

#[test]
fn a_tie_is_not_certified() {
    // 2 votes to 0, one cell affected: the attacker takes one and adds one. 1 to 1.
    let case = row(&[&[1, 1, 0], &[0, 0, 0]]);
    for condition in [
        Condition::WorstCase31,
        Condition::SumWindow32,
        Condition::SumGlobal33,
    ] {
        let verdict = certify(&case, 1, 1, condition);
        assert_eq!(
            (verdict.slack, verdict.certified),
            (0, false),
            "{condition}"
        );
    }
    let case = row(&[&[1, 1, 1], &[0, 0, 0]]);
    for condition in [
        Condition::WorstCase31,
        Condition::SumWindow32,
        Condition::SumGlobal33,
    ] {
        let verdict = certify(&case, 1, 1, condition);
        assert_eq!((verdict.slack, verdict.certified), (1, true), "{condition}");
    }
}

#[test]
fn equal_votes_predict_the_lowest_class_and_certify_nothing() {
    for case in [
        row(&[&[0, 0], &[0, 0], &[0, 0]]),
        row(&[&[0, 0], &[1, 0], &[0, 1]]),
    ] {
        let verdict = certify(&case, 1, 1, Condition::SumWindow32);
        let predicted = Case::argmax(&Case::votes(&case.scores));
        assert_eq!(verdict.predicted, predicted);
        assert!(!verdict.certified);
    }
}

#[test]
fn the_worst_patch_is_the_first_and_its_rival_the_lowest() {
    // All positions and both rivals are equally bad.
    let verdict = certify(
        &row(&[&[1, 1, 1, 1], &[0; 4], &[0; 4]]),
        1,
        1,
        Condition::SumWindow32,
    );
    assert_eq!((verdict.worst, verdict.rival), (Pixel { x: 0, y: 0 }, 1));
    // Class 1 is worst at pixel 3 alone, class 2 at pixel 1: position comes first.
    let case = row(&[&[1, 1, 1, 1], &[1, 1, 1, 0], &[1, 0, 1, 1]]);
    let verdict = certify(&case, 1, 1, Condition::SumWindow32);
    assert_eq!((verdict.worst.x, verdict.rival), (1, 2));
}

#[test]
fn a_patch_on_the_border_reaches_the_cells_there() {
    // Stride 2 on 5 pixels: the last window is partial, and the weak spot lies in it.
    let x = PlainAxis {
        inputs: 5,
        outputs: 3,
        stride: 2,
        lo: 0,
        hi: 1,
    };
    let y = PlainAxis {
        inputs: 1,
        outputs: 1,
        stride: 1,
        lo: 0,
        hi: 0,
    };
    for weak in 0..3 {
        let mut case = Case {
            x,
            y,
            scores: vec![vec![vec![true; 3]]; 2],
        };
        case.scores[1][0] = vec![true; 3];
        case.scores[1][0][weak] = false;
        let verdict = certify(&case, 1, 1, Condition::SumWindow32);
        assert_eq!(verdict.worst.x as usize, 2 * weak);
        check(
            &mut Buffers::new(case.shape()),
            &case,
            &[(1, 1), (2, 1), (3, 1), (5, 1)],
        );
    }
}

#[test]
fn a_patch_as_large_as_the_image_certifies_nothing() {
    for side in 1..=4i64 {
        for (lo, hi) in [(0, 0), (-1, 1), (-3, 0)] {
            let axis = PlainAxis {
                inputs: side,
                outputs: side,
                stride: 1,
                lo,
                hi,
            };
            let full = vec![vec![true; side as usize]; side as usize];
            let none = vec![vec![false; side as usize]; side as usize];
            let case = Case {
                x: axis,
                y: axis,
                scores: vec![none.clone(), full, none],
            };
            for condition in [
                Condition::WorstCase31,
                Condition::SumWindow32,
                Condition::SumGlobal33,
            ] {
                let verdict = certify(&case, side as u32, side as u32, condition);
                assert!(!verdict.certified && verdict.slack < 0, "{verdict:?}");
            }
        }
    }
}

#[test]
fn a_patch_larger_than_the_image_is_a_fault() {
    let case = row(&[&[1, 1, 1], &[0, 0, 0]]);
    let geometry = case.geometry();
    Buffers::new(case.shape()).certify(&case, |map, certifier| {
        for (w, h) in [
            (4, 1),
            (3, 2),
            (1, u32::MAX),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
        ] {
            let patch = PatchSize::new(w, h).unwrap();
            let fault = Fault::PatchTooLarge {
                patch,
                image_width: 3,
                image_height: 1,
            };
            for condition in [
                Condition::WorstCase31,
                Condition::SumWindow32,
                Condition::SumGlobal33,
            ] {
                assert_eq!(certifier.certify(patch, condition), Err(fault));
            }
            assert_eq!(certify_monotone(map, &geometry, patch, &Sum), Err(fault));
            assert!(geometry.max_affected_cells(patch).is_err());
        }
    });
}

#[test]
fn a_patch_that_no_cell_sees_leaves_the_margin() {
    // Gaps: cells see pixels 0 and 4 only. Condition 3.2 looks at the worst position all the same.
    let x = PlainAxis {
        inputs: 5,
        outputs: 2,
        stride: 4,
        lo: 0,
        hi: 0,
    };
    let y = PlainAxis {
        inputs: 1,
        outputs: 1,
        stride: 1,
        lo: 0,
        hi: 0,
    };
    let case = Case {
        x,
        y,
        scores: vec![vec![vec![true, true]], vec![vec![false, false]]],
    };
    assert_eq!(certify(&case, 1, 1, Condition::SumWindow32).slack, 0);
    // All cells see padding only: no patch matters, and a tie is still a tie.
    let x = PlainAxis {
        inputs: 3,
        outputs: 2,
        stride: 1,
        lo: 7,
        hi: 9,
    };
    for (scores, slack) in [([true, true], 2), ([false, false], 0)] {
        let case = Case {
            x,
            y,
            scores: vec![vec![scores.to_vec()], vec![vec![false, false]]],
        };
        for condition in [
            Condition::WorstCase31,
            Condition::SumWindow32,
            Condition::SumGlobal33,
        ] {
            let verdict = certify(&case, 3, 1, condition);
            assert_eq!(
                (verdict.slack, verdict.certified),
                (slack, slack > 0),
                "{condition}"
            );
            assert_eq!(verdict.worst, Pixel { x: 0, y: 0 });
        }
    }
}

#[test]
fn no_square_is_skipped() {
    let axis = PlainAxis {
        inputs: 6,
        outputs: 6,
        stride: 1,
        lo: 0,
        hi: 0,
    };
    let full = vec![vec![true; 6]; 6];
    let none = vec![vec![false; 6]; 6];
    let case = Case {
        x: axis,
        y: axis,
        scores: vec![full.clone(), none],
    };
    // 36 votes; 2 k^2 are lost: 4x4 leaves 4, 5x5 nothing.
    Buffers::new(case.shape()).certify(&case, |_, c| assert_eq!(c.largest_square(), 4));
    let case = Case {
        scores: vec![full.clone(), full],
        ..case
    };
    Buffers::new(case.shape()).certify(&case, |_, c| assert_eq!(c.largest_square(), 0));
    let blind = PlainAxis {
        lo: 9,
        hi: 9,
        ..axis
    };
    let case = Case {
        x: blind,
        scores: vec![vec![vec![true; 6]; 6], vec![vec![false; 6]; 6]],
        ..case
    };
    Buffers::new(case.shape()).certify(&case, |_, c| assert_eq!(c.largest_square(), 6));
}

/// Cells 4 and 5 see nothing but padding: a vote there is safe.
#[test]
fn cells_that_see_no_pixel_are_never_lost() {
    let mut case = row(&[&[0, 0, 0, 0, 1, 1], &[0; 6]]);
    case.x.inputs = 4;
    for (width, slack) in [(1, 1), (2, 0), (4, -2)] {
        let verdict = certify(&case, width, 1, Condition::SumWindow32);
        assert_eq!((verdict.slack, verdict.certified), (slack, slack > 0));
    }
}
