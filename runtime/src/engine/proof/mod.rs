//! The optimiser's work is proved again.
//!
//! Admission proves the graph in the file, but what runs is what tract's optimiser made of it. It
//! rewrites the graph in two steps: first operations are moved, merged and dropped ("declutter"),
//! then each is lowered to kernels. The first step is where cells can come to read other pixels than
//! was proved. So its outcome is walked once more, with other code than admission's: axes may have
//! been added, taken away or exchanged there, and a 1x1 convolution has become an Einstein sum. What
//! each cell of the outcome may read must lie within what admission claims for it.

mod local;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use tract_core::internal::{OutletId, TypedModel, TypedNode};
use tract_core::ops::konst::Const;
use tract_core::ops::source::TypedSource;

use super::EngineError;
use crate::network::{Network, Reach};
use local::Inputs;

/// One spatial axis of a value: where it stands among the value's axes, and what its cells read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spatial {
    /// `None` where it was of length 1 and has been taken away: then all values are those of its
    /// only cell, number 0, whatever is done to them.
    position: Option<usize>,
    reach: Reach,
}

/// What is known of a value in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Independent of the image.
    Fixed,
    /// Depends on the image; rows first, then columns.
    Map([Spatial; 2]),
}

/// Fails unless every cell of the rewritten graph's output reads only pixels that admission claims
/// for it.
pub(super) fn check(rewritten: &TypedModel, admitted: &Network) -> Result<(), EngineError> {
    let found = walk(rewritten)?;
    let (Some(image), Some(output)) = (
        admitted.nodes().first().map(|node| node.shape),
        admitted.nodes().get(admitted.output()),
    ) else {
        return Err(unproved("output", "the model's description is empty"));
    };
    let axes = [
        (2, output.y, image.height, output.shape.height),
        (3, output.x, image.width, output.shape.width),
    ];
    for (found, (position, claimed, pixels, cells)) in found.iter().zip(axes) {
        let moved = found.position.is_some_and(|found| found != position);
        if moved || (found.position.is_none() && cells != 1) {
            return Err(unproved("output", "rows and columns have changed places"));
        }
        if let Some(cell) = (0..cells).find(|cell| !within(found.reach, claimed, *cell, pixels)) {
            return Err(EngineError::Displaced {
                axis: if position == 2 { "row" } else { "column" },
                cell,
                claimed: pixel_range(claimed, cell),
                found: pixel_range(found.reach, cell),
            });
        }
    }
    Ok(())
}

/// The reach of the rewritten graph's output along rows and columns.
fn walk(model: &TypedModel) -> Result<[Spatial; 2], EngineError> {
    let failed = |error| EngineError::Build(format!("{error:#}"));
    let mut values: HashMap<OutletId, Value> = HashMap::new();
    for id in model.eval_order().map_err(failed)? {
        let node = model
            .nodes()
            .get(id)
            .ok_or_else(|| unproved("?", "a node is missing"))?;
        let value = visit(model, node, &values)
            .map_err(|reason| unproved(&node.name, &format!("{}: {reason}", node.op.name())))?;
        values.insert(OutletId::new(id, 0), value);
    }
    let [outlet] = model.output_outlets().map_err(failed)? else {
        return Err(unproved("output", "there must be one"));
    };
    match values.get(outlet) {
        Some(Value::Map(spatial)) => Ok(*spatial),
        _ => Err(unproved("output", "it does not depend on the image")),
    }
}

/// Whether cell `cell` of `found` reads no pixel of `0..pixels` beyond what `claimed` says.
fn within(found: Reach, claimed: Reach, cell: usize, pixels: usize) -> bool {
    let last = i64::try_from(pixels).unwrap_or(i64::MAX).saturating_sub(1);
    let clipped = |reach| {
        let (first, end) = pixel_range(reach, cell);
        (first.max(0), end.min(last))
    };
    let (found, claimed) = (clipped(found), clipped(claimed));
    found.0 > found.1 || (claimed.0 <= found.0 && found.1 <= claimed.1)
}

/// First and last pixel that a cell may read, padding counted.
fn pixel_range(reach: Reach, cell: usize) -> (i64, i64) {
    let cell = i64::try_from(cell).unwrap_or(i64::MAX);
    let start = reach.stride.saturating_mul(cell);
    (
        start.saturating_add(reach.lo),
        start.saturating_add(reach.hi),
    )
}

fn unproved(node: &str, reason: &str) -> EngineError {
    EngineError::Unproved {
        node: node.to_owned(),
        reason: reason.to_owned(),
    }
}

fn visit(
    model: &TypedModel,
    node: &TypedNode,
    values: &HashMap<OutletId, Value>,
) -> Result<Value, String> {
    if node.outputs.len() != 1 {
        return Err(format!("it has {} outputs", node.outputs.len()));
    }
    if node.op_is::<TypedSource>() {
        let at = |axis| Spatial {
            position: Some(axis),
            reach: Reach::IMAGE,
        };
        return Ok(Value::Map([at(2), at(3)]));
    }
    let inputs: Vec<Value> = node
        .inputs
        .iter()
        .map(|outlet| {
            values
                .get(outlet)
                .copied()
                .ok_or("it reads an unknown value")
        })
        .collect::<Result<_, _>>()?;
    if inputs.iter().all(|input| *input == Value::Fixed) {
        return if node.inputs.is_empty() && !node.op_is::<Const>() {
            Err("it makes values of nothing".into())
        } else {
            Ok(Value::Fixed)
        };
    }
    let inputs = Inputs {
        model,
        node,
        values: &inputs,
    };
    inputs.local().map(Value::Map)
}
