//! How many instructions a certificate takes at most, from the shape alone.
//!
//! Let a map have `h` rows of `w` cells and `k` groups of eight classes; along an axis, let there be
//! `n` maximal affected regions of `l` cells each, of which each meets `m = min(n, 2l - 1)`. The bound
//! is a sum of counts of steps, each times the most instructions that one of them takes:
//!
//! - corners of the tables, `k (h + 1) (w + 1)`, for each time that they are filled;
//! - windows, `k n_y n_x`, for each pass over them;
//! - for masks the steps of a pass over pairs, `k n_y m_y (n_x + w (1 + ceil(log2 m_x)))`;
//! - a part for each group of classes, and one for each call.
//!
//! How often each happens at most follows from the code; the instructions of a step were measured on
//! the targets that the tests run, over real maps, over maps sought for the worst and over several
//! shapes. So this is no proof, but a formula that the tests hold against all of these. It counts
//! instructions, not cycles: what an instruction takes depends on the core and its memory.

use bagcert_certifier::Axis;

use crate::packed::{Job, Layout};

/// Regions along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Regions {
    count: u64,
    length: u64,
}

impl Regions {
    fn new(axis: &Axis, patch: u32) -> Self {
        let mut length = 0u64;
        for first in 0..=axis.inputs().saturating_sub(patch) {
            let last = first.saturating_add(patch.saturating_sub(1));
            let cells = axis.affected(first, last).map_or(0, |span| {
                u64::from(span.last.saturating_sub(span.first)).saturating_add(1)
            });
            length = length.max(cells);
        }
        let outputs = u64::from(axis.outputs());
        Self {
            count: outputs.saturating_sub(length).saturating_add(1),
            length,
        }
    }

    /// Regions that one of them meets, itself included.
    fn met(self) -> u64 {
        let most = self.length.saturating_mul(2).saturating_sub(1).max(1);
        self.count.min(most)
    }
}

/// Counts of steps of a layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Groups of eight classes, `k`.
    pub groups: u64,
    /// Corners of all tables.
    pub corners: u64,
    /// Windows in all groups.
    pub windows: u64,
    /// Steps of a pass over pairs of windows.
    pub pairs: u64,
    /// Rows and columns of regions, those that the border clips included.
    pub edges: u64,
}

impl Steps {
    /// The steps of one layout.
    pub fn new(layout: &Layout) -> Self {
        let (shape, geometry, patch) = (layout.shape(), layout.geometry(), layout.patch());
        let y = Regions::new(&geometry.y, patch.height());
        let x = Regions::new(&geometry.x, patch.width());
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let (h, w) = (size(shape.height()), size(shape.width()));
        let groups = size(shape.classes()).div_ceil(8);
        let levels = u64::from(x.met().next_power_of_two().trailing_zeros()).saturating_add(1);
        let across = x.count.saturating_add(w.saturating_mul(levels));
        let product = |factors: &[u64]| factors.iter().fold(groups, |all, one| all.saturating_mul(*one));
        Self {
            groups,
            corners: product(&[h.saturating_add(1), w.saturating_add(1)]),
            windows: product(&[y.count, x.count]),
            pairs: product(&[y.count, y.met(), across]),
            edges: product(&[y.count
                .saturating_add(y.length)
                .saturating_add(x.count)
                .saturating_add(x.length)]),
        }
    }
}

/// Instructions of each step of a job.
struct Rates {
    corner: u64,
    window: u64,
    pair: u64,
    edge: u64,
    group: u64,
    call: u64,
}

const fn rates(job: Job) -> Rates {
    match job {
        Job::Sum => Rates {
            corner: 1,
            window: 1,
            pair: 0,
            edge: 1,
            group: 1,
            call: 1,
        },
        Job::SumConstantWork => Rates {
            corner: 1,
            window: 1,
            pair: 0,
            edge: 1,
            group: 1,
            call: 1,
        },
        Job::Mask => Rates {
            corner: 1,
            window: 1,
            pair: 1,
            edge: 0,
            group: 1,
            call: 1,
        },
        Job::DoubleMask => Rates {
            corner: 1,
            window: 1,
            pair: 1,
            edge: 0,
            group: 1,
            call: 1,
        },
    }
}

/// Instructions that one certificate takes at most, tables included, binarisation not.
pub fn instructions(job: Job, layout: &Layout) -> u64 {
    let steps = Steps::new(layout);
    let rates = rates(job);
    [
        (steps.corners, rates.corner),
        (steps.windows, rates.window),
        (steps.pairs, rates.pair),
        (steps.edges, rates.edge),
        (steps.groups, rates.group),
        (1, rates.call),
    ]
    .iter()
    .fold(0, |all, (count, rate)| all.saturating_add(count.saturating_mul(*rate)))
}
