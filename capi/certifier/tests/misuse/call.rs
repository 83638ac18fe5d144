//! A call from C, good until a test spoils it.

use std::ffi::CStr;
use std::ptr;

use bagcert_certifier_c::*;

pub(crate) const SHAPE: BagcertShape = BagcertShape {
    classes: 10,
    height: 8,
    width: 9,
};
pub(crate) const CELLS: usize = 72;

/// A certified verdict that an earlier frame might have left.
pub(crate) const EARLIER: BagcertVerdict = BagcertVerdict {
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

pub(crate) fn axis(cells: u32) -> BagcertAxis {
    BagcertAxis {
        inputs: cells,
        outputs: cells,
        stride: 1,
        lo: -1,
        hi: 1,
    }
}

/// Everything that a call takes, good until a test spoils it.
pub(crate) struct Call {
    pub(crate) shape: BagcertShape,
    pub(crate) geometry: BagcertGeometry,
    pub(crate) sizes: Vec<BagcertPatch>,
    pub(crate) condition: u32,
    pub(crate) mask_step: u32,
    pub(crate) lead: u32,
    pub(crate) logits: Vec<f32>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) packed: Vec<u8>,
    pub(crate) scores: Vec<u8>,
    pub(crate) table: Vec<i16>,
    pub(crate) verdicts: Vec<BagcertVerdict>,
    pub(crate) votes: Vec<u32>,
    pub(crate) square: u32,
    pub(crate) detail: BagcertDetail,
}

/// The pointers and lengths, as C would give them.
pub(crate) struct Pointers {
    pub(crate) shape: *const BagcertShape,
    pub(crate) geometry: *const BagcertGeometry,
    pub(crate) query: BagcertQuery,
    pub(crate) no_query: bool,
    pub(crate) logits: (*const f32, usize),
    pub(crate) bytes: (*const u8, usize),
    pub(crate) packed: (*const u8, usize),
    pub(crate) memory: BagcertMemory,
    pub(crate) no_memory: bool,
    pub(crate) output: BagcertOutput,
    pub(crate) no_output: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Kind {
    Logits,
    Bytes,
    Packed,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Logits, Kind::Bytes, Kind::Packed];

impl Call {
    pub(crate) fn new() -> Call {
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
            lead: 0,
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
    pub(crate) fn with(&mut self, kind: Kind, spoil: impl FnOnce(&mut Pointers)) -> BagcertStatus {
        let mut given = Pointers {
            shape: &raw const self.shape,
            geometry: &raw const self.geometry,
            query: BagcertQuery {
                patches: self.sizes.as_ptr(),
                patches_len: self.sizes.len(),
                condition: self.condition,
                mask_step: self.mask_step,
                lead: self.lead,
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

    pub(crate) fn run(&mut self, kind: Kind) -> BagcertStatus {
        self.with(kind, |_| ())
    }

    pub(crate) fn argument(&self) -> &str {
        // SAFETY: the library names an argument by a text of its own.
        let argument = unsafe { CStr::from_ptr(self.detail.argument) };
        argument.to_str().unwrap()
    }

    /// No answer is left of an earlier frame, nor half of this one's.
    #[track_caller]
    pub(crate) fn holds_no_verdict(&self) {
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
pub(crate) fn refused(
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
pub(crate) fn refused_pointers(
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
