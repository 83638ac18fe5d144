//! What is done with the bytes of each target. A finding is a panic, a hang, or too much memory;
//! and for models an engine that leaks, which admission must have seen before.

use std::path::Path;

use arbitrary::Unstructured;
use bagcert::admission::{AdmissionError, AdmittedModel, admit};
use bagcert::engine::{Engine, EngineError};
use bagcert::frames::{FrameError, Frames, Input, Picture, Size};
use bagcert::integrity::{Manifest, PublicKey, SecretKey};
use bagcert_images::{ImageFolder, Layout, Records, Sizes};
use prost::Message;

#[path = "../../trainer/src/config/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod config;
#[path = "graph.rs"]
mod graph_of;
#[path = "host.rs"]
mod host;

/// Engines are made of models up to so many multiply-adds, and values of all maps, only. Larger ones
/// are admitted or refused, but take long to run.
const SMALL: u64 = 1 << 20;

/// The bytes of an ONNX file.
pub fn model(data: &[u8]) {
    with_file("model.onnx", data, |path| judge(admit(path)));
}

/// Bytes that choose a small graph, its shapes and its attributes.
pub fn graph(data: &[u8]) {
    if let Ok(proto) = graph_of::model_of(&mut Unstructured::new(data)) {
        model(&proto.encode_to_vec());
    }
}

