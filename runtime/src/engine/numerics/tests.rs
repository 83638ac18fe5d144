//! Where the patches of a check lie, how large they are and what they hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;

use bagcert_certifier::{Axis, Geometry, PatchSize, Pixel, Shape, Span};

use super::*;

const INPUT: ImageShape = ImageShape {
    channels: 3,
    height: 32,
    width: 21,
};

/// Rows and columns that have nothing in common: cell `i` reads rows `2i - 3 ..= 2i + 4` and columns
/// `3i - 1 ..= 3i + 2`.
fn geometry() -> Geometry {
    Geometry {
        x: Axis::new(21, 7, 3, -1, 2).unwrap(),
        y: Axis::new(32, 16, 2, -3, 4).unwrap(),
    }
}

/// Left, top, width and height.
type Rectangle = [u32; 4];

fn rectangle((patch, at): (PatchSize, Pixel)) -> Rectangle {
    [at.x, at.y, patch.width(), patch.height()]
}

/// All bands on one side over many seeds, and whether some seed gave none.
fn bands(side: usize, input: ImageShape, geometry: &Geometry) -> (BTreeSet<Rectangle>, bool) {
    let found: Vec<_> = (0..600)
        .map(|seed| band(side, input, geometry, &mut SplitMix(seed)).map(rectangle))
        .collect();
    let none = found.iter().any(Option::is_none);
    (found.into_iter().flatten().collect(), none)
}

/// Above, below, left and right of every cell whose field leaves pixels there: up to the last pixel before what
/// the cell reads, or from the first behind it on.
#[test]
fn bands_end_at_the_edge_of_what_a_cell_reads() {
    let geometry = geometry();
    // Written out: cell 0 reads rows -3 to 4, cell 1 rows -1 to 6, cell 2 rows 1 to 8, ..., cell 15 rows 27 to 34.
    let above = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27];
    let below = [5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];
    // Cell 0 reads columns -1 to 2, cell 1 columns 2 to 5, ..., cell 6 columns 17 to 20.
    let left = [2, 5, 8, 11, 14, 17];
    let right = [3, 6, 9, 12, 15, 18];
    let expected: [BTreeSet<Rectangle>; 4] = [
        above.into_iter().map(|end| [0, 0, 21, end]).collect(),
        below
            .into_iter()
            .map(|start| [0, start, 21, 32 - start])
            .collect(),
        left.into_iter().map(|end| [0, 0, end, 32]).collect(),
        right
            .into_iter()
            .map(|start| [start, 0, 21 - start, 32])
            .collect(),
    ];
    for (side, expected) in expected.into_iter().enumerate() {
        let (found, none) = bands(side, INPUT, &geometry);
        assert_eq!(found, expected, "side {side}");
        assert!(none, "side {side}: the outermost cell has nothing there");
    }
}

/// The same by the certifier's own rule: some cell is just not affected, and would be by one pixel more.
#[test]
fn one_pixel_more_of_a_band_would_reach_a_cell() {
    let axes = [
        (1, 0, 0),
        (1, -2, 2),
        (2, -3, 4),
        (3, 1, 1),
        (4, -8, 8),
        (5, -1, 9),
        (2, -1, 0),
    ];
    for (stride, lo, hi) in axes {
        let axis = Axis::new(40, 40 / stride, stride, lo, hi).unwrap();
        let other = Axis::new(12, 6, 2, 0, 1).unwrap();
        for side in 0..4 {
            let rows = side < 2;
            let (geometry, height, width) = if rows {
                (Geometry { x: other, y: axis }, 40, 12)
            } else {
                (Geometry { x: axis, y: other }, 12, 40)
            };
            let input = ImageShape {
                channels: 1,
                height,
                width,
            };
            let (found, _) = bands(side, input, &geometry);
            assert!(
                found.len() > 3,
                "{stride} {lo} {hi}, side {side}: {found:?}"
            );
            for [left, top, wide, high] in found {
                let (start, end) = if rows {
                    (top, top + high)
                } else {
                    (left, left + wide)
                };
                let across = if rows {
                    [left, wide, 12]
                } else {
                    [top, high, 12]
                };
                assert_eq!([0, 12, 12], across, "all the way across");
                let first = side % 2 == 0;
                assert_eq!(if first { start } else { end }, if first { 0 } else { 40 });
                let reach = |start, end| axis.affected(start, end - 1);
                let more = if first {
                    reach(0, end + 1)
                } else {
                    reach(start - 1, 40)
                };
                // Hitting a cell at its first or last pixel and no more.
                let edge = |cell: u32| {
                    let pixel = i64::from(stride) * i64::from(cell);
                    if first {
                        pixel + i64::from(lo) == i64::from(end)
                    } else {
                        pixel + i64::from(hi) + 1 == i64::from(start)
                    }
                };
                let Some(Span {
                    first: low,
                    last: high,
                }) = more
                else {
                    panic!("{stride} {lo} {hi}, side {side}: nothing is near");
                };
                assert!(
                    (low..=high).any(edge),
                    "{stride} {lo} {hi}, side {side}: {start}..{end}"
                );
                if let Some(span) = reach(start, end) {
                    assert!(!(span.first..=span.last).any(edge));
                }
            }
        }
    }
}

