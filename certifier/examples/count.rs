//! One run of each job that is benchmarked, for counting instructions with valgrind:
//!
//! ```text
//! cargo build --release -p bagcert-certifier --example count
//! for job in binarise_cifar certify_cifar areas_cifar squares_cifar largest_cifar \
//!            binarise_imagenet certify_imagenet mask_cifar double_cifar contested_cifar \
//!            double_imagenet contested_imagenet constant_mask_cifar constant_cifar \
//!            constant_imagenet; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         --toggle-collect="count::$job" target/release/examples/count "$job" 2>&1 |
//!         awk -v job="$job" '/Collected/ { print job, $4 }'
//! done
//! ```
//!
//! A third argument chooses another map (`Kind`): 0 one class leads, 1 contested, 2 every score 1, 3 every
//! score 0, any other number noise of that seed.
//!
//! With a second argument N the job runs N times, each timed on its own, and the median and the
//! shortest time are printed. On a machine that is busy with other work they stand where criterion's
//! means, taken over many runs together, do not.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap,
    Shape, Work, rectangles_of_area,
};

struct Frame {
    shape: Shape,
    geometry: Geometry,
    logits: Vec<f32>,
    scores: Vec<u8>,
    table: Vec<i16>,
}

/// What a map shows.
#[derive(Clone, Copy)]
enum Kind {
    /// Noise in which class 3 leads.
    Lead,
    /// As many votes for all, each class ahead in neighbourhoods of its own.
    Contested,
    /// Every score is 1.
    All,
    /// Every score is 0.
    None,
    /// Noise of this seed, in which no class leads.
    Noise(u32),
}

impl Kind {
    fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Lead,
            1 => Self::Contested,
            2 => Self::All,
            3 => Self::None,
            seed => Self::Noise(seed),
        }
    }

    /// Share of a class's cells that score 1 around a cell.
    fn share(self, classes: usize, class: usize, y: usize, x: usize) -> f32 {
        match self {
            Self::Lead if class == 3 => 0.9,
            Self::Contested if (y / 3 * 5 + x / 3 * 3) % classes == class => 0.9,
            Self::Lead | Self::Contested => 0.1,
            Self::All => 1.0,
            Self::None => -1.0,
            Self::Noise(_) => 0.5,
        }
    }
}

impl Frame {
    fn new(classes: usize, axis: Axis, kind: Kind) -> Self {
        let side = axis.outputs() as usize;
        let shape = Shape::new(classes, side, side).unwrap();
        let mut state = match kind {
            Kind::Noise(seed) => seed,
            _ => 1,
        };
        let logits = (0..classes * side * side).map(|index| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / (1u32 << 24) as f32;
            let (class, y, x) = (index / (side * side), index / side % side, index % side);
            noise - (1.0 - kind.share(classes, class, y, x))
        });
        Self {
            shape,
            geometry: Geometry { x: axis, y: axis },
            logits: logits.collect(),
            scores: vec![0; shape.score_len()],
            table: vec![0; shape.table_len().max(shape.masks_len(1))],
        }
    }

    fn binarise(&mut self) -> ScoreMap<'_> {
        ScoreMap::from_logits(self.shape, black_box(&self.logits), &mut self.scores).unwrap()
    }
}

/// Functions that valgrind can find by name.
macro_rules! jobs {
    ($($name:ident = |$certifier:ident| $body:expr;)*) => {
        $(#[inline(never)]
        fn $name(map: &ScoreMap<'_>, geometry: &Geometry, table: &mut [i16]) -> i64 {
            let $certifier = Certifier::new(map, geometry, table).unwrap();
            $body
        })*
    };
}

const CONDITION: Condition = Condition::SumWindow32;

fn square(side: u32) -> PatchSize {
    PatchSize::new(side, side).unwrap()
}

jobs! {
    tables_cifar = |certifier| i64::from(certifier.certify(square(33), CONDITION).is_err());
    certify_cifar = |certifier| certifier.certify(square(5), CONDITION).unwrap().slack;
    areas_cifar = |certifier| {
        certifier.sweep(rectangles_of_area(24, 32, 32), CONDITION).map(|v| v.unwrap().slack).sum()
    };
    squares_cifar = |certifier| certifier.squares(CONDITION).map(|v| v.slack).sum();
    largest_cifar = |certifier| certifier.largest_square().into();
    certify_imagenet = |certifier| certifier.certify(square(32), CONDITION).unwrap().slack;
}

