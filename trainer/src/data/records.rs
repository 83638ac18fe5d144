//! Record files of 32x32 images as tensors: CIFAR-10, and others of its layout.

use std::path::{Path, PathBuf};

use bagcert_images::{FileError, Layout, Part, Records, SIDE, files};
use tch::Tensor;

use super::{Dataset, Fingerprint, fingerprint::Counted};

/// Reads one part of CIFAR-10 from `folder`, or the file at it.
///
/// # Errors
/// Names the file that is missing, damaged or of another format.
pub fn read(folder: &Path, part: Part) -> Result<Dataset, FileError> {
    let paths = files(folder, part)?.into_iter().map(|file| file.path);
    Ok(read_printed(&paths.collect::<Vec<_>>(), Layout::CIFAR10)?.0)
}

/// The records of files one after the other, and what each file holds.
pub(super) fn read_printed(
    paths: &[PathBuf],
    layout: Layout,
) -> Result<(Dataset, Fingerprint), FileError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    let mut parts = Vec::new();
    for path in paths {
        let mut counted = Counted::new(layout.classes());
        for (label, image) in Records::read_as(path, layout)?.iter() {
            counted.add(label, image);
            labels.push(label as i64);
            pixels.extend_from_slice(image);
        }
        // Packed or not, the records are the same.
        let packed = path.extension().is_some_and(|ending| ending == "xz");
        let name = if packed {
            path.file_stem()
        } else {
            path.file_name()
        };
        parts.push(counted.end(&name.unwrap_or_default().to_string_lossy()));
    }
    let side = SIDE as i64;
    let data = Dataset {
        images: Tensor::from_slice(&pixels).view([-1, 3, side, side]),
        labels: Tensor::from_slice(&labels),
    };
    Ok((data, Fingerprint { parts }))
}
