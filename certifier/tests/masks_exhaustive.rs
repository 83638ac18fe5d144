//! Every binary map of small sizes under masks, and every attack on every certified one.
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

use support::masked::{Bits, Deployment, Masked, check};
use support::{Case, PlainAxis};

fn axis(inputs: i64, outputs: i64, stride: i64, lo: i64, hi: i64) -> PlainAxis {
    PlainAxis {
        inputs,
        outputs,
        stride,
        lo,
        hi,
    }
}

/// Cells that see one pixel each.
fn plain(cells: i64) -> PlainAxis {
    axis(cells, cells, 1, 0, 0)
}

/// Checks every map against the definitions, then lets an attacker write anything into every
/// affected region of every certified map. `[maps certified, attacks]` for the mask aggregator and
/// for double masking.
fn every_map(
    classes: usize,
    y: PlainAxis,
    x: PlainAxis,
    patches: &[(i64, i64)],
    step: u32,
) -> [[u64; 2]; 2] {
    every_map_by(classes, y, x, patches, step, 0)
}

/// The same, with a lead.
fn every_map_by(
    classes: usize,
    y: PlainAxis,
    x: PlainAxis,
    patches: &[(i64, i64)],
    step: u32,
    lead: u32,
) -> [[u64; 2]; 2] {
    let (height, width) = (y.outputs as usize, x.outputs as usize);
    let cells = height * width;
    assert!(classes * cells <= 18, "too many maps");
    let case = Case {
        x,
        y,
        scores: vec![vec![vec![false; width]; height]; classes],
    };
    let deployment = Deployment::new(&case, patches, step).with_lead(lead);
    let mut masked = Masked::new(case.shape(), patches.len());
    let planes = |map: u32| -> Vec<Bits> {
        let plane = |class: usize| {
            let set = move |cell: &usize| map >> (class * cells + cell) & 1 == 1;
            Bits::of(cells, (0..cells).filter(set))
        };
        (0..classes).map(plane).collect()
    };
    let answers: Vec<_> = (0u32..1 << (classes * cells))
        .map(|map| check(&mut masked, &case, &planes(map), &deployment))
        .collect();
    [0, 1].map(|predictor| {
        let (mut certified, mut attacks) = (0, 0);
        for (map, answer) in (0u32..).zip(&answers) {
            let (predicted, sizes) = &answer[predictor];
            for (regions, _) in deployment
                .regions
                .iter()
                .zip(sizes)
                .filter(|(_, yes)| **yes)
            {
                certified += 1;
                for (region, _) in regions {
                    let region: u32 = region.cells().iter().map(|cell| 1 << cell).sum();
                    let free = (0..classes).fold(0, |free, class| free | region << (class * cells));
                    // Every subset of the free bits, and none of the others.
                    let mut written = 0u32;
                    loop {
                        let attacked = map & !free | written;
                        let turned = answers[attacked as usize][predictor].0;
                        assert_eq!(turned, *predicted, "{map:b} became {attacked:b}: {case:?}");
                        attacks += 1;
                        written = written.wrapping_sub(free) & free;
                        if written == 0 {
                            break;
                        }
                    }
                }
            }
        }
        println!(
            "{certified} certified, {attacks} attacks: {patches:?}, step {step}, lead {lead}, {y:?}, {x:?}"
        );
        [certified, attacks]
    })
}

/// Certified maps there must have been, so that the attacks mean something.
fn attacked(found: [[u64; 2]; 2], least: [u64; 2]) {
    for ([certified, attacks], least) in found.into_iter().zip(least) {
        assert!(certified >= least && attacks >= certified, "{found:?}");
    }
}

#[test]
fn one_cell() {
    attacked(
        every_map(2, plain(2), plain(4), &[(1, 1)], 1),
        [10_000, 10_000],
    );
    attacked(
        every_map(3, plain(2), plain(3), &[(1, 1)], 1),
        [16_000, 16_000],
    );
}

