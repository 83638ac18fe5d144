//! Attributes of a node, checked before the ONNX library reads them.

use tract_onnx::pb::{AttributeProto, NodeProto, attribute_proto::AttributeType};

use super::gate;
use super::limits::{MAX_ATTRIBUTES, MAX_DIM, MAX_STEP};
use super::sizes::check_list;

/// Refuses what is impossible, what the library would ignore, and what it cannot take.
pub(crate) fn check(node: &NodeProto) -> Result<(), String> {
    if node.attribute.len() > MAX_ATTRIBUTES {
        return Err(format!(
            "it has {} attributes; at most {MAX_ATTRIBUTES} are read",
            node.attribute.len()
        ));
    }
    for (index, attribute) in node.attribute.iter().enumerate() {
        let name = attribute.name.as_str();
        if node
            .attribute
            .iter()
            .skip(index + 1)
            .any(|other| other.name == name)
        {
            return Err(format!("attribute \"{name}\" appears twice"));
        }
        if !attribute.ref_attr_name.is_empty() {
            return Err(format!(
                "attribute \"{name}\" refers to a function's attribute"
            ));
        }
        check_list(&format!("attribute \"{name}\""), attribute.ints.len())?;
        let tensors = attribute.t.iter().chain(&attribute.tensors);
        for tensor in tensors {
            gate::check_tensor(tensor).map_err(|reason| format!("\"{name}\": {reason}"))?;
        }
        if attribute.g.is_some()
            || !attribute.graphs.is_empty()
            || attribute.sparse_tensor.is_some()
            || !attribute.sparse_tensors.is_empty()
        {
            return Err(format!(
                "attribute \"{name}\" holds a graph or sparse values"
            ));
        }
        check_one(node, attribute)?;
    }
    Ok(())
}

fn check_one(node: &NodeProto, attribute: &AttributeProto) -> Result<(), String> {
    let windowed = matches!(node.op_type.as_str(), "Conv" | "MaxPool" | "AveragePool");
    let reduces = node.op_type.starts_with("Reduce");
    let name = attribute.name.as_str();
    match name {
        "kernel_shape" | "strides" | "dilations" if windowed => list(attribute, 2, 1),
        "pads" if windowed => list(attribute, 4, 0),
        "pads" => list(attribute, 8, 0),
        "group" => single(attribute, 1, MAX_DIM),
        "axis" => single(attribute, -4, 3),
        "axes" if reduces && !matches!(attribute.ints.as_slice(), [1 | -3]) => Err(format!(
            "it combines cells along an axis {:?}, so distant cells would depend on each other; \
             only channels (axis 1) may be combined",
            attribute.ints
        )),
        "keepdims" if reduces && attribute.i != 1 => {
            Err("it drops the axis of channels; set keepdims".into())
        }
        "training_mode" if attribute.i != 0 => Err(
            "it is in training mode, where statistics of the whole batch mix all cells; \
                 export in inference mode"
                .into(),
        ),
        "storage_order" if attribute.i != 0 => Err("column-major pooling is not followed".into()),
        _ if attribute.i.unsigned_abs() > (1 << 40) => {
            Err(format!("attribute \"{name}\" is out of range"))
        }
        _ => Ok(()),
    }
}

fn typed(attribute: &AttributeProto, wanted: AttributeType) -> Result<(), String> {
    if AttributeType::try_from(attribute.r#type) == Ok(wanted) {
        Ok(())
    } else {
        Err(format!(
            "attribute \"{}\" is not of the right type",
            attribute.name
        ))
    }
}

fn list(attribute: &AttributeProto, length: usize, least: i64) -> Result<(), String> {
    typed(attribute, AttributeType::Ints)?;
    if attribute.ints.len() != length {
        return Err(format!(
            "attribute \"{}\" must have {length} values (two spatial axes), has {}",
            attribute.name,
            attribute.ints.len()
        ));
    }
    match attribute
        .ints
        .iter()
        .find(|value| !(least..=MAX_STEP).contains(value))
    {
        Some(value) => Err(format!("attribute \"{}\" holds {value}", attribute.name)),
        None => Ok(()),
    }
}

fn single(attribute: &AttributeProto, least: i64, most: i64) -> Result<(), String> {
    typed(attribute, AttributeType::Int)?;
    if (least..=most).contains(&attribute.i) {
        Ok(())
    } else {
        Err(format!(
            "attribute \"{}\" is {}",
            attribute.name, attribute.i
        ))
    }
}

#[cfg(test)]
mod tests;
