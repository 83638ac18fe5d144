//! Soundness of the engine as shipped: no patch turns a certified answer.
//!
//! For certified sample frames, patches of random content at the worst position
//! and elsewhere go through the very engine that `bagcert` runs. The prediction must
//! stay, and every logit outside the affected region must stay bit for bit.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert::{admission, engine::Engine};
use bagcert_tests::oracle::{self, Model};
use bagcert_tests::programs;
use bagcert_tests::repository::{self, Random};
use serde_json::Value;
use std::process::Command;
use std::time::{Duration, Instant};

/// Width and height of the patch.
const PATCH: usize = 5;
/// Certified frames attacked, those with the least slack first.
const FRAMES: usize = 4;
/// Patches tried on each.
const TRIES: usize = 120;
/// On a slow machine fewer are tried, but never fewer than this.
const LEAST_TRIES: usize = 24;
const TIME_PER_FRAME: Duration = Duration::from_secs(20);

fn inspect(model: &std::path::Path) -> Model {
    let mut command = Command::new(programs::bagcert().unwrap());
    command.arg("inspect").arg(model).args(["--format", "json"]);
    let output = programs::successful(&mut command).unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    Model::from_inspect(&json).unwrap()
}

/// One of four kinds of content: noise, black and white, one colour, or stripes of two colours.
fn content(random: &mut Random, kind: usize) -> Vec<f32> {
    let one = [random.unit(), random.unit(), random.unit()];
    let two = [random.unit(), random.unit(), random.unit()].map(f32::round);
    (0..3 * PATCH * PATCH)
        .map(|at| {
            let (channel, row) = (at / (PATCH * PATCH), at / PATCH % PATCH);
            match kind % 4 {
                0 => random.unit(),
                1 => random.unit().round(),
                2 => one[channel],
                _ if row % 2 == 0 => one[channel],
                _ => two[channel],
            }
        })
        .collect()
}

#[test]
fn no_patch_turns_a_certified_frame() {
    let models = repository::models().unwrap();
    if models.is_empty() {
        println!("skipped: no model is shipped in models/, so none was attacked");
    }
    let frames: Vec<Vec<f32>> = repository::frames()
        .unwrap()
        .iter()
        .map(|path| repository::pixels(path).unwrap().0)
        .collect();
    for path in models {
        let geometry = inspect(&path);
        let model = admission::admit(&path).unwrap();
        let mut engine = Engine::new(&model).unwrap();
        let side = PATCH as i64;
        let mut certified: Vec<(i64, usize, Vec<f32>)> = frames
            .iter()
            .enumerate()
            .filter_map(|(number, frame)| {
                let logits = engine.logits(frame).unwrap().to_vec();
                let verdict = oracle::certify(&geometry, &logits, side, side).unwrap();
                (verdict.slack > 0).then_some((verdict.slack, number, logits))
            })
            .collect();
        certified.sort_by_key(|(slack, number, _)| (*slack, *number));
        assert!(!certified.is_empty(), "{}: none certified", path.display());

        let mut random = Random::new(2021);
        let mut tried = 0;
        for (slack, number, clean) in certified.iter().take(FRAMES) {
            let expected = oracle::certify(&geometry, clean, side, side).unwrap();
            let start = Instant::now();
            for attempt in 0..TRIES {
                if attempt >= LEAST_TRIES && start.elapsed() > TIME_PER_FRAME {
                    break;
                }
                // Every other patch goes where the margin is least.
                let (left, top) = if attempt % 2 == 0 {
                    (expected.worst.0 as usize, expected.worst.1 as usize)
                } else {
                    let mut place = |pixels: i64| random.below((pixels - side + 1) as usize);
                    (place(geometry.x.pixels), place(geometry.y.pixels))
                };
                let patch = content(&mut random, attempt / 2);
                let mut image = frames[*number].clone();
                let (width, height) = (geometry.x.pixels as usize, geometry.y.pixels as usize);
                for (at, value) in patch.iter().enumerate() {
                    let (channel, row, column) =
                        (at / (PATCH * PATCH), at / PATCH % PATCH, at % PATCH);
                    image[(channel * height + top + row) * width + left + column] = *value;
                }
                let logits = engine.logits(&image).unwrap();
                let region = geometry.region(left as i64, top as i64, side, side);
                for (at, (before, after)) in clean.iter().zip(logits).enumerate() {
                    assert!(
                        region[at % geometry.cells()] || before.to_bits() == after.to_bits(),
                        "frame {number}, patch at {left},{top}: logit {at} outside the \
                         affected region went from {before} to {after}"
                    );
                }
                let (_, predicted) = oracle::predict(&geometry, logits).unwrap();
                assert_eq!(
                    predicted, expected.predicted,
                    "frame {number} was certified with slack {slack}, and a patch at \
                     {left},{top} turned it"
                );
                tried += 1;
            }
        }
        println!(
            "{}: {tried} patches on {} certified frames",
            path.display(),
            FRAMES.min(certified.len())
        );
    }
}