/// A cell that reads the whole image leaves no pixel: the trial falls back on a patch of its own.
#[test]
fn without_a_band_a_trial_still_has_a_patch() {
    let all = Geometry {
        x: Axis::new(21, 7, 3, -30, 30).unwrap(),
        y: Axis::new(32, 16, 2, -40, 40).unwrap(),
    };
    for trial in 0..PATCHES {
        for seed in 0..50 {
            let (patch, at) = placed(trial, INPUT, &all, &mut SplitMix(seed)).unwrap();
            assert_eq!(patch, size(trial, INPUT).unwrap(), "trial {trial}");
            let expected = position(trial, patch, INPUT, &mut after_band(trial, seed)).unwrap();
            assert_eq!((at.x, at.y), (expected.x, expected.y), "trial {trial}");
        }
    }
    // Where there are bands, the last four trials are those of the four sides, and no others.
    for trial in 0..PATCHES {
        let mut spans = [0; 2];
        for seed in 0..60 {
            let found = placed(trial, INPUT, &geometry(), &mut SplitMix(seed)).unwrap();
            let [_, _, width, height] = rectangle(found);
            spans[0] += u32::from(width == 21);
            spans[1] += u32::from(height == 32);
        }
        match trial.checked_sub(PLACED) {
            Some(0 | 1) => assert!(spans[0] > 40 && spans[1] == 0, "{trial}: {spans:?}"),
            Some(_) => assert!(spans[1] > 30 && spans[0] == 0, "{trial}: {spans:?}"),
            None => assert_eq!(spans, [0, 0], "{trial}"),
        }
    }
}

/// The generator as it is once a band was tried and not found.
fn after_band(trial: usize, seed: u64) -> SplitMix {
    let mut random = SplitMix(seed);
    if trial >= PLACED {
        random.next();
    }
    random
}

#[test]
fn patches_have_the_sizes_and_places_that_the_check_promises() {
    let input = ImageShape {
        channels: 3,
        height: 48,
        width: 60,
    };
    let table: [([u32; 2], Option<[u32; 2]>); PLACED] = [
        ([10, 8], Some([0, 0])),
        ([20, 16], Some([40, 0])),
        ([1, 1], Some([0, 47])),
        ([10, 8], Some([50, 40])),
        ([30, 1], Some([15, 0])),
        ([20, 16], Some([20, 32])),
        ([1, 24], Some([0, 12])),
        ([20, 16], Some([40, 16])),
        ([20, 16], Some([20, 16])),
        ([10, 8], None),
        ([1, 24], None),
    ];
    for (trial, ([width, height], place)) in table.into_iter().enumerate() {
        let patch = size(trial, input).unwrap();
        assert_eq!([patch.width(), patch.height()], [width, height], "{trial}");
        let places: BTreeSet<(u32, u32)> = (0..4000)
            .map(|seed| {
                let at = position(trial, patch, input, &mut SplitMix(seed)).unwrap();
                (at.x, at.y)
            })
            .collect();
        match place {
            Some([x, y]) => assert_eq!(places, [(x, y)].into(), "{trial}"),
            None => {
                // Everywhere, up to both borders.
                let columns: BTreeSet<u32> = places.iter().map(|at| at.0).collect();
                let rows: BTreeSet<u32> = places.iter().map(|at| at.1).collect();
                assert!(columns.into_iter().eq(0..=60 - width), "{trial}");
                assert!(rows.into_iter().eq(0..=48 - height), "{trial}");
            }
        }
    }
    // No side is ever of no pixels.
    let tiny = ImageShape {
        channels: 1,
        height: 1,
        width: 2,
    };
    for trial in 0..PATCHES {
        let patch = size(trial, tiny).unwrap();
        assert_eq!([patch.width(), patch.height()], [1, 1], "{trial}");
    }
    let large = PatchSize::new(3, 1).unwrap();
    assert!(position(0, large, tiny, &mut SplitMix(1)).is_err());
}

