//! How many instructions a certificate takes at most, from the shape alone.
//!
//! Let a map have `C` classes in `k` groups of eight, and `h` rows of `w` cells; along an axis, let there
//! be `n` maximal affected regions of `l` cells each, of which `p = n (2r - 1) - r (r - 1)` ordered pairs
//! meet, where `r = min(n, l)`. The bound is a sum of counts of steps, each times a number of
//! instructions:
//!
//! - corners of the tables, `k (h + 1) (w + 1)`, which are filled at most four times;
//! - windows: `n_y n_x` in every pass over eight classes; for double masking, in every group once, for
//!   windows that are played off;
//! - for double masking, what a pass gathers from the table, `(h + 1) n_x`;
//! - for masks, pairs of rows that meet, `p_y`; what is done for each of these along the row, over eight
//!   classes `p_y (n_x + w (1 + ceil(log2 m_x)))` with `m = min(n, 2l - 1)`, over one
//!   `p_y v_x (1 + ceil(log2 r_x))` with `n_x` made whole to vectors of eight, `v_x`; and pairs of all
//!   rows, over eight classes `n_y n_y n_x`, over one `n_y n_y`;
//! - for Condition 3.2, rows and columns of regions with those that the border clips;
//! - a part for each pass, and one for each call.
//!
//! Condition 3.2 takes `k` passes over eight classes, the mask aggregator `k + 1`. Double masking takes
//! passes over one rival each, `2 (C - 1)` at most, and exactly as many where the work is constant: one
//! bound is for both.
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

    /// Regions from one on that share a cell with it, itself included.
    fn reach(self) -> u64 {
        self.count.min(self.length.max(1))
    }

    /// Regions that one of them meets, itself included.
    fn met(self) -> u64 {
        let most = self.length.saturating_mul(2).saturating_sub(1).max(1);
        self.count.min(most)
    }

    /// Ordered pairs of regions that meet.
    fn pairs(self) -> u64 {
        let reach = self.reach();
        let around = reach.saturating_mul(2).saturating_sub(1);
        let beyond = reach.saturating_mul(reach.saturating_sub(1));
        self.count.saturating_mul(around).saturating_sub(beyond)
    }
}

/// Instructions of each step of a job.
struct Rates {
    corner: u64,
    window: u64,
    gathered: u64,
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
            gathered: 0,
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
            gathered: 0,
            row_pair: 0,
            pair: 0,
            all_rows: 0,
            edge: 750,
            pass: 1_500,
            call: 3_500,
        },
        Job::Mask => Rates {
            corner: 20,
            window: 1_900,
            gathered: 0,
            row_pair: 640,
            pair: 89,
            all_rows: 79,
            edge: 0,
            pass: 5_200,
            call: 4_500,
        },
        Job::DoubleMask | Job::DoubleMaskConstantWork => Rates {
            corner: 260,
            window: 4_750,
            gathered: 163,
            row_pair: 244,
            pair: 31,
            all_rows: 174,
            edge: 0,
            pass: 2_150,
            call: 25_300,
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
    let levels = |most: u64| u64::from(most.next_power_of_two().trailing_zeros()).saturating_add(1);
    // Passes, how many of them go over windows, and what they do along a row.
    let eight = |passes| {
        let along = x.count.saturating_add(w.saturating_mul(levels(x.met())));
        (passes, passes, along, x.count)
    };
    let (passes, windows, along, beside) = match job {
        Job::Sum | Job::SumConstantWork => eight(groups),
        Job::Mask => eight(groups.saturating_add(1)),
        Job::DoubleMask | Job::DoubleMaskConstantWork => {
            let rivals = size(shape.classes()).saturating_sub(1);
            let along = x
                .count
                .next_multiple_of(8)
                .saturating_mul(levels(x.reach()));
            (rivals.saturating_mul(2), groups, along, 1)
        }
    };
    let edges = [y.count, y.length, x.count, x.length];
    let edges = edges.iter().fold(0u64, |all, one| all.saturating_add(*one));
    let rates = rates(job);
    let products: [&[u64]; 9] = [
        &[
            rates.corner,
            groups,
            h.saturating_add(1),
            w.saturating_add(1),
        ],
        &[rates.window, windows, y.count, x.count],
        &[rates.gathered, passes, h.saturating_add(1), x.count],
        &[rates.row_pair, passes, y.pairs()],
        &[rates.pair, passes, y.pairs(), along],
        &[rates.all_rows, passes, y.count, y.count, beside],
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
