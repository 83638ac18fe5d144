//! Where answers go: opened before the work, closed after it.

use super::boundary::{Array, Region, read};
use crate::certify::Answers;
use crate::status::{BagcertStatus, Failure};
use crate::types::{BagcertDetail, BagcertOutput, BagcertVerdict, NO_VERDICT};

/// The arrays of a [`BagcertOutput`].
#[derive(Clone, Copy, Debug)]
pub struct Output {
    verdicts: Option<Array<BagcertVerdict>>,
    votes: Option<Array<u32>>,
    largest_square: Option<Array<u32>>,
    detail: Option<Array<BagcertDetail>>,
    failure: Option<Failure>,
}

impl Output {
    /// Checks every pointer of `output`, and writes "no verdict" where the good ones lead. What is
    /// wrong with the others comes from [`check`](Self::check).
    ///
    /// # Safety
    /// If `output` is not null it can be read, and what its pointers lead to can be written, in the
    /// lengths that it gives; nothing is borrowed of that.
    pub unsafe fn open(output: *const BagcertOutput) -> Self {
        let mut opened = Self {
            verdicts: None,
            votes: None,
            largest_square: None,
            detail: None,
            failure: None,
        };
        // SAFETY: the caller's word; numbers and pointers, of which all bit patterns are some.
        let output = match unsafe { read(output, c"output") } {
            Ok(output) => output,
            Err(failure) => {
                opened.failure = Some(failure);
                return opened;
            }
        };
        let BagcertOutput {
            verdicts,
            verdicts_len,
            votes,
            votes_len,
            largest_square,
            detail,
        } = output;
        let detail = Array::optional(detail, c"output.detail");
        opened.detail = opened.kept(detail);
        let largest_square = Array::optional(largest_square, c"output.largest_square");
        opened.largest_square = opened.kept(largest_square);
        let votes = Array::new(votes, votes_len, c"output.votes");
        opened.votes = opened.kept(votes);
        let verdicts = Array::new(verdicts, verdicts_len, c"output.verdicts");
        opened.verdicts = opened.kept(verdicts);
        // SAFETY: nothing is borrowed yet.
        unsafe { opened.clear(Failure::NONE) };
        opened
    }

    /// The array, or nothing and the failure for later: the last one wins, the verdicts'.
    fn kept<T: Copy>(&mut self, array: Result<Array<T>, Failure>) -> Option<Array<T>> {
        array.map_err(|failure| self.failure = Some(failure)).ok()
    }

    /// Writes "no verdict" everywhere; the verdicts last, so that where arrays overlap these hold.
    ///
    /// # Safety
    /// Nothing is borrowed of the arrays, and they can be written.
    unsafe fn clear(&self, failure: Failure) {
        // SAFETY: the caller's word, for each of these.
        unsafe {
            if let Some(detail) = &self.detail {
                detail.fill(failure.into());
            }
            for numbers in [&self.largest_square, &self.votes].into_iter().flatten() {
                numbers.fill(0);
            }
            if let Some(verdicts) = &self.verdicts {
                verdicts.fill(NO_VERDICT);
            }
        }
    }

    /// What is written.
    ///
    /// # Errors
    /// A pointer of the output that was wrong.
    pub fn check(&self) -> Result<[Region; 4], Failure> {
        fn region<T: Copy>(array: &Option<Array<T>>) -> Region {
            array.as_ref().map_or(Region::EMPTY, Array::region)
        }
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        Ok([
            region(&self.verdicts),
            region(&self.votes),
            region(&self.largest_square),
            region(&self.detail),
        ])
    }

    /// The answers, to write.
    ///
    /// # Safety
    /// As of [`open`](Self::open); the regions of [`check`](Self::check) meet neither each other nor
    /// anything that is read or written during `'a`.
    #[must_use]
    pub unsafe fn answers<'a>(&self) -> Answers<'a> {
        // SAFETY: the caller's word; all of it was written by `open`.
        unsafe {
            Answers {
                verdicts: self.verdicts.map_or(&mut [], |array| array.as_mut_slice()),
                votes: self.votes.map_or(&mut [], |array| array.as_mut_slice()),
                largest_square: self
                    .largest_square
                    .and_then(|array| array.as_mut_slice().first_mut()),
            }
        }
    }

    /// Ends the call: after a failure no answer stays.
    ///
    /// # Safety
    /// As of [`open`](Self::open).
    pub unsafe fn close(&self, outcome: Result<(), Failure>) -> BagcertStatus {
        match outcome {
            Ok(()) => BagcertStatus::Ok,
            Err(failure) => {
                // SAFETY: the caller's word.
                unsafe { self.clear(failure) };
                failure.status
            }
        }
    }
}
