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
) -> Result<Dataset, FileError> {
    read_known(paths, layout, |_, _, _| {})
}

/// The same, and what each file holds.
pub(super) fn read_printed<'p>(
    paths: impl IntoIterator<Item = &'p PathBuf>,
    layout: Layout,
) -> Result<(Dataset, Fingerprint), FileError> {
    let mut files: Vec<(PathBuf, Counted)> = Vec::new();
    let data = read_known(paths, layout, |path, label, image| {
        if files.last().is_none_or(|(last, _)| last != path) {
            files.push((path.to_owned(), Counted::new(layout.classes())));
        }
        if let Some((_, counted)) = files.last_mut() {
            counted.add(label, image);
        }
    })?;
    let parts = files.into_iter().map(|(path, counted)| {
        // Packed or not, the records are the same.
        let packed = path.extension().is_some_and(|ending| ending == "xz");
        let name = if packed {
            path.file_stem()
        } else {
            path.file_name()
        };
        counted.end(&name.unwrap_or_default().to_string_lossy())
    });
    let parts = parts.collect();
    Ok((data, Fingerprint { parts }))
}

fn read_known<'p>(
    paths: impl IntoIterator<Item = &'p PathBuf>,
    layout: Layout,
    mut each: impl FnMut(&Path, usize, &[u8]),
) -> Result<Dataset, FileError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for path in paths {
        for (label, image) in Records::read_as(path, layout)?.iter() {
            each(path, label, image);
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
