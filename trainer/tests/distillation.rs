//! A network learns a teacher's answers from images without labels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{fs, path::Path, sync::Mutex};

use bagcert_trainer::{
    config::Config,
    data::{self, Part, to_unit},
    export::export,
    loss::mean_scores,
    network::Mode,
    run::{self, EpochLog, Observer},
};
use common::{write_config_with, write_dataset};
use tch::{Device, Kind, Tensor, no_grad};

struct Quiet;

impl Observer for Quiet {
    fn step(&mut self, _: usize, _: i64, _: i64) {}
    fn epoch(&mut self, _: &EpochLog) {}
}

/// libtorch's generator is one for all threads, and a run is to draw the same every time.
static GENERATOR: Mutex<()> = Mutex::new(());

fn train(data: &Path, name: &str, extra: &[(&str, &str)]) -> Result<(), String> {
    let _alone = GENERATOR
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let config = Config::read(&write_config_with(data, 12, extra)).unwrap();
    run::train(
        &config,
        data,
        &data.join(name),
        run::Start::New,
        Device::Cpu,
        &mut Quiet,
    )
    .map_err(|error| error.to_string())
}

/// The class that each test image gets.
fn answers(data: &Path, name: &str) -> Tensor {
    let path = data.join(name).join(run::CHECKPOINT);
    let (_, network, _) = run::load(&path, Device::Cpu).unwrap();
    let images = data::read(data, Part::Test).unwrap();
    let logits = no_grad(|| network.forward(&to_unit(&images.images), Mode::Evaluate));
    mean_scores(&logits.ge(0.0).to_kind(Kind::Float)).argmax(1, false)
}

/// The made-up data set with every label replaced by one.
fn unlabel(data: &Path) {
    for index in 1..=5 {
        let path = data.join(format!("data_batch_{index}.bin"));
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().step_by(3073).for_each(|label| *label = 3);
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

    unlabel(data);
    let teacher = data.join("teacher").join(run::CHECKPOINT);
    for kind in ["mean-scores", "score-maps"] {
        let table = format!(
            "[distillation]\nteacher = {:?}\nkind = \"{kind}\"\nweight = 1.0",
            teacher.to_str().unwrap()
        );
        // A smaller map for mean scores; for score maps the same.
        let network = if kind == "mean-scores" {
            "stem_stride = 2"
        } else {
            ""
        };
        train(data, kind, &[("network", network), ("", &table)]).unwrap();
        let same = share(&answers(data, kind), &taught);
        eprintln!("{kind}: {same} of the teacher's answers; the teacher knows {known}");
        assert!(same > 0.3, "{kind}: {same}");
    }
    // Without the teacher, these labels teach the one class they name.
    train(data, "alone", &[]).unwrap();
    let alone = answers(data, "alone");
    assert!(share(&alone, &alone.full_like(3)) > 0.9);
}

/// An exported model teaches what its checkpoint does, but for the folding of its normalisation.
#[test]
fn an_exported_model_teaches_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    train(data, "teacher", &[]).unwrap();
    let checkpoint = data.join("teacher").join(run::CHECKPOINT);
    let model = data.join("teacher.onnx");
    let (header, network, _) = run::load(&checkpoint, Device::Cpu).unwrap();
    export(&model, &header, &network).unwrap();
    let losses = |name: &str, teacher: &Path| {
        let teacher = teacher.to_str().unwrap();
        let table = format!("[distillation]\nteacher = {teacher:?}\nweight = 1.0");
        train(data, name, &[("", &table)]).unwrap();
        let log = fs::read_to_string(data.join(name).join(run::LOG)).unwrap();
        let first = log.lines().next().unwrap();
        serde_json::from_str::<EpochLog>(first).unwrap().loss
    };
    let (by_checkpoint, by_model) = (losses("one", &checkpoint), losses("two", &model));
    let apart = (by_checkpoint - by_model).abs() / by_checkpoint;
    assert!(apart < 1e-2, "{by_checkpoint} and {by_model}");

    // Anything else with that ending is named.
    fs::write(&model, b"no model").unwrap();
    let teacher = model.to_str().unwrap();
    let table = format!("[distillation]\nteacher = {teacher:?}\nweight = 1.0");
    let error = train(data, "three", &[("", &table)]).unwrap_err();
    for part in ["the teacher", "teacher.onnx"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn a_teacher_that_does_not_fit_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 20);
    let refused = |name: &str, network: &str, teacher: &Path| {
        let table = format!(
            "[distillation]\nteacher = {:?}\nkind = \"score-maps\"\nweight = 0.5",
            teacher.to_str().unwrap()
        );
        train(data, name, &[("network", network), ("", &table)]).unwrap_err()
    };
    let missing = refused("first", "", Path::new("nowhere.safetensors"));
    assert!(missing.contains("nowhere.safetensors"), "{missing}");
    // 8x8 cells for a network with 16x16.
    train(data, "small", &[("network", "stem_stride = 2")]).unwrap();
    let small = data.join("small").join(run::CHECKPOINT);
    let error = refused("second", "", &small);
    for part in ["small", "8x8", "16x16", "mean-scores"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    // The other way round the teacher's map is averaged.
    train(data, "large", &[]).unwrap();
    let large = data.join("large").join(run::CHECKPOINT);
    let table = format!(
        "[distillation]\nteacher = {:?}\nkind = \"score-maps\"\nweight = 0.5",
        large.to_str().unwrap()
    );
    train(
        data,
        "third",
        &[("network", "stem_stride = 2"), ("", &table)],
    )
    .unwrap();
}
