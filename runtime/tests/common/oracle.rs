//! Measures what a model really reads, by changing pixels and looking at logits.

use std::path::Path;

use bagcert::admission::{AdmittedModel, admit};
use bagcert::engine::Engine;
use bagcert_certifier::Axis;

use super::onnx::Builder;
use super::reference;

/// Random numbers for images, the same in every run.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub fn unit(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    pub fn image(&mut self, model: &AdmittedModel) -> Vec<f32> {
        (0..model.input().volume().unwrap())
            .map(|_| self.unit())
            .collect()
    }
}

/// Admits what was built.
pub fn admitted(builder: &Builder) -> AdmittedModel {
    let folder = tempfile::tempdir().unwrap();
    let path = builder.write(folder.path(), "model.onnx");
    admit(&path).unwrap()
}

/// The refusal of what was built, as text.
pub fn refusal(builder: &Builder) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = builder.write(folder.path(), "model.onnx");
    refusal_of(&path)
}

/// Asserts that a refusal says all of this, and is no panic.
#[track_caller]
pub fn holds(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
    assert!(!text.contains("panic"), "a panic came through: {text}");
}

pub fn refusal_of(path: &Path) -> String {
    let error = admit(path)
        .expect_err("the model must be refused")
        .to_string();
    let name = path.file_name().unwrap().to_string_lossy();
    assert!(error.contains(&*name), "the file is not named: {error}");
    error
}

/// Which output cells, along one axis, each line of pixels really changes:
/// `changed[pixel][cell]`.
pub struct Measured {
    pub x: Vec<Vec<bool>>,
    pub y: Vec<Vec<bool>>,
}

/// Changes whole columns (then rows) of random images to 0, 1 and noise.
pub fn measure(model: &AdmittedModel, engine: &mut Engine, rounds: u64) -> Measured {
    let (input, shape) = (model.input(), model.shape());
    let mut measured = Measured {
        x: vec![vec![false; shape.width()]; input.width],
        y: vec![vec![false; shape.height()]; input.height],
    };
    for round in 0..rounds {
        let mut noise = Noise::new(round + 1);
        let base = noise.image(model);
        let clean = engine.logits(&base).unwrap().to_vec();
        for along_x in [true, false] {
            let lines = if along_x { input.width } else { input.height };
            for line in 0..lines {
                for fill in [Some(0.0), Some(1.0), None] {
                    let mut image = base.clone();
                    for (index, value) in image.iter_mut().enumerate() {
                        let (x, y) = (index % input.width, index / input.width % input.height);
                        if (if along_x { x } else { y }) == line {
                            *value = fill.unwrap_or_else(|| noise.unit());
                        }
                    }
                    let logits = engine.logits(&image).unwrap();
                    for (index, (before, after)) in clean.iter().zip(logits).enumerate() {
                        if before.to_bits() != after.to_bits() {
                            let cell = index % shape.cells();
                            let (x, y) = (cell % shape.width(), cell / shape.width());
                            if along_x {
                                measured.x[line][x] = true;
                            } else {
                                measured.y[line][y] = true;
                            }
                        }
                    }
                }
            }
        }
    }
    measured
}

/// No cell may change with a pixel outside its claimed interval. With `exact`, cells whose
/// interval lies inside the image must change with both its ends.
pub fn check_axis(axis: &Axis, changed: &[Vec<bool>], exact: bool, what: &str) {
    let mut ends = 0;
    for cell in 0..axis.outputs() {
        let first = i64::from(axis.stride()) * i64::from(cell) + i64::from(axis.lo());
        let last = i64::from(axis.stride()) * i64::from(cell) + i64::from(axis.hi());
        for (pixel, cells) in changed.iter().enumerate() {
            let inside = (first..=last).contains(&(pixel as i64));
            assert!(
                inside || !cells[cell as usize],
                "{what}: cell {cell} reads pixel {pixel}, claimed {first}..={last}"
            );
        }
        if exact && first >= 0 && last < changed.len() as i64 {
            assert!(
                changed[first as usize][cell as usize],
                "{what}: {cell} never reads {first}"
            );
            assert!(
                changed[last as usize][cell as usize],
                "{what}: {cell} never reads {last}"
            );
            ends += 1;
        }
    }
    assert!(
        !exact || ends > 0,
        "{what}: no cell lies inside the image, nothing was compared"
    );
}

/// Everything that must hold of an admitted model: the engine stays inside the claimed
/// intervals, and the network's description gives the engine's logits.
pub fn check_model(builder: &Builder, exact: bool) -> AdmittedModel {
    let model = admitted(builder);
    let mut engine = Engine::new(&model).unwrap();
    let measured = measure(&model, &mut engine, 2);
    check_axis(&model.geometry().x, &measured.x, exact, "x");
    check_axis(&model.geometry().y, &measured.y, exact, "y");
    for seed in 100..103 {
        let image = Noise::new(seed).image(&model);
        check_reference(&model, &mut engine, &image);
    }
    model
}

/// The description and the engine agree to rounding.
pub fn check_reference(model: &AdmittedModel, engine: &mut Engine, image: &[f32]) {
    let expected = reference::logits(model.network(), image);
    let found = engine.logits(image).unwrap();
    assert_eq!(expected.len(), found.len());
    let scale = expected
        .iter()
        .fold(1f32, |most, value| most.max(value.abs()));
    for (index, (a, b)) in expected.iter().zip(found).enumerate() {
        assert!(
            (a - b).abs() <= 2e-5 * scale,
            "logit {index}: the description gives {a}, the engine {b}"
        );
    }
}