#[test]
fn fillings_take_their_turns() {
    let name = |fill: Fill| match fill {
        Fill::Opposite => "opposite",
        Fill::Ones => "ones",
        Fill::Zeros => "zeros",
        Fill::Checkerboard => "checkerboard",
        Fill::Noise => "noise",
    };
    for trial in 0..PATCHES {
        assert_eq!(name(fill(trial, Kind::Scene)), "opposite");
        let turn = ["ones", "zeros", "noise", "checkerboard"][trial % 4];
        assert_eq!(name(fill(trial, Kind::Extreme)), turn);
    }
}

#[test]
fn a_patch_is_painted_and_nothing_else() {
    let input = ImageShape {
        channels: 2,
        height: 5,
        width: 7,
    };
    let values = [0.0, 0.25, 0.499, 0.5, 0.75, 1.0];
    let base: Vec<f32> = (0..70).map(|at| values[at % 6]).collect();
    let patch = PatchSize::new(3, 2).unwrap();
    let at = Pixel { x: 2, y: 1 };
    for filling in [
        Fill::Opposite,
        Fill::Ones,
        Fill::Zeros,
        Fill::Checkerboard,
        Fill::Noise,
    ] {
        let mut image = base.clone();
        paint(&mut image, input, patch, at, filling, &mut SplitMix(5));
        let mut drawn = SplitMix(5);
        for (index, (&value, &before)) in image.iter().zip(&base).enumerate() {
            let (y, x) = (index / 7 % 5, index % 7);
            let expected = if !(1..3).contains(&y) || !(2..5).contains(&x) {
                before
            } else {
                match filling {
                    Fill::Opposite if before < 0.5 => 1.0,
                    Fill::Opposite | Fill::Zeros => 0.0,
                    Fill::Ones => 1.0,
                    Fill::Checkerboard => [1.0, 0.0][(x + y) % 2],
                    Fill::Noise => drawn.unit(),
                }
            };
            assert_eq!(value, expected, "row {y}, column {x}");
        }
    }
}

/// Each logit outside the affected cells counts, to the cell beside them; none inside.
#[test]
fn a_changed_bit_is_found_where_it_is() {
    let shape = Shape::new(3, 4, 5).unwrap();
    let clean = vec![0.5f32; 60];
    let cells = CellRect {
        x: Span { first: 1, last: 3 },
        y: Span { first: 2, last: 2 },
    };
    for index in 0..60 {
        let (class, y, x) = (index / 20, index % 20 / 5, index % 5);
        let mut patched = clean.clone();
        patched[index] = 0.5f32.next_up();
        let said = |affected| compare(&clean, &patched, shape, affected).err();
        let found = said(None).unwrap();
        assert_eq!([found.class, found.y, found.x], [class, y, x]);
        assert_eq!((found.before, found.after), (0.5, 0.5f32.next_up()));
        let inside = y == 2 && (1..=3).contains(&x);
        assert_eq!(said(Some(cells)).is_none(), inside, "{class} {y} {x}");
    }
    // Bits, not values; and the same is no change.
    let zeros = (vec![0.0f32; 60], vec![-0.0f32; 60]);
    assert!(compare(&zeros.0, &zeros.1, shape, None).is_err());
    assert!(compare(&clean, &clean, shape, None).is_ok());
}

