//! Golden frames: an engine that answers one of them otherwise gives no verdicts.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::onnx::Builder;
use bagcert::integrity::{
    self, Fingerprint, GoldenFrame, IntegrityError, LoadedModel, Manifest, manifest_path,
    signature_path,
};
use bagcert_certifier::{Condition, PatchSize};
use image::{Rgb, RgbImage};

use crate::signatures::{public, secret};

const SIDE: usize = 8;
const CLASSES: usize = 3;
const CONDITION: Condition = Condition::SumWindow32;

/// Class 0 votes on red pixels, class 1 on green ones, class 2 nowhere; `changes` are added to logits
/// (class, row, column).
fn model(folder: &Path, changes: &[(usize, usize, usize, f32)]) -> PathBuf {
    let mut b = Builder::new(SIDE, SIDE);
    let weights = [2.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0];
    let weights = b.constant("w", &[CLASSES, 3, 1, 1], &weights);
    let bias = b.constant("b", &[CLASSES], &[-1.0; CLASSES]);
    let scores = b.op("Conv", "scores", &["image", &weights, &bias], &[]);
    let mut added = vec![0.0; CLASSES * SIDE * SIDE];
    for &(class, y, x, change) in changes {
        added[(class * SIDE + y) * SIDE + x] = change;
    }
    let added = b.constant("added", &[1, CLASSES, SIDE, SIDE], &added);
    let logits = b.op("Add", "logits", &[&scores, &added], &[]);
    b.output(&logits);
    b.write(folder, "model.onnx")
}

/// Red but for one green pixel in each row.
fn frame(folder: &Path) {
    let at = |y: u32| (y * 3) % SIDE as u32;
    fs::create_dir(folder.join("frames")).unwrap();
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        if x == at(y) {
            Rgb([0, 255, 0])
        } else {
            Rgb([255, 0, 0])
        }
    })
    .save(folder.join("frames/one.png"))
    .unwrap();
}

fn patches() -> Vec<PatchSize> {
    [(2, 2), (7, 6)]
        .map(|(w, h)| PatchSize::new(w, h).unwrap())
        .to_vec()
}

fn record(path: &Path) -> Result<GoldenFrame, IntegrityError> {
    let loaded = LoadedModel::bare(path).unwrap();
    let mut pipeline = loaded.pipeline().unwrap();
    loaded.record(&mut pipeline, "frames/one.png", patches(), CONDITION)
}

/// Under the masking conditions the answer is that of one predictor for all sizes, and it is checked
/// again at every start.
#[test]
fn masked_answers_are_golden_too() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    let loaded = LoadedModel::bare(&path).unwrap();
    let mut pipeline = loaded.pipeline().unwrap();
    for condition in [Condition::Mask, Condition::DoubleMask] {
        let sizes = vec![PatchSize::new(2, 2).unwrap(), PatchSize::new(3, 1).unwrap()];
        let golden = loaded.record(&mut pipeline, "frames/one.png", sizes, condition);
        let golden = golden.unwrap();
        assert_eq!(golden.condition, condition.to_string());
        assert!(golden.verdicts.iter().all(|verdict| verdict.certified));
        // Green has at most a vote in each row, so no window leaves red less than 48 - 6 ahead.
        assert!(golden.verdicts.iter().all(|verdict| verdict.slack >= 32));
        write(&path, golden.clone());
        assert!(LoadedModel::load(&path, None).unwrap().pipeline().is_ok());
        let mut other = golden;
        other.verdicts[0].slack -= 1;
        write(&path, other);
        let refusal = refusal(&path);
        assert!(refusal.contains("the verdict for patch 2x2"), "{refusal}");
    }
}

/// Writes a manifest of the model at `path` with this golden frame.
pub(crate) fn write(path: &Path, golden: GoldenFrame) {
    let fingerprint = Fingerprint::of(&fs::read(path).unwrap());
    let manifest = Manifest::new(fingerprint, vec![golden]).unwrap();
    fs::write(manifest_path(path), manifest.to_toml().unwrap()).unwrap();
}

/// What the golden check says of the model at `path`, whose file is its manifest's.
pub(crate) fn refusal(path: &Path) -> String {
    let loaded = LoadedModel::load(path, None).unwrap();
    match loaded.pipeline() {
        Err(error @ IntegrityError::Golden { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the golden frames made no difference"),
    }
}

#[test]
fn what_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    let golden = record(&path).unwrap();
    assert_eq!(golden.frame, "frames/one.png");
    assert_eq!(golden.votes, [56, 8, 0]);
    assert_eq!(golden.predicted, 0);
    assert_eq!(golden.condition, "3.2");
    let file = Fingerprint::of(&fs::read(folder.path().join("frames/one.png")).unwrap());
    assert_eq!(golden.sha256, file.sha256);
    // The score map by hand.
    let mut scores = vec![0; CLASSES * SIDE * SIDE];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let class = usize::from(x == (y * 3) % SIDE);
            scores[(class * SIDE + y) * SIDE + x] = 1;
        }
    }
    assert_eq!(golden.scores, Fingerprint::of(&scores).sha256);
    // A 2x2 patch on four red cells takes two votes in each; a 7x6 patch is too much.
    let [small, large] = &golden.verdicts[..] else {
        panic!("{:?}", golden.verdicts)
    };
    assert_eq!((small.certified, small.slack), (true, 48 - 8));
    assert_eq!((large.certified, large.patch), (false, [7, 6]));
    write(&path, golden);
    assert!(LoadedModel::load(&path, None).unwrap().pipeline().is_ok());
}

