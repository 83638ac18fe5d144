//! The functions of the header.

use std::ffi::{CStr, c_char};
use std::path::PathBuf;

use bagcert_certifier_c::boundary::{Array, Region, check_disjoint};
use bagcert_certifier_c::output::Output;
use bagcert_certifier_c::{
    Answers, BagcertOutput, BagcertQuery, BagcertStatus, Failure, Question, read_query,
};

use crate::models::{self, Image, Trust};
use crate::problem::{BagcertModelStatus, Problem, contained, last_error, status};
use crate::types::{BAGCERT_ABI, BagcertModel, BagcertModelInfo, BagcertTimes};

/// Number of the library's interface. A header goes with it whose BAGCERT_ABI is the same.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_abi() -> u32 {
    BAGCERT_ABI
}

/// Why the last call on this thread that failed did so, in words; "" where none has. Never NULL. It
/// stays until the next call of this thread that fails; do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_last_error() -> *const c_char {
    last_error()
}

/// Opens the model at `path`, an ONNX file with its manifest beside it (NAME.onnx, NAME.toml): admits
/// it, makes its engine, checks its numerics, and asks it the manifest's golden frames. This takes
/// seconds. With `public_key`, the path of an Ed25519 key (PEM), the manifest must be signed by it;
/// NULL asks for no signature.
///
/// Writes the model's number to `model`, and 0 where it is refused. Close it with
/// bagcert_model_close.
///
/// # Safety
/// `path` is NULL, which is an error, or leads to a text that ends with a zero; so does `public_key`,
/// where NULL is none. `model` is NULL, which is an error, or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_open(
    path: *const c_char,
    public_key: *const c_char,
    model: *mut BagcertModel,
) -> BagcertModelStatus {
    // SAFETY: says the caller.
    unsafe {
        open(path, model, |path| {
            let key = if public_key.is_null() {
                None
            } else {
                Some(read_path(public_key, c"public_key")?)
            };
            models::open(path, &Trust::Manifest(key.as_deref()))
        })
    }
}

/// Opens the model at `path`, whatever file it is: no manifest, no golden frames. For development;
/// nothing then says that it is the model that is meant.
///
/// # Safety
/// As of bagcert_model_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_open_bare(
    path: *const c_char,
    model: *mut BagcertModel,
) -> BagcertModelStatus {
    // SAFETY: says the caller.
    unsafe { open(path, model, |path| models::open(path, &Trust::Bare)) }
}

/// # Safety
/// As of [`bagcert_model_open`].
unsafe fn open(
    path: *const c_char,
    model: *mut BagcertModel,
    work: impl FnOnce(&std::path::Path) -> Result<BagcertModel, Problem>,
) -> BagcertModelStatus {
    let outcome = contained(|| {
        let model = Array::new(model.cast_const(), 1, c"model")?;
        // SAFETY: says the caller; nothing is borrowed of it.
        unsafe { model.fill(0) };
        // SAFETY: says the caller.
        let path = unsafe { read_path(path, c"path") }?;
        let number = work(&path)?;
        // SAFETY: as above.
        unsafe { model.fill(number) };
        Ok(())
    });
    status(&outcome)
}

/// Closes a model. Its number is none from then on; a call on it that is still running on another
/// thread ends as it would have.
#[unsafe(no_mangle)]
pub extern "C" fn bagcert_model_close(model: BagcertModel) -> BagcertModelStatus {
    status(&contained(|| models::close(model)))
}

/// What an open model is: sizes of image and score map, geometry, hash.
///
/// # Safety
/// `info` is NULL, which is an error, or can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_describe(
    model: BagcertModel,
    info: *mut BagcertModelInfo,
) -> BagcertModelStatus {
    let outcome = contained(|| {
        let info = Array::new(info.cast_const(), 1, c"info")?;
        let found = models::describe(model)?;
        // SAFETY: says the caller; nothing is borrowed of it.
        unsafe { info.fill(found) };
        Ok(())
    });
    status(&outcome)
}

