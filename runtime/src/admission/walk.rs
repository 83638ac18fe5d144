//! The proof: every operation of the typed graph is local, and by how much.
//!
//! Nodes are visited in evaluation order. Each yields either fixed values or a map
//! `[1, channels, height, width]` whose spatial axes are in their place, with an interval per
//! axis that bounds which pixels a cell may depend on (see `network::Reach`). What is not on the
//! list is refused; nothing is believed that the file says about itself.

use std::collections::HashMap;
use std::sync::Arc;

use tract_core::internal::{DatumType, OutletId, Tensor, TypedModel, TypedNode, TypedOp};
use tract_core::ops::array::{Pad, PadMode, Slice, StridedSlice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::Cast;
use tract_core::ops::cnn::{Conv as TractConv, MaxPool, SumPool};
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::logic::Iff;
use tract_core::ops::nn::{Reduce, Reducer};
use tract_core::ops::source::TypedSource;

use super::constants::{fixed, map_shape};
use super::cuts;
use super::error::Refusal;
use super::functions;
use super::windows;
use crate::network::{MapShape, Network, Node, Op, PoolKind, Reach, Reduction};

/// What is known of a value in the graph.
#[derive(Clone)]
pub(super) enum Value {
    /// The map of this node of the network.
    Map(usize),
    /// Fixed.
    Fixed(Arc<Tensor>),
}

/// Proves that `model` is local, and describes it.
pub(crate) fn walk(model: &TypedModel) -> Result<Network, Refusal> {
    let mut walk = Walk {
        nodes: Vec::new(),
        values: HashMap::new(),
    };
    let order = model
        .eval_order()
        .map_err(|error| Refusal::Analysis(format!("{error:#}")))?;
    for id in order {
        let node = model
            .nodes()
            .get(id)
            .ok_or_else(|| Refusal::Analysis(format!("node {id} is missing")))?;
        let value = walk
            .visit(node)
            .map_err(|reason| Refusal::node(node.name.as_str(), node.op.name(), reason))?;
        walk.values.insert(OutletId::new(id, 0), value);
    }
    let outlets = model
        .output_outlets()
        .map_err(|error| Refusal::Analysis(format!("{error:#}")))?;
    let [outlet] = outlets else {
        return Err(Refusal::contract(
            "it must have exactly one output, the logits",
        ));
    };
    let Some(Value::Map(output)) = walk.values.get(outlet) else {
        return Err(Refusal::contract("its output does not depend on the image"));
    };
    if walk.is_flag(*output) {
        return Err(Refusal::contract(
            "its output is not of numbers; give the logits",
        ));
    }
    Ok(Network::new(walk.nodes, *output))
}

pub(super) struct Walk {
    nodes: Vec<Node>,
    values: HashMap<OutletId, Value>,
}

/// What an operation makes, before it is checked against the graph's own shape.
pub(super) struct Made {
    pub(super) op: Op,
    pub(super) shape: MapShape,
    pub(super) y: Reach,
    pub(super) x: Reach,
}

pub(super) const OVERFLOW: &str = "its receptive field overflows";

impl Walk {
    fn visit(&mut self, node: &TypedNode) -> Result<Value, String> {
        let [output] = node.outputs.as_slice() else {
            return Err(format!("has {} outputs, must have one", node.outputs.len()));
        };
        let inputs: Vec<Value> = node
            .inputs
            .iter()
            .map(|outlet| {
                self.values
                    .get(outlet)
                    .cloned()
                    .ok_or("reads an unknown value")
            })
            .collect::<Result<_, _>>()?;
        if let Some(fixed) = fixed(node, &inputs)? {
            return Ok(Value::Fixed(fixed));
        }
        // The same map under another name.
        if let Some(index) = self.copied(node, &inputs)? {
            return Ok(Value::Map(index));
        }
        let shape = map_shape(&output.fact);
        let made = self.local(node.op.as_ref(), &inputs, &shape)?;
        let shape = shape?;
        if made.shape != shape {
            return Err(format!(
                "makes a map of {}, where {shape} was expected",
                made.shape
            ));
        }
        let flag = matches!(&made.op, Op::Binary { function, .. } if function.is_comparison());
        let wanted = if flag {
            DatumType::Bool
        } else {
            DatumType::F32
        };
        if output.fact.datum_type != wanted {
            return Err(format!(
                "computes in {:?}, must be {wanted:?}",
                output.fact.datum_type
            ));
        }
        let Made { op, shape, y, x } = made;
        self.nodes.push(Node {
            name: node.name.clone(),
            op,
            shape,
            y,
            x,
        });
        Ok(Value::Map(self.nodes.len() - 1))
    }

    /// The map that an operation without effect passes on.
    fn copied(&self, node: &TypedNode, inputs: &[Value]) -> Result<Option<usize>, String> {
        if let Some(cast) = node.op_as::<Cast>() {
            let index = one_map(inputs)?;
            if self.is_flag(index) || cast.to != DatumType::F32 {
                return Err("changes the type of numbers; all maps must be f32".into());
            }
            return Ok(Some(index));
        }
        if node.op_is::<Identity>() {
            return one_map(inputs).map(Some);
        }
        Ok(None)
    }

    /// The list of local operations.
    fn local(
        &self,
        op: &dyn TypedOp,
        inputs: &[Value],
        shape: &Result<MapShape, String>,
    ) -> Result<Made, String> {
        if op.is::<TypedSource>() {
            if !self.nodes.is_empty() {
                return Err("is a second input".into());
            }
            return Ok(Made {
                op: Op::Input,
                shape: shape.clone()?,
                y: Reach::IMAGE,
                x: Reach::IMAGE,
            });
        }
        if let Some(conv) = op.downcast_ref::<TractConv>() {
            return self.conv(conv, inputs);
        }
        if let Some(pool) = op.downcast_ref::<MaxPool>() {
            if pool.with_index_outputs.is_some() {
                return Err("gives indices, which are not followed".into());
            }
            return self.pool(&pool.pool_spec, PoolKind::Max, inputs);
        }
        if let Some(pool) = op.downcast_ref::<SumPool>() {
            let kind = if pool.normalize {
                PoolKind::Average {
                    count_padding: pool.count_include_pad,
                }
            } else {
                PoolKind::Sum
            };
            return self.pool(&pool.pool_spec, kind, inputs);
        }
        if let Some(op) = op.downcast_ref::<ElementWiseOp>() {
            let input = one_map(inputs)?;
            let function = functions::unary(op)?;
            let node = self.numbers(input)?;
            let op = Op::Unary { input, function };
            return Ok(Made {
                op,
                shape: node.shape,
                y: node.y,
                x: node.x,
            });
        }
        if let Some(op) = op.downcast_ref::<TypedBinOp>() {
            return self.binary(op, inputs);
        }
        if op.is::<Iff>() {
            return self.select(inputs);
        }
        if let Some(concat) = op.downcast_ref::<TypedConcat>() {
            return self.concat(concat.axis, inputs);
        }
        if let Some(pad) = op.downcast_ref::<Pad>() {
            return self.pad(pad, inputs);
        }
        if let Some(slice) = op.downcast_ref::<Slice>() {
            let input = one_map(inputs)?;
            return self.crop(input, &cuts::slice(slice, self.numbers(input)?.shape)?);
        }
        if let Some(slice) = op.downcast_ref::<StridedSlice>() {
            return self.strided(slice, inputs);
        }
        if let Some(reduce) = op.downcast_ref::<Reduce>() {
            return self.reduce(reduce, inputs);
        }
        Err("it is not on the list of operations proved local".into())
    }

    pub(super) fn node(&self, index: usize) -> Result<&Node, String> {
        self.nodes
            .get(index)
            .ok_or_else(|| "reads an unknown map".into())
    }

    pub(super) fn is_flag(&self, index: usize) -> bool {
        self.nodes.get(index).is_some_and(
            |node| matches!(&node.op, Op::Binary { function, .. } if function.is_comparison()),
        )
    }

    /// A map of numbers, not of truth values.
    pub(super) fn numbers(&self, index: usize) -> Result<&Node, String> {
        if self.is_flag(index) {
            return Err("computes with truth values".into());
        }
        self.node(index)
    }

    fn conv(&self, conv: &TractConv, inputs: &[Value]) -> Result<Made, String> {
        let [Value::Map(input), Value::Fixed(kernel), Value::Fixed(bias)] = inputs else {
            return Err("its weights and bias must be constant, its input a map".into());
        };
        let node = self.numbers(*input)?;
        let (conv, outputs) = windows::conv(conv, *input, node.shape, kernel, bias)?;
        let y = node.y.through(&conv.y).ok_or(OVERFLOW)?;
        let x = node.x.through(&conv.x).ok_or(OVERFLOW)?;
        Ok(Made {
            op: Op::Conv(conv),
            shape: outputs,
            y,
            x,
        })
    }

    fn pool(
        &self,
        spec: &tract_core::ops::cnn::PoolSpec,
        kind: PoolKind,
        inputs: &[Value],
    ) -> Result<Made, String> {
        let input = one_map(inputs)?;
        let node = self.numbers(input)?;
        let (y, x, shape) = windows::pool(spec, node.shape)?;
        let reach_y = node.y.through(&y).ok_or(OVERFLOW)?;
        let reach_x = node.x.through(&x).ok_or(OVERFLOW)?;
        Ok(Made {
            op: Op::Pool { input, kind, y, x },
            shape,
            y: reach_y,
            x: reach_x,
        })
    }

    fn reduce(&self, reduce: &Reduce, inputs: &[Value]) -> Result<Made, String> {
        let input = one_map(inputs)?;
        let node = self.numbers(input)?;
        if reduce.axes.as_slice() != [1] {
            return Err(format!(
                "combines cells along axes {:?}, so distant cells would depend on each other; only \
                 channels (axis 1) may be combined",
                reduce.axes
            ));
        }
        let kind = match reduce.reducer {
            Reducer::Sum => Reduction::Sum,
            Reducer::Max => Reduction::Max,
            Reducer::Min => Reduction::Min,
            other => {
                return Err(format!(
                    "combines channels by {other:?}, which is not followed"
                ));
            }
        };
        let shape = MapShape {
            channels: 1,
            ..node.shape
        };
        Ok(Made {
            op: Op::Reduce { input, kind },
            shape,
            y: node.y,
            x: node.x,
        })
    }

    fn pad(&self, pad: &Pad, inputs: &[Value]) -> Result<Made, String> {
        let input = one_map(inputs)?;
        let node = self.numbers(input)?;
        let PadMode::Constant(value) = &pad.mode else {
            return Err("repeats cells at the border; pad with a constant".into());
        };
        let value = value
            .cast_to_scalar::<f32>()
            .map_err(|error| format!("{error:#}"))?;
        if !value.is_finite() {
            return Err("pads with a value that is not finite".into());
        }
        let [(0, 0), (0, 0), y, x] = pad.pads.as_slice() else {
            return Err("pads more than height and width".into());
        };
        let shape = MapShape {
            channels: node.shape.channels,
            height: windows::padded(node.shape.height, *y)?,
            width: windows::padded(node.shape.width, *x)?,
        };
        // Cell i of the result is cell i - before of the map.
        let shift = |reach: Reach, before: usize| {
            i64::try_from(before)
                .ok()
                .and_then(|cells| reach.shifted(-cells))
                .ok_or(OVERFLOW)
        };
        let (reach_y, reach_x) = (shift(node.y, y.0)?, shift(node.x, x.0)?);
        let op = Op::Pad {
            input,
            y: *y,
            x: *x,
            value,
        };
        Ok(Made {
            op,
            shape,
            y: reach_y,
            x: reach_x,
        })
    }

    fn crop(&self, input: usize, part: &cuts::Part) -> Result<Made, String> {
        let node = self.numbers(input)?;
        // Cell i of the result is cell i + first of the map.
        let shift = |reach: Reach, first: usize| {
            i64::try_from(first)
                .ok()
                .and_then(|cells| reach.shifted(cells))
                .ok_or(OVERFLOW)
        };
        let (y, x) = (
            shift(node.y, part.rows.start)?,
            shift(node.x, part.columns.start)?,
        );
        let op = Op::Crop {
            input,
            channel: part.channels.start,
            y: part.rows.start,
            x: part.columns.start,
        };
        Ok(Made {
            op,
            shape: part.shape(),
            y,
            x,
        })
    }

    fn strided(&self, slice: &StridedSlice, inputs: &[Value]) -> Result<Made, String> {
        let Some((Value::Map(input), rest)) = inputs.split_first() else {
            return Err("must cut a map".into());
        };
        let parameters: Vec<Arc<Tensor>> = rest
            .iter()
            .map(|value| match value {
                Value::Fixed(tensor) => Ok(tensor.clone()),
                Value::Map(_) => Err("its bounds depend on the image"),
            })
            .collect::<Result<_, _>>()?;
        let part = cuts::strided(slice, &parameters, self.numbers(*input)?.shape)?;
        self.crop(*input, &part)
    }
}

fn one_map(inputs: &[Value]) -> Result<usize, String> {
    match inputs {
        [Value::Map(index)] => Ok(*index),
        _ => Err("must have one input, a map".into()),
    }
}
