//! Counts over many frames: clean accuracy, certified accuracy, and what lies between.

use bagcert_certifier::{PatchSize, Verdict};

use crate::pipeline::Outcome;

/// Counts over the frames added so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Frames, with and without a verdict.
    pub frames: usize,
    /// Those of them with a known label.
    pub labelled: usize,
    /// Those of the labelled ones whose predicted class is the label.
    pub right: usize,
    /// Frames that were read but got no verdict (a fault): the labelled ones among them count as
    /// wrong and not certified, so that no model gains by failing.
    pub without_verdict: usize,
    /// Counts for each patch size, in the order of the query.
    pub patches: Vec<PatchTally>,
}

/// Counts for one patch size. The four kinds of labelled frames are kept apart: a certificate says
/// that the answer cannot be changed, not that it is right.
#[derive(Clone, Debug)]
pub struct PatchTally {
    /// The patch size.
    pub patch: PatchSize,
    /// Certified, whatever the label.
    pub certified: usize,
    /// Certified and right: the numerator of the paper's certified accuracy.
    pub certified_right: usize,
    /// Certified and wrong.
    pub certified_wrong: usize,
    /// Right, not certified.
    pub right_uncertified: usize,
    /// Wrong, not certified.
    pub wrong_uncertified: usize,
    slacks: Vec<i64>,
}

/// Into which of the four kinds a labelled frame falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Certified and right.
    CertifiedRight,
    /// Certified and wrong.
    CertifiedWrong,
    /// Right, not certified.
    RightUncertified,
    /// Wrong, not certified.
    WrongUncertified,
}

impl Kind {
    /// The kind of a frame with this verdict and label.
    #[must_use]
    pub fn of(verdict: &Verdict, label: usize) -> Kind {
        match (verdict.certified, verdict.predicted == label) {
            (true, true) => Kind::CertifiedRight,
            (true, false) => Kind::CertifiedWrong,
            (false, true) => Kind::RightUncertified,
            (false, false) => Kind::WrongUncertified,
        }
    }
}

impl Tally {
    /// Starts to count for these patch sizes.
    #[must_use]
    pub fn new(patches: &[PatchSize]) -> Tally {
        Tally {
            patches: patches
                .iter()
                .map(|&patch| PatchTally::new(patch))
                .collect(),
            ..Tally::default()
        }
    }

    /// Counts one frame. Its verdicts must be in the order of the patch sizes.
    pub fn add(&mut self, label: Option<usize>, outcome: &Outcome) {
        self.frames += 1;
        if let Some(label) = label {
            self.labelled += 1;
            self.right += usize::from(outcome.predicted == label);
        }
        for (patch, verdict) in self.patches.iter_mut().zip(&outcome.verdicts) {
            patch.add(label, verdict);
        }
    }

    /// Counts one frame that was read but got no verdict.
    pub fn add_fault(&mut self, label: Option<usize>) {
        self.frames += 1;
        self.without_verdict += 1;
        if label.is_some() {
            self.labelled += 1;
            for patch in &mut self.patches {
                patch.wrong_uncertified += 1;
            }
        }
    }

    /// Share of labelled frames whose predicted class is the label; `None` without labels.
    #[must_use]
    pub fn clean_accuracy(&self) -> Option<f64> {
        share(self.right, self.labelled)
    }
}

impl PatchTally {
    fn new(patch: PatchSize) -> PatchTally {
        PatchTally {
            patch,
            certified: 0,
            certified_right: 0,
            certified_wrong: 0,
            right_uncertified: 0,
            wrong_uncertified: 0,
            slacks: Vec::new(),
        }
    }

    fn add(&mut self, label: Option<usize>, verdict: &Verdict) {
        self.certified += usize::from(verdict.certified);
        self.slacks.push(verdict.slack);
        let counter = match label.map(|label| Kind::of(verdict, label)) {
            None => return,
            Some(Kind::CertifiedRight) => &mut self.certified_right,
            Some(Kind::CertifiedWrong) => &mut self.certified_wrong,
            Some(Kind::RightUncertified) => &mut self.right_uncertified,
            Some(Kind::WrongUncertified) => &mut self.wrong_uncertified,
        };
        *counter += 1;
    }

    /// Frames with a known label.
    #[must_use]
    pub const fn labelled(&self) -> usize {
        self.certified_right
            + self.certified_wrong
            + self.right_uncertified
            + self.wrong_uncertified
    }

    /// Share of labelled frames that are right and certified; `None` without labels.
    #[must_use]
    pub fn certified_accuracy(&self) -> Option<f64> {
        share(self.certified_right, self.labelled())
    }

    /// The middle slack over all frames, in votes; the mean of the two middle ones where their
    /// number is even. `None` without frames.
    #[must_use]
    pub fn median_slack(&self) -> Option<f64> {
        let mut sorted = self.slacks.clone();
        sorted.sort_unstable();
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
        Some((lower as f64 + upper as f64) / 2.0)
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let Ok(patch) = PatchSize::new(5, 5) else {
            unreachable!("5x5 is a patch size")
        };
        let median = |slacks: &[i64]| {
            let mut tally = PatchTally::new(patch);
            tally.slacks = slacks.to_vec();
            tally.median_slack()
        };
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7]), Some(7.0));
        assert_eq!(median(&[9, -4]), Some(2.5));
        assert_eq!(median(&[3, 100, -50]), Some(3.0));
        assert_eq!(median(&[-3, -4, 8, -100]), Some(-3.5));
    }
}
