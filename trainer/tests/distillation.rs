//! A network learns a teacher's answers from images without labels.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
#[path = "../../runtime/tests/common/onnx.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod onnx;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_trainer::{
    data::{self, Part, to_unit},
    export::export,
    loss::mean_scores,
    network::Mode,
    run::{self, EpochLog},
};
use common::{train as command, write_config_with, write_dataset};
use onnx::Builder;
use tch::{CModule, Device, Kind, Tensor, no_grad};

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

/// Learners of this configuration stay where they are, so that their losses can be held against each other.
fn stand_still(config: &Path) {
    let text = fs::read_to_string(config).unwrap();
    let still = text.replace("learning_rate = 0.01", "learning_rate = 1e-9");
    assert_ne!(text, still);
    fs::write(config, still).unwrap();
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
            stand_still(&config);
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

/// A function of images of so many pixels a side, as a TorchScript module at `path`: libtorch traces it.
fn trace(path: &Path, side: i64, forward: &mut dyn FnMut(&Tensor) -> Tensor) {
    let images = Tensor::rand([2, 3, side, side], (Kind::Float, Device::Cpu));
    let mut forward = |inputs: &[Tensor]| vec![forward(&inputs[0])];
    let trace = || CModule::create_by_tracing("teacher", "forward", &[images], &mut forward);
    no_grad(trace).unwrap().save(path).unwrap();
}

/// Classes are learnt from a module of any architecture, without a label, and from a network of this program's kind
/// as from the same network as a module.
#[test]
fn modules_of_any_architecture_teach_classes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 80);
    train(data, "teacher", &[]).unwrap();
    let taught = answers(data, "teacher");
    let teacher = data.join("teacher").join(run::CHECKPOINT);
    let (_, network, _) = run::load(&teacher, Device::Cpu).unwrap();
    let numbers = &network.parameters;
    // What is to be traced must not be to be learnt.
    let network = network.with(numbers.with(&numbers.flat.detach(), &numbers.statistics));
    // By its first bytes, whatever its name.
    let module = data.join("teacher.onnx");
    trace(&module, 32, &mut |images| {
        let logits = network.forward(images, Mode::Evaluate);
        mean_scores(&logits.ge(0.0).to_kind(Kind::Float)) / 0.05
    });
    unlabel(data, &[3]);
    let learn = |name: &str, teacher: &Path, more: &str, epochs: usize| {
        let table = taught_by(&[teacher], "classes", 1.0) + "\nsoftness = 0.05" + more;
        let network = ("network", "stem_stride = 2");
        let config = write_config_with(data, epochs, &[network, ("", &table)]);
        if epochs == 1 {
            stand_still(&config);
        }
        train_in(data, name, &config).unwrap();
        losses(data, name)[0]
    };
    learn("learner", &module, "", 36);
    let same = answers(data, "learner").eq_tensor(&taught);
    let same = same
        .to_kind(Kind::Double)
        .mean(Kind::Double)
        .double_value(&[]);
    eprintln!("{same} of the teacher's answers");
    assert!(same > 0.3, "{same}");
    let [by_module, by_network] = [("module", &module), ("network", &teacher)]
        .map(|(name, teacher)| learn(name, teacher, "", 1));
    let apart = |other: f64| (by_module / other - 1.0).abs();
    assert!(apart(by_network) < 1e-4, "{by_module} and {by_network}");
    // A colder softmax is another lesson.
    let cold = learn("cold", &module, "\ntemperature = 0.5", 1);
    assert!(apart(cold) > 1e-2, "{by_module} and {cold}");
}

/// Of a mixed image the label says nothing: half of all labels make no difference.
#[test]
fn labels_of_mixed_images_are_not_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let weights = weights();
    let [_, module] = by_colour(data, &weights);
    let loss = |name: &str, mixed: &str| {
        let table = taught_by(&[&module], "classes", 0.5) + "\nsoftness = 0.05\nmixed = " + mixed;
        let config = write_config_with(data, 1, &[("", &table)]);
        stand_still(&config);
        train_in(data, name, &config).unwrap();
        losses(data, name)[0]
    };
    let batch = data.join("data_batch_1.bin");
    let whole = fs::read(&batch).unwrap();
    let [none, half] = ["0.0", "0.5"].map(|mixed| loss(&format!("before-{mixed}"), mixed));
    assert_ne!(none, half);
    // One may be left over after the last whole batch, or its margin be reached with either label.
    let mut seen = [0, 0];
    for image in 0..8 {
        let mut bytes = whole.clone();
        let label = &mut bytes[image * 3073];
        *label = (*label + 1) % 10;
        fs::write(&batch, bytes).unwrap();
        let now = ["0.0", "0.5"].map(|mixed| loss(&format!("{image}-{mixed}"), mixed));
        seen[0] += usize::from(now[0] != none);
        seen[1] += usize::from(now[1] != half);
    }
    eprintln!("{seen:?} of 8 labels");
    assert!(seen[0] >= 6 && (1..6).contains(&seen[1]), "{seen:?}");
}

