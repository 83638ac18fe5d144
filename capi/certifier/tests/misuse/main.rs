//! What C can do wrong: each is an error, and leaves no verdict of an earlier frame.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod call;
mod pointers;
mod values;

use std::ffi::CStr;
use std::ptr;

use bagcert_certifier_c::*;

use call::{CELLS, Call, Kind, SHAPE, axis};

#[test]
fn good_calls_agree() {
    let mut first = Call::new();
    assert_eq!(first.run(Kind::Logits), BagcertStatus::Ok);
    assert!(first.verdicts[0].certified);
    // 72 to 20 votes; 4x4 cells of 2 votes at most, of which 20 cells have one already.
    assert_eq!(first.verdicts[0].predicted, 7);
    assert_eq!(first.votes, [0, 0, 20, 0, 0, 0, 0, 72, 0, 0]);
    assert!(first.square > 1);
    assert_eq!(first.argument(), "");
    // What the memory begins with is the packed map.
    assert_eq!(first.scores[..2 * CELLS], first.packed);
    for kind in [Kind::Bytes, Kind::Packed] {
        let mut call = Call::new();
        assert_eq!(call.run(kind), BagcertStatus::Ok);
        assert_eq!(call.verdicts, first.verdicts, "{kind:?}");
        assert_eq!(call.votes, first.votes, "{kind:?}");
        assert_eq!(call.square, first.square, "{kind:?}");
    }
    // Nothing but verdicts is asked for.
    let mut call = Call::new();
    let status = call.with(Kind::Logits, |given| {
        given.output.votes = ptr::null_mut();
        given.output.votes_len = 0;
        given.output.largest_square = ptr::null_mut();
        given.output.detail = ptr::null_mut();
    });
    assert_eq!(status, BagcertStatus::Ok);
    assert_eq!(call.verdicts, first.verdicts);
}

#[test]
fn questions_before_the_first_frame() {
    let sizes = [BagcertPatch {
        width: 5,
        height: 5,
    }];
    let query = BagcertQuery {
        patches: sizes.as_ptr(),
        patches_len: 1,
        condition: 2,
        mask_step: 0,
        lead: 0,
    };
    let geometry = BagcertGeometry {
        x: axis(9),
        y: axis(8),
    };
    let mut needed = BagcertMemoryLen {
        scores_len: 1,
        table_len: 1,
    };
    let mut cells = 1;
    // SAFETY: good pointers, or null.
    unsafe {
        assert_eq!(bagcert_check(&SHAPE, &geometry, &query), BagcertStatus::Ok);
        assert_eq!(
            bagcert_memory_len(&SHAPE, &query, &mut needed),
            BagcertStatus::Ok
        );
        assert_eq!((needed.scores_len, needed.table_len), (184, 16 * 92));
        let shape = BagcertShape {
            classes: 1,
            ..SHAPE
        };
        // A length that nobody has: what is sized by it fails.
        let status = bagcert_memory_len(&shape, &query, &mut needed);
        assert_eq!(status, BagcertStatus::NoRival);
        assert_eq!(needed.table_len, usize::MAX);
        let status = bagcert_memory_len(&SHAPE, &query, ptr::null_mut());
        assert_eq!(status, BagcertStatus::NullPointer);
        let status = bagcert_check(&SHAPE, ptr::null(), &query);
        assert_eq!(status, BagcertStatus::NullPointer);
        let status = bagcert_max_affected_cells(&geometry, sizes.as_ptr(), &mut cells);
        assert_eq!((status, cells), (BagcertStatus::Ok, 49));
        let status = bagcert_max_affected_cells(&geometry, ptr::null(), &mut cells);
        assert_eq!((status, cells), (BagcertStatus::NullPointer, u32::MAX));
    }
}

#[test]
fn every_number_has_a_text() {
    let text = |number: i32| {
        // SAFETY: never null, and ends.
        unsafe { CStr::from_ptr(bagcert_status_text(number)) }
            .to_str()
            .unwrap()
    };
    let unknown = text(-1);
    assert_eq!(text(i32::MIN), unknown);
    assert_eq!(text(1000), unknown);
    let header = std::fs::read_to_string("../include/bagcert_certifier.h").unwrap();
    let mut count = 0;
    for line in header.lines() {
        if let Some((_, number)) = line.split_once("BAGCERT_STATUS_").and_then(|(_, rest)| {
            let (name, number) = rest.split_once(" = ")?;
            Some((name, number.trim_end_matches(',').parse::<i32>().ok()?))
        }) {
            assert_ne!(text(number), unknown, "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 31);
    assert_eq!(bagcert_certifier_abi(), BAGCERT_CERTIFIER_ABI);
}
