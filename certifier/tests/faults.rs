//! Impossible input: every constructor says what is wrong, and nothing overflows or panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use bagcert_certifier::{
    Axis, Certifier, Condition, Fault, Geometry, GeometryError, MAX_EXTENT, MaskCertifier, MaskSet,
    Masking, PatchSize, Pixel, ScoreMap, Shape, ShapeError, Span, rectangles_of_area,
};

fn axis(cells: u32) -> Axis {
    Axis::new(cells, cells, 1, 0, 0).unwrap()
}

#[test]
fn axes_are_checked() {
    assert_eq!(Axis::new(0, 1, 1, 0, 0), Err(GeometryError::NoInputs));
    assert_eq!(Axis::new(1, 0, 1, 0, 0), Err(GeometryError::NoOutputs));
    assert_eq!(Axis::new(1, 1, 0, 0, 0), Err(GeometryError::ZeroStride));
    let empty = GeometryError::EmptyReceptiveField { lo: 1, hi: 0 };
    assert_eq!(Axis::new(1, 1, 1, 1, 0), Err(empty));
    let most = MAX_EXTENT as i32;
    for (inputs, outputs, stride, lo, hi) in [
        (u32::MAX, 1, 1, 0, 0),
        (1, MAX_EXTENT + 1, 1, 0, 0),
        (1, 1, u32::MAX, 0, 0),
        (1, 1, 1, i32::MIN, 0),
        (1, 1, 1, 0, i32::MAX),
        (1, 1, 1, -most - 1, most),
        (1, 1, 1, i32::MIN, i32::MAX),
    ] {
        assert_eq!(
            Axis::new(inputs, outputs, stride, lo, hi),
            Err(GeometryError::ExtentTooLarge)
        );
    }
}

#[test]
fn the_largest_geometry_does_not_overflow() {
    let most = MAX_EXTENT as i32;
    for stride in [1, 3, MAX_EXTENT] {
        for (lo, hi) in [(-most, most), (-most, -most), (most, most), (0, 0)] {
            let axis = Axis::new(MAX_EXTENT, MAX_EXTENT, stride, lo, hi).unwrap();
            assert_eq!(
                i64::from(axis.receptive_field()),
                i64::from(hi) - i64::from(lo) + 1
            );
            for (first, last) in [(0, 0), (0, u32::MAX), (u32::MAX, u32::MAX), (5, 4)] {
                let expected = (first <= last).then(|| {
                    // Cell i is affected where stride*i + lo <= last and stride*i + hi >= first.
                    let (first, last) = (i128::from(first), i128::from(last));
                    let (stride, lo, hi) = (i128::from(stride), i128::from(lo), i128::from(hi));
                    let from = (first - hi + stride - 1).div_euclid(stride).max(0);
                    let to = (last - lo)
                        .div_euclid(stride)
                        .min(i128::from(MAX_EXTENT) - 1);
                    (from <= to).then_some(Span {
                        first: from as u32,
                        last: to as u32,
                    })
                });
                assert_eq!(axis.affected(first, last), expected.flatten());
            }
            let geometry = Geometry { x: axis, y: axis };
            for side in [1, 2, MAX_EXTENT - 1, MAX_EXTENT] {
                let patch = PatchSize::new(side, side).unwrap();
                let corner = MAX_EXTENT - side;
                let at = [
                    Pixel { x: 0, y: 0 },
                    Pixel {
                        x: corner,
                        y: corner,
                    },
                ];
                let count = |span: Span| u64::from(span.last - span.first) + 1;
                let cells = at.map(|at| {
                    geometry
                        .affected(patch, at)
                        .map_or(0, |r| count(r.x) * count(r.y))
                });
                match geometry.max_affected_cells(patch) {
                    Ok(most) => assert!(cells.iter().all(|cells| *cells <= u64::from(most))),
                    Err(error) => assert_eq!(error, GeometryError::TooManyCells),
                }
            }
            let far = Pixel {
                x: u32::MAX,
                y: u32::MAX,
            };
            let _ = geometry.affected(PatchSize::new(u32::MAX, u32::MAX).unwrap(), far);
        }
    }
}

#[test]
fn patches_are_checked() {
    for (width, height) in [(0, 0), (0, 5), (5, 0)] {
        let empty = GeometryError::EmptyPatch { width, height };
        assert_eq!(PatchSize::new(width, height), Err(empty));
    }
    let patch = PatchSize::new(24, 1).unwrap();
    assert_eq!(patch.to_string(), "24x1");
    assert_eq!((patch.width(), patch.height()), (24, 1));
    let all: Vec<_> = rectangles_of_area(24, 32, 32)
        .map(|patch| patch.to_string())
        .collect();
    assert_eq!(
        all,
        ["1x24", "2x12", "3x8", "4x6", "6x4", "8x3", "12x2", "24x1"]
    );
    assert_eq!(rectangles_of_area(0, 32, 32).count(), 0);
    assert_eq!(rectangles_of_area(u32::MAX, 3, u32::MAX).count(), 2);
}

