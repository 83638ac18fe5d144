//! What C can do wrong: each is an error, and leaves no verdict of an earlier frame.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::ffi::CStr;
use std::ptr;

use bagcert_certifier_c::*;

const SHAPE: BagcertShape = BagcertShape {
    classes: 10,
    height: 8,
    width: 9,
};
const CELLS: usize = 72;

/// A certified verdict that an earlier frame might have left.
const EARLIER: BagcertVerdict = BagcertVerdict {
    predicted: 3,
    certified: true,
    slack: 77,
    rival: 4,
    worst: BagcertPixel { x: 1, y: 2 },
    has_second: true,
    second: BagcertCells {
        first_x: 1,
        last_x: 2,
        first_y: 3,
        last_y: 4,
    },
    patch: BagcertPatch {
        width: 2,
        height: 3,
    },
    condition: 2,
};

fn axis(cells: u32) -> BagcertAxis {
    BagcertAxis {
        inputs: cells,
        outputs: cells,
        stride: 1,
        lo: -1,
        hi: 1,
    }
}

/// Everything that a call takes, good until a test spoils it.
struct Call {
    shape: BagcertShape,
    geometry: BagcertGeometry,
    sizes: Vec<BagcertPatch>,
    condition: u32,
    mask_step: u32,
    logits: Vec<f32>,
    bytes: Vec<u8>,
    packed: Vec<u8>,
    scores: Vec<u8>,
    table: Vec<i16>,
    verdicts: Vec<BagcertVerdict>,
    votes: Vec<u32>,
    square: u32,
    detail: BagcertDetail,
}

/// The pointers and lengths, as C would give them.
struct Pointers {
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: BagcertQuery,
    no_query: bool,
    logits: (*const f32, usize),
    bytes: (*const u8, usize),
    packed: (*const u8, usize),
    memory: BagcertMemory,
    no_memory: bool,
    output: BagcertOutput,
    no_output: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Logits,
    Bytes,
    Packed,
}

const KINDS: [Kind; 3] = [Kind::Logits, Kind::Bytes, Kind::Packed];

impl Call {
    fn new() -> Call {
        // Class 7 everywhere, class 2 in the first rows.
        let vote = |class: usize, cell: usize| class == 7 || (class == 2 && cell < 20);
        let votes = |class: usize| (0..CELLS).map(move |cell| vote(class, cell));
        let mut packed = vec![0; 2 * CELLS];
        for class in 0..10 {
            for (cell, vote) in votes(class).enumerate() {
                packed[class / 8 * CELLS + cell] |= u8::from(vote) << (class % 8);
            }
        }
        Call {
            shape: SHAPE,
            geometry: BagcertGeometry {
                x: axis(9),
                y: axis(8),
            },
            sizes: vec![
                BagcertPatch {
                    width: 2,
                    height: 2,
                },
                BagcertPatch {
                    width: 1,
                    height: 3,
                },
            ],
            condition: BagcertCondition::SumWindow32 as u32,
            mask_step: 1,
            logits: (0..10)
                .flat_map(|class| votes(class).map(|vote| if vote { 1.0 } else { -1.0 }))
                .collect(),
            bytes: (0..10)
                .flat_map(|class| votes(class).map(u8::from))
                .collect(),
            packed,
            scores: vec![0; 2 * CELLS + 40],
            table: vec![0; 8000],
            verdicts: vec![EARLIER; 2],
            votes: vec![99; 10],
            square: 99,
            detail: BagcertDetail {
                argument: ptr::null(),
                needed: 99,
                found: 99,
                class_index: 99,
                y: 99,
                x: 99,
            },
        }
    }

    /// Calls with pointers that `spoil` has changed.
    fn with(&mut self, kind: Kind, spoil: impl FnOnce(&mut Pointers)) -> BagcertStatus {
        let mut given = Pointers {
            shape: &raw const self.shape,
            geometry: &raw const self.geometry,
            query: BagcertQuery {
                patches: self.sizes.as_ptr(),
                patches_len: self.sizes.len(),
                condition: self.condition,
                mask_step: self.mask_step,
            },
            no_query: false,
            logits: (self.logits.as_ptr(), self.logits.len()),
            bytes: (self.bytes.as_ptr(), self.bytes.len()),
            packed: (self.packed.as_ptr(), self.packed.len()),
            memory: BagcertMemory {
                scores: self.scores.as_mut_ptr(),
                scores_len: self.scores.len(),
                table: self.table.as_mut_ptr(),
                table_len: self.table.len(),
            },
            no_memory: false,
            output: BagcertOutput {
                verdicts: self.verdicts.as_mut_ptr(),
                verdicts_len: self.verdicts.len(),
                votes: self.votes.as_mut_ptr(),
                votes_len: self.votes.len(),
                largest_square: &raw mut self.square,
                detail: &raw mut self.detail,
            },
            no_output: false,
        };
        spoil(&mut given);
        let null_if = |no: bool| usize::from(!no);
        let query = [ptr::null(), &raw const given.query][null_if(given.no_query)];
        let memory = [ptr::null(), &raw const given.memory][null_if(given.no_memory)];
        let output = [ptr::null(), &raw const given.output][null_if(given.no_output)];
        let Pointers {
            shape, geometry, ..
        } = given;
        // SAFETY: good pointers into this call, or such as the functions must refuse.
        unsafe {
            match kind {
                Kind::Logits => {
                    let (logits, len) = given.logits;
                    bagcert_certify_logits(shape, geometry, query, logits, len, memory, output)
                }
                Kind::Bytes => {
                    let (scores, len) = given.bytes;
                    bagcert_certify_scores(shape, geometry, query, scores, len, memory, output)
                }
                Kind::Packed => {
                    let (scores, len) = given.packed;
                    bagcert_certify_packed(shape, geometry, query, scores, len, memory, output)
                }
            }
        }
    }