/// The models differ in one score, or in two that leave every count the same.
#[test]
fn a_model_that_differs_in_one_score_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let golden = record(&model(folder.path(), &[])).unwrap();
    for (changes, words) in [
        (&[(0, 4, 5, -3.0)][..], "class 0 has 55 votes instead of 56"),
        (&[(2, 7, 7, 3.0)], "class 2 has 1 votes instead of 0"),
        (&[(0, 1, 3, 3.0), (0, 1, 4, -3.0)], "score map"),
    ] {
        let path = model(folder.path(), changes);
        write(&path, golden.clone());
        let text = refusal(&path);
        assert!(
            text.contains(words) && text.contains("frames/one.png"),
            "{words:?} is missing in: {text}"
        );
    }
    // A logit that moves without turning its score changes no answer.
    let path = model(folder.path(), &[(0, 4, 5, -0.5)]);
    write(&path, golden);
    assert!(LoadedModel::load(&path, None).unwrap().pipeline().is_ok());
}

type Change = fn(&mut GoldenFrame);

/// Each field of a golden frame is compared.
#[test]
fn an_answer_that_is_not_the_manifests_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    let golden = record(&path).unwrap();
    let changes: [(Change, &str); 11] = [
        (|golden| golden.predicted = 1, "class 0 is predicted"),
        (|golden| golden.votes[2] = 1, "class 2"),
        (|golden| golden.votes.push(0), "3 classes instead of 4"),
        (|golden| golden.scores = "0".repeat(64), "score map"),
        (|golden| golden.verdicts[0].certified = false, "2x2"),
        (|golden| golden.verdicts[1].slack += 1, "7x6"),
        (|golden| golden.verdicts[1].rival = 2, "rival 2"),
        (|golden| golden.verdicts[0].worst[0] += 1, "worst"),
        (|golden| golden.verdicts[0].worst[1] += 1, "worst"),
        (|golden| golden.verdicts[0].patch = [3, 2], "3x2"),
        (|golden| golden.verdicts[0].patch = [9, 2], "9x2"),
    ];
    for (change, words) in changes {
        let mut changed = golden.clone();
        change(&mut changed);
        write(&path, changed);
        let text = refusal(&path);
        assert!(text.contains(words), "{words:?} is missing in: {text}");
    }
    // Condition 3.3 is weaker, so its slack is another.
    let mut changed = golden.clone();
    changed.condition = "3.3".to_owned();
    write(&path, changed);
    assert!(refusal(&path).contains("verdict"));
}

#[test]
fn frames_that_are_not_the_listed_ones() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    let golden = record(&path).unwrap();
    write(&path, golden);
    let loaded = LoadedModel::load(&path, None).unwrap();
    assert!(loaded.pipeline().is_ok());
    let file = folder.path().join("frames/one.png");
    let bytes = fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).unwrap();
        let error = loaded.pipeline().map(|_| ()).unwrap_err();
        assert!(
            matches!(error, IntegrityError::OtherFrame { .. }),
            "byte {at}: {error}"
        );
    }
    fs::remove_file(&file).unwrap();
    let error = loaded.pipeline().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("one.png"), "{error}");
    // Every new engine is checked, not the first alone.
    fs::write(&file, bytes).unwrap();
    assert!(loaded.pipeline().is_ok());
}

/// What is signed are the frames as well.
#[test]
fn a_changed_frame_is_neither_signed_nor_verified() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    write(&path, record(&path).unwrap());
    let (secret, public) = (secret(), public());
    fs::write(
        signature_path(&path),
        integrity::sign(&path, &secret).unwrap(),
    )
    .unwrap();
    assert!(integrity::verify(&path, &public).is_ok());
    let file = folder.path().join("frames/one.png");
    let mut bytes = fs::read(&file).unwrap();
    bytes[40] ^= 1;
    fs::write(&file, bytes).unwrap();
    let other = |error: IntegrityError| matches!(error, IntegrityError::OtherFrame { .. });
    assert!(integrity::verify(&path, &public).is_err_and(other));
    assert!(integrity::sign(&path, &secret).is_err_and(other));
}

#[test]
fn frames_that_cannot_be_golden() {
    let folder = tempfile::tempdir().unwrap();
    frame(folder.path());
    let path = model(folder.path(), &[]);
    let loaded = LoadedModel::bare(&path).unwrap();
    let mut pipeline = loaded.pipeline().unwrap();
    RgbImage::new(7, 8)
        .save(folder.path().join("narrow.png"))
        .unwrap();
    fs::write(folder.path().join("text.png"), "no picture").unwrap();
    for (frame, words) in [
        ("narrow.png", "7x8"),
        ("text.png", "not a sound"),
        ("missing.png", "cannot be read"),
        ("frames", "regular file"),
    ] {
        let error = loaded
            .record(&mut pipeline, frame, patches(), CONDITION)
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains(words) && text.contains(frame), "{text}");
    }
}
