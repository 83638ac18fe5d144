//! Scores of golden frames that another processor's rounding could turn: they alone may be turned.

use std::path::{Path, PathBuf};

use bagcert::integrity::{GoldenFrame, IntegrityError, LoadedModel, TOLERANCE, Undecided};
use bagcert_certifier::{Condition, PatchSize};
use image::{Rgb, RgbImage};

use crate::common::onnx::Builder;
use crate::golden::{refusal, write};

const HEIGHT: usize = 10;
const WIDTH: usize = 20;
/// The logit of every cell of a class on the frame, but for what is changed.
const SCALES: [f32; 3] = [1.0, 1e3, 1e-2];

type Change = (usize, usize, usize, f32);

/// Scores whose logits are so many tolerances of their class from 0.
const NEAR: [Change; 4] = [
    (1, 2, 17, 0.5),
    (1, 9, 3, -0.9),
    (2, 0, 19, 0.0),
    (2, 1, 0, 0.9),
];

/// On the frame each logit is its class's scale; those of `changes` are so many tolerances of it.
fn model(folder: &Path, changes: &[Change]) -> PathBuf {
    let parts = changes.iter();
    let logits: Vec<Change> = parts
        .map(|&(class, y, x, tolerances)| (class, y, x, tolerances * TOLERANCE * SCALES[class]))
        .collect();
    with_logits(folder, &logits)
}

/// The same, with logits as they are given.
fn with_logits(folder: &Path, logits: &[Change]) -> PathBuf {
    let mut b = Builder::new(HEIGHT, WIDTH);
    let weights = SCALES.map(|scale| [2.0 * scale, 0.0, 0.0]).concat();
    let weights = b.constant("w", &[SCALES.len(), 3, 1, 1], &weights);
    let bias = b.constant("b", &[SCALES.len()], &SCALES.map(|scale| -scale));
    let scores = b.op("Conv", "scores", &["image", &weights, &bias], &[]);
    let mut added = vec![0.0; SCALES.len() * HEIGHT * WIDTH];
    for &(class, y, x, logit) in logits {
        added[(class * HEIGHT + y) * WIDTH + x] = logit - SCALES[class];
    }
    let added = b.constant("added", &[1, SCALES.len(), HEIGHT, WIDTH], &added);
    let logits = b.op("Add", "logits", &[&scores, &added], &[]);
    b.output(&logits);
    RgbImage::from_pixel(WIDTH as u32, HEIGHT as u32, Rgb([255, 0, 0]))
        .save(folder.join("red.png"))
        .unwrap();
    b.write(folder, "model.onnx")
}

fn record(path: &Path, condition: Condition) -> Result<GoldenFrame, IntegrityError> {
    let loaded = LoadedModel::bare(path).unwrap();
    let mut pipeline = loaded.pipeline().unwrap();
    let patches = vec![PatchSize::new(3, 2).unwrap()];
    loaded.record(&mut pipeline, "red.png", patches, condition)
}

fn places(scores: &[Undecided]) -> Vec<[usize; 3]> {
    let place = |score: &Undecided| [score.class, score.row, score.column];
    scores.iter().map(place).collect()
}

fn assert_answers(path: &Path, golden: &GoldenFrame) {
    write(path, golden.clone());
    let answered = LoadedModel::load(path, None).unwrap().pipeline();
    assert!(answered.is_ok(), "{}", answered.err().unwrap());
}

fn assert_refused(path: &Path, golden: &GoldenFrame, words: &str) {
    write(path, golden.clone());
    let text = refusal(path);
    assert!(text.contains(words), "{words:?} is missing in: {text}");
}

#[test]
fn scores_near_zero_are_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path(), &NEAR);
    for condition in [
        Condition::SumWindow32,
        Condition::Mask,
        Condition::DoubleMask,
    ] {
        let golden = record(&path, condition).unwrap();
        assert_eq!(
            places(&golden.undecided),
            NEAR.map(|(class, y, x, _)| [class, y, x])
        );
        for score in &golden.undecided {
            let within = 2e-5 * SCALES[score.class];
            assert!((score.within / within - 1.0).abs() < 1e-3, "{score:?}");
        }
        assert_eq!(golden.votes, [200, 198, 198]);
        assert_answers(&path, &golden);
    }
}

/// The processors that were seen differ by a tenth of it.
#[test]
fn what_near_is() {
    assert_eq!(TOLERANCE, 1e-5);
    let folder = tempfile::tempdir().unwrap();
    for (tolerances, near) in [(0.9, true), (-0.9, true), (1.1, false), (-1.1, false)] {
        let path = model(folder.path(), &[(1, 4, 12, tolerances)]);
        let golden = record(&path, Condition::SumWindow32).unwrap();
        assert_eq!(golden.undecided.len(), usize::from(near), "{tolerances}");
        assert_eq!(golden.votes[1], if tolerances == 1.1 { 200 } else { 199 });
    }
}

