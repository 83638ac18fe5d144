//! Windows and maps beyond one table word, against sums worked out without tables.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, PatchSize, ScoreMap, Shape, Verdict,
};

/// Cells that see one pixel each.
fn geometry(height: u32, width: u32) -> Geometry {
    let axis = |cells| Axis::new(cells, cells, 1, 0, 0).unwrap();
    Geometry {
        x: axis(width),
        y: axis(height),
    }
}

fn certify(
    (height, width): (u32, u32),
    patch: (u32, u32),
    score: impl Fn(usize, usize, usize) -> bool,
) -> Verdict {
    let shape = Shape::new(2, height as usize, width as usize).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let mut table = vec![0; shape.table_len()];
    let map = ScoreMap::from_scores(shape, score, &mut scores).unwrap();
    let certifier = Certifier::new(&map, &geometry(height, width), &mut table).unwrap();
    let patch = PatchSize::new(patch.0, patch.1).unwrap();
    let verdict = certifier.certify(patch, Condition::SumWindow32).unwrap();
    assert_eq!(certifier.certify_constant_work(patch), Ok(verdict));
    verdict
}

/// The slack and position by adding up every window cell by cell.
fn slow(
    (height, width): (u32, u32),
    (w, h): (u32, u32),
    score: impl Fn(usize, usize, usize) -> bool,
) -> (i64, u32, u32) {
    let gain = |y: u32, x: u32| {
        let s = |class| i64::from(score(class, y as usize, x as usize));
        1 + s(0) - s(1)
    };
    let mut margin = 0;
    for y in 0..height {
        margin += (0..width).map(|x| gain(y, x) - 1).sum::<i64>();
    }
    let mut worst = (i64::MAX, 0, 0);
    for y in 0..=height - h {
        for x in 0..=width - w {
            let lost: i64 = (y..y + h)
                .map(|y| (x..x + w).map(|x| gain(y, x)).sum::<i64>())
                .sum();
            worst = worst.min((margin - lost, y, x));
        }
    }
    worst
}

fn compare(map: (u32, u32), patch: (u32, u32), score: impl Fn(usize, usize, usize) -> bool + Copy) {
    let verdict = certify(map, patch, score);
    let found = (verdict.slack, verdict.worst.y, verdict.worst.x);
    assert_eq!(found, slow(map, patch, score), "{map:?} {patch:?}");
}

/// Class 0 everywhere but at a few cells, where the two classes change places.
fn nearly_full(class: usize, y: usize, x: usize) -> bool {
    (class == 0) != (y * 31 + x * 17).is_multiple_of(101)
}

#[test]
fn windows_around_the_signed_limit() {
    // 16383 cells of gain 2 are the most that a signed word can hold, 127 x 129 of them.
    for patch in [(127, 129), (129, 127), (128, 128), (128, 127)] {
        let full = |class, _, _| class == 0;
        let verdict = certify((130, 130), patch, full);
        assert_eq!(verdict.slack, 130 * 130 - 2 * i64::from(patch.0 * patch.1));
        compare((130, 130), patch, nearly_full);
    }
}

#[test]
fn windows_beyond_the_unsigned_limit() {
    for patch in [
        (181, 181),
        (182, 180),
        (190, 200),
        (3, 200),
        (203, 161),
        (203, 204),
    ] {
        compare((204, 203), patch, nearly_full);
        let verdict = certify((204, 203), patch, |class, _, _| class == 0);
        assert_eq!(verdict.slack, 204 * 203 - 2 * i64::from(patch.0 * patch.1));
    }
}

/// The worst window begins below the first row and right of the first column.
#[test]
fn the_position_of_a_window_beyond_one_word() {
    let (map, patch) = ((204, 203), (190, 200));
    for strong in [(3, 0), (2, 7), (0, 5), (4, 13)] {
        // The rival has all rows and columns before this cell, where the attacker gains nothing.
        let inside = |y: usize, x: usize| y >= strong.0 && x >= strong.1;
        let score = |class: usize, y: usize, x: usize| (class == 0) == inside(y, x);
        compare(map, patch, score);
        let worst = certify(map, patch, score).worst;
        assert_eq!((worst.y as usize, worst.x as usize), strong);
    }
}

#[test]
fn windows_of_a_tile_and_one_cell() {
    // 32768 cells of gain 2 wrap around to nothing at all: the worst that a tile too large could do.
    for (map, patch) in [((256, 128), (128, 256)), ((32_768, 1), (1, 32_768))] {
        let verdict = certify(map, patch, |class, _, _| class == 0);
        assert_eq!((verdict.slack, verdict.certified), (-32_768, false));
    }
}

#[test]
fn small_windows_of_a_table_that_wraps_around() {
    // 160,000 in the last word of the table: it has wrapped around twice.
    let map = (200, 400);
    for patch in [(1, 1), (5, 5), (24, 1), (1, 24), (7, 60)] {
        compare(map, patch, nearly_full);
        let verdict = certify(map, patch, |class, _, _| class == 0);
        assert_eq!(verdict.slack, 200 * 400 - 2 * i64::from(patch.0 * patch.1));
    }
    let verdict = certify(map, (5, 5), |class, y, x| {
        class == 0 || (y, x) != (150, 390)
    });
    assert_eq!(
        (verdict.slack, verdict.worst.y, verdict.worst.x),
        (1 - 26, 146, 386)
    );
}

#[test]
fn long_maps() {
    // More rows and columns than a signed word counts, and windows wider than a tile.
    let weak = |class: usize, y: usize, x: usize| class == 0 || (y + x) % 39_000 < 38_000;
    for patch in [1, 700, 33_000, 39_999, 40_000] {
        let long = |map, size| {
            let verdict = certify(map, size, weak);
            (verdict.slack, verdict.worst.y.max(verdict.worst.x))
        };
        let down = long((40_000, 1), (1, patch));
        assert_eq!(down, long((1, 40_000), (patch, 1)));
        // One dimension: a running sum is enough.
        let gain: Vec<i64> = (0..40_000)
            .map(|i| if weak(1, i, 0) { 1 } else { 2 })
            .collect();
        let margin: i64 = gain.iter().map(|gain| gain - 1).sum();
        let mut sum: i64 = gain[..patch as usize].iter().sum();
        let mut worst = (margin - sum, 0);
        for start in 1..=40_000 - patch as usize {
            sum += gain[start + patch as usize - 1] - gain[start - 1];
            worst = worst.min((margin - sum, start as u32));
        }
        assert_eq!(down, worst);
    }
}
