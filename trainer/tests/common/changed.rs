//! Checkpoints that were changed.

use std::{collections::HashMap, fs, path::Path};

use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::Value;

/// Sets all numbers of a tensor in a checkpoint, which then says no more what it held.
pub(crate) fn spoil(checkpoint: &Path, tensor: &str, value: f32) {
    rewrite(checkpoint, Some((tensor, value)), |_| {});
}

/// Changes what a checkpoint says of itself, but for what it held.
pub(crate) fn misstate(checkpoint: &Path, change: impl Fn(&mut Value)) {
    rewrite(checkpoint, None, change);
}

fn rewrite(checkpoint: &Path, spoilt: Option<(&str, f32)>, change: impl Fn(&mut Value)) {
    let bytes = fs::read(checkpoint).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut kept: HashMap<String, String> = metadata.metadata().clone().unwrap();
    let header = kept.get_mut("bagcert").unwrap();
    let mut fields: Value = serde_json::from_str(header).unwrap();
    fields.as_object_mut().unwrap().remove("seal");
    change(&mut fields);
    *header = fields.to_string();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (spoilt, value) = spoilt.unwrap_or_default();
    let count = tensors
        .tensor(spoilt)
        .map_or(0, |view| view.data().len() / 4);
    assert!(spoilt.is_empty() || count > 0, "{spoilt}");
    let numbers = value.to_le_bytes().repeat(count);
    let views = tensors.tensors().into_iter().map(|(name, view)| {
        let data = if name == spoilt {
            &numbers
        } else {
            view.data()
        };
        let shape = view.shape().to_vec();
        (name, TensorView::new(view.dtype(), shape, data).unwrap())
    });
    let written = safetensors::serialize(views, Some(kept)).unwrap();
    fs::write(checkpoint, written).unwrap();
}
