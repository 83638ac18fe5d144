//! A network learns a teacher's answers from images without labels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{fs, path::Path};

use bagcert_trainer::{
    data::{self, Part, to_unit},
    export::export,
    loss::mean_scores,
    network::Mode,
    run::{self, EpochLog},
};
use common::{train as command, write_config_with, write_dataset};
use tch::{Device, Kind, Tensor, no_grad};

/// A run in a process of its own: libtorch's generator is one for all threads of a process, and each run is to draw
/// the same every time. What it said where it failed.
fn train(data: &Path, name: &str, extra: &[(&str, &str)]) -> Result<(), String> {
    let config = write_config_with(data, 12, extra);
    train_in(data, name, &config)
}

fn train_in(data: &Path, name: &str, config: &Path) -> Result<(), String> {
    let (output, errors) = command(config, data, &data.join(name), &[]);
    output.status.success().then_some(()).ok_or(errors)
}

/// The table for these teachers.
fn taught_by(teachers: &[&Path], kind: &str, weight: f64) -> String {
    let teacher = match teachers {
        [one] => format!("{one:?}"),
        several => format!("{several:?}"),
    };
    format!("[distillation]\nteacher = {teacher}\nkind = \"{kind}\"\nweight = {weight:?}")
}

/// The loss of each epoch.
fn losses(data: &Path, name: &str) -> Vec<f64> {
    let log = fs::read_to_string(data.join(name).join(run::LOG)).unwrap();
    let lines = log.lines();
    lines
        .map(|line| serde_json::from_str::<EpochLog>(line).unwrap().loss)
        .collect()
}

/// The class that each test image gets.
fn answers(data: &Path, name: &str) -> Tensor {
    let path = data.join(name).join(run::CHECKPOINT);
    let (_, network, _) = run::load(&path, Device::Cpu).unwrap();
    let images = data::read(data, Part::Test).unwrap();
    let logits = no_grad(|| network.forward(&to_unit(&images.images), Mode::Evaluate));
    mean_scores(&logits.ge(0.0).to_kind(Kind::Float)).argmax(1, false)
}

/// The made-up data set with every label replaced by one of these, in turn.
fn unlabel(data: &Path, labels: &[u8]) {
    for index in 1..=5 {
        let path = data.join(format!("data_batch_{index}.bin"));
        let mut bytes = fs::read(&path).unwrap();
        let places = bytes.iter_mut().step_by(3073);
        places
            .zip(labels.iter().cycle())
            .for_each(|(place, label)| *place = *label);
        fs::write(&path, bytes).unwrap();
    }
}

#[test]
fn a_student_learns_what_the_teacher_says_and_no_label() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 80);
    train(data, "teacher", &[]).unwrap();
    let taught = answers(data, "teacher");
    let share = |one: &Tensor, other: &Tensor| {
        one.eq_tensor(other)
            .to_kind(Kind::Double)
            .mean(Kind::Double)
            .double_value(&[])
    };
    let labels = data::read(data, Part::Test).unwrap().labels;
    let known = share(&taught, &labels);
    assert!(known > 0.3, "the teacher knows {known}");

    // No label is looked at: here not even two classes are there.
    unlabel(data, &[3]);
    let teacher = data.join("teacher").join(run::CHECKPOINT);
    for kind in ["mean-scores", "score-maps"] {
        let table = taught_by(&[&teacher], kind, 1.0);
        // A smaller map for mean scores; for score maps the same.
        let network = if kind == "mean-scores" {
            "stem_stride = 2"
        } else {
            ""
        };
        // Score maps take longer, and after 12 epochs processors that round otherwise have very different networks.
        let epochs = if kind == "mean-scores" { 12 } else { 36 };
        let config = write_config_with(data, epochs, &[("network", network), ("", &table)]);
        train_in(data, kind, &config).unwrap();
        let same = share(&answers(data, kind), &taught);
        eprintln!("{kind}: {same} of the teacher's answers; the teacher knows {known}");
        assert!(same > 0.3, "{kind}: {same}");
        // The rate counts what both work out: the teacher's forward pass, and three times the student's.
        let work = |name: &str| {
            let path = data.join(name).join(run::CHECKPOINT);
            let (_, network, _) = run::load(&path, Device::Cpu).unwrap();
            network.plan.multiply_adds() as f64
        };
        let log = fs::read_to_string(data.join(kind).join(run::LOG)).unwrap();
        let epoch: EpochLog = serde_json::from_str(log.lines().next().unwrap()).unwrap();
        let found = epoch.gflops * 1e9 / epoch.images_per_second;
        let expected = 2.0 * (3.0 * work(kind) + work("teacher"));
        assert!((found / expected - 1.0).abs() < 1e-9, "{kind}: {found}");
    }
    // Without the teacher nothing can be learnt of them, and of two no more than those.
    let refused = train(data, "alone", &[]).unwrap_err();
    assert!(
        refused.contains("all images are of the class \"cat\""),
        "{refused}"
    );
    unlabel(data, &[3, 5, 5]);
    train(data, "alone", &[]).unwrap();
    let alone = answers(data, "alone");
    let known = [3, 5].map(|class| share(&alone, &alone.full_like(class)));
    assert!(known.iter().sum::<f64>() > 0.9, "{known:?}");
}

