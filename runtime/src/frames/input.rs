//! What an input on the command line says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bagcert_images::{CHECKSUMS, Layout, Part, has_image_ending};

/// One input as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An image file, or a folder whose image files are taken in order of their names.
    Path(PathBuf),
    /// CIFAR-10 in the official binary layout: one file, or the folder that holds the set.
    Cifar10 {
        /// The file or folder.
        path: PathBuf,
        /// Which part of the set a folder stands for; a single file is taken whole.
        part: Part,
    },
    /// A file of 32x32 images in CIFAR-10's layout, but with other labels.
    Records {
        /// The file, plain or packed with xz.
        path: PathBuf,
        /// How its records are laid out.
        layout: Layout,
    },
    /// A folder of images by class, of which the part `val` is taken: see [`by_class`](super::Frames::by_class).
    Folder {
        /// The folder that holds `val`.
        path: PathBuf,
        /// Length that the shorter side of each image is scaled to, where it was said.
        resize: Option<u32>,
    },
}

/// The most that a side can be scaled to.
pub const MAX_RESIZE: u32 = 8192;

impl Input {
    /// Reads `cifar10:PATH`, `cifar10:PATH:test`, `cifar10:PATH:train`, `records:CLASSES/BYTES:FILE` with the
    /// label bytes before each image, `folder:PATH` or `folder:RESIZE:PATH`, or a plain path.
    ///
    /// A file whose own name starts with `cifar10:` can be given as `./cifar10:...`.
    #[must_use]
    pub fn parse(argument: &OsStr) -> Input {
        let text = argument.to_str();
        if let Some(found) = text.and_then(|text| records_of(text).or_else(|| folder_of(text))) {
            return found;
        }
        let Some(rest) = argument.to_str().and_then(|a| a.strip_prefix("cifar10:")) else {
            return Input::Path(PathBuf::from(argument));
        };
        let (path, part) = match rest.rsplit_once(':') {
            Some((path, "test")) => (path, Part::Test),
            Some((path, "train")) => (path, Part::Train),
            _ => (rest, Part::Test),
        };
        Input::Cifar10 {
            path: PathBuf::from(path),
            part,
        }
    }

    /// Whether the file at `place`, a canonical path, is one of those that this input stands for.
    #[must_use]
    pub fn reads(&self, place: &Path) -> bool {
        let whole = |path: &Path| std::fs::canonicalize(path).ok();
        let list_of = |folder: Option<&Path>| whole(&folder?.join(CHECKSUMS));
        match self {
            Input::Path(path) => super::list(path)
                .unwrap_or_default()
                .iter()
                .any(|file| whole(file).is_some_and(|file| file == place)),
            Input::Cifar10 { path, .. } => [Part::Test, Part::Train].iter().any(|part| {
                let files = bagcert_images::files(path, *part).unwrap_or_default();
                files.iter().any(|file| {
                    let known = [whole(&file.path), list_of(file.path.parent())];
                    known.iter().flatten().any(|known| known == place)
                })
            }),
            Input::Records { path, .. } => {
                let known = [whole(path), list_of(path.parent())];
                known.iter().flatten().any(|known| known == place)
            }
            // Too many to look up each; links that lead out of the folder are not followed.
            Input::Folder { path, .. } => {
                let inside = whole(path).is_some_and(|path| place.starts_with(path));
                let list = list_of(Some(path)).is_some_and(|list| list == place);
                list || (inside && has_image_ending(place))
            }
        }
    }
}

/// `records:CLASSES/BYTES:FILE`.
fn records_of(argument: &str) -> Option<Input> {
    let (layout, path) = argument.strip_prefix("records:")?.split_once(':')?;
    let (classes, label_bytes) = layout.split_once('/')?;
    Some(Input::Records {
        layout: Layout::new(label_bytes.parse().ok()?, classes.parse().ok()?)?,
        path: PathBuf::from(path),
    })
}

/// `folder:PATH` or `folder:RESIZE:PATH`.
fn folder_of(argument: &str) -> Option<Input> {
    let rest = argument.strip_prefix("folder:")?;
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    let (resize, path) = match rest.split_once(':') {
        Some((digits, path)) if number(digits) => {
            let resize = digits.parse().ok();
            (Some(resize.filter(|n| (1..=MAX_RESIZE).contains(n))?), path)
        }
        _ => (None, rest),
    };
    Some(Input::Folder {
        path: PathBuf::from(path),
        resize,
    })
}
