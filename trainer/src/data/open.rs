//! The images that a configuration names.

use std::path::{Path, PathBuf};

use bagcert_cifar10::{CLASS_NAMES, Cifar10Error, Layout, Part, SIDE};

use super::{DataError, Dataset, Folder, Images, Sizes, Source, folder, read, read_files};
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
}

/// What the images of `config` in `folder` are. Of an image folder the classes are read.
///
/// # Errors
/// A folder that cannot be read or holds no classes.
pub fn facts(config: &DataConfig, folder: &Path) -> Result<Facts, DataError> {
    let (name, classes, normalisation, size) = match config.kind {
        DataKind::Cifar10 => (
            "CIFAR-10".into(),
            CLASS_NAMES.map(String::from).to_vec(),
            CIFAR10_NORMALISATION,
            SIDE as u32,
        ),
        DataKind::Records => (
            file_name(folder),
            (0..config.labels).map(|class| class.to_string()).collect(),
            CIFAR10_NORMALISATION,
            SIDE as u32,
        ),
        DataKind::Folder => (
            file_name(folder),
            folder::classes(folder)?,
            IMAGENET_NORMALISATION,
            config.crop,
        ),
    };
    let given = config.normalisation.clone();
    Ok(Facts {
        name,
        classes,
        normalisation: given.unwrap_or_else(|| normalisation.to_vec()),
        size,
    })
}

/// The images to train on, all in main memory or read as they are needed, and those to choose by: of an image
/// folder the part `val`, else the last `validation` training images.
///
/// # Errors
/// Names the file that is missing or damaged.
pub fn training(
    config: &DataConfig,
    facts: &Facts,
    folder: &Path,
) -> Result<(Source, Box<dyn Images>), DataError> {
    let all = match config.kind {
        DataKind::Folder => {
            let open = |part| Folder::open(folder, part, &facts.classes, sizes(config));
            return Ok((Source::Folder(open("train")?), Box::new(open("val")?)));
        }
        DataKind::Cifar10 => read(folder, Part::Train)?,
        DataKind::Records => records(config, folder, &config.train)?,
    };
    let aside = config.validation as i64;
    let count = (all.len() - aside).max(0);
    let validation = all.slice(count, aside);
    Ok((Source::Memory(all.slice(0, count)), Box::new(validation)))
}

/// The images that are kept for the end: the test part, or `val` of an image folder.
///
/// # Errors
/// Names the file that is missing or damaged.
pub fn test(
    config: &DataConfig,
    facts: &Facts,
    folder: &Path,
) -> Result<Box<dyn Images>, DataError> {
    Ok(match config.kind {
        DataKind::Cifar10 => Box::new(read(folder, Part::Test)?),
        DataKind::Records => Box::new(records(config, folder, &config.test)?),
        DataKind::Folder => {
            let classes = &facts.classes;
            Box::new(Folder::open(folder, "val", classes, sizes(config))?)
        }
    })
}

fn sizes(config: &DataConfig) -> Sizes {
    Sizes {
        resize: config.resize,
        crop: config.crop,
    }
}

fn records(config: &DataConfig, folder: &Path, names: &[String]) -> Result<Dataset, DataError> {
    let layout = Layout::new(config.label_bytes, config.labels).ok_or(DataError::Classes {
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
        Ok(file.ok_or_else(|| Cifar10Error::Missing {
            path: folder.to_owned(),
            wanted: name.clone(),
        })?)
    };
    let paths = names.iter().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(read_files(&paths, layout)?)
}

fn file_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or(folder.as_os_str());
    name.to_string_lossy().into_owned()
}
