//! Every binary map of small sizes, against the attacker that flips affected scores freely.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod support;

use support::{Buffers, Case, PlainAxis, check};

fn axis(inputs: i64, outputs: i64, stride: i64, lo: i64, hi: i64) -> PlainAxis {
    PlainAxis {
        inputs,
        outputs,
        stride,
        lo,
        hi,
    }
}

/// Every map of `classes` x `y.outputs` x `x.outputs` with every patch size.
fn every_map(classes: usize, y: PlainAxis, x: PlainAxis) {
    let (height, width) = (y.outputs as usize, x.outputs as usize);
    let bits = classes * height * width;
    assert!(bits <= 16, "too many maps");
    let mut patches = Vec::new();
    for h in 1..=y.inputs {
        patches.extend((1..=x.inputs).map(|w| (w, h)));
    }
    let mut case = Case {
        x,
        y,
        scores: vec![vec![vec![false; width]; height]; classes],
    };
    let mut buffers = Buffers::new(case.shape());
    for map in 0u32..1 << bits {
        for class in 0..classes {
            for row in 0..height {
                for column in 0..width {
                    let bit = (class * height + row) * width + column;
                    case.scores[class][row][column] = map >> bit & 1 == 1;
                }
            }
        }
        check(&mut buffers, &case, &patches);
    }
}

#[test]
fn two_classes_2x3() {
    every_map(2, axis(2, 2, 1, 0, 0), axis(3, 3, 1, -1, 1));
    every_map(2, axis(4, 2, 2, -1, 1), axis(5, 3, 2, -2, 0));
}

#[test]
fn three_classes_2x2() {
    every_map(3, axis(2, 2, 1, -1, 0), axis(2, 2, 1, 0, 1));
    every_map(3, axis(5, 2, 3, 0, 1), axis(4, 2, 2, 0, 1));
}

#[test]
fn three_classes_1x5() {
    every_map(3, axis(1, 1, 1, 0, 0), axis(5, 5, 1, 0, 0));
    every_map(3, axis(1, 1, 1, -3, 3), axis(9, 5, 2, -1, 0));
}

#[test]
fn gaps_between_receptive_fields() {
    every_map(2, axis(1, 1, 1, 0, 0), axis(10, 4, 3, 0, 0));
    every_map(2, axis(7, 2, 4, 1, 2), axis(6, 2, 4, 0, 0));
}

#[test]
fn cells_wholly_in_padding() {
    every_map(2, axis(2, 2, 1, 0, 0), axis(2, 4, 1, -1, -1));
    every_map(2, axis(1, 1, 1, 0, 0), axis(3, 6, 2, 3, 4));
    every_map(2, axis(1, 2, 1, 5, 9), axis(3, 3, 1, -1, 1));
    every_map(3, axis(2, 1, 1, 0, 0), axis(2, 4, 1, -4, -3));
}

#[test]
fn four_classes_2x2() {
    every_map(4, axis(3, 2, 2, -1, 1), axis(3, 2, 1, 0, 1));
}
