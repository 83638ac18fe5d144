//! Labelled data as a model takes it: its classes in the model's order, its images in the model's size.

use std::path::Path;

use bagcert::admission::AdmittedModel;
use bagcert::frames::{
    CIFAR10_CLASSES, FrameError, Frames, Input, MAX_RESIZE, Part, Sizes, class_folders,
};

use super::stop::Stop;

/// Data that goes with one model.
pub(crate) struct Labelled {
    /// What it is, as it would be named on the command line.
    pub(crate) name: String,
    pub(crate) frames: Frames,
    /// What could not be opened.
    pub(crate) errors: Vec<FrameError>,
}

/// Opens `data` for the model at `path`. Data of other classes than the model's would be measured against labels
/// that mean something else.
pub(crate) fn open(path: &Path, model: &AdmittedModel, data: &Input) -> Result<Labelled, Stop> {
    if let Input::Folder {
        path: folder,
        resize,
    } = data
    {
        let sizes = sizes(path, model, *resize)?;
        let name = format!("folder:{}:{}", sizes.resize, folder.display());
        let opened = match class_folders(folder) {
            Ok(found) => {
                let classes = in_order(path, model, folder, found)?;
                Frames::by_class(folder, &classes, sizes)
            }
            Err(error) => Err(error.into()),
        };
        let (frames, errors) = match opened {
            Ok(frames) => (frames, vec![]),
            Err(error) => (Frames::default(), vec![error]),
        };
        return Ok(Labelled {
            name,
            frames,
            errors,
        });
    }
    check_labels(path, model, data)?;
    let (frames, errors) = Frames::open(std::slice::from_ref(data), model.image_size());
    Ok(Labelled {
        name: name(data),
        frames,
        errors,
    })
}

/// Records carry labels of so many classes; image files may carry the model's own.
pub(crate) fn check_labels(path: &Path, model: &AdmittedModel, data: &Input) -> Result<(), Stop> {
    let (what, classes) = match data {
        Input::Records { layout, .. } => ("records have", layout.classes()),
        Input::Cifar10 { .. } => ("CIFAR-10 has", CIFAR10_CLASSES),
        Input::Path(_) | Input::Folder { .. } => return Ok(()),
    };
    check_count(path, model, &format!("{}: {what}", name(data)), classes)
}

fn check_count(path: &Path, model: &AdmittedModel, what: &str, classes: usize) -> Result<(), Stop> {
    let found = model.shape().classes();
    if found == classes {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "{what} {classes} classes, but the model {} has {found}",
        path.display()
    )))
}

/// The classes of a folder in the model's order: by their names where the model has names, else sorted.
fn in_order(
    path: &Path,
    model: &AdmittedModel,
    folder: &Path,
    found: Vec<String>,
) -> Result<Vec<String>, Stop> {
    let what = format!("--data: the folder {} has", folder.display());
    check_count(path, model, &what, found.len())?;
    if !model.has_class_names() {
        return Ok(found);
    }
    let known = model.class_names();
    let Some(name) = found.iter().find(|name| !known.contains(name)) else {
        return Ok(known.to_vec());
    };
    let missing = known.iter().find(|name| !found.contains(name));
    Err(Stop::Usage(format!(
        "--data: the folder {} holds a class {name:?} that the model {} does not know, and none named {:?}; \
         the folders must bear the names that `bagcert inspect` shows",
        folder.display(),
        path.display(),
        missing.unwrap_or(name)
    )))
}

/// How images become those of the model: the shorter side as it was said, as the model says that it was trained,
/// or 8/7 of what is cut out, which is the paper's 256 for 224 pixels (Section A.1.2).
fn sizes(path: &Path, model: &AdmittedModel, said: Option<u32>) -> Result<Sizes, Stop> {
    let size = model.image_size();
    let longer = size.width.max(size.height);
    let own = model.metadata().get("bagcert.resize");
    let own = own.and_then(|text| text.parse().ok());
    let resize = said
        .or(own)
        .unwrap_or_else(|| longer.saturating_mul(8).div_ceil(7));
    if !(longer..=MAX_RESIZE).contains(&resize) {
        return Err(Stop::Usage(format!(
            "--data folder:{resize}: the shorter side must be scaled to {longer} pixels at least, the size of the \
             model {}, and to {MAX_RESIZE} at most",
            path.display()
        )));
    }
    Ok(Sizes {
        resize,
        width: size.width,
        height: size.height,
    })
}

fn name(data: &Input) -> String {
    match data {
        Input::Path(path) | Input::Folder { path, .. } => path.display().to_string(),
        Input::Cifar10 { path, .. } if path.is_file() => format!("cifar10:{}", path.display()),
        Input::Cifar10 { path, part } => {
            let part = match part {
                Part::Test => "test",
                Part::Train => "train",
            };
            format!("cifar10:{}:{part}", path.display())
        }
        Input::Records { path, layout } => {
            let (classes, bytes) = (layout.classes(), layout.label_bytes());
            format!("records:{classes}/{bytes}:{}", path.display())
        }
    }
}
