//! Images as the program reads them.

use anyhow::{Result, ensure};
use bagcert::admission::AdmittedModel;
use bagcert::frames::{Frames, Input};

/// An image of a model's size.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file, or the index in its data set.
    pub id: String,
    /// What it shows, where that is known.
    pub label: Option<usize>,
    /// `3 x height x width` in `[0,1]`.
    pub planes: Vec<f32>,
}

/// All images of these inputs, in order.
///
/// # Errors
/// Where one of them cannot be read.
pub fn images(model: &AdmittedModel, inputs: &[Input]) -> Result<Vec<Image>> {
    let size = model.image_size();
    let (frames, failures) = Frames::open(inputs, size);
    ensure!(failures.is_empty(), "{failures:?}");
    let load = |at| {
        let frame = frames.load(at, size, model.class_names())?;
        Ok(Image {
            id: frame.id,
            label: frame.label,
            planes: frame.picture.planes().to_vec(),
        })
    };
    (0..frames.len()).map(load).collect()
}

/// The pixels of each.
#[must_use]
pub fn planes(images: &[Image]) -> Vec<&[f32]> {
    images.iter().map(|image| image.planes.as_slice()).collect()
}
