//! How much the nodes of a file ask for, followed before the ONNX library may act on them.
//!
//! The library evaluates what depends on constants only, and keeps the result; and whoever reads
//! weights copies them. A few bytes for each node can so ask for any memory.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::limits::{
    MAX_COMPARED_VALUES, MAX_CONSTANTS, MAX_EDGES, MAX_INTEGERS, MAX_RANK, MAX_READ_VALUES,
};

/// What is known of a value: its number of axes, at most; and of a constant how much it holds.
#[derive(Clone, Copy)]
struct Size {
    rank: usize,
    /// `None` for maps.
    values: Option<usize>,
}

/// Axes of the image and of every map.
const MAP: Size = Size {
    rank: 4,
    values: None,
};

/// The sizes of all values so far, and what has been asked for.
#[derive(Default)]
pub(super) struct Sizes<'a> {
    known: HashMap<&'a str, Size>,
    edges: usize,
    read: usize,
    constants: usize,
    /// How many constants of one shape begin alike.
    alike: HashMap<(&'a [i64], Vec<u64>), usize>,
    compared: usize,
}

impl<'a> Sizes<'a> {
    /// Notes a weight of the graph, whose data was checked.
    pub(super) fn weight(&mut self, tensor: &'a TensorProto) -> Result<(), String> {
        self.known.insert(&tensor.name, size_of(tensor));
        self.constant(tensor)
    }

    /// The library looks whether it has a new constant already, so many that differ in their last
    /// value only would take it hours.
    fn constant(&mut self, tensor: &'a TensorProto) -> Result<(), String> {
        self.constants = self.constants.saturating_add(1);
        if self.constants > MAX_CONSTANTS {
            return Err(format!("the graph has more than {MAX_CONSTANTS} constants"));
        }
        let others = self
            .alike
            .entry((&tensor.dims, beginning(tensor)))
            .or_default();
        let values = size_of(tensor).values.unwrap_or(0);
        self.compared = self.compared.saturating_add(others.saturating_mul(values));
        *others = others.saturating_add(1);
        if self.compared > MAX_COMPARED_VALUES {
            return Err("too many large constants of one shape begin with the same values".into());
        }
        Ok(())
    }

    /// Follows one node, after all whose outputs it reads.
    pub(super) fn node(&mut self, node: &'a NodeProto) -> Result<(), String> {
        for tensor in node.attribute.iter().filter_map(|one| one.t.as_ref()) {
            self.constant(tensor)?;
        }
        let edges = node.input.len().saturating_add(node.output.len());
        self.edges = self.edges.saturating_add(edges);
        if self.edges > MAX_EDGES {
            return Err(format!(
                "with its inputs and outputs the graph has more than {MAX_EDGES}"
            ));
        }
        let inputs: Vec<Size> = node
            .input
            .iter()
            .filter(|name| !name.is_empty())
            .map(|name| self.known.get(name.as_str()).copied().unwrap_or(MAP))
            .collect();
        for input in &inputs {
            self.read = self.read.saturating_add(input.values.unwrap_or(0));
        }
        if self.read > MAX_READ_VALUES {
            return Err(format!(
                "with it the nodes read more than {MAX_READ_VALUES} fixed values, weights that \
                 are read twice counted twice"
            ));
        }
        let size = made(node, &inputs)?;
        if size.rank > MAX_RANK {
            return Err(format!("makes a value of {} axes", size.rank));
        }
        for output in &node.output {
            self.known.insert(output, size);
        }
        Ok(())
    }
}

/// What a node makes of inputs of these sizes.
fn made(node: &NodeProto, inputs: &[Size]) -> Result<Size, String> {
    let first = inputs.first().copied().unwrap_or(MAP);
    let rank = match node.op_type.as_str() {
        "Constant" => {
            let sizes = node.attribute.iter().map(constant);
            return Ok(sizes
                .reduce(|a, b| Size {
                    rank: a.rank.max(b.rank),
                    values: a.values.max(b.values),
                })
                .unwrap_or(MAP));
        }
        "Unsqueeze" => first.rank.saturating_add(parameters(node, inputs)?),
        "Reshape" => parameters(node, inputs)?,
        _ => {
            let most = inputs.iter().map(|input| input.rank).max();
            most.unwrap_or(MAP.rank)
        }
    };
    let of_constants = inputs.iter().all(|input| input.values.is_some());
    Ok(Size {
        rank,
        values: first.values.filter(|_| of_constants),
    })
}

/// How many axes or dimensions a node is given, in an attribute or as its second input.
fn parameters(node: &NodeProto, inputs: &[Size]) -> Result<usize, String> {
    let listed = node
        .attribute
        .iter()
        .find(|attribute| matches!(attribute.name.as_str(), "axes" | "shape"))
        .map(|attribute| attribute.ints.len());
    let given = inputs.get(1).map(|size| size.values);
    match (listed, given) {
        (Some(count), None) | (None, Some(Some(count))) => Ok(count),
        _ => Err("must be given its axes or its shape once, as a constant".into()),
    }
}

fn constant(attribute: &AttributeProto) -> Size {
    match &attribute.t {
        Some(tensor) => size_of(tensor),
        // A single value or a list of them.
        None => Size {
            rank: 1,
            values: Some(attribute.floats.len().max(attribute.ints.len()).max(1)),
        },
    }
}

/// The first values, so that what the library takes for equal is equal here.
fn beginning(tensor: &TensorProto) -> Vec<u64> {
    const VALUES: usize = 64;
    let float = |value: f64| {
        if value.is_nan() {
            f64::NAN.to_bits()
        } else {
            // Two zeros are one.
            (value + 0.0).to_bits()
        }
    };
    let floats = tensor.float_data.iter().map(|value| f64::from(*value));
    let listed = floats.chain(tensor.double_data.iter().copied());
    if DataType::try_from(tensor.data_type) == Ok(DataType::Double) {
        let (raw, _) = tensor.raw_data.as_chunks();
        let raw = raw.iter().map(|bytes| f64::from_le_bytes(*bytes));
        raw.chain(listed).take(VALUES).map(float).collect()
    } else {
        let (raw, _) = tensor.raw_data.as_chunks();
        let raw = raw
            .iter()
            .map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
        raw.chain(listed).take(VALUES).map(float).collect()
    }
}

fn size_of(tensor: &TensorProto) -> Size {
    let values = tensor.dims.iter().fold(1usize, |product, dim| {
        product.saturating_mul(usize::try_from(*dim).unwrap_or(usize::MAX))
    });
    Size {
        rank: tensor.dims.len(),
        values: Some(values),
    }
}

/// Refuses lists that are longer than any axis or part needs.
pub(super) fn check_list(what: &str, length: usize) -> Result<(), String> {
    if length <= MAX_INTEGERS {
        Ok(())
    } else {
        Err(format!(
            "{what} holds {length} values; at most {MAX_INTEGERS} are read"
        ))
    }
}

#[cfg(test)]
mod tests;