fn weights() -> Vec<f32> {
    (0_u8..30).map(|at| f32::from(at * 7 % 11) - 5.0).collect()
}

/// The logits that the mean colour makes by these weights (10 x 3), as an ONNX file of another program and as a module.
fn by_colour(folder: &Path, weights: &[f32]) -> [PathBuf; 2] {
    fs::create_dir_all(folder).unwrap();
    let mut file = Builder::new(32, 32);
    let matrix = file.constant("w", &[10, 3, 1, 1], weights);
    let mean = file.op("GlobalAveragePool", "mean", &["image"], &[]);
    let cells = file.op("Conv", "cells", &[&mean, &matrix], &[]);
    let logits = file.op("Flatten", "logits", &[&cells], &[("axis", 1.into())]);
    file.output(&logits);
    let matrix = Tensor::from_slice(weights).reshape([10, 3]).tr();
    let module = folder.join("colour.pt");
    trace(&module, 32, &mut |images| {
        let mean = images.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        mean.matmul(&matrix)
    });
    [file.write(folder, "colour.onnx"), module]
}

/// An ONNX file of any architecture teaches what the same network does as a module.
#[test]
fn onnx_files_of_any_architecture_teach_classes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let weights = weights();
    let [file, module] = by_colour(data, &weights);
    let loss = |name: &str, teachers: &[&Path], temperature: &str| {
        let table = taught_by(teachers, "classes", 1.0);
        let table = format!("{table}\nsoftness = 0.05\ntemperature = {temperature}");
        let config = write_config_with(data, 1, &[("", &table)]);
        stand_still(&config);
        train_in(data, name, &config).unwrap();
        losses(data, name)[0]
    };
    let by_file = loss("file", &[&file], "1.0");
    let by_module = loss("module", &[&module], "1.0");
    let another = loss("another", &[&file], "3.0");
    let apart = |other: f64| (by_file / other - 1.0).abs();
    assert!(apart(by_module) < 1e-4, "{by_file} and {by_module}");
    assert!(apart(another) > 1e-2, "{by_file} and {another}");
    // Logits of the other sign. What is learnt of both is the mean of their chances.
    let turned: Vec<f32> = weights.iter().map(|weight| -weight).collect();
    let [_, turned] = by_colour(&data.join("turned"), &turned);
    let by_turned = loss("by-turned", &[&turned], "1.0");
    let by_both = loss("both", &[&file, &turned], "1.0");
    assert!(apart(by_turned) > 1e-2, "{by_file} and {by_turned}");
    let mean = f64::midpoint(by_file, by_turned);
    assert!(
        (by_both / mean - 1.0).abs() < 1e-4,
        "{by_both} for {by_file} and {by_turned}"
    );

    let refused = |name: &str, kind: &str, parts: &[&str]| {
        let softness = ["", "\nsoftness = 0.05"][usize::from(kind == "classes")];
        let table = taught_by(&[&data.join(name)], kind, 0.5) + softness;
        let error = train(data, "refused", &[("", &table)]).unwrap_err();
        for part in [name, "cannot teach"].iter().chain(parts) {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
    };
    let export = "as `bagcert-train export` writes it";
    refused("colour.onnx", "score-maps", &["\"classes\"", export]);
    let mut map = Builder::new(32, 32);
    let logits = map.op("Relu", "logits", &["image"], &[]);
    map.output(&logits);
    map.write(data, "map.onnx");
    refused("map.onnx", "classes", &["[3, 3072]", "[3, 10]"]);
    let mut elsewhere = Builder::new(32, 32);
    elsewhere.constant("w", &[1], &[1.0]);
    elsewhere.graph().initializer[0].data_location = Some(1);
    let logits = elsewhere.op("Relu", "logits", &["image"], &[]);
    elsewhere.output(&logits);
    elsewhere.write(data, "elsewhere.onnx");
    refused("elsewhere.onnx", "classes", &["external_data=False"]);
    let mut unknown = Builder::new(32, 32);
    let logits = unknown.op("NoSuchOperation", "logits", &["image"], &[]);
    unknown.output(&logits);
    unknown.write(data, "unknown.onnx");
    refused("unknown.onnx", "classes", &["NoSuchOperation"]);
}

