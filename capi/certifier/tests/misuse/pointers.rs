//! Pointers and lengths of memory that cannot be.

use std::mem::offset_of;
use std::ptr;

use bagcert_certifier_c::{BagcertAxis, BagcertGeometry, BagcertStatus, BagcertVerdict};

use crate::call::{self, CELLS, Call, KINDS, Kind, Pointers, refused_pointers};

#[test]
fn null_pointers() {
    use BagcertStatus::NullPointer;
    let refused = |argument, spoil: fn(&mut Pointers)| {
        refused_pointers(&KINDS, NullPointer, argument, spoil);
    };
    refused("shape", |given| given.shape = ptr::null());
    refused("geometry", |given| given.geometry = ptr::null());
    refused("query", |given| given.no_query = true);
    refused("query.patches", |given| given.query.patches = ptr::null());
    refused("memory", |given| given.no_memory = true);
    refused("memory.scores", |given| {
        given.memory.scores = ptr::null_mut();
    });
    refused("memory.table", |given| given.memory.table = ptr::null_mut());
    refused_pointers(&[Kind::Logits], NullPointer, "logits", |given| {
        given.logits.0 = ptr::null();
    });
    refused_pointers(&[Kind::Bytes], NullPointer, "scores", |given| {
        given.bytes.0 = ptr::null();
    });
    refused_pointers(&[Kind::Packed], NullPointer, "scores", |given| {
        given.packed.0 = ptr::null();
    });
    // Without an output there is nowhere to say it, but still no undefined behaviour.
    for kind in KINDS {
        let status = Call::new().with(kind, |given| given.no_output = true);
        assert_eq!(status, NullPointer);
        let mut call = Call::new();
        let status = call.with(kind, |given| given.output.verdicts = ptr::null_mut());
        assert_eq!((status, call.argument()), (NullPointer, "output.verdicts"));
        let mut call = Call::new();
        let status = call.with(kind, |given| given.output.votes = ptr::null_mut());
        assert_eq!((status, call.argument()), (NullPointer, "output.votes"));
        assert!(call.verdicts.iter().all(|verdict| !verdict.certified));
    }
}

#[test]
fn misaligned_pointers() {
    use BagcertStatus::Misaligned;
    refused_pointers(&KINDS, Misaligned, "shape", |given| {
        given.shape = given.shape.wrapping_byte_add(1);
    });
    refused_pointers(&KINDS, Misaligned, "geometry", |given| {
        given.geometry = given.geometry.wrapping_byte_add(2);
    });
    refused_pointers(&KINDS, Misaligned, "query.patches", |given| {
        given.query.patches = given.query.patches.wrapping_byte_add(1);
    });
    refused_pointers(&[Kind::Logits], Misaligned, "logits", |given| {
        given.logits.0 = given.logits.0.wrapping_byte_add(2);
    });
    refused_pointers(&KINDS, Misaligned, "memory.table", |given| {
        given.memory.table = given.memory.table.wrapping_byte_add(1);
    });
    for kind in KINDS {
        let mut call = Call::new();
        let status = call.with(kind, |given| {
            given.output.verdicts = given.output.verdicts.wrapping_byte_add(4);
        });
        assert_eq!((status, call.argument()), (Misaligned, "output.verdicts"));
    }
}

#[test]
fn arrays_without_end() {
    use BagcertStatus::ArrayTooLong;
    let lengths = [
        usize::MAX,
        usize::MAX / 2,
        isize::MAX.unsigned_abs() / 2 + 1,
    ];
    for len in lengths {
        refused_pointers(&[Kind::Logits], ArrayTooLong, "logits", |given| {
            given.logits.1 = len;
        });
        refused_pointers(&KINDS, ArrayTooLong, "memory.table", |given| {
            given.memory.table_len = len;
        });
        refused_pointers(&KINDS, ArrayTooLong, "query.patches", |given| {
            given.query.patches_len = len;
        });
    }
    // Past the end of the address space.
    refused_pointers(&[Kind::Packed], ArrayTooLong, "scores", |given| {
        given.packed = (ptr::without_provenance(usize::MAX - 8), 144);
    });
}

#[test]
fn memory_that_overlaps() {
    use BagcertStatus::Overlap;
    // Scores in the table's memory, the last byte only.
    refused_pointers(&KINDS, Overlap, "memory.scores", |given| {
        let end = given.memory.table.wrapping_add(given.memory.table_len);
        given.memory.scores = end.cast::<u8>().wrapping_sub(1);
    });
    refused_pointers(&[Kind::Logits], Overlap, "memory.table", |given| {
        given.memory.table = given.logits.0.cast_mut().cast();
        given.memory.table_len = 2;
    });
    // The packed scores of the frame before, where the next ones go.
    refused_pointers(&[Kind::Packed], Overlap, "memory.scores", |given| {
        given.packed.0 = given.memory.scores;
    });
    refused_pointers(&[Kind::Bytes], Overlap, "memory.table", |given| {
        given.bytes.0 = given.memory.table.cast();
    });
    refused_pointers(&KINDS, Overlap, "memory.table", |given| {
        given.memory.table = given.query.patches.cast_mut().cast();
        given.memory.table_len = 1;
    });
    // The verdicts in the memory: what is said there is "no verdict", not rubbish.
    for kind in KINDS {
        let mut call = Call::new();
        let mut room = [0u64; 64];
        let room = room.as_mut_ptr();
        let status = call.with(kind, |given| {
            given.output.verdicts = room.cast();
            given.output.detail = room.cast();
        });
        assert_eq!(status, Overlap);
        for at in 0..2 {
            // SAFETY: the call has written two verdicts there.
            let verdict = unsafe { room.cast::<BagcertVerdict>().add(at).read() };
            assert!(!verdict.certified && verdict.slack == i64::MIN);
        }
    }
    // Neighbours do not overlap.
    let mut call = Call::new();
    let mut both = vec![0i16; 8000];
    let status = call.with(Kind::Logits, |given| {
        given.memory.scores = both.as_mut_ptr().cast();
        given.memory.scores_len = 2 * CELLS + 40;
        given.memory.table = both.as_mut_ptr().wrapping_add(CELLS + 20);
        given.memory.table_len = 4000;
    });
    assert_eq!(status, BagcertStatus::Ok);
}

/// "No verdict" is written before the work: over the question, it would be another one.
#[test]
fn answers_over_the_question() {
    for kind in KINDS {
        let refused = |spoil: &dyn Fn(&mut Pointers) -> *mut u32| {
            let mut call = Call::new();
            let status = call.with(kind, |given| given.output.largest_square = spoil(given));
            let found = (status, call.argument());
            assert_eq!(found, (BagcertStatus::Overlap, "output.largest_square"));
            assert!(call.verdicts.iter().all(|verdict| !verdict.certified));
        };
        // A receptive field that begins at the cell, and not before it: fewer cells to reach.
        let mut geometry = BagcertGeometry {
            x: call::axis(9),
            y: call::axis(8),
        };
        let place = &raw mut geometry;
        refused(&|given| {
            given.geometry = place;
            place.wrapping_byte_add(offset_of!(BagcertAxis, lo)).cast()
        });
        let mut shape = call::SHAPE;
        let place = &raw mut shape;
        refused(&|given| {
            given.shape = place;
            place.cast()
        });
        refused(&|given| &raw mut given.query.mask_step);
        refused(&|given| (&raw mut given.memory.table_len).cast());
        refused(&|given| (&raw mut given.output.votes_len).cast());
    }
}