/// Functions that valgrind can find by name.
macro_rules! mask_jobs {
    ($($name:ident = $masking:expr, $side:expr, $work:expr;)*) => {
        $(#[inline(never)]
        fn $name(map: &ScoreMap<'_>, geometry: &Geometry, memory: &mut [i16]) -> i64 {
            let patches = [square($side)];
            let set = MaskSet::new(geometry, &patches).unwrap().with_work($work);
            let mut masks = MaskCertifier::new(map, set, $masking, memory).unwrap();
            masks.certify(square($side)).unwrap().slack
        })*
    };
}

mask_jobs! {
    mask_cifar = Masking::Single, 5, Work::Least;
    double_cifar = Masking::Double, 5, Work::Least;
    contested_cifar = black_box(Masking::Double), 5, Work::Least;
    double_imagenet = Masking::Double, 32, Work::Least;
    contested_imagenet = black_box(Masking::Double), 32, Work::Least;
    constant_mask_cifar = Masking::Single, 5, Work::Constant;
    constant_cifar = Masking::Double, 5, Work::Constant;
    constant_imagenet = Masking::Double, 32, Work::Constant;
}

#[inline(never)]
fn binarise_cifar(frame: &mut Frame) -> usize {
    frame.binarise().predicted()
}

#[inline(never)]
fn binarise_imagenet(frame: &mut Frame) -> usize {
    // Unlike the other one, or the linker would make one function of both.
    black_box(frame.binarise().predicted())
}

fn main() {
    let mut args = std::env::args().skip(1);
    let job = args.next().unwrap_or_default();
    let runs: u32 = args.next().map_or(1, |runs| runs.parse().unwrap());
    let imagenet = job.ends_with("imagenet");
    let kind = match args.next() {
        Some(number) => number.parse().unwrap(),
        None => u32::from(job.starts_with("contested")),
    };
    let kind = Kind::from_number(kind);
    let mut frame = if imagenet {
        Frame::new(1000, Axis::new(224, 56, 4, -8, 8).unwrap(), kind)
    } else {
        Frame::new(10, Axis::new(32, 32, 1, -3, 3).unwrap(), kind)
    };
    let mut times = Vec::new();
    let mut time = |job: &mut dyn FnMut()| {
        for _ in 0..runs {
            let start = Instant::now();
            job();
            times.push(start.elapsed());
        }
    };
    match job.as_str() {
        "binarise_cifar" => time(&mut || {
            black_box(binarise_cifar(&mut frame));
        }),
        "binarise_imagenet" => time(&mut || {
            black_box(binarise_imagenet(&mut frame));
        }),
        _ => {
            let run = match job.as_str() {
                "tables_cifar" => tables_cifar,
                "certify_cifar" => certify_cifar,
                "areas_cifar" => areas_cifar,
                "squares_cifar" => squares_cifar,
                "largest_cifar" => largest_cifar,
                "certify_imagenet" => certify_imagenet,
                "mask_cifar" => mask_cifar,
                "double_cifar" => double_cifar,
                "contested_cifar" => contested_cifar,
                "double_imagenet" => double_imagenet,
                "contested_imagenet" => contested_imagenet,
                "constant_mask_cifar" => constant_mask_cifar,
                "constant_cifar" => constant_cifar,
                "constant_imagenet" => constant_imagenet,
                _ => {
                    eprintln!("unknown job '{job}'; the source names them");
                    std::process::exit(2);
                }
            };
            let mut table = std::mem::take(&mut frame.table);
            let geometry = frame.geometry;
            let map = frame.binarise();
            time(&mut || {
                black_box(run(black_box(&map), &geometry, &mut table));
            });
        }
    }
    times.sort();
    if runs > 1 {
        let median: Duration = times[times.len() / 2];
        println!("{job}: median {median:?}, shortest {:?}", times[0]);
    }
}
