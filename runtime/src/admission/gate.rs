//! The first gate: the file's own structures, before the ONNX library may act on them.
//!
//! It proves nothing about locality (that is the walk over the typed graph). It keeps out what
//! the library would silently change or ignore (training mode, operators of other domains that
//! share a name, data in other files), and what would make it panic or ask for absurd amounts of
//! memory. All sizes in the file are bounded here.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto,
    tensor_proto::{DataLocation, DataType},
    tensor_shape_proto::dimension::Value as Dim,
    type_proto,
};

use super::attributes;
use super::error::Refusal;
use super::limits::{MAX_DIM, MAX_IMAGE_SIDE, MAX_NODES, MAX_RANK, MAX_VALUES};
use super::operators::{self, Class};
use super::sizes::{Sizes, check_list};

/// Operator set versions whose operators are read as they were tested.
const OPSETS: std::ops::RangeInclusive<i64> = 9..=24;

/// Checks the whole model, and sets a symbolic batch to 1.
pub(crate) fn check(model: &mut ModelProto) -> Result<(), Refusal> {
    if !model.functions.is_empty() {
        return Err(Refusal::contract(
            "it defines functions of its own; export with them inlined",
        ));
    }
    for import in &model.opset_import {
        if operators::is_standard(&import.domain) && !OPSETS.contains(&import.version) {
            return Err(Refusal::contract(format!(
                "operator set {} is outside {} to {}; export with another opset",
                import.version,
                OPSETS.start(),
                OPSETS.end()
            )));
        }
    }
    if !model
        .opset_import
        .iter()
        .any(|import| operators::is_standard(&import.domain))
    {
        return Err(Refusal::contract(
            "it does not use the standard ONNX operator set",
        ));
    }
    let graph = model
        .graph
        .as_mut()
        .ok_or_else(|| Refusal::NotOnnx("it holds no graph".into()))?;
    if !graph.sparse_initializer.is_empty() {
        return Err(Refusal::contract(
            "it holds sparse weights; export them dense",
        ));
    }
    // Before anything that takes a step for each node.
    if graph.node.len() > MAX_NODES {
        return Err(Refusal::contract(format!(
            "it has {} nodes; at most {MAX_NODES} are read",
            graph.node.len()
        )));
    }
    let constants = initializers(graph)?;
    input(graph, &constants)?;
    nodes(graph)
}

/// The names of all weights, each checked.
fn initializers(graph: &GraphProto) -> Result<HashSet<String>, Refusal> {
    let mut names = HashSet::new();
    for tensor in &graph.initializer {
        check_tensor(tensor).map_err(|reason| {
            Refusal::contract(format!("weights \"{}\": {reason}", tensor.name))
        })?;
        if !names.insert(tensor.name.clone()) {
            return Err(Refusal::contract(format!(
                "weights \"{}\" appear twice",
                tensor.name
            )));
        }
    }
    Ok(names)
}

/// Sizes as declared must be those of the data, which lies in the file itself.
pub(crate) fn check_tensor(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == Some(DataLocation::External as i32)
        || !tensor.external_data.is_empty()
    {
        return Err("they lie in another file; export the model as one file".into());
    }
    let kind = DataType::try_from(tensor.data_type).unwrap_or(DataType::Undefined);
    let (bytes_each, listed) = match kind {
        DataType::Float => (4, tensor.float_data.len()),
        DataType::Double => (8, tensor.double_data.len()),
        DataType::Int64 => (8, tensor.int64_data.len()),
        DataType::Int32 => (4, tensor.int32_data.len()),
        DataType::Bool => (1, tensor.int32_data.len()),
        _ => {
            return Err(format!(
                "their type ({}) is not f32, f64, i32, i64 or bool",
                tensor.data_type
            ));
        }
    };
    if tensor.dims.len() > MAX_RANK {
        return Err(format!(
            "they have {} axes; at most {MAX_RANK} are read",
            tensor.dims.len()
        ));
    }
    let mut values = 1usize;
    for dim in &tensor.dims {
        if !(1..=MAX_DIM).contains(dim) {
            return Err(format!("a dimension of {dim} is not possible"));
        }
        let dim = usize::try_from(*dim).unwrap_or(usize::MAX);
        values = values.checked_mul(dim).ok_or("their size overflows")?;
    }
    let found = if tensor.raw_data.is_empty() {
        listed
    } else if tensor.raw_data.len().is_multiple_of(bytes_each) {
        tensor.raw_data.len() / bytes_each
    } else {
        return Err("their data ends within a value".into());
    };
    if found != values {
        return Err(format!(
            "their shape needs {values} values, the file holds {found}"
        ));
    }
    match kind {
        DataType::Float | DataType::Double => Ok(()),
        // They are never weights, but shapes, axes and the like.
        _ => check_list("a tensor of integers", values),
    }
}