#[test]
fn four_cells_of_3x3() {
    let found = every_map(2, axis(3, 3, 1, 0, 1), axis(3, 3, 1, -1, 0), &[(1, 1)], 1);
    attacked(found, [2_000, 15_000]);
}

#[test]
fn two_shapes() {
    attacked(
        every_map(2, plain(3), plain(3), &[(2, 1), (1, 2)], 1),
        [20_000, 40_000],
    );
    attacked(
        every_map(2, plain(2), plain(4), &[(2, 2), (1, 1)], 1),
        [4_000, 2_000],
    );
    attacked(
        every_map(3, plain(1), plain(5), &[(2, 1), (1, 1)], 1),
        [500, 200],
    );
}

#[test]
fn regions_of_unequal_size() {
    // Strides that do not divide the image, receptive fields that overlap, and clipped regions.
    let found = every_map(
        2,
        axis(5, 3, 2, 0, 0),
        axis(6, 3, 3, 0, 1),
        &[(2, 1), (1, 3)],
        1,
    );
    attacked(found, [10_000, 10_000]);
    let found = every_map(
        2,
        axis(1, 1, 1, 0, 0),
        axis(16, 8, 2, -1, 1),
        &[(2, 1), (1, 1)],
        1,
    );
    attacked(found, [1_000, 1_000]);
}

#[test]
fn fewer_larger_windows() {
    attacked(every_map(2, plain(2), plain(4), &[(1, 1)], 2), [1_000, 0]);
    attacked(
        every_map(2, plain(1), plain(8), &[(1, 1), (2, 1)], 2),
        [1_000, 1_000],
    );
    attacked(every_map(3, plain(1), plain(5), &[(1, 1)], 2), [200, 300]);
}

/// A lead is asked of windows that override and of certificates alike.
#[test]
fn windows_ahead_by_a_lead() {
    let mut fewer = u64::MAX;
    for lead in [0, 1, 2, 3] {
        let found = every_map_by(2, plain(2), plain(4), &[(1, 1)], 1, lead);
        assert!(found[1][0] < fewer, "lead {lead}: {found:?}");
        fewer = found[1][0];
        assert!(fewer >= 200, "lead {lead}: {found:?}");
    }
    let found = every_map_by(3, plain(2), plain(3), &[(1, 1)], 1, 1);
    attacked(found, [16_000, 1_000]);
    let found = every_map_by(2, plain(3), plain(3), &[(2, 1), (1, 2)], 1, 1);
    attacked(found, [20_000, 5_000]);
    let found = every_map_by(2, plain(1), plain(8), &[(1, 1), (2, 1)], 2, 1);
    attacked(found, [1_000, 100]);
    // More than there are votes.
    let found = every_map_by(2, plain(2), plain(3), &[(1, 1)], 1, u32::MAX);
    assert_eq!(found[1][0], 0);
}

#[test]
fn regions_without_a_cell() {
    // Gaps between receptive fields, and cells that see nothing of the image.
    let found = every_map(2, axis(4, 2, 3, 0, 0), axis(5, 3, 2, 0, 0), &[(1, 1)], 1);
    attacked(found, [500, 500]);
    let found = every_map(2, axis(2, 2, 1, 0, 0), axis(2, 4, 1, -1, -1), &[(1, 1)], 1);
    attacked(found, [10_000, 10_000]);
    let found = every_map(2, axis(3, 2, 1, 7, 9), axis(3, 3, 1, 0, 0), &[(2, 1)], 1);
    attacked(found, [3_000, 3_000]);
}

#[test]
fn windows_that_hold_the_whole_map_certify_nothing() {
    for patches in [&[(3, 2)][..], &[(1, 1), (3, 2)], &[(3, 2), (1, 1)]] {
        let found = every_map(2, plain(2), plain(3), patches, 1);
        assert_eq!(found[1][0], 0, "{patches:?}");
    }
    assert_eq!(every_map(2, plain(2), plain(3), &[(1, 1)], 3)[1][0], 0);
}