#[test]
fn modules_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 20);
    let refused = |name: &str, kind: &str| {
        let softness = if kind == "classes" {
            "\nsoftness = 0.1"
        } else {
            ""
        };
        let table = taught_by(&[&data.join(name)], kind, 0.5) + softness;
        let error = train(data, "run", &[("", &table)]).expect_err(name);
        assert!(
            error.contains(name) && error.contains("cannot teach"),
            "{error}"
        );
        error
    };
    let module = |name: &str, side, forward: &mut dyn FnMut(&Tensor) -> Tensor| {
        trace(&data.join(name), side, forward);
    };
    let mean = |images: &Tensor| images.mean_dim([1i64, 2, 3].as_slice(), true, Kind::Float);
    let ten = [1.0_f32; 10];
    // Sound, but for score maps.
    module("votes.pt", 32, &mut |images| {
        (mean(images) * Tensor::from_slice(&ten)).flatten(1, 3)
    });
    let error = refused("votes.pt", "score-maps");
    assert!(error.contains("\"classes\""), "{error}");
    // Three classes; a map of logits; infinite ones.
    module("three.pt", 32, &mut |images| {
        images.mean_dim([2i64, 3].as_slice(), false, Kind::Float)
    });
    let error = refused("three.pt", "classes");
    assert!(
        error.contains("[3, 3]") && error.contains("[3, 10]") && error.contains("airplane"),
        "{error}"
    );
    module("map.pt", 32, &mut |images| images.shallow_clone());
    assert!(refused("map.pt", "classes").contains("[3, 3, 32, 32]"));
    module("infinite.pt", 32, &mut |images| {
        (mean(images) * Tensor::from_slice(&ten) / 0.0).flatten(1, 3)
    });
    assert!(refused("infinite.pt", "classes").contains("finite"));
    // Other images.
    module("large.pt", 40, &mut |images| {
        images.reshape([-1, 3 * 40 * 40]).narrow(1, 0, 10)
    });
    let error = refused("large.pt", "classes");
    assert!(error.contains("invalid for input of size"), "{error}");
    // The batch that it was traced with.
    module("batch.pt", 32, &mut |images| {
        images.reshape([2, -1]).narrow(1, 0, 10)
    });
    let error = refused("batch.pt", "classes");
    assert!(error.contains("[2, 10], not the logits [3, 10]"), "{error}");
    // Dropout, as in training.
    module("chance.pt", 32, &mut |images| {
        images
            .dropout(0.5, true)
            .reshape([-1, 3072])
            .narrow(1, 0, 10)
    });
    assert!(refused("chance.pt", "classes").contains(".eval()"));
    // No module, though it begins as one.
    fs::write(data.join("no.pt"), b"PK\x03\x04 and no more").unwrap();
    assert!(refused("no.pt", "classes").contains("torch.jit.save"));
    // A temperature for votes.
    train(data, "own", &[]).unwrap();
    let own = data.join("own").join(run::CHECKPOINT);
    let table = taught_by(&[&own], "classes", 0.5) + "\nsoftness = 0.1\ntemperature = 2.0";
    let error = train(data, "run", &[("", &table)]).unwrap_err();
    assert!(error.contains("distillation.temperature"), "{error}");
}

/// A module may want its images contiguous in memory, and a run that it teaches goes on as if it had not been interrupted.
#[test]
fn a_run_that_a_module_teaches_is_resumed_to_the_same_result() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let module = data.join("pixels.pt");
    trace(&module, 32, &mut |images| {
        images.view([-1, 3072]).narrow(1, 0, 10) * 5.0
    });
    let table = taught_by(&[&module], "classes", 0.5) + "\nsoftness = 0.05";
    let config = write_config_with(data, 4, &[("", &table)]);
    let trained = |name: &str, extra: &[&str]| {
        let (output, errors) = command(&config, data, &data.join(name), extra);
        assert!(output.status.success(), "{errors}");
    };
    trained("whole", &[]);
    trained("parts", &["--until", "2"]);
    trained("parts", &["--resume"]);
    assert_eq!(losses(data, "whole"), losses(data, "parts"));
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