#[test]
fn shapes_are_checked() {
    assert_eq!(Shape::new(0, 1, 1), Err(ShapeError::NoRival { classes: 0 }));
    assert_eq!(Shape::new(1, 1, 1), Err(ShapeError::NoRival { classes: 1 }));
    assert_eq!(
        Shape::new(2, 0, 4),
        Err(ShapeError::Empty {
            height: 0,
            width: 4
        })
    );
    assert_eq!(
        Shape::new(2, 4, 0),
        Err(ShapeError::Empty {
            height: 4,
            width: 0
        })
    );
    for (classes, height, width) in [
        (2, usize::MAX, usize::MAX),
        (2, usize::MAX, 1),
        (2, 1, usize::MAX),
        (usize::MAX, 1, 1),
        (usize::MAX / 4, 1, 1),
        (2, 1 << 16, 1 << 15),
        (usize::MAX >> 20, 1 << 10, 1 << 10),
    ] {
        assert_eq!(
            Shape::new(classes, height, width),
            Err(ShapeError::TooLarge)
        );
    }
    // Sizes are known when firmware is compiled.
    const SHAPE: Shape = match Shape::new(10, 32, 32) {
        Ok(shape) => shape,
        Err(_) => panic!(),
    };
    static SCORES: [u8; SHAPE.score_len()] = [0; SHAPE.score_len()];
    assert_eq!(SCORES.len(), 2 * 1024 + 40);
    assert_eq!(SHAPE.table_len(), 2 * 8 * (33 * 33 + 2));
}

#[test]
fn buffers_and_grids_are_checked() {
    let shape = Shape::new(9, 3, 2).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let logits = vec![0.0; 54];
    for found in [0, 53, 55] {
        let logits = vec![0.0; found];
        let fault = ScoreMap::from_logits(shape, &logits, &mut scores).err();
        assert_eq!(
            fault,
            Some(Fault::LogitsLength {
                expected: 54,
                found
            })
        );
    }
    for found in [0, 1, shape.score_len() - 1] {
        let needed = shape.score_len();
        let fault = Some(Fault::MemoryTooSmall { needed, found });
        assert_eq!(
            ScoreMap::from_logits(shape, &logits, &mut scores[..found]).err(),
            fault
        );
        let none = |_, _, _| panic!("no score may be asked for");
        assert_eq!(
            ScoreMap::from_scores(shape, none, &mut scores[..found]).err(),
            fault
        );
    }
    let map = ScoreMap::from_logits(shape, &logits, &mut scores).unwrap();
    let mut table = vec![0; shape.table_len()];
    let right = Geometry {
        x: axis(2),
        y: axis(3),
    };
    for found in [0, 1, shape.table_len() - 1] {
        let fault = Fault::MemoryTooSmall {
            needed: shape.table_len(),
            found,
        };
        assert_eq!(
            Certifier::new(&map, &right, &mut table[..found]).err(),
            Some(fault)
        );
    }
    for (x, y) in [(3, 2), (2, 2), (3, 3), (2, 4), (MAX_EXTENT, MAX_EXTENT)] {
        let wrong = Geometry {
            x: axis(x),
            y: axis(y),
        };
        let fault = Fault::GeometryMismatch {
            height: 3,
            width: 2,
            geometry_height: y,
            geometry_width: x,
        };
        assert_eq!(Certifier::new(&map, &wrong, &mut table).err(), Some(fault));
        let patch = PatchSize::new(1, 1).unwrap();
        let monotone =
            bagcert_certifier::certify_monotone(&map, &wrong, patch, &bagcert_certifier::Sum);
        assert_eq!(monotone, Err(fault));
    }
    assert!(Certifier::new(&map, &right, &mut table).is_ok());
}