/// Writes the name of a class, ended by a zero, to the `name_len` bytes at `name`. A name that does
/// not fit is an error, and then `name` is empty.
///
/// # Safety
/// `name` is NULL, which is an error, or leads to `name_len` bytes that can be written, and that
/// nobody else reads or writes during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_class_name(
    model: BagcertModel,
    class_index: usize,
    name: *mut c_char,
    name_len: usize,
) -> BagcertModelStatus {
    let outcome = contained(|| {
        let place = Array::new(name.cast::<u8>().cast_const(), name_len, c"name")?;
        // SAFETY: says the caller; bytes are written, not read, before they are borrowed.
        let place = unsafe {
            place.fill(0);
            place.as_mut_slice()
        };
        let found = models::class_name(model, class_index)?;
        let found = found.replace('\0', "\u{FFFD}");
        // One more for the zero.
        let needed = found.len().saturating_add(1);
        let too_short = Failure::new(BagcertStatus::MemoryTooSmall, c"name_len");
        if place.len() < needed {
            return Err(too_short.lengths(needed, place.len()).into());
        }
        for (place, byte) in place.iter_mut().zip(found.bytes()) {
            *place = byte;
        }
        Ok(())
    });
    status(&outcome)
}

/// Certifies a frame of `channels * height * width` values in [0, 1]: channel slowest (red, green,
/// blue), then row, then column. `times` may be NULL.
///
/// # Safety
/// Each pointer is NULL, which is an error unless its length is 0 or it may be so, or leads to as many
/// whole objects of its type as its length says, in memory that stays there during the call. Nobody
/// else reads or writes `times` and what `output` points to, or writes to the rest, during the call.
/// Alignment and overlaps are checked. Calls on one model wait for each other.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_certify(
    model: BagcertModel,
    query: *const BagcertQuery,
    image: *const f32,
    image_len: usize,
    output: *const BagcertOutput,
    times: *mut BagcertTimes,
) -> BagcertModelStatus {
    // SAFETY: says the caller.
    unsafe {
        certify(
            query,
            image,
            image_len,
            output,
            times,
            |image, question, answers| {
                models::certify(model, question, &Image::Planes(image), answers)
            },
        )
    }
}

/// Certifies a frame of `height * width` pixels of three bytes, red, green, blue, row by row, as
/// cameras and decoders give them. A byte v stands for v / 255. `times` may be NULL.
///
/// # Safety
/// As of bagcert_model_certify.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bagcert_model_certify_rgb8(
    model: BagcertModel,
    query: *const BagcertQuery,
    image: *const u8,
    image_len: usize,
    output: *const BagcertOutput,
    times: *mut BagcertTimes,
) -> BagcertModelStatus {
    // SAFETY: says the caller.
    unsafe {
        certify(
            query,
            image,
            image_len,
            output,
            times,
            |image, question, answers| {
                models::certify(model, question, &Image::Rgb8(image), answers)
            },
        )
    }
}

