//! Nothing allocates between a frame's logits and its verdicts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap,
    Shape, Sum, certify_monotone, rectangles_of_area,
};

/// Counts every call, so that a single hidden one shows.
struct Counting;

thread_local! {
    /// Calls of this thread: the test harness has another one, which allocates when it likes.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    CALLS.set(calls() + 1);
}

fn calls() -> usize {
    CALLS.get()
}

// SAFETY: passes every call on to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_frame_is_certified_without_an_allocator() {
    let axis = Axis::new(32, 32, 1, -3, 3).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    let shape = Shape::new(10, 32, 32).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let mut table = vec![0; shape.table_len()];
    let logits: Vec<f32> = (0..10_240)
        .map(|i| if i % 7 == i / 1024 { 1.0 } else { -1.0 })
        .collect();
    let patch = PatchSize::new(5, 5).unwrap();
    let patches = [patch, PatchSize::new(3, 8).unwrap()];
    let mut masks = vec![0; shape.masks_len(patches.len())];

    let before = calls();
    drop(black_box(Box::new(1)));
    assert_eq!(calls() - before, 2, "the counter must count");

    let before = calls();
    let mut slack = 0;
    let map = ScoreMap::from_logits(shape, &logits, &mut scores).unwrap();
    let certifier = Certifier::new(&map, &geometry, &mut table).unwrap();
    for condition in [
        Condition::WorstCase31,
        Condition::SumWindow32,
        Condition::SumGlobal33,
    ] {
        slack += certifier.certify(patch, condition).unwrap().slack;
        slack += certifier
            .squares(condition)
            .map(|verdict| verdict.slack)
            .sum::<i64>();
        let areas = certifier.sweep(rectangles_of_area(24, 32, 32), condition);
        slack += areas.map(|verdict| verdict.unwrap().slack).sum::<i64>();
    }
    slack += i64::from(certifier.largest_square());
    slack += certify_monotone(&map, &geometry, patch, &Sum)
        .unwrap()
        .slack;
    for masking in [Masking::Single, Masking::Double] {
        let set = MaskSet::new(&geometry, &patches).unwrap();
        let mut masked = MaskCertifier::new(&map, set, masking, &mut masks).unwrap();
        slack += masked
            .verdicts()
            .map(|verdict| verdict.unwrap().slack)
            .sum::<i64>();
    }
    black_box(slack);
    assert_eq!(calls() - before, 0);
}
