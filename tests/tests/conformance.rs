//! The whole way agrees with two that share no code with it: the command's
//! verdicts with the certificate worked out from its definition, and tract's
//! scores with onnxruntime's.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert::{admission, engine::Engine};
use bagcert_tests::oracle::{self, Model};
use bagcert_tests::repository::{self, Random};
use bagcert_tests::{onnx, programs};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Two engines may differ by rounding, relative to the largest logit of the map.
const ROUNDING: f32 = 1e-4;

/// A model with images to run it on, `C x H x W` in steps of 1/255.
struct Subject {
    model: PathBuf,
    images: Vec<Vec<f32>>,
}

impl Subject {
    fn logits(&self) -> Vec<Vec<f32>> {
        let model = admission::admit(&self.model).unwrap();
        let mut engine = Engine::new(&model).unwrap();
        self.images
            .iter()
            .map(|image| engine.logits(image).unwrap().to_vec())
            .collect()
    }

    fn inspect(&self) -> Model {
        let mut command = Command::new(programs::bagcert().unwrap());
        command
            .arg("inspect")
            .arg(&self.model)
            .args(["--format", "json"]);
        let output = programs::successful(&mut command).unwrap();
        Model::from_inspect(&serde_json::from_slice(&output.stdout).unwrap()).unwrap()
    }
}

fn noise(random: &mut Random, values: usize) -> Vec<f32> {
    // Of growing contrast, so that answers differ in how clear they are.
    let contrast = random.unit();
    (0..values)
        .map(|_| {
            let value = 0.5 + contrast * (random.unit() - 0.5);
            (value * 255.0).round() / 255.0
        })
        .collect()
}

fn uneven(folder: &Path) -> Subject {
    let model = folder.join("uneven.onnx");
    fs::write(&model, onnx::uneven_model(5)).unwrap();
    let mut random = Random::new(17);
    let images = (0..24)
        .map(|_| noise(&mut random, 3 * onnx::PIXELS * onnx::PIXELS))
        .collect();
    Subject { model, images }
}

fn shipped() -> Vec<Subject> {
    let images: Vec<Vec<f32>> = repository::frames()
        .unwrap()
        .iter()
        .map(|path| repository::pixels(path).unwrap().0)
        .collect();
    let models = repository::models().unwrap();
    if models.is_empty() {
        println!("skipped: no model is shipped in models/, so only a generated one was compared");
    }
    models
        .into_iter()
        .map(|model| Subject {
            model,
            images: images.clone(),
        })
        .collect()
}

#[test]
fn the_receptive_field_of_the_uneven_model_is_as_built() {
    let folder = tempfile::tempdir().unwrap();
    let model = uneven(folder.path()).inspect();
    let axis = oracle::Axis {
        pixels: 20,
        cells: 10,
        stride: 2,
        lo: -3,
        hi: 4,
    };
    assert_eq!((model.x, model.y), (axis, axis));
}

#[test]
fn verdicts_of_the_command_are_those_of_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    let subject = uneven(folder.path());
    let side = onnx::PIXELS as u32;
    let mut command = Command::new(programs::bagcert().unwrap());
    command.arg("certify").arg("--no-card").arg("--model");
    command.arg(&subject.model);
    let patches = [(1, 1), (2, 2), (5, 3), (3, 5), (1, 20), (20, 20)];
    for (width, height) in patches {
        command.args(["--patch", &format!("{width}x{height}")]);
    }
    command.args(["--format", "jsonl"]);
    for (number, image) in subject.images.iter().enumerate() {
        let path = folder.path().join(format!("{number:03}.png"));
        repository::write_png(&path, image, side, side).unwrap();
        command.arg(path);
    }
    let output = programs::successful(&mut command).unwrap();
    let lines: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let model = subject.inspect();
    let logits = subject.logits();
    assert_eq!(lines.len(), logits.len() * patches.len());

    let mut certified = [0; 6];
    for (at, line) in lines.iter().enumerate() {
        let (frame, size) = (at / patches.len(), at % patches.len());
        let (width, height) = patches[size];
        let expected = oracle::certify(&model, &logits[frame], width, height).unwrap();
        let votes: Vec<i64> = line["votes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_i64().unwrap())
            .collect();
        assert_eq!(line["patch"], serde_json::json!([width, height]));
        assert_eq!(votes, expected.votes, "frame {frame}");
        assert_eq!(line["predicted"], expected.predicted, "frame {frame}");
        assert_eq!(
            line["slack"], expected.slack,
            "frame {frame}, {width}x{height}"
        );
        assert_eq!(line["certified"], expected.slack > 0);
        let worst = serde_json::json!({"x": expected.worst.0, "y": expected.worst.1});
        assert_eq!(line["worst"], worst, "frame {frame}, {width}x{height}");
        certified[size] += usize::from(expected.slack > 0);
    }
    // Both answers must have been put to the test, and the whole image never certifies.
    assert!(certified[0] > 0, "{certified:?}");
    assert!(
        certified.iter().any(|n| (1..logits.len()).contains(n)),
        "{certified:?}"
    );
    assert_eq!(certified[5], 0);
}

#[test]
fn onnxruntime_gives_the_same_scores_and_verdicts() {
    let python = match programs::python_with_onnxruntime() {
        Ok(python) => python,
        Err(reason) => {
            println!("skipped: the comparison with onnxruntime: {reason}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let mut subjects = shipped();
    subjects.push(uneven(folder.path()));
    for subject in &subjects {
        let name = subject.model.display();
        let model = subject.inspect();
        let ours = subject.logits();
        let theirs =
            programs::onnxruntime_logits(&python, &subject.model, &subject.images).unwrap();
        let patch = 5;
        let (mut worst, mut flipped) = (0.0_f32, 0);
        for (frame, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(a.len(), b.len(), "{name}");
            let largest = a.iter().fold(0.0_f32, |m, z| m.max(z.abs()));
            let mut flips = 0;
            for (x, y) in a.iter().zip(b) {
                let apart = (x - y).abs() / largest;
                worst = worst.max(apart);
                assert!(apart <= ROUNDING, "{name}, frame {frame}: {x} and {y}");
                // Within rounding of 0 a score may differ; each moves a margin by 2 at most.
                flips += i64::from((*x >= 0.0) != (*y >= 0.0));
            }
            let a = oracle::certify(&model, a, patch, patch).unwrap();
            let b = oracle::certify(&model, b, patch, patch).unwrap();
            if flips == 0 {
                assert_eq!(a, b, "{name}, frame {frame}");
            } else {
                assert!(
                    (a.slack - b.slack).abs() <= 4 * flips,
                    "{name}, frame {frame}: slack {} and {} with {flips} scores apart",
                    a.slack,
                    b.slack
                );
            }
            flipped += flips;
        }
        println!(
            "{name}: {} images, logits apart by {worst:.1e} of the largest at most, \
             {flipped} scores apart",
            ours.len()
        );
    }
}