/// An exported model teaches what its checkpoint does, but for the folding of its normalisation; several teach the
/// mean of what each says.
#[test]
fn exported_models_teach_and_several_do() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let taught = |name: &str, epochs: usize, teachers: &[&Path]| {
        let table = match teachers {
            [] => String::new(),
            some => taught_by(some, "score-maps", 1.0),
        };
        let config = write_config_with(data, epochs, &[("", &table)]);
        if !teachers.is_empty() {
            // Learners that stay where they are, so that their losses can be held against each other.
            let text = fs::read_to_string(&config).unwrap();
            let still = text.replace("learning_rate = 0.01", "learning_rate = 1e-9");
            assert_ne!(text, still);
            fs::write(&config, still).unwrap();
        }
        train_in(data, name, &config)
    };
    taught("teacher", 12, &[]).unwrap();
    taught("another", 1, &[]).unwrap();
    let checkpoint = |name: &str| data.join(name).join(run::CHECKPOINT);
    let model = data.join("teacher.onnx");
    let (header, network, _) = run::load(&checkpoint("teacher"), Device::Cpu).unwrap();
    export(&model, &header, &network).unwrap();
    let loss = |name: &str, teachers: &[&Path]| {
        taught(name, 2, teachers).unwrap();
        losses(data, name)[0]
    };
    let (teacher, another) = (checkpoint("teacher"), checkpoint("another"));
    let by_checkpoint = loss("one", &[&teacher]);
    let by_model = loss("two", &[&model]);
    let by_another = loss("three", &[&another]);
    // The cross-entropy with a mean is the mean of the cross-entropies.
    let by_both = loss("both", &[&another, &teacher]);
    let apart = |other: f64| (by_checkpoint - other).abs() / by_checkpoint;
    assert!(apart(by_model) < 1e-3, "{by_checkpoint} and {by_model}");
    assert!(apart(by_another) > 1e-2, "{by_checkpoint} and {by_another}");

    let mean = f64::midpoint(by_checkpoint, by_another);
    assert!(
        (by_both - mean).abs() < 0.01 * (by_another - by_checkpoint).abs(),
        "{by_both} for {by_checkpoint} and {by_another}"
    );

    // Anything else with that ending is named, wherever it stands.
    fs::write(&model, b"no model").unwrap();
    let error = taught("four", 2, &[&teacher, &model]).unwrap_err();
    for part in ["distillation.teacher", "teacher.onnx"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

/// With two epochs of which one is taught, the first is that of a run that is taught in both, and the second is not.
#[test]
fn teachers_leave_when_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    train(data, "teacher", &[]).unwrap();
    let teacher = data.join("teacher").join(run::CHECKPOINT);
    let losses = |name: &str, more: &str| {
        let table = taught_by(&[&teacher], "score-maps", 1.0) + more;
        train_in(data, name, &write_config_with(data, 2, &[("", &table)])).unwrap();
        losses(data, name)
    };
    let [both, one] = [losses("both", ""), losses("one", "\nepochs = 1")];
    assert_eq!(both.len(), 2);
    assert!((both[0] - one[0]).abs() < 1e-6, "{both:?} and {one:?}");
    assert!((both[1] - one[1]).abs() > 1e-2, "{both:?} and {one:?}");
}

#[test]
fn a_teacher_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 20);
    let refused = |name: &str, network: &str, teachers: &[&Path]| {
        let table = taught_by(teachers, "score-maps", 0.5);
        train(data, name, &[("network", network), ("", &table)]).unwrap_err()
    };
    let missing = refused("first", "", &[Path::new("nowhere.safetensors")]);
    assert!(missing.contains("nowhere.safetensors"), "{missing}");
    // 8x8 cells for a network with 16x16.
    train(data, "small", &[("network", "stem_stride = 2")]).unwrap();
    let small = data.join("small").join(run::CHECKPOINT);
    train(data, "large", &[]).unwrap();
    let large = data.join("large").join(run::CHECKPOINT);
    // It is the one that is named, beside another that fits.
    for teachers in [&[&*small][..], &[&large, &small]] {
        let error = refused("second", "", teachers);
        for part in ["small", "8x8", "16x16", "mean-scores"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert!(!error.contains("large"), "{error}");
    }
    // A map of the right size, and no votes on it.
    train(data, "soft", &[("loss", "scores = \"softmax\"")]).unwrap();
    let soft = data.join("soft").join(run::CHECKPOINT);
    for kind in ["mean-scores", "score-maps"] {
        let table = taught_by(&[&large, &soft], kind, 0.5);
        let error = train(data, "unheard", &[("", &table)]).unwrap_err();
        for part in ["soft/", "cannot teach", "softmax", "heaviside"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    }
    // The other way round the larger map is averaged, beside one that is as it should be.
    let table = taught_by(&[&small, &large], "score-maps", 0.5);
    let smaller = ("network", "stem_stride = 2");
    train(data, "third", &[smaller, ("", &table)]).unwrap();

    // A teacher whose file was changed is not gone on with.
    let config = write_config_with(data, 12, &[smaller, ("", &table)]);
    let resume = || command(&config, data, &data.join("third"), &["--resume"]);
    let (output, errors) = resume();
    assert!(output.status.success(), "{errors}");
    fs::copy(&small, &large).unwrap();
    let (output, errors) = resume();
    assert!(!output.status.success());
    for part in ["another teacher", "large", "third"] {
        assert!(errors.contains(part), "{part} is not in: {errors}");
    }
}