/// Each may lie on either side of 0, but near to it, and nothing else may change.
#[test]
fn a_score_that_is_set_aside_may_turn_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let golden = record(&model(folder.path(), &NEAR), Condition::SumWindow32).unwrap();
    for at in 0..NEAR.len() {
        let with = |tolerances: f32| {
            let mut changed = NEAR;
            changed[at].3 = tolerances;
            model(folder.path(), &changed)
        };
        for tolerances in [-1.9, -0.1, 0.0, 0.1, 1.9] {
            assert_answers(&with(tolerances), &golden);
        }
        let (class, y, x, _) = NEAR[at];
        let words = format!("logit (class {class}, row {y}, column {x})");
        for tolerances in [-1e5, -2.1, 2.1, 1e5] {
            assert_refused(&with(tolerances), &golden, &words);
        }
        // Its neighbour is not set aside.
        let mut more = NEAR.to_vec();
        more.push((class, y, if x == 0 { 1 } else { x - 1 }, -9.0));
        let path = model(folder.path(), &more);
        assert_refused(
            &path,
            &golden,
            &format!("class {class} has 197 votes instead of 198"),
        );
    }
}

/// A wrong logit that leaves its vote does not make others near.
#[test]
fn near_is_as_it_was_when_the_manifest_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let golden = record(&model(folder.path(), &NEAR), Condition::SumWindow32).unwrap();
    let mut logits: Vec<Change> = vec![(1, 5, 5, 1e30), (1, 2, 17, -400.0)];
    logits.extend([(1, 9, 3, 0.0), (2, 0, 19, 0.0), (2, 1, 0, 0.0)]);
    let path = with_logits(folder.path(), &logits);
    assert_refused(&path, &golden, "logit (class 1, row 2, column 17) is -4e2");
}

#[test]
fn scores_that_cannot_be_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(folder.path(), &NEAR);
    let golden = record(&path, Condition::SumWindow32).unwrap();
    let with = |change: &dyn Fn(&mut Vec<Undecided>)| {
        let mut golden = golden.clone();
        change(&mut golden.undecided);
        golden
    };
    for [class, row, column] in [
        [3, 0, 0],
        [2, HEIGHT, 0],
        [2, 9, WIDTH],
        [usize::MAX >> 1; 3],
    ] {
        let outside = with(&|scores| {
            // Of class 2 there may be two.
            scores.pop();
            scores.push(Undecided {
                class,
                row,
                column,
                within: 1.0,
            });
        });
        assert_refused(&path, &outside, "there is no score");
    }
    let left_out = with(&|scores| {
        scores.remove(0);
    });
    assert_refused(&path, &left_out, "class 1 has 199 votes instead of 198");
    let nan = with(&|scores| scores[1].within = f32::NAN);
    assert_refused(&path, &nan, "within NaN");
    let third = with(&|scores| {
        scores.push(Undecided {
            class: 2,
            row: 9,
            column: 9,
            within: 1.0,
        });
    });
    assert_refused(&path, &third, "3 of the 200 scores of class 2");
}

/// Of a frame that says little of a class none is made golden.
#[test]
fn few_scores_of_a_class_may_be_undecided() {
    let folder = tempfile::tempdir().unwrap();
    let mut near = NEAR.to_vec();
    near.push((2, 7, 7, 0.3));
    let error = record(&model(folder.path(), &near), Condition::SumWindow32).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, IntegrityError::Unsuitable { .. }), "{text}");
    assert!(text.contains("3 of the 200 scores of class 2"), "{text}");
    // A huge logit makes all others of its class near to 0, and none of another.
    let huge = with_logits(folder.path(), &[(0, 3, 4, -1e9)]);
    let text = record(&huge, Condition::SumWindow32)
        .unwrap_err()
        .to_string();
    assert!(text.contains("199 of the 200 scores of class 0"), "{text}");
}

/// A logit that is no number is a fault, and no undecided score.
#[test]
fn infinity_is_not_near_zero() {
    let folder = tempfile::tempdir().unwrap();
    let golden = record(&model(folder.path(), &NEAR), Condition::SumWindow32).unwrap();
    let mut b = Builder::new(HEIGHT, WIDTH);
    let weights = b.constant("w", &[3, 3, 1, 1], &[3e38; 9]);
    let logits = b.op("Conv", "logits", &["image", &weights], &[]);
    let twice = b.op("Add", "twice", &[&logits, &logits], &[]);
    b.output(&twice);
    let path = b.write(folder.path(), "model.onnx");
    let text = record(&path, Condition::SumWindow32)
        .unwrap_err()
        .to_string();
    assert!(text.contains("fault"), "{text}");
    let mut all = golden;
    all.undecided
        .iter_mut()
        .for_each(|score| score.within = f32::INFINITY);
    assert_refused(&path, &all, "is inf");
}