    fn run(&mut self, kind: Kind) -> BagcertStatus {
        self.with(kind, |_| ())
    }

    fn argument(&self) -> &str {
        // SAFETY: the library names an argument by a text of its own.
        let argument = unsafe { CStr::from_ptr(self.detail.argument) };
        argument.to_str().unwrap()
    }

    /// No answer is left of an earlier frame, nor half of this one's.
    #[track_caller]
    fn holds_no_verdict(&self) {
        for verdict in &self.verdicts {
            assert!(!verdict.certified, "{verdict:?}");
            assert_eq!(verdict.slack, i64::MIN);
            assert_eq!((verdict.predicted, verdict.rival), (usize::MAX, usize::MAX));
        }
        assert!(self.votes.iter().all(|votes| *votes == 0));
        assert_eq!(self.square, 0);
    }
}

/// Spoils the values of a good call in one way; it must fail with this status, for this argument.
#[track_caller]
fn refused(
    kinds: &[Kind],
    status: BagcertStatus,
    argument: &str,
    spoil: impl Fn(&mut Call),
) -> Call {
    let mut last = Call::new();
    for kind in kinds {
        let mut call = Call::new();
        spoil(&mut call);
        assert_eq!(call.run(*kind), status, "{kind:?}");
        assert_eq!(call.argument(), argument, "{kind:?}");
        call.holds_no_verdict();
        last = call;
    }
    last
}

/// The same with the pointers.
#[track_caller]
fn refused_pointers(
    kinds: &[Kind],
    status: BagcertStatus,
    argument: &str,
    spoil: impl Fn(&mut Pointers),
) {
    for kind in kinds {
        let mut call = Call::new();
        assert_eq!(call.with(*kind, &spoil), status, "{kind:?}");
        assert_eq!(call.argument(), argument, "{kind:?}");
        call.holds_no_verdict();
    }
}

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

#[test]
fn shapes_and_geometries() {
    use BagcertStatus as Status;
    let shapes = [
        ((1, 8, 9), Status::NoRival),
        ((0, 8, 9), Status::NoRival),
        ((10, 0, 9), Status::EmptyMap),
        ((10, 8, 0), Status::EmptyMap),
        ((usize::MAX, 8, 9), Status::MapTooLarge),
        ((10, usize::MAX, usize::MAX), Status::MapTooLarge),
    ];
    for ((classes, height, width), status) in shapes {
        refused(&KINDS, status, "shape", |call| {
            call.shape = BagcertShape {
                classes,
                height,
                width,
            };
        });
    }
    let spoil: [(fn(&mut BagcertAxis), Status); 7] = [
        (|axis| axis.inputs = 0, Status::NoInputs),
        (|axis| axis.outputs = 0, Status::NoOutputs),
        (|axis| axis.stride = 0, Status::ZeroStride),
        (|axis| axis.lo = 2, Status::EmptyReceptiveField),
        (|axis| axis.hi = i32::MAX, Status::ExtentTooLarge),
        (|axis| axis.inputs = u32::MAX, Status::ExtentTooLarge),
        (|axis| axis.outputs += 1, Status::GeometryMismatch),
    ];
    for (spoil, status) in spoil {
        refused(&KINDS, status, "geometry", |call| {
            spoil(&mut call.geometry.x)
        });
        refused(&KINDS, status, "geometry", |call| {
            spoil(&mut call.geometry.y)
        });
    }
    refused(&KINDS, Status::GeometryMismatch, "geometry", |call| {
        std::mem::swap(&mut call.geometry.x, &mut call.geometry.y);
    });
}

