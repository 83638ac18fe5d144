//! Values that make no sense: shapes, geometries, queries, frames, lengths.

use bagcert_certifier_c::{
    BAGCERT_MAX_PATCHES, BagcertAxis, BagcertDetail, BagcertPatch, BagcertShape, BagcertStatus,
};

use crate::call::{CELLS, Call, EARLIER, KINDS, Kind, refused};

/// One way to spoil an axis.
type Spoil = fn(&mut BagcertAxis);

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
    let spoil: [(Spoil, Status); 7] = [
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
    for condition in 1..=4 {
        for lead in [1, u32::MAX] {
            refused(&KINDS, Status::UnusedLead, "query.lead", |call| {
                call.condition = condition;
                call.lead = lead;
            });
        }
    }
    // More than any class can have: an answer, and no certificate.
    for (lead, certified) in [(0, true), (u32::MAX, false)] {
        let mut call = Call::new();
        (call.condition, call.lead) = (5, lead);
        assert_eq!(call.run(Kind::Logits), Status::Ok);
        for verdict in &call.verdicts {
            assert_eq!((verdict.predicted, verdict.certified), (7, certified));
            assert_eq!(verdict.slack > 0, certified);
        }
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
    for (condition, table) in [
        (2, 16 * 92),
        (5, 8 * (2 * 90 + 85 + 10 * 16 + 1) + 2 * 72 * 2),
    ] {
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
