//! CIFAR-10 as tensors.

use std::path::Path;

use bagcert_cifar10::{Cifar10Error, Part, Records, SIDE, files};
use tch::Tensor;

use super::Dataset;

/// Reads one part of the data set from `folder`, or the file at it.
///
/// # Errors
/// Names the file that is missing, damaged or of another format.
pub fn read(folder: &Path, part: Part) -> Result<Dataset, Cifar10Error> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for batch in files(folder, part)? {
        for (label, image) in Records::read(&batch.path)?.iter() {
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
