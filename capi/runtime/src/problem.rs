//! How a call ends, and what is said of it.

use std::cell::RefCell;
use std::error::Error;
use std::ffi::{CStr, CString, c_char};

use bagcert::engine::EngineError;
use bagcert::integrity::{IntegrityError, KeyError};
use bagcert::pipeline::PipelineError;
use bagcert::with_causes;
use bagcert_certifier::Fault;
use bagcert_certifier_c::{BagcertStatus, Failure};

/// How a call ended. Everything but BAGCERT_MODEL_STATUS_OK means: no verdict. bagcert_last_error has
/// the reason.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BagcertModelStatus {
    /// Done.
    Ok = 0,
    /// An argument that can never be: a null or misaligned pointer, memory that overlaps, a wrong
    /// length, a patch that does not fit, an unknown condition.
    BadArgument = 1,
    /// No open model has this number.
    NoSuchModel = 2,
    /// The model is not one that may be used: its file, its manifest, its signature, the key, or what
    /// its engine answered when it was opened.
    Refused = 3,
    /// The image has a value outside [0, 1], or is not of the model's size.
    BadImage = 4,
    /// The frame has no verdict: a logit is NaN or infinite.
    Fault = 5,
    /// The forward pass failed; close the model and open it anew.
    Failed = 6,
    /// An earlier call on this model panicked or failed; close it and open it anew.
    Broken = 7,
    /// A defect of the library, caught before it could leave it; please report it.
    Panicked = 8,
}

/// Why a call gives nothing.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: BagcertModelStatus,
    pub(crate) text: String,
    /// For the detail of an output.
    pub(crate) failure: Failure,
}

impl Problem {
    pub(crate) fn new(status: BagcertModelStatus, text: impl Into<String>) -> Problem {
        Problem {
            status,
            text: text.into(),
            failure: Failure::new(BagcertStatus::Internal, c""),
        }
    }

    fn of(status: BagcertModelStatus, error: &dyn Error) -> Problem {
        Problem::new(status, with_causes(error))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let text = BagcertStatus::text(failure.status as i32).to_string_lossy();
        let argument = failure.argument.to_string_lossy();
        let (needed, found) = failure.lengths;
        let text = match (needed, found) {
            (0, 0) => format!("{argument}: {text}"),
            _ => format!("{argument}: {text} ({found} instead of {needed})"),
        };
        Problem {
            failure,
            ..Problem::new(BagcertModelStatus::BadArgument, text)
        }
    }
}

impl From<IntegrityError> for Problem {
    fn from(error: IntegrityError) -> Problem {
        Problem::of(BagcertModelStatus::Refused, &error)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Problem {
        Problem::of(BagcertModelStatus::Refused, &error)
    }
}

impl From<PipelineError> for Problem {
    fn from(error: PipelineError) -> Problem {
        use BagcertModelStatus as Status;
        let status = match &error {
            PipelineError::Fault(Fault::NonFinite { .. }) => Status::Fault,
            PipelineError::Fault(_) => Status::BadArgument,
            PipelineError::Engine(
                EngineError::ImageLength { .. } | EngineError::ImageValue { .. },
            ) => Status::BadImage,
            PipelineError::Engine(EngineError::Broken) => Status::Broken,
            PipelineError::Engine(_) => Status::Failed,
        };
        let failure = match &error {
            PipelineError::Fault(fault) => Failure::of(*fault, c""),
            PipelineError::Engine(_) => Failure::new(BagcertStatus::Internal, c"image"),
        };
        Problem {
            failure,
            ..Problem::of(status, &error)
        }
    }
}

/// Runs `work`; a panic inside it becomes a problem.
pub(crate) fn contained<T>(work: impl FnOnce() -> Result<T, Problem>) -> Result<T, Problem> {
    bagcert_images::contained(work).unwrap_or_else(|said| {
        let text = format!("the library panicked ({said})");
        Err(Problem::new(BagcertModelStatus::Panicked, text))
    })
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// Keeps what is said of a problem for [`last_error`], and gives its status.
pub(crate) fn status(outcome: &Result<(), Problem>) -> BagcertModelStatus {
    let Err(problem) = outcome else {
        return BagcertModelStatus::Ok;
    };
    let text = problem.text.replace('\0', "\u{FFFD}");
    let text = CString::new(text).unwrap_or_default();
    // Where a thread ends, its last words may be gone already.
    drop(LAST.try_with(|last| last.replace(text)));
    problem.status
}

/// The text of this thread's last problem; it stays until the next one.
pub(crate) fn last_error() -> *const c_char {
    const NONE: &CStr = c"";
    LAST.try_with(|last| last.borrow().as_ptr())
        .unwrap_or(NONE.as_ptr())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_panic_becomes_a_problem() {
        let empty: Vec<u8> = Vec::new();
        let problem = contained(|| Ok(empty[0])).unwrap_err();
        assert_eq!(problem.status, BagcertModelStatus::Panicked);
        assert!(
            problem.text.contains("index out of bounds"),
            "{}",
            problem.text
        );
        assert!(contained(|| Ok(3)).is_ok_and(|three| three == 3));
    }
}
