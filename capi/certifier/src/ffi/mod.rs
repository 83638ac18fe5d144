//! The functions of the header.

pub mod boundary;
pub mod output;

use core::ffi::{CStr, c_char};

use bagcert_certifier::{Geometry, Shape};

use self::boundary::{Array, Region, check_disjoint, read};
use self::output::Output;
use crate::certify::{Frame, Question, certify};
use crate::status::{BagcertStatus, Failure};
use crate::types::{
    BAGCERT_CERTIFIER_ABI, BagcertGeometry, BagcertMemory, BagcertMemoryLen, BagcertOutput,
    BagcertPatch, BagcertQuery, BagcertShape,
};

/// The version of the library, as in "0.1.0".
const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => unreachable!(),
    };

/// Number of the library's interface. A header goes with it whose BAGCERT_CERTIFIER_ABI is the same.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_certifier_abi() -> u32 {
    BAGCERT_CERTIFIER_ABI
}

/// Version of the library, as in "0.1.0". Never NULL; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_certifier_version() -> *const c_char {
    VERSION.as_ptr()
}

/// A status in words, for any number. Never NULL; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_status_text(status: i32) -> *const c_char {
    BagcertStatus::text(status).as_ptr()
}

/// Lengths of the memory that a map of this shape takes for this query. They are those of
/// BAGCERT_SCORES_LEN and, under a masking condition, BAGCERT_MASKS_LEN, else BAGCERT_TABLE_LEN.
///
/// # Safety
/// Each pointer is NULL, which is an error, or leads to a whole object of its type; `query->patches`
/// to `query->patches_len` of them. Nobody writes to these during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_memory_len(
    shape: *const BagcertShape,
    query: *const BagcertQuery,
    needed: *mut BagcertMemoryLen,
) -> BagcertStatus {
    let work = || {
        let needed = Array::new(needed.cast_const(), 1, c"needed")?;
        // Before anything is written, as in `run`.
        // SAFETY: says the caller.
        let given = unsafe { (read_shape(shape), read_query(query)) };
        // SAFETY: says the caller; nothing is borrowed of it.
        unsafe {
            needed.fill(BagcertMemoryLen {
                scores_len: usize::MAX,
                table_len: usize::MAX,
            });
        }
        let (shape, (question, _)) = (given.0?, given.1?);
        let found = question.memory_len(&shape)?;
        // SAFETY: as above.
        unsafe { needed.fill(found) };
        Ok(())
    };
    status(work())
}

/// Checks shape, geometry and query once, when the program starts, as the calls for frames do each
/// time: a query that passes fails later only for what is in a frame or for memory.
///
/// # Safety
/// As of bagcert_memory_len.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_check(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
) -> BagcertStatus {
    let work = || {
        // SAFETY: says the caller.
        let (shape, geometry, (question, _)) = unsafe {
            (
                read_shape(shape)?,
                read_geometry(geometry)?,
                read_query(query)?,
            )
        };
        question.check(&shape, &geometry)
    };
    status(work())
}

/// Most cells that a patch of this size reaches, at any place of the image.
///
/// # Safety
/// As of bagcert_memory_len.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_max_affected_cells(
    geometry: *const BagcertGeometry,
    patch: *const BagcertPatch,
    cells: *mut u32,
) -> BagcertStatus {
    let work = || {
        let cells = Array::new(cells.cast_const(), 1, c"cells")?;
        // Before anything is written, as in `run`.
        // SAFETY: says the caller.
        let given = unsafe { (read_geometry(geometry), read(patch, c"patch")) };
        // SAFETY: says the caller; nothing is borrowed of it.
        unsafe { cells.fill(u32::MAX) };
        let (geometry, patch) = (given.0?, given.1?);
        let found = geometry.max_affected_cells(patch.try_into()?)?;
        // SAFETY: as above.
        unsafe { cells.fill(found) };
        Ok(())
    };
    status(work())
}

/// Certifies a frame from its logits: `classes * height * width` numbers, class slowest, then row,
/// then column. A logit of 0 or more is a vote; NaN and infinity are an error.
///
/// # Safety
/// Each pointer is NULL, which is an error unless its length is 0 or it may be so, or leads to as many
/// whole objects of its type as its length says, in memory that stays there during the call. Nobody
/// else reads or writes `memory` and `output` and what they point to, or writes to the rest, during
/// the call. Alignment and overlaps are checked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_certify_logits(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
    logits: *const f32,
    logits_len: usize,
    memory: *const BagcertMemory,
    output: *const BagcertOutput,
) -> BagcertStatus {
    // SAFETY: says the caller.
    unsafe {
        run(shape, geometry, query, memory, output, || {
            let logits = Array::new(logits, logits_len, c"logits")?;
            Ok((logits.region(), move || Frame::Logits(logits.as_slice())))
        })
    }
}

