//! What is kept of images whose certificates were broken.

use std::{fs, path::Path};

use anyhow::{Context, Error, Result};
use bagcert_certifier::Geometry;
use bagcert_trainer::{
    attack::{
        Attacked,
        figure::{Scene, figure},
    },
    checkpoint::write_whole,
};
use safetensors::{Dtype, tensor::TensorView};

/// Saves them. That a certificate broke must be told even where nothing can be written, so what went wrong is
/// kept for later.
pub(super) struct Broken<'a> {
    folder: &'a Path,
    /// Why the first that could not be saved was not.
    pub(super) failed: Option<Error>,
}

impl<'a> Broken<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            failed: None,
        }
    }

    /// Saves `one`, if its certificate was broken.
    pub(super) fn offer(&mut self, one: &Attacked, scene: &Scene<'_>) {
        if !one.record.broken() {
            return;
        }
        if let Err(error) = save(self.folder, one, scene) {
            self.failed.get_or_insert(error);
        }
    }
}

/// Everything needed to look into it: the pixels as they were, the logits, and a drawing.
fn save(folder: &Path, one: &Attacked, scene: &Scene<'_>) -> Result<()> {
    let Some(pictures) = &one.pictures else {
        return Ok(());
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let bytes = |values: &[f32]| -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    };
    let tensors = [
        ("clean", &pictures.clean),
        ("attacked", &pictures.attacked),
        ("clean_logits", &pictures.clean_logits),
        ("attacked_logits", &pictures.attacked_logits),
    ]
    .map(|(name, values)| (name, values.len(), bytes(values)));
    let shape = |name: &str, len: usize| {
        let Geometry { x, y } = scene.geometry;
        let (height, width) = if name.ends_with("logits") {
            (y.outputs() as usize, x.outputs() as usize)
        } else {
            (y.inputs() as usize, x.inputs() as usize)
        };
        vec![len / (height * width).max(1), height, width]
    };
    let views = tensors
        .iter()
        .map(|(name, len, bytes)| {
            Ok((
                *name,
                TensorView::new(Dtype::F32, shape(name, *len), bytes)?,
            ))
        })
        .collect::<Result<Vec<_>>>()?;
    let record = serde_json::to_string(&one.record)?;
    let metadata = [("record".to_owned(), record)].into_iter().collect();
    let file = safetensors::serialize(views, Some(metadata))?;
    let name = format!("image-{}", one.record.image);
    write_whole(&folder.join(format!("{name}.safetensors")), &file)?;
    let drawing = figure(scene, &[one]);
    write_whole(&folder.join(format!("{name}.svg")), drawing.as_bytes())?;
    Ok(())
}
