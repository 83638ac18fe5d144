//! Checkpoints that were changed.

use std::{collections::HashMap, fs, path::Path};

use safetensors::{SafeTensors, tensor::TensorView};

/// Sets all numbers of a tensor in a checkpoint, which then says no more what its numbers were.
pub(crate) fn spoil(checkpoint: &Path, tensor: &str, value: f32) {
    let bytes = fs::read(checkpoint).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut kept: HashMap<String, String> = metadata.metadata().clone().unwrap();
    let header = kept.get_mut("bagcert").unwrap();
    let mut fields: serde_json::Value = serde_json::from_str(header).unwrap();
    fields.as_object_mut().unwrap().remove("numbers");
    *header = fields.to_string();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let count = tensors.tensor(tensor).unwrap().data().len() / 4;
    let numbers = value.to_le_bytes().repeat(count);
    let views = tensors.tensors().into_iter().map(|(name, view)| {
        let data = if name == tensor {
            &numbers
        } else {
            view.data()
        };
        let shape = view.shape().to_vec();
        (name, TensorView::new(view.dtype(), shape, data).unwrap())
    });
    fs::write(
        checkpoint,
        safetensors::serialize(views, Some(kept)).unwrap(),
    )
    .unwrap();
}