/// A network that counts its passes and changes its mind at one of them.
struct Fickle {
    passes: usize,
    changed: usize,
    logits: Vec<f32>,
}

impl ForwardPass for Fickle {
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        assert_eq!(image.len(), 3 * 32 * 21);
        self.passes += 1;
        self.logits.fill(1.0);
        if self.passes == self.changed {
            self.logits[111] = 2.0;
        }
        Ok(&self.logits)
    }
}

#[test]
fn every_pass_is_looked_at() {
    let shape = Shape::new(2, 16, 7).unwrap();
    let mut outcomes = Vec::new();
    for changed in 0..=FORWARD_PASSES + 1 {
        let mut pass = Fickle {
            passes: 0,
            changed,
            logits: vec![0.0; 224],
        };
        let outcome = check_numerics(&mut pass, INPUT, shape, &geometry(), 3);
        if outcome.is_ok() {
            assert_eq!(pass.passes, FORWARD_PASSES);
        } else {
            assert!(pass.passes >= changed);
        }
        outcomes.push(match outcome {
            Ok(()) => '.',
            Err(EngineError::Leak {
                class: 0,
                y: 15,
                x: 6,
                ..
            }) => 'L',
            Err(EngineError::NotRepeatable {
                class: 0,
                y: 15,
                x: 6,
                ..
            }) => 'R',
            Err(other) => panic!("{other}"),
        });
    }
    let outcomes: String = outcomes.into_iter().collect();
    // The pass on the image itself is the one that others differ from. The cell that changes is the last of its
    // class: patches at the lower right affect it, and those below and right of a cell.
    let (first, second) = outcomes[1..=FORWARD_PASSES].split_at(1 + PATCHES + 1);
    for half in [first, second] {
        assert!(half.starts_with('L') && half.ends_with('R'), "{outcomes}");
        let missed = half.chars().filter(|&c| c == '.').count();
        assert!((1..=6).contains(&missed), "{outcomes}");
    }
    assert!(outcomes.starts_with('.') && outcomes.ends_with('.'));

    let short = Shape::new(3, 16, 7).unwrap();
    let mut pass = Fickle {
        passes: 0,
        changed: 0,
        logits: vec![0.0; 224],
    };
    let outcome = check_numerics(&mut pass, INPUT, short, &geometry(), 3);
    assert!(matches!(
        outcome,
        Err(EngineError::OutputLength {
            expected: 336,
            found: 224
        })
    ));
}

/// A network that keeps what it is shown.
struct Witness {
    images: Vec<Vec<f32>>,
    logits: Vec<f32>,
}

impl ForwardPass for Witness {
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        self.images.push(image.to_vec());
        Ok(&self.logits)
    }
}

/// Patches do not pile up: each is the only one on its image, and the last image has none.
#[test]
fn each_patch_is_alone_on_its_image() {
    let shape = Shape::new(2, 16, 7).unwrap();
    let mut pass = Witness {
        images: vec![],
        logits: vec![0.0; 224],
    };
    check_numerics(&mut pass, INPUT, shape, &geometry(), 9).unwrap();
    for half in pass.images.chunks(1 + PATCHES + 1) {
        let (base, rest) = half.split_first().unwrap();
        assert_eq!(rest.last(), Some(base));
        for (trial, image) in rest.iter().take(PLACED).enumerate() {
            let changed = image.iter().zip(base).enumerate();
            let changed = changed.filter(|(_, (image, base))| image != base);
            let places: Vec<(usize, usize)> = changed
                .map(|(index, _)| (index % 21, index / 21 % 32))
                .collect();
            let patch = size(trial, INPUT).unwrap();
            let spread = |along: fn(&(usize, usize)) -> usize| {
                let (first, last) = (
                    places.iter().map(along).min(),
                    places.iter().map(along).max(),
                );
                last.zip(first).map_or(0, |(last, first)| last - first + 1)
            };
            assert!(spread(|at| at.0) <= patch.width() as usize, "trial {trial}");
            assert!(
                spread(|at| at.1) <= patch.height() as usize,
                "trial {trial}"
            );
        }
    }
}