/// Exactly one input besides weights: f32 `[N or 1, 3, H, W]`. A symbolic N becomes 1.
fn input(graph: &mut GraphProto, constants: &HashSet<String>) -> Result<(), Refusal> {
    // The library takes the second of a name for another input, and reads what it says of itself.
    let mut seen = HashSet::new();
    if let Some(twice) = graph.input.iter().find(|input| !seen.insert(&input.name)) {
        return Err(Refusal::contract(format!(
            "input \"{}\" appears twice",
            twice.name
        )));
    }
    let mut images: Vec<&mut ValueInfoProto> = graph
        .input
        .iter_mut()
        .filter(|input| !constants.contains(&input.name))
        .collect();
    let [image] = images.as_mut_slice() else {
        return Err(Refusal::contract(format!(
            "it must have exactly one input, the image; it has {}",
            listed(images.iter().map(|image| image.name.as_str()))
        )));
    };
    let name = image.name.clone();
    let wrong = |what: String| Refusal::contract(format!("input \"{name}\": {what}"));
    let Some(TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..
    }) = image.r#type.as_mut()
    else {
        return Err(wrong("has no tensor type".into()));
    };
    if DataType::try_from(tensor.elem_type) != Ok(DataType::Float) {
        return Err(wrong("must be f32".into()));
    }
    let dims = tensor
        .shape
        .as_mut()
        .map(|shape| shape.dim.as_mut_slice())
        .unwrap_or_default();
    let [batch, channels, height, width] = dims else {
        return Err(wrong(format!(
            "must have shape [N,3,H,W], has {} dimensions",
            dims.len()
        )));
    };
    match batch.value {
        Some(Dim::DimValue(1)) => {}
        Some(Dim::DimValue(n)) if n != 0 => {
            return Err(wrong(format!(
                "its batch is fixed to {n}; export with 1 or symbolic"
            )));
        }
        _ => batch.value = Some(Dim::DimValue(1)),
    }
    let mut fixed = Vec::new();
    for (dim, what) in [(channels, "channels"), (height, "height"), (width, "width")] {
        match &dim.value {
            Some(Dim::DimValue(n)) if (1..=MAX_IMAGE_SIDE).contains(n) => fixed.push(*n),
            Some(Dim::DimValue(n)) => {
                return Err(wrong(format!(
                    "{n} is no possible {what}; it may be 1 to {MAX_IMAGE_SIDE}"
                )));
            }
            _ => {
                return Err(wrong(format!(
                    "its {what} is not fixed; certificates need a fixed size, export with one"
                )));
            }
        }
    }
    if fixed.first() != Some(&3) {
        return Err(wrong("must have 3 channels (red, green, blue)".into()));
    }
    let values = fixed
        .iter()
        .try_fold(1i64, |product, n| product.checked_mul(*n));
    match values.and_then(|values| usize::try_from(values).ok()) {
        Some(values) if values <= MAX_VALUES => Ok(()),
        _ => Err(wrong(format!("has more than {MAX_VALUES} values"))),
    }
}

/// Whether a value in the graph depends on the image.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Image,
    Constant,
}

fn nodes(graph: &GraphProto) -> Result<(), Refusal> {
    let mut sizes = Sizes::default();
    for tensor in &graph.initializer {
        sizes.weight(tensor).map_err(|reason| {
            Refusal::contract(format!("weights \"{}\": {reason}", tensor.name))
        })?;
    }
    let mut origins: HashMap<&str, Origin> = graph
        .input
        .iter()
        .map(|input| (input.name.as_str(), Origin::Image))
        .collect();
    origins.extend(
        graph
            .initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), Origin::Constant)),
    );
    for node in &graph.node {
        let refuse = |reason: String| Refusal::node(name_of(node), label_of(node), reason);
        let class = operators::class(node).map_err(refuse)?;
        attributes::check(node).map_err(refuse)?;
        let mut origin = Origin::Constant;
        for (index, input) in node.input.iter().enumerate() {
            if input.is_empty() {
                continue;
            }
            match origins.get(input.as_str()) {
                None => {
                    return Err(refuse(format!(
                        "it reads \"{input}\", which nothing before it makes"
                    )));
                }
                Some(Origin::Image) if class.must_be_constant(index) => {
                    return Err(refuse(format!(
                        "its input \"{input}\" depends on the image, and must be constant for \
                         the operation to be local"
                    )));
                }
                Some(Origin::Image) => origin = Origin::Image,
                Some(Origin::Constant) => {}
            }
        }
        // Folding constants is the exporter's work; done here it could ask for any memory.
        if origin == Origin::Constant && class != Class::OnConstants {
            return Err(refuse(
                "it computes on constants only; export with constants folded".to_string(),
            ));
        }
        sizes.node(node).map_err(refuse)?;
        let outputs = node.output.iter().filter(|output| !output.is_empty());
        for (index, output) in outputs.enumerate() {
            if index > 0 && !class.many_outputs() {
                return Err(refuse("has more than one output".to_string()));
            }
            if origins.insert(output, origin).is_some() {
                return Err(refuse(format!("makes \"{output}\" a second time")));
            }
        }
    }
    output(graph, &origins)
}

fn output(graph: &GraphProto, origins: &HashMap<&str, Origin>) -> Result<(), Refusal> {
    let [output] = graph.output.as_slice() else {
        return Err(Refusal::contract(format!(
            "it must have exactly one output, the logits; it has {}",
            listed(graph.output.iter().map(|output| output.name.as_str()))
        )));
    };
    match origins.get(output.name.as_str()) {
        Some(Origin::Image) => Ok(()),
        Some(Origin::Constant) => Err(Refusal::contract(format!(
            "output \"{}\" does not depend on the image",
            output.name
        ))),
        None => Err(Refusal::contract(format!(
            "nothing makes output \"{}\"",
            output.name
        ))),
    }
}

/// How many there are, and the first of them.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let count = names.len();
    let mut shown: Vec<String> = names
        .take(SHOWN)
        .map(|name| format!("\"{name}\""))
        .collect();
    if count > SHOWN {
        shown.push("...".to_string());
    }
    format!("{count}: {}", shown.join(", "))
}

/// The node's name, or that of its first output.
fn name_of(node: &NodeProto) -> String {
    if node.name.is_empty() {
        node.output.first().cloned().unwrap_or_default()
    } else {
        node.name.clone()
    }
}

/// The operation, with its domain where that is not the standard one.
fn label_of(node: &NodeProto) -> String {
    if operators::is_standard(&node.domain) {
        node.op_type.clone()
    } else {
        format!("{}.{}", node.domain, node.op_type)
    }
}

#[cfg(test)]
mod tests;