fn judge(outcome: Result<AdmittedModel, AdmissionError>) {
    let model = match outcome {
        Ok(model) => model,
        Err(error) => return drop(error.to_string()),
    };
    let image = model.input();
    let values = model
        .network()
        .nodes()
        .iter()
        .filter_map(|node| node.shape.volume())
        .fold(0u64, |sum, values| sum.saturating_add(values as u64));
    if model.macs() > SMALL || values > SMALL {
        return;
    }
    match Engine::new(&model) {
        Ok(mut engine) => {
            let pixels = vec![0.5; image.channels * image.height * image.width];
            let logits = engine.logits(&pixels).map(<[f32]>::len);
            let shape = model.shape();
            assert_eq!(logits.ok(), Some(shape.classes() * shape.cells()));
        }
        // The graph was proved local, so this is a hole in the proof or in the engine.
        Err(error @ (EngineError::Leak { .. } | EngineError::OutputLength { .. })) => {
            panic!("{error}")
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Two bytes for the size in pixels that is asked for, then the bytes of an image file.
pub fn picture(data: &[u8]) {
    let Some((&[width, height], file)) = data.split_first_chunk() else {
        return;
    };
    let size = Size {
        width: u32::from(width),
        height: u32::from(height),
    };
    with_file("frame", file, |path| match Picture::read(path, size) {
        Ok(picture) => {
            let planes = picture.planes();
            assert_eq!(picture.size(), size);
            assert_eq!(planes.len(), 3 * usize::from(width) * usize::from(height));
            assert!(planes.iter().all(|value| (0.0..=1.0).contains(value)));
            assert_eq!(picture.to_rgb8().len(), planes.len());
        }
        Err(error) => drop(error.to_string()),
    });
}

/// The bytes of a CIFAR-10 file, plain or packed.
pub fn cifar10(data: &[u8]) {
    with_file("batch.bin", data, |path| {
        match Records::read(path) {
            Ok(records) => {
                assert!(!records.is_empty());
                assert!(records.iter().all(|(label, image)| {
                    label < bagcert_images::CLASSES && image.len() == bagcert_images::IMAGE_LEN
                }));
            }
            Err(error) => drop(error.to_string()),
        }
        // Once more as an input of the command, with all that is then done with it.
        let size = Size {
            width: 32,
            height: 32,
        };
        let input = Input::Cifar10 {
            path: path.to_owned(),
            part: bagcert::frames::Part::Test,
        };
        let (frames, failures) = Frames::open(&[input], size);
        for at in 0..frames.len().min(4) {
            assert!(frames.load(at, size, &[]).is_ok());
        }
        drop(
            failures
                .iter()
                .map(FrameError::to_string)
                .collect::<Vec<_>>(),
        );
    });
}

/// Two bytes for the layout of records, then the bytes of a file of them, plain or packed.
pub fn records(data: &[u8]) {
    let Some((&[classes, more], file)) = data.split_first_chunk() else {
        return;
    };
    let label_bytes = usize::from(more % 32);
    let classes = usize::from(u16::from_le_bytes([classes, more / 32])) + 1;
    let Some(layout) = Layout::new(label_bytes, classes) else {
        let least = if classes > 256 { 2 } else { 1 };
        assert!(classes < 2 || !(least..=16).contains(&label_bytes));
        return;
    };
    with_file("records.bin", file, |path| {
        match Records::read_as(path, layout) {
            Ok(records) => {
                assert!(!records.is_empty());
                assert_eq!(records.iter().count(), records.len());
                assert!(records.iter().all(|(label, image)| {
                    label < classes && image.len() == bagcert_images::IMAGE_LEN
                }));
                assert!(records.get(records.len()).is_none());
            }
            Err(error) => drop(error.to_string()),
        }
    });
}

/// Three bytes for the sizes, then the bytes of an image in a folder of images by class.
pub fn class_image(data: &[u8]) {
    let Some((&[resize, width, height], file)) = data.split_first_chunk() else {
        return;
    };
    let sizes = Sizes {
        resize: u32::from(resize),
        width: u32::from(width.max(1)),
        height: u32::from(height.max(1)),
    };
    with_file("val/cat/frame.png", file, |path| {
        // Three folders up from the file: what holds `val`.
        let root = path.ancestors().nth(3).unwrap_or(path);
        let classes = ["cat".to_owned()];
        let images = match ImageFolder::open(root, "val", &classes) {
            Ok(images) => images,
            Err(error) => panic!("a folder that is there: {error}"),
        };
        match images.middle(0, sizes) {
            Ok(planes) => {
                let plane = sizes.width as usize * sizes.height as usize;
                assert_eq!(planes.len(), 3 * plane);
            }
            Err(error) => assert!(error.to_string().contains("frame.png"), "{error}"),
        }
    });
}

/// The bytes of a model's manifest.
pub fn manifest(data: &[u8]) {
    match Manifest::parse(data) {
        // What was read can be written, and is the same when it is read again.
        Ok(manifest) => match manifest.to_toml() {
            Ok(text) => assert_eq!(Manifest::parse(text.as_bytes()), Ok(manifest)),
            Err(error) => drop(error.to_string()),
        },
        Err(error) => drop(error.to_string()),
    }
}

/// The bytes of a PEM file, read as a public key and as a secret one.
pub fn key(data: &[u8]) {
    with_file("key.pem", data, |path| {
        match PublicKey::read(path) {
            Ok(key) => assert!(!key.has_signed(data, &[0; 64])),
            Err(error) => drop(error.to_string()),
        }
        match SecretKey::read(path) {
            Ok(key) => assert!(!key.public().has_signed(data, &[0; 64])),
            Err(error) => drop(error.to_string()),
        }
    });
}

/// The bytes of a scenario of the simulation.
pub fn scenario(data: &[u8]) {
    with_file(
        "scenario.toml",
        data,
        |path| match host::scenario::Scenario::read(path) {
            Ok(scenario) => {
                for cycle in [0, 1, 2, 50, u32::MAX] {
                    for kind in scenario.at(cycle) {
                        assert!(kind.index() < host::scenario::Kind::NAMES.len());
                        assert!(!kind.name().is_empty());
                    }
                }
            }
            Err(stop) => drop((stop.status(), stop.to_string())),
        },
    );
}

/// The bytes of a configuration of the trainer.
pub fn trainer_config(data: &[u8]) {
    with_file("config.toml", data, |path| {
        match config::Config::read(path) {
            Ok(config) => assert!(config.check().is_ok()),
            Err(error) => drop(error.to_string()),
        }
    });
}

/// Everything is read from files, as in use.
fn with_file(name: &str, data: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: std::io::Result<tempfile::TempDir> = in_memory();
    }
    FOLDER.with(|folder| {
        let path = match folder {
            Ok(folder) => folder.path().join(name),
            Err(error) => panic!("no folder for the file: {error}"),
        };
        let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        match made.and_then(|()| std::fs::write(&path, data)) {
            Ok(()) => read(&path),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    });
}

/// A folder that takes no disk where there is such a place.
fn in_memory() -> std::io::Result<tempfile::TempDir> {
    let shared = Path::new("/dev/shm");
    let made = shared.is_dir().then(|| tempfile::tempdir_in(shared));
    match made {
        Some(Ok(folder)) => Ok(folder),
        _ => tempfile::tempdir(),
    }
}
