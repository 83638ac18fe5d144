//! The images that a configuration names.

use std::path::{Path, PathBuf};

use bagcert_images::{CLASS_NAMES, FileError, Layout, Part, SIDE, Sizes, class_folders, files};

use super::{DataError, Dataset, Fingerprint, Folder, Images, Source, records::read_printed};
use crate::config::{DataConfig, DataKind};

/// Mean and standard deviation of CIFAR-10's training images, per channel.
const CIFAR10_NORMALISATION: [(f32, f32); 3] =
    [(0.4914, 0.2470), (0.4822, 0.2435), (0.4465, 0.2616)];
/// The same of ImageNet.
const IMAGENET_NORMALISATION: [(f32, f32); 3] = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];

/// What a network must know of its images.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The data set's name.
    pub name: String,
    /// Class names, in label order.
    pub classes: Vec<String>,
    /// Mean and standard deviation of each channel.
    pub normalisation: Vec<(f32, f32)>,
    /// Height and width.
    pub size: u32,
    /// Length that the shorter side of an image is scaled to before `size` pixels are cut out; nothing where
    /// images are taken as they are.
    pub resize: Option<u32>,
}

/// What the images of `config` in `folder` are. Of an image folder the classes are read.
///
/// # Errors
/// A folder that cannot be read or holds no classes.
pub fn facts(config: &DataConfig, folder: &Path) -> Result<Facts, DataError> {
    let (name, classes, normalisation) = match config.kind {
        DataKind::Cifar10 => (
            "CIFAR-10".into(),
            CLASS_NAMES.map(String::from).to_vec(),
            CIFAR10_NORMALISATION,
        ),
        DataKind::Records => (
            file_name(folder),
            (0..config.labels).map(|class| class.to_string()).collect(),
            CIFAR10_NORMALISATION,
        ),
        DataKind::Folder => (
            file_name(folder),
            class_folders(folder)?,
            IMAGENET_NORMALISATION,
        ),
    };
    let (size, _) = stated(config);
    let given = config.normalisation.clone();
    Ok(Facts {
        name,
        classes,
        normalisation: given.unwrap_or_else(|| normalisation.to_vec()),
        size,
        resize: (config.kind == DataKind::Folder).then_some(config.resize),
    })
}

/// Pixels along both axes, and the number of classes, as far as `config` says them: those of a folder lie in it.
pub fn stated(config: &DataConfig) -> (u32, Option<usize>) {
    match config.kind {
        DataKind::Cifar10 => (SIDE as u32, Some(CLASS_NAMES.len())),
        DataKind::Records => (SIDE as u32, Some(config.labels)),
        DataKind::Folder => (config.crop, None),
    }
}

/// The images of a run.
pub struct Training {
    /// Those to train on, all in main memory or read as they are needed.
    pub images: Source,
    /// Those to choose by: of an image folder the part `val`, else the last `validation` training images.
    pub validation: Box<dyn Images>,
    /// What all of them are.
    pub fingerprint: Fingerprint,
    /// The same, of the part `val` of an image folder by its names alone: a damaged file in it has another length once it
    /// is put right.
    pub mendable: Fingerprint,
}

/// The images to train on and to choose by.
///
/// # Errors
/// Names the file that is missing or damaged, the class that `val` lacks, or two files that hold the same images.
pub fn training(config: &DataConfig, facts: &Facts, folder: &Path) -> Result<Training, DataError> {
    if config.kind == DataKind::Folder {
        let open = |part| Folder::open(folder, part, &facts.classes, sizes(config));
        let (train, val) = (open("train")?, open("val")?);
        let classes = facts.classes.len();
        let prints = |val| Fingerprint {
            parts: vec![train.fingerprint("train", classes), val],
        };
        let fingerprint = prints(val.fingerprint("val", classes));
        if let Some(class) = fingerprint.missing_at_the_end(&facts.classes) {
            return Err(DataError::Unfit {
                path: folder.join("val"),
                reason: format!(
                    "the class {class:?} of train has no folder here, so that what is measured would say nothing of it; add its images"
                ),
            });
        }
        return Ok(Training {
            fingerprint,
            mendable: prints(val.fingerprint_of_names("val", classes)),
            images: Source::Folder(train),
            validation: Box::new(val),
        });
    }
    let (all, fingerprint) = records(config, folder, Part::Train)?;
    let twice = fingerprint.twice().filter(|_| config.validation > 0);
    if let Some([one, other]) = twice {
        return Err(DataError::Unfit {
            path: folder.into(),
            reason: format!(
                "{one} and {other} hold the same images, so that what is kept aside could be trained on; leave one out"
            ),
        });
    }
    let aside = config.validation as i64;
    let count = (all.len() - aside).max(0);
    Ok(Training {
        validation: Box::new(all.slice(count, aside)),
        images: Source::Memory(all.slice(0, count)),
        mendable: fingerprint.clone(),
        fingerprint,
    })
}

/// The images that a network is measured on in the end.
pub struct Test {
    /// The test part, or `val` of an image folder.
    pub images: Box<dyn Images>,
    /// What they are.
    pub fingerprint: Fingerprint,
    /// As in [`Facts`].
    pub resize: Option<u32>,
}

/// The images that are kept for the end.
///
/// # Errors
/// Names the file that is missing or damaged.
pub fn test(config: &DataConfig, facts: &Facts, folder: &Path) -> Result<Test, DataError> {
    if config.kind == DataKind::Folder {
        let val = Folder::open(folder, "val", &facts.classes, sizes(config))?;
        let parts = vec![val.fingerprint("val", facts.classes.len())];
        return Ok(Test {
            images: Box::new(val),
            fingerprint: Fingerprint { parts },
            resize: facts.resize,
        });
    }
    let (images, fingerprint) = records(config, folder, Part::Test)?;
    Ok(Test {
        images: Box::new(images),
        fingerprint,
        resize: facts.resize,
    })
}

/// One part of CIFAR-10 or of other record files.
fn records(
    config: &DataConfig,
    folder: &Path,
    part: Part,
) -> Result<(Dataset, Fingerprint), DataError> {
    let (paths, layout) = match (config.kind, part) {
        (DataKind::Records, Part::Train) => record_files(config, folder, &config.train)?,
        (DataKind::Records, Part::Test) => record_files(config, folder, &config.test)?,
        _ => {
            let paths = files(folder, part)?.into_iter().map(|file| file.path);
            (paths.collect(), Layout::CIFAR10)
        }
    };
    Ok(read_printed(&paths, layout)?)
}

fn sizes(config: &DataConfig) -> Sizes {
    Sizes::square(config.resize, config.crop)
}

/// Where the record files of these names are, plain before packed.
fn record_files(
    config: &DataConfig,
    folder: &Path,
    names: &[String],
) -> Result<(Vec<PathBuf>, Layout), DataError> {
    let layout = Layout::new(config.label_bytes, config.labels).ok_or(DataError::Layout {
        path: folder.to_owned(),
        reason: format!(
            "records cannot have {} label bytes and {} classes",
            config.label_bytes, config.labels
        ),
    })?;
    let found = |name: &String| -> Result<PathBuf, DataError> {
        let plain = folder.join(name);
        let packed = folder.join(format!("{name}.xz"));
        let file = [plain, packed].into_iter().find(|file| file.exists());
        Ok(file.ok_or_else(|| FileError::Missing {
            path: folder.to_owned(),
            wanted: name.clone(),
        })?)
    };
    let paths = names.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok((paths, layout))
}

fn file_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}
