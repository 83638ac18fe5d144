//! Masks whose sums reach the ends of a 16-bit word, tables that wrap around, and windows beyond a
//! word, against the definitions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_sign_loss,
    missing_docs
)]

mod support;

use bagcert_certifier::Masking;
use support::masked::{Deployment, Masked, bits, check, check_one};
use support::{Case, PlainAxis};

fn plain(cells: i64) -> PlainAxis {
    PlainAxis {
        inputs: cells,
        outputs: cells,
        stride: 1,
        lo: 0,
        hi: 0,
    }
}

/// Three classes: one everywhere, one nowhere, and one that has the first's odd cells; in this order
/// or another. A few cells go astray.
fn case(height: i64, width: i64, order: [usize; 3]) -> Case {
    let score = |class: usize, y: i64, x: i64| {
        let astray = (y * 31 + x * 17) % 101 == 0;
        match order[class] {
            0 => !astray,
            1 => astray && (y + x) % 3 == 0,
            _ => (y * width + x) % 2 == 1,
        }
    };
    let plane = |class| {
        let row = |y| (0..width).map(|x| score(class, y, x)).collect();
        (0..height).map(row).collect()
    };
    Case {
        x: plain(width),
        y: plain(height),
        scores: (0..3).map(plane).collect(),
    }
}

/// `(height, width)` of the map and sizes of patches, width first.
fn compare((height, width): (i64, i64), patches: &[(i64, i64)], step: u32) {
    let deployment = Deployment::new(&case(height, width, [0, 1, 2]), patches, step);
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let case = case(height, width, order);
        let mut masked = Masked::new(case.shape(), patches.len());
        check(&mut masked, &case, &bits(&case), &deployment);
    }
}

#[test]
fn rows_around_the_limit_of_a_word() {
    // 8191 cells in the rows of a window are the most that words are used for.
    compare((1, 8_191), &[(8_190, 1)], 1);
    compare((1, 8_192), &[(8_191, 1)], 1);
    compare((100, 90), &[(88, 91)], 1);
    compare((100, 90), &[(88, 92)], 1);
    compare((100, 90), &[(45, 90), (88, 92)], 1);
}

#[test]
fn windows_beyond_a_word() {
    compare((100, 100), &[(98, 97)], 1);
    compare((182, 183), &[(182, 181), (20, 180)], 30);
    compare((204, 203), &[(202, 203)], 1);
    compare((9_000, 1), &[(1, 8_999), (1, 8_990)], 4);
    // Windows of one size fit words, those of the other do not, together with which they are removed.
    compare((204, 203), &[(200, 8), (202, 203)], 30);
    compare((204, 203), &[(202, 203), (200, 8)], 30);
}

#[test]
fn small_windows_of_a_table_that_wraps_around() {
    // 40,000 cells in all, windows of 34 x 19. (The mask aggregator would take all 36,576 regions.)
    let case = case(100, 400, [2, 0, 1]);
    let deployment = Deployment::new(&case, &[(20, 5)], 15);
    let mut masked = Masked::new(case.shape(), 1);
    check_one(
        &mut masked,
        &case,
        &bits(&case),
        &deployment,
        Masking::Double,
    );
}
