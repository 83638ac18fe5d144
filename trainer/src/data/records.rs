//! Record files of 32x32 images as tensors: CIFAR-10, and others of its layout.

use std::path::{Path, PathBuf};

use bagcert_cifar10::{Cifar10Error, Layout, Part, Records, SIDE, files};
use tch::Tensor;

use super::Dataset;

/// Reads one part of CIFAR-10 from `folder`, or the file at it.
///
/// # Errors
/// Names the file that is missing, damaged or of another format.
pub fn read(folder: &Path, part: Part) -> Result<Dataset, Cifar10Error> {
    let batches = files(folder, part)?;
    read_files(batches.iter().map(|batch| &batch.path), Layout::CIFAR10)
}

/// Reads the records of files one after the other.
///
/// # Errors
/// Names the file that is missing, damaged or of another format.
pub fn read_files<'p>(
    paths: impl IntoIterator<Item = &'p PathBuf>,
    layout: Layout,
) -> Result<Dataset, Cifar10Error> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for path in paths {
        for (label, image) in Records::read_as(path, layout)?.iter() {
            labels.push(label as i64);
            pixels.extend_from_slice(image);
        }
    }
    let side = SIDE as i64;
    let images = Tensor::from_slice(&pixels).view([-1, 3, side, side]);
    Ok(Dataset {
        images,
        labels: Tensor::from_slice(&labels),
    })
}
