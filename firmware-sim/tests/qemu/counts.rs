//! Instructions of a certificate: the most over real maps, over hard ones and over ones that were
//! sought for the worst, against the bound; and the mode whose count must not vary.
//!
//! Instructions, not cycles: QEMU has no pipeline, cache or wait states.

use std::collections::BTreeMap;

use bagcert_firmware_sim::bound;
use bagcert_firmware_sim::packed::{Job, Layout};

use super::boards::{self, Board};
use super::maps::{self, Maps, Random};
use super::verdicts;

/// Rounds of the search for the worst map, and maps in each.
const ROUNDS: usize = 12;
const MAPS: usize = 24;

#[derive(Clone, Copy, Default)]
struct Range {
    least: u64,
    most: u64,
    /// The map that took the most.
    at: usize,
}

/// Instructions of each job over these maps.
fn count(board: &Board, maps: &Maps) -> BTreeMap<&'static str, Range> {
    let mut found: BTreeMap<&'static str, Range> = BTreeMap::new();
    for line in verdicts::run(board, maps) {
        let Some(job) = Job::ALL.into_iter().find(|job| job.name() == line.step) else {
            continue;
        };
        let range = found.entry(job.name()).or_insert(Range {
            least: u64::MAX,
            ..Range::default()
        });
        range.least = range.least.min(line.instructions);
        if line.instructions > range.most {
            (range.most, range.at) = (line.instructions, line.map);
        }
    }
    found
}

fn check(board: &Board, what: &str, layout: &Layout, found: &BTreeMap<&'static str, Range>) {
    for job in Job::ALL {
        let Range { least, most, .. } = found[job.name()];
        let bound = bound::instructions(job, layout);
        println!(
            "measured: {}: {} on {what}: {least} to {most} instructions, bound {bound}",
            board.core,
            job.name()
        );
        assert!(
            most <= bound,
            "{}: {}: {most} > {bound}",
            board.core,
            job.name()
        );
        if matches!(job, Job::SumConstantWork | Job::DoubleMaskConstantWork) {
            assert_eq!(least, most, "{}: {} on {what}", board.core, job.name());
        }
    }
}

#[test]
fn real_maps_take_no_more_than_the_bound() {
    let boards = boards::built();
    if boards.is_empty() {
        return;
    }
    let real = maps::real();
    let bits = real.layout;
    for board in boards {
        check(board, "real 10x16x16 maps", &bits, &count(board, &real));
    }
}

#[test]
fn hard_maps_of_many_shapes_take_no_more_than_the_bound() {
    let mut random = Random(7);
    for board in boards::built() {
        for (classes, extents, field, patch) in [
            (10, (16, 16), (2, 8), (5, 5)),
            (10, (32, 32), (1, 6), (5, 5)),
            (16, (32, 32), (1, 2), (1, 1)),
            (3, (32, 32), (1, 6), (20, 20)),
            (9, (7, 12), (3, 6), (4, 9)),
            (8, (1, 32), (1, 4), (3, 1)),
            (2, (32, 1), (1, 4), (1, 3)),
            (2, (1, 1), (1, 2), (1, 1)),
        ] {
            let layout = maps::layout(classes, extents, field, patch);
            let found = count(board, &maps::hard(layout, &mut random));
            let what = format!("hard {classes}x{}x{} maps", extents.0, extents.1);
            check(board, &what, &layout, &found);
        }
    }
}

/// Changes some scores of a map, one by one or a rectangle of one class at a time.
fn mutated(layout: &Layout, map: &[u8], random: &mut Random) -> Vec<u8> {
    let (h, w) = (layout.shape().height(), layout.shape().width());
    let mut map = map.to_vec();
    let mut set = |class: usize, y: usize, x: usize, to: Option<bool>| {
        let bit = (class * h + y) * w + x;
        let mask = 1 << (bit % 8);
        match to {
            None => map[bit / 8] ^= mask,
            Some(true) => map[bit / 8] |= mask,
            Some(false) => map[bit / 8] &= !mask,
        }
    };
    let mut below = |bound: usize| random.below(bound as u64) as usize;
    let class = below(layout.shape().classes());
    if below(2) == 0 {
        for _ in 0..1 + below(8) {
            set(class, below(h), below(w), None);
        }
    } else {
        let (y, x) = (below(h), below(w));
        let (height, width) = (1 + below(h - y), 1 + below(w - x));
        let to = Some(below(2) == 0);
        for y in y..y + height {
            for x in x..x + width {
                set(class, y, x, to);
            }
        }
    }
    map
}

#[test]
fn maps_sought_for_the_worst_take_no_more_than_the_bound() {
    let boards = boards::built();
    let Some(board) = boards.first() else {
        return;
    };
    let layout = maps::layout(10, (16, 16), (2, 8), (5, 5));
    let mut random = Random(8);
    let mut worst: BTreeMap<&'static str, (u64, Vec<u8>)> = BTreeMap::new();
    let mut all: BTreeMap<&'static str, Range> = BTreeMap::new();
    let mut maps = maps::hard(layout, &mut random);
    for _ in 0..ROUNDS {
        for (job, range) in count(board, &maps) {
            let kept = worst.entry(job).or_insert((0, Vec::new()));
            if range.most > kept.0 {
                *kept = (range.most, maps.maps[range.at].clone());
            }
            let all = all.entry(job).or_insert(range);
            all.least = all.least.min(range.least);
            all.most = all.most.max(range.most);
        }
        maps.maps.clear();
        for (_, map) in worst.values() {
            for _ in 0..MAPS {
                maps.maps.push(mutated(&layout, map, &mut random));
            }
        }
    }
    check(board, "10x16x16 maps sought for the worst", &layout, &all);
}
