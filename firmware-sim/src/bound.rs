//! How many instructions a certificate takes at most, from the shape alone.
//!
//! Let a map have `h` rows of `w` cells and `k` groups of eight classes; along an axis, let there be
//! `n` maximal affected regions of `l` cells each, of which each meets `m = min(n, 2l - 1)`. The bound
//! is a sum of counts of steps, each times a number of instructions:
//!
//! - corners of the tables, `k (h + 1) (w + 1)`, which are filled at most three times;
//! - windows in a pass over them, `n_y n_x`;
//! - for masks, of a pass over pairs of windows: pairs of rows that meet, `n_y m_y`; what is done for
//!   each of these along the row, `n_y m_y (n_x + w (1 + ceil(log2 m_x)))`; and windows with all rows,
//!   `n_y n_y n_x`;
//! - for Condition 3.2, rows and columns of regions with those that the border clips;
//! - a part for each pass, and one for each call.
//!
//! A pass goes over one group of classes. Condition 3.2 takes `k`, the mask aggregator `k + 1`, double
//! masking `2k` at most.
//!
//! How often each step happens follows from the code. The instructions of a step do not: they are
//! fitted to counts on the targets that the tests run, and raised until they bound every one of them.
//! So this is no proof, but a formula that the tests hold against real maps, hard ones and ones sought
//! for the worst, on several shapes. It counts instructions, not cycles: what an instruction takes
//! depends on the core and its memory.

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

/// Instructions of each step of a job.
struct Rates {
    corner: u64,
    window: u64,
    row_pair: u64,
    pair: u64,
    all_rows: u64,
    edge: u64,
    pass: u64,
    call: u64,
}

const fn rates(job: Job) -> Rates {
    match job {
        Job::Sum => Rates {
            corner: 95,
            window: 145,
            row_pair: 0,
            pair: 0,
            all_rows: 0,
            edge: 120,
            pass: 1_200,
            call: 3_000,
        },
        Job::SumConstantWork => Rates {
            corner: 95,
            window: 300,
            row_pair: 0,
            pair: 0,
            all_rows: 0,
            edge: 750,
            pass: 1_500,
            call: 3_500,
        },
        Job::Mask => Rates {
            corner: 285,
            window: 2_100,
            row_pair: 600,
            pair: 78,
            all_rows: 70,
            edge: 0,
            pass: 10_000,
            call: 5_000,
        },
        Job::DoubleMask => Rates {
            corner: 285,
            window: 4_500,
            row_pair: 600,
            pair: 50,
            all_rows: 65,
            edge: 0,
            pass: 12_000,
            call: 5_000,
        },
    }
}

/// Instructions that one certificate takes at most, tables included, the making of the map not.
pub fn instructions(job: Job, layout: &Layout) -> u64 {
    let (shape, geometry, patch) = (layout.shape(), layout.geometry(), layout.patch());
    let y = Regions::new(&geometry.y, patch.height());
    let x = Regions::new(&geometry.x, patch.width());
    let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
    let (h, w) = (size(shape.height()), size(shape.width()));
    let groups = size(shape.classes()).div_ceil(8);
    let passes = match job {
        Job::Sum | Job::SumConstantWork => groups,
        Job::Mask => groups.saturating_add(1),
        Job::DoubleMask => groups.saturating_mul(2),
    };
    let levels = u64::from(x.met().next_power_of_two().trailing_zeros()).saturating_add(1);
    let along = x.count.saturating_add(w.saturating_mul(levels));
    let edges = [y.count, y.length, x.count, x.length];
    let edges = edges.iter().fold(0u64, |all, one| all.saturating_add(*one));
    let rates = rates(job);
    let products: [&[u64]; 8] = [
        &[
            rates.corner,
            groups,
            h.saturating_add(1),
            w.saturating_add(1),
        ],
        &[rates.window, passes, y.count, x.count],
        &[rates.row_pair, passes, y.count, y.met()],
        &[rates.pair, passes, y.count, y.met(), along],
        &[rates.all_rows, passes, y.count, y.count, x.count],
        &[rates.edge, passes, edges],
        &[rates.pass, passes],
        &[rates.call],
    ];
    products.iter().fold(0, |sum: u64, product| {
        let product = product
            .iter()
            .fold(1, |all: u64, one| all.saturating_mul(*one));
        sum.saturating_add(product)
    })
}