#[test]
fn masks_are_checked() {
    let geometry = Geometry {
        x: axis(6),
        y: axis(5),
    };
    let size = |w, h| PatchSize::new(w, h).unwrap();
    assert_eq!(MaskSet::new(&geometry, &[]).err(), Some(Fault::NoPatch));
    let large = [size(2, 2), size(2, 6)];
    let fault = Fault::PatchTooLarge {
        patch: large[1],
        image_width: 6,
        image_height: 5,
    };
    assert_eq!(MaskSet::new(&geometry, &large).err(), Some(fault));

    let patches = [size(3, 2), size(1, 4)];
    let set = MaskSet::new(&geometry, &patches).unwrap();
    let shape = Shape::new(3, 5, 6).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let map = ScoreMap::from_scores(shape, |class, _, _| class == 1, &mut scores).unwrap();
    let mut memory = vec![0; shape.masks_len(2)];
    let needed = memory.len();
    assert!(shape.masks_len(1) < needed);
    let short = &mut memory[..needed - 1];
    let fault = Fault::MemoryTooSmall {
        needed,
        found: needed - 1,
    };
    for masking in [Masking::Single, Masking::Double] {
        let found = MaskCertifier::new(&map, set, masking, short);
        assert_eq!(found.err(), Some(fault));
    }
    let other = Geometry {
        x: axis(5),
        y: axis(6),
    };
    let turned = MaskSet::new(&other, &patches).unwrap();
    let found = MaskCertifier::new(&map, turned, Masking::Double, &mut memory);
    assert!(matches!(found.err(), Some(Fault::GeometryMismatch { .. })));

    let mut masks = MaskCertifier::new(&map, set, Masking::Double, &mut memory).unwrap();
    // A size that is listed, and one that fits into a listed one as which it is certified.
    let listed = masks.certify(size(3, 2)).unwrap();
    let within = masks.certify(size(2, 1)).unwrap();
    assert!(listed.certified && within.slack == listed.slack);
    assert_eq!(within.patch, size(2, 1));
    // Each side fits somewhere, but no size holds both.
    let patch = size(3, 3);
    assert_eq!(masks.certify(patch), Err(Fault::PatchNotMasked { patch }));
    let fault = masks.certify(size(7, 1)).unwrap_err();
    assert!(matches!(fault, Fault::PatchTooLarge { .. }), "{fault}");
    // The aggregator itself may be attacked by any patch.
    let mut masks = MaskCertifier::new(&map, set, Masking::Single, &mut memory).unwrap();
    assert!(masks.certify(patch).is_ok());

    let mut table = vec![0; shape.table_len()];
    let certifier = Certifier::new(&map, &geometry, &mut table).unwrap();
    for condition in [Condition::Mask, Condition::DoubleMask] {
        assert_eq!(
            certifier.certify(patch, condition),
            Err(Fault::NeedsMasks { condition })
        );
    }
}

/// What the playoff counts is twice the number of windows: with more than 2^31 - 1 of them its end would be cut
/// off, and a window that is unanimous overlooked.
#[test]
fn windows_beyond_a_32_bit_count_are_refused() {
    let side = axis(1024);
    let geometry = Geometry { x: side, y: side };
    let shape = Shape::new(2, 1024, 1024).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let map = ScoreMap::from_scores(shape, |class, _, _| class == 1, &mut scores).unwrap();
    // 2^20 windows for each size.
    let patches = vec![PatchSize::new(1, 1).unwrap(); 2048];
    let fault = |sizes: usize| {
        let set = MaskSet::new(&geometry, &patches[..sizes]).unwrap();
        MaskCertifier::new(&map, set, Masking::Double, &mut []).err()
    };
    let few = fault(2047).unwrap();
    assert!(matches!(few, Fault::MemoryTooSmall { .. }), "{few}");
    let many = fault(2048).unwrap();
    assert_eq!(many, Fault::Geometry(GeometryError::TooManyCells));
}

#[test]
fn zero_is_a_vote() {
    let shape = Shape::new(2, 1, 3).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let logits = [0.0, -0.0, -1e-45, -1.0, 1e-45, -f32::MIN_POSITIVE];
    let map = ScoreMap::from_logits(shape, &logits, &mut scores).unwrap();
    let found: Vec<_> = (0..2)
        .flat_map(|c| (0..3).map(move |x| (c, x)))
        .map(|(c, x)| map.score(c, 0, x))
        .collect();
    assert_eq!(found, [true, true, false, false, true, false].map(Some));
    assert_eq!(map.votes().collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn conditions_have_names() {
    for (condition, name) in [
        (Condition::WorstCase31, "3.1"),
        (Condition::SumWindow32, "3.2"),
        (Condition::SumGlobal33, "3.3"),
        (Condition::Mask, "mask"),
        (Condition::DoubleMask, "double-mask"),
    ] {
        assert_eq!(condition.to_string(), name);
        assert_eq!(name.parse(), Ok(condition));
    }
    for text in ["", "3", "3.4", " 3.2", "3.2 ", "Mask", "double mask"] {
        assert!(text.parse::<Condition>().is_err());
    }
}

#[test]
fn faults_say_what_is_wrong() {
    let patch = PatchSize::new(40, 5).unwrap();
    let fault = Fault::PatchTooLarge {
        patch,
        image_width: 32,
        image_height: 32,
    };
    let text = fault.to_string();
    assert!(text.contains("40x5") && text.contains("32x32"), "{text}");
    let text = Fault::NonFinite {
        class: 7,
        y: 3,
        x: 11,
    }
    .to_string();
    assert!(
        text.contains('7') && text.contains('3') && text.contains("11"),
        "{text}"
    );
    let text = Fault::LogitsLength {
        expected: 10_240,
        found: 10,
    }
    .to_string();
    assert!(text.contains("10240") && text.contains("10 "), "{text}");
}