#[test]
fn queries() {
    use BagcertStatus as Status;
    let patch = |width, height| BagcertPatch { width, height };
    refused(&KINDS, Status::NoPatch, "query.patches_len", |call| {
        call.sizes.clear();
    });
    let many = refused(
        &KINDS,
        Status::TooManyPatches,
        "query.patches_len",
        |call| {
            call.sizes = vec![patch(1, 1); BAGCERT_MAX_PATCHES + 1];
        },
    );
    assert_eq!((many.detail.needed, many.detail.found), (32, 33));
    for empty in [patch(0, 2), patch(2, 0)] {
        refused(&KINDS, Status::EmptyPatch, "query.patches", |call| {
            call.sizes[1] = empty;
        });
    }
    for large in [patch(10, 1), patch(1, 9), patch(u32::MAX, u32::MAX)] {
        for condition in 1..=5 {
            refused(&KINDS, Status::PatchTooLarge, "query.patches", |call| {
                call.sizes[1] = large;
                call.condition = condition;
            });
        }
    }
    for condition in [0, 6, 31, u32::MAX] {
        refused(
            &KINDS,
            Status::UnknownCondition,
            "query.condition",
            |call| {
                call.condition = condition;
            },
        );
    }
    for condition in [4, 5] {
        refused(&KINDS, Status::ZeroMaskStep, "query.mask_step", |call| {
            call.condition = condition;
            call.mask_step = 0;
        });
    }
    // As many as there may be.
    let mut call = Call::new();
    call.sizes = vec![patch(1, 1); BAGCERT_MAX_PATCHES];
    call.verdicts = vec![EARLIER; BAGCERT_MAX_PATCHES];
    assert_eq!(call.run(Kind::Logits), Status::Ok);
}

#[test]
fn frames() {
    use BagcertStatus as Status;
    for len in [0, 1, 719, 721] {
        let call = refused(
            &[Kind::Logits],
            Status::LogitsLength,
            "logits_len",
            |call| {
                call.logits.resize(len, 0.0);
            },
        );
        assert_eq!((call.detail.needed, call.detail.found), (720, len));
        let call = refused(&[Kind::Bytes], Status::ScoresLength, "scores_len", |call| {
            call.bytes.resize(len, 0);
        });
        assert_eq!((call.detail.needed, call.detail.found), (720, len));
        let call = refused(
            &[Kind::Packed],
            Status::ScoresLength,
            "scores_len",
            |call| {
                call.packed.resize(len, 0);
            },
        );
        assert_eq!((call.detail.needed, call.detail.found), (144, len));
    }
    for value in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 3 * CELLS + 2 * 9 + 5, 719] {
            for condition in 1..=5 {
                let call = refused(&[Kind::Logits], Status::NonFinite, "logits", |call| {
                    call.logits[at] = value;
                    call.condition = condition;
                });
                let BagcertDetail {
                    class_index, y, x, ..
                } = call.detail;
                assert_eq!((class_index * 8 + y) * 9 + x, at);
            }
        }
    }
    let call = refused(&[Kind::Bytes], Status::NotBinary, "scores", |call| {
        call.bytes[3 * CELLS + 2 * 9 + 5] = 2;
    });
    let BagcertDetail {
        class_index, y, x, ..
    } = call.detail;
    assert_eq!((class_index, y, x), (3, 2, 5));
    // Classes 10 to 15 are not there.
    for bit in 2..8 {
        let call = refused(&[Kind::Packed], Status::NotBinary, "scores", |call| {
            call.packed[CELLS + 2 * 9 + 5] |= 1 << bit;
        });
        assert_eq!((call.detail.y, call.detail.x), (2, 5));
    }
}

#[test]
fn lengths_of_memory_and_output() {
    use BagcertStatus as Status;
    for (condition, table) in [(2, 16 * 92), (5, 8 * (2 * 90 + 72 + 10 * 16) + 2 * 72 * 2)] {
        // One word less than the least, which is enough.
        let call = refused(&KINDS, Status::MemoryTooSmall, "memory.table", |call| {
            call.condition = condition;
            call.table.truncate(table - 1);
        });
        assert_eq!((call.detail.needed, call.detail.found), (table, table - 1));
        let mut call = Call::new();
        call.condition = condition;
        call.table.truncate(table);
        assert_eq!(call.run(Kind::Logits), Status::Ok);
    }
    for len in [0, 183] {
        let call = refused(&KINDS, Status::MemoryTooSmall, "memory.scores", |call| {
            call.scores.truncate(len);
        });
        assert_eq!((call.detail.needed, call.detail.found), (184, len));
    }
    for len in [0, 1, 3] {
        refused(
            &KINDS,
            Status::VerdictsLength,
            "output.verdicts_len",
            |call| {
                call.verdicts.resize(len, EARLIER);
            },
        );
    }
    for len in [1, 9, 11] {
        refused(&KINDS, Status::VotesLength, "output.votes_len", |call| {
            call.votes.resize(len, 99);
        });
    }
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
    assert_eq!(count, 30);
    assert_eq!(bagcert_certifier_abi(), BAGCERT_CERTIFIER_ABI);
}
