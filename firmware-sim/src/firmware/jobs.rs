//! The certificates, each in a function that is never inlined: what is counted, measured and bounded
//! is this function with all that it calls.
#![allow(dead_code, reason = "each program uses a part")]

use bagcert_certifier::{Fault, ScoreMap, Verdict};
use bagcert_firmware_sim::packed::{Job, LARGEST, Layout};

use crate::measure::{self, Taken};

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// Memory for one map and its tables.
pub(crate) struct Memory {
    scores: [u8; LARGEST.score_len()],
    table: [i16; larger(LARGEST.table_len(), LARGEST.masks_len(1))],
}

impl Memory {
    pub(crate) const NEW: Self = Self {
        scores: [0; LARGEST.score_len()],
        table: [0; larger(LARGEST.table_len(), LARGEST.masks_len(1))],
    };

    /// Whether maps of this layout fit.
    pub(crate) fn fits(&self, layout: &Layout) -> bool {
        layout.shape().score_len() <= self.scores.len() && layout.table_len() <= self.table.len()
    }

    /// Unpacks a map and works out one certificate after the other; tells what each step took, the
    /// unpacking first.
    pub(crate) fn each(
        &mut self,
        layout: &Layout,
        map: &[u8],
        jobs: &[Job],
        mut tell: impl FnMut(Option<Job>, Option<Result<Verdict, Fault>>, Taken),
    ) -> Result<(), Fault> {
        let (map, taken) = measure::of(|| unpack(layout, map, &mut self.scores));
        let map = map?;
        tell(None, None, taken);
        for job in jobs {
            let table = &mut self.table;
            let (verdict, taken) = match job {
                Job::Sum => measure::of(|| job_sum(layout, &map, table)),
                Job::SumConstantWork => measure::of(|| job_sum_constant_work(layout, &map, table)),
                Job::Mask => measure::of(|| job_mask(layout, &map, table)),
                Job::DoubleMask => measure::of(|| job_double_mask(layout, &map, table)),
                Job::DoubleMaskConstantWork => {
                    measure::of(|| job_double_mask_constant_work(layout, &map, table))
                }
            };
            tell(Some(*job), Some(verdict), taken);
        }
        Ok(())
    }
}

impl Memory {
    /// One certificate, without measuring anything.
    pub(crate) fn certify(
        &mut self,
        layout: &Layout,
        map: &[u8],
        job: Job,
    ) -> Result<Verdict, Fault> {
        let map = unpack(layout, map, &mut self.scores)?;
        let certify = match job {
            Job::Sum => job_sum,
            Job::SumConstantWork => job_sum_constant_work,
            Job::Mask => job_mask,
            Job::DoubleMask => job_double_mask,
            Job::DoubleMaskConstantWork => job_double_mask_constant_work,
        };
        certify(layout, &map, &mut self.table)
    }
}

#[inline(never)]
fn unpack<'m>(layout: &Layout, map: &[u8], memory: &'m mut [u8]) -> Result<ScoreMap<'m>, Fault> {
    layout.unpack(map, memory)
}

/// Functions that the tests find by name.
macro_rules! jobs {
    ($($name:ident = $job:ident;)*) => {
        $(#[inline(never)]
        fn $name(
            layout: &Layout,
            map: &ScoreMap<'_>,
            memory: &mut [i16],
        ) -> Result<Verdict, Fault> {
            Job::$job.run(layout, map, memory)
        })*
    };
}

jobs! {
    job_sum = Sum;
    job_sum_constant_work = SumConstantWork;
    job_mask = Mask;
    job_double_mask = DoubleMask;
    job_double_mask_constant_work = DoubleMaskConstantWork;
}