/// The part that all kinds of images share: checks, then `work`, which writes the answers.
///
/// # Safety
/// As of [`bagcert_model_certify`]; all bit patterns are some `T`.
unsafe fn certify<T: Copy>(
    query: *const BagcertQuery,
    image: *const T,
    image_len: usize,
    output: *const BagcertOutput,
    times: *mut BagcertTimes,
    work: impl FnOnce(&[T], &Question, &mut Answers<'_>) -> Result<BagcertTimes, Problem>,
) -> BagcertModelStatus {
    // Before anything is written: were an answer's place inside the query, another one would be read.
    // SAFETY: says the caller; all of it is copied, nothing stays borrowed.
    let given = unsafe { read_query(query) };
    let structs = [Region::of(query), Region::of(output)];
    // SAFETY: says the caller.
    let output = unsafe { Output::open(output) };
    let outcome = contained(|| {
        let written = output.check()?;
        let times = Array::optional(times.cast_const(), c"times")?;
        let image = Array::new(image, image_len, c"image")?;
        let (question, patches) = given?;
        let [verdicts, votes, square, detail] = written;
        let written = [verdicts, votes, square, detail, times.region()];
        let [query, output_struct] = structs;
        check_disjoint(&written, &[image.region(), patches, query, output_struct])?;
        // SAFETY: says the caller; nothing that is written overlaps anything, as just checked.
        let (image, mut answers) = unsafe { (image.as_slice(), output.answers()) };
        let found = work(image, &question, &mut answers)?;
        // SAFETY: as above.
        unsafe { times.fill(found) };
        Ok(())
    });
    let failure = outcome.as_ref().map_err(|problem| problem.failure);
    // SAFETY: says the caller; what was borrowed above is gone, whether it ended or panicked.
    unsafe { output.close(failure.copied()) };
    status(&outcome)
}

/// The path in a text of C.
///
/// # Safety
/// `text` is null or leads to a text that ends with a zero.
unsafe fn read_path(text: *const c_char, name: &'static CStr) -> Result<PathBuf, Problem> {
    if text.is_null() {
        return Err(Failure::new(BagcertStatus::NullPointer, name).into());
    }
    // SAFETY: not null; ends with a zero, says the caller.
    let text = unsafe { CStr::from_ptr(text) };
    path_of(text).ok_or_else(|| {
        let name = name.to_string_lossy();
        Problem::new(
            BagcertModelStatus::BadArgument,
            format!("{name}: not UTF-8"),
        )
    })
}

#[cfg(unix)]
fn path_of(text: &CStr) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Some(std::ffi::OsStr::from_bytes(text.to_bytes()).into())
}

#[cfg(not(unix))]
fn path_of(text: &CStr) -> Option<PathBuf> {
    text.to_str().ok().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

    use std::ptr;

    use bagcert_certifier_c::{BagcertCells, BagcertPatch, BagcertPixel, BagcertVerdict};

    use super::*;

    /// Whatever panics in a call, and whenever: no verdict is left, and the model is not used again.
    #[test]
    fn a_panic_leaves_no_verdict() {
        let model = models::open("../../models/cifar10-rf8.onnx".as_ref(), &Trust::Bare).unwrap();
        let patch = BagcertPatch {
            width: 5,
            height: 5,
        };
        let query = BagcertQuery {
            patches: &raw const patch,
            patches_len: 1,
            condition: 2,
            mask_step: 1,
            lead: 0,
        };
        let mut verdict = BagcertVerdict {
            predicted: 3,
            certified: true,
            slack: 77,
            rival: 4,
            worst: BagcertPixel { x: 0, y: 0 },
            has_second: false,
            second: BagcertCells {
                first_x: 0,
                last_x: 0,
                first_y: 0,
                last_y: 0,
            },
            patch,
            condition: 2,
        };
        let output = BagcertOutput {
            verdicts: &raw mut verdict,
            verdicts_len: 1,
            votes: ptr::null_mut(),
            votes_len: 0,
            largest_square: ptr::null_mut(),
            detail: ptr::null_mut(),
        };
        let image = [0.5f32; 3072];
        let none = ptr::null_mut();
        // SAFETY: good pointers, which outlive the calls.
        let status = unsafe {
            certify(
                &query,
                image.as_ptr(),
                3072,
                &output,
                none,
                |_, _, answers| {
                    answers.verdicts[0].certified = true;
                    answers.verdicts[0].slack = 5;
                    panic!("on purpose")
                },
            )
        };
        assert_eq!(status, BagcertModelStatus::Panicked);
        assert!(!verdict.certified && verdict.slack == i64::MIN);
        // SAFETY: never null, and ends.
        let text = unsafe { CStr::from_ptr(last_error()) };
        assert!(text.to_str().unwrap().contains("on purpose"));
        // That one did not reach the model; this one does.
        assert!(models::describe(model).is_ok());
        models::panic_inside(model);
        let status = unsafe {
            // SAFETY: as above.
            bagcert_model_certify(model, &query, image.as_ptr(), 3072, &output, none)
        };
        assert_eq!(status, BagcertModelStatus::Broken);
        assert!(!verdict.certified);
        assert_eq!(bagcert_model_close(model), BagcertModelStatus::Ok);
    }
}
