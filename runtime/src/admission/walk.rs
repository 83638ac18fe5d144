//! The proof: every operation of the typed graph is local, and by how much.
//!
//! Nodes are visited in evaluation order. Each yields either fixed values or a map
//! `[1, channels, height, width]` whose spatial axes are in their place, with an interval per
//! axis that bounds which pixels a cell may depend on (see `network::Reach`). What is not on the
//! list is refused; nothing is believed that the file says about itself.

use std::collections::HashMap;
use std::sync::Arc;

use tract_core::internal::{
    AxisOp, DatumType, DimLike, EvalContext, IntoArcTensor, IntoTValue, OutletId, TVec, Tensor,
    TypedFact, TypedModel, TypedNode, TypedOp,
};
use tract_core::ops::array::{Pad, PadMode, Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::Cast;
use tract_core::ops::cnn::{Conv as TractConv, MaxPool, SumPool};
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::konst::Const;
use tract_core::ops::logic::Iff;
use tract_core::ops::source::TypedSource;

use super::error::Refusal;
use super::functions;
use super::gate::MAX_VALUES;
use super::windows;
use crate::network::{Constant, MapShape, Network, Node, Op, Operand, PoolKind, Reach};

/// What is known of a value in the graph.
#[derive(Clone)]
enum Value {
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

struct Walk {
    nodes: Vec<Node>,
    values: HashMap<OutletId, Value>,
}

/// What an operation makes, before it is checked against the graph's own shape.
struct Made {
    op: Op,
    shape: MapShape,
    y: Reach,
    x: Reach,
}

const OVERFLOW: &str = "its receptive field overflows";

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
        let shape = map_shape(&output.fact)?;
        // The same map under another name.
        if let Some(index) = self.copied(node, &inputs)? {
            return Ok(Value::Map(index));
        }
        let made = self.local(node.op.as_ref(), &inputs, shape)?;
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
    fn local(&self, op: &dyn TypedOp, inputs: &[Value], shape: MapShape) -> Result<Made, String> {
        if op.is::<TypedSource>() {
            if !self.nodes.is_empty() {
                return Err("is a second input".into());
            }
            return Ok(Made {
                op: Op::Input,
                shape,
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
            return self.slice(slice, inputs);
        }
        Err("it is not on the list of operations proved local".into())
    }

    fn node(&self, index: usize) -> Result<&Node, String> {
        self.nodes
            .get(index)
            .ok_or_else(|| "reads an unknown map".into())
    }

    fn is_flag(&self, index: usize) -> bool {
        self.nodes.get(index).is_some_and(
            |node| matches!(&node.op, Op::Binary { function, .. } if function.is_comparison()),
        )
    }

    /// A map of numbers, not of truth values.
    fn numbers(&self, index: usize) -> Result<&Node, String> {
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

    fn binary(&self, op: &TypedBinOp, inputs: &[Value]) -> Result<Made, String> {
        let [left, right] = inputs else {
            return Err("must have two inputs".into());
        };
        let (function, swapped) = functions::binary(op)?;
        let (left, right) = if swapped {
            (right, left)
        } else {
            (left, right)
        };
        let left = self.operand(left)?;
        let right = self.operand(right)?;
        let (shape, y, x) = self.together(&[&left, &right])?;
        Ok(Made {
            op: Op::Binary {
                function,
                left,
                right,
            },
            shape,
            y,
            x,
        })
    }

    fn select(&self, inputs: &[Value]) -> Result<Made, String> {
        let [Value::Map(condition), then, otherwise] = inputs else {
            return Err("its condition must depend on the image".into());
        };
        if !self.is_flag(*condition) {
            return Err("its condition must be a comparison".into());
        }
        let then = self.operand(then)?;
        let otherwise = self.operand(otherwise)?;
        let (shape, y, x) = self.together(&[&Operand::Node(*condition), &then, &otherwise])?;
        let op = Op::Select {
            condition: *condition,
            then,
            otherwise,
        };
        Ok(Made { op, shape, y, x })
    }

    fn operand(&self, value: &Value) -> Result<Operand, String> {
        match value {
            Value::Map(index) => self.numbers(*index).map(|_| Operand::Node(*index)),
            Value::Fixed(tensor) => constant(tensor).map(Operand::Constant),
        }
    }

    /// The map that results where operands meet cell by cell. Channels may be repeated, and
    /// constants over space too; maps must have the same grid, so that cell (y, x) of the result
    /// depends on cell (y, x) of each and on nothing else.
    fn together(&self, operands: &[&Operand]) -> Result<(MapShape, Reach, Reach), String> {
        let mut met: Option<(MapShape, Reach, Reach)> = None;
        for operand in operands {
            let Operand::Node(index) = operand else {
                continue;
            };
            let node = self.node(*index)?;
            met = Some(match met {
                None => (node.shape, node.y, node.x),
                Some((shape, y, x)) => {
                    if (shape.height, shape.width) != (node.shape.height, node.shape.width) {
                        return Err(format!(
                            "combines maps of {}x{} and {}x{} cells; repeating cells over space \
                             is not local",
                            shape.height, shape.width, node.shape.height, node.shape.width
                        ));
                    }
                    let hull = |a: Reach, b: Reach| {
                        a.hull(b).ok_or_else(|| {
                            format!("combines maps of strides {} and {}", a.stride, b.stride)
                        })
                    };
                    let channels = repeated(shape.channels, node.shape.channels)?;
                    (
                        MapShape { channels, ..shape },
                        hull(y, node.y)?,
                        hull(x, node.x)?,
                    )
                }
            });
        }
        let (mut shape, y, x) = met.ok_or("does not depend on the image")?;
        for operand in operands {
            let Operand::Constant(constant) = operand else {
                continue;
            };
            let given = constant.shape;
            if !(given.height == 1 || given.height == shape.height)
                || !(given.width == 1 || given.width == shape.width)
            {
                return Err(format!(
                    "combines a map of {}x{} cells with a constant of {}x{}",
                    shape.height, shape.width, given.height, given.width
                ));
            }
            shape.channels = repeated(shape.channels, given.channels)?;
        }
        Ok((shape, y, x))
    }

    fn concat(&self, axis: usize, inputs: &[Value]) -> Result<Made, String> {
        if axis != 1 {
            return Err(format!(
                "joins along axis {axis}; only channels (axis 1) may be joined"
            ));
        }
        let parts: Vec<Operand> = inputs
            .iter()
            .map(|value| self.operand(value))
            .collect::<Result<_, _>>()?;
        let mut channels = 0usize;
        let mut grid: Option<(MapShape, Reach, Reach)> = None;
        for part in &parts {
            let (part_shape, reach) = match part {
                Operand::Node(index) => {
                    let node = self.node(*index)?;
                    (node.shape, Some((node.y, node.x)))
                }
                Operand::Constant(constant) => (constant.shape, None),
            };
            channels = channels.checked_add(part_shape.channels).ok_or(OVERFLOW)?;
            let Some((y, x)) = reach else { continue };
            grid = Some(match grid {
                None => (part_shape, y, x),
                Some((shape, y0, x0)) => {
                    let strides = "joins maps of different strides";
                    (
                        shape,
                        y0.hull(y).ok_or(strides)?,
                        x0.hull(x).ok_or(strides)?,
                    )
                }
            });
        }
        let (first, y, x) = grid.ok_or("does not depend on the image")?;
        for part in &parts {
            let shape = match part {
                Operand::Node(index) => self.node(*index)?.shape,
                Operand::Constant(constant) => constant.shape,
            };
            if (shape.height, shape.width) != (first.height, first.width) {
                return Err("joins maps of different sizes".into());
            }
        }
        Ok(Made {
            op: Op::Concat { parts },
            shape: MapShape { channels, ..first },
            y,
            x,
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

    fn slice(&self, slice: &Slice, inputs: &[Value]) -> Result<Made, String> {
        let input = one_map(inputs)?;
        let node = self.numbers(input)?;
        let fixed = |dim: &tract_core::internal::TDim| {
            dim.to_usize()
                .map_err(|_| "its bounds are not fixed".to_string())
        };
        let (start, end) = (fixed(&slice.start)?, fixed(&slice.end)?);
        let mut shape = node.shape;
        let (mut channel, mut top, mut left) = (0, 0, 0);
        let (length, offset) = match slice.axis {
            1 => (&mut shape.channels, &mut channel),
            2 => (&mut shape.height, &mut top),
            3 => (&mut shape.width, &mut left),
            axis => return Err(format!("cuts axis {axis}")),
        };
        if start >= end || end > *length {
            return Err(format!("cuts {start}..{end} out of {length}"));
        }
        *length = end - start;
        *offset = start;
        let shift = |reach: Reach, cells: usize| {
            i64::try_from(cells)
                .ok()
                .and_then(|cells| reach.shifted(cells))
                .ok_or(OVERFLOW)
        };
        let (y, x) = (shift(node.y, top)?, shift(node.x, left)?);
        Ok(Made {
            op: Op::Crop {
                input,
                channel,
                y: top,
                x: left,
            },
            shape,
            y,
            x,
        })
    }
}

fn one_map(inputs: &[Value]) -> Result<usize, String> {
    match inputs {
        [Value::Map(index)] => Ok(*index),
        _ => Err("must have one input, a map".into()),
    }
}

fn repeated(one: usize, other: usize) -> Result<usize, String> {
    match (one, other) {
        (a, b) if a == b => Ok(a),
        (1, n) | (n, 1) => Ok(n),
        (a, b) => Err(format!("combines {a} and {b} channels")),
    }
}

/// The values of a node that does not depend on the image.
fn fixed(node: &TypedNode, inputs: &[Value]) -> Result<Option<Arc<Tensor>>, String> {
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
    let mut made = node
        .op
        .eval(&EvalContext::out_of_plan(), given)
        .map_err(|error| format!("cannot be computed: {error:#}"))?;
    match made.pop() {
        Some(value) if made.is_empty() => Ok(Some(value.into_arc_tensor())),
        _ => Err("must make one value".into()),
    }
}

/// The shape `[1, channels, height, width]` of a map.
fn map_shape(fact: &TypedFact) -> Result<MapShape, String> {
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
fn constant(tensor: &Tensor) -> Result<Constant, String> {
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
