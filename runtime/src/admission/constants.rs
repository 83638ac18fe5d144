//! Fixed values and shapes in the typed graph.

use std::sync::Arc;

use tract_core::internal::{
    AxisOp, EvalContext, IntoArcTensor, IntoTValue, TVec, Tensor, TypedFact, TypedNode,
};
use tract_core::ops::cast::Cast;
use tract_core::ops::identity::Identity;
use tract_core::ops::konst::Const;
use tract_core::ops::source::TypedSource;

use super::limits::MAX_VALUES;
use super::walk::Value;
use super::windows;
use crate::network::{Constant, MapShape};

/// The values of a node that does not depend on the image.
pub(super) fn fixed(node: &TypedNode, inputs: &[Value]) -> Result<Option<Arc<Tensor>>, String> {
    if let Some(constant) = node.op_as::<Const>() {
        return Ok(Some(constant.val().clone()));
    }
    if node.op_is::<TypedSource>() {
        return Ok(None);
    }
    let mut given = TVec::new();
    for input in inputs {
        match input {
            Value::Map(_) => return Ok(None),
            Value::Fixed(tensor) => given.push(tensor.clone().into_tvalue()),
        }
    }
    if !(node.op_is::<AxisOp>() || node.op_is::<Cast>() || node.op_is::<Identity>()) {
        return Err("it computes on constants only; export with constants folded".into());
    }
    let made = node
        .op
        .eval(&EvalContext::out_of_plan(), given)
        .map_err(|error| format!("cannot be computed: {error:#}"))?;
    match made.as_slice() {
        [value] => Ok(Some(value.clone().into_arc_tensor())),
        _ => Err("must make one value".into()),
    }
}

/// The shape `[1, channels, height, width]` of a map.
pub(super) fn map_shape(fact: &TypedFact) -> Result<MapShape, String> {
    let Some(dims) = fact.shape.as_concrete() else {
        return Err(format!("its shape {:?} is not fixed", fact.shape));
    };
    let [1, channels, height, width] = *dims else {
        return Err(format!(
            "makes a value of shape {dims:?}, not a map [1,C,h,w]"
        ));
    };
    let shape = MapShape {
        channels,
        height,
        width,
    };
    match shape.volume() {
        Some(volume) if (1..=MAX_VALUES).contains(&volume) => Ok(shape),
        _ => Err(format!(
            "makes a map of {shape}, which is empty or too large"
        )),
    }
}

/// A constant operand: rank 4, first dimension 1, or a single number.
pub(super) fn operand(tensor: &Tensor) -> Result<Constant, String> {
    let shape = match *tensor.shape() {
        [] => MapShape {
            channels: 1,
            height: 1,
            width: 1,
        },
        [1, channels, height, width] => MapShape {
            channels,
            height,
            width,
        },
        ref other => return Err(format!("has a constant of shape {other:?}, not [1,C,h,w]")),
    };
    Ok(Constant {
        shape,
        values: windows::finite(tensor)?,
    })
}