/// Certifies a frame from its scores: `classes * height * width` bytes of 0 or 1, in the order of
/// logits. Any other byte is an error.
///
/// # Safety
/// As of bagcert_certify_logits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_certify_scores(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
    scores: *const u8,
    scores_len: usize,
    memory: *const BagcertMemory,
    output: *const BagcertOutput,
) -> BagcertStatus {
    // SAFETY: says the caller.
    unsafe {
        run(shape, geometry, query, memory, output, || {
            let scores = Array::new(scores, scores_len, c"scores")?;
            Ok((scores.region(), move || Frame::Scores(scores.as_slice())))
        })
    }
}

/// Certifies a frame from packed scores, eight classes in a byte: bit l of byte
/// `k * height * width + y * width + x` is the score of class `8 * k + l`. There are
/// `(classes + 7) / 8 * height * width` bytes (BAGCERT_PACKED_LEN). A bit of a class that does not
/// exist is an error.
///
/// # Safety
/// As of bagcert_certify_logits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_certify_packed(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
    scores: *const u8,
    scores_len: usize,
    memory: *const BagcertMemory,
    output: *const BagcertOutput,
) -> BagcertStatus {
    // SAFETY: says the caller.
    unsafe {
        run(shape, geometry, query, memory, output, || {
            let scores = Array::new(scores, scores_len, c"scores")?;
            Ok((scores.region(), move || Frame::Packed(scores.as_slice())))
        })
    }
}

/// The part that all kinds of frames share. `open` gives what the frame covers, and a function that
/// borrows it, to be called once that is known to be safe.
///
/// # Safety
/// As of [`bagcert_certify_logits`]; `open` borrows nothing.
unsafe fn run<F: FnOnce() -> Frame<'static>>(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
    memory: *const BagcertMemory,
    output: *const BagcertOutput,
    open: impl FnOnce() -> Result<(Region, F), Failure>,
) -> BagcertStatus {
    // Before anything is written: were an answer's place inside one of these, they would be read as
    // another question. All of it is copied: nothing stays borrowed.
    // SAFETY: says the caller.
    let given = unsafe { read_call(shape, geometry, query, memory) };
    let structs = [
        Region::of(shape),
        Region::of(geometry),
        Region::of(query),
        Region::of(memory),
        Region::of(output),
    ];
    // SAFETY: says the caller.
    let output = unsafe { Output::open(output) };
    let work = || {
        let written = output.check()?;
        let (shape, geometry, (question, patches), memory) = given?;
        let scores = Array::new(memory.scores, memory.scores_len, c"memory.scores")?;
        let table = Array::new(memory.table, memory.table_len, c"memory.table")?;
        let (frame_region, frame) = open()?;
        let [verdicts, votes, square, detail] = written;
        let written = [
            scores.region(),
            table.region(),
            verdicts,
            votes,
            square,
            detail,
        ];
        let [a, b, c, d, e] = structs;
        check_disjoint(&written, &[frame_region, patches, a, b, c, d, e])?;
        // SAFETY: says the caller; nothing that is written overlaps anything, as just checked.
        let (scores, table, mut answers) = unsafe {
            (
                scores.as_mut_slice(),
                table.as_mut_slice(),
                output.answers(),
            )
        };
        certify(
            shape,
            &geometry,
            &question,
            frame(),
            scores,
            table,
            &mut answers,
        )
    };
    let outcome = work();
    // SAFETY: says the caller; what was borrowed above is gone.
    unsafe { output.close(outcome) }
}

/// What [`run`] reads but for the frame.
type Given = (Shape, Geometry, (Question, Region), BagcertMemory);

/// # Safety
/// As of [`read`], for each, and also for the patch sizes.
unsafe fn read_call(
    shape: *const BagcertShape,
    geometry: *const BagcertGeometry,
    query: *const BagcertQuery,
    memory: *const BagcertMemory,
) -> Result<Given, Failure> {
    // SAFETY: says the caller.
    unsafe {
        Ok((
            read_shape(shape)?,
            read_geometry(geometry)?,
            read_query(query)?,
            read(memory, c"memory")?,
        ))
    }
}

fn status(outcome: Result<(), Failure>) -> BagcertStatus {
    outcome.map_or_else(|failure| failure.status, |()| BagcertStatus::Ok)
}

/// # Safety
/// As of [`read`].
unsafe fn read_shape(shape: *const BagcertShape) -> Result<Shape, Failure> {
    // SAFETY: says the caller.
    Ok(unsafe { read(shape, c"shape") }?.try_into()?)
}

/// # Safety
/// As of [`read`].
unsafe fn read_geometry(geometry: *const BagcertGeometry) -> Result<Geometry, Failure> {
    // SAFETY: says the caller.
    Ok(unsafe { read(geometry, c"geometry") }?.try_into()?)
}

/// The question, and where its patch sizes lie.
///
/// # Safety
/// As of [`read`], also for the patch sizes.
pub unsafe fn read_query(query: *const BagcertQuery) -> Result<(Question, Region), Failure> {
    // SAFETY: says the caller.
    let query = unsafe { read(query, c"query") }?;
    let patches = Array::new(query.patches, query.patches_len, c"query.patches")?;
    // SAFETY: says the caller; borrowed only until they are copied.
    let sizes = unsafe { patches.as_slice() };
    let question = Question::new(sizes, query.condition, query.mask_step, query.lead)?;
    Ok((question, patches.region()))
}
