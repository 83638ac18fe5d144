//! What the cells of one operation of the rewritten graph read.

use tract_core::internal::{AxisOp, InOut, TypedModel, TypedNode};
use tract_core::ops::Downsample;
use tract_core::ops::array::{Pad, PadMode, Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::Cast;
use tract_core::ops::cnn::{Conv, MaxPool, PoolSpec, SumPool};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::logic::Iff;
use tract_core::ops::nn::{Reduce, RmsNorm};

use super::{Spatial, Value};
use crate::network::{Reach, Window};

const OVERFLOW: &str = "its receptive field overflows";

/// A node whose inputs, or some of them, depend on the image.
pub(super) struct Inputs<'a> {
    pub(super) model: &'a TypedModel,
    pub(super) node: &'a TypedNode,
    pub(super) values: &'a [Value],
}

impl Inputs<'_> {
    /// What the node's cells read, if it is on the list.
    ///
    /// # Errors
    /// The reason why it cannot be proved.
    pub(super) fn local(&self) -> Result<[Spatial; 2], String> {
        let node = self.node;
        if let Some(conv) = node.op_as::<Conv>() {
            return self.windows(&conv.pool_spec);
        }
        if let Some(pool) = node.op_as::<MaxPool>() {
            return self.windows(&pool.pool_spec);
        }
        if let Some(pool) = node.op_as::<SumPool>() {
            return self.windows(&pool.pool_spec);
        }
        if node.op_is::<ElementWiseOp>() || node.op_is::<Cast>() || node.op_is::<Identity>() {
            return self.only(0);
        }
        if node.op_is::<TypedBinOp>() || node.op_is::<Iff>() {
            return self.together(None);
        }
        if let Some(concat) = node.op_as::<TypedConcat>() {
            return self.together(Some(concat.axis));
        }
        if let Some(slice) = node.op_as::<Slice>() {
            let first = slice
                .start
                .to_i64()
                .map_err(|_| "its bounds are not fixed")?;
            return self.each(|spatial| match spatial.position {
                Some(position) if position == slice.axis => shifted(spatial, first),
                _ => Ok(spatial),
            });
        }
        if let Some(pad) = node.op_as::<Pad>() {
            return self.pad(pad);
        }
        if let Some(down) = node.op_as::<Downsample>() {
            return self.downsample(down);
        }
        if let Some(change) = node.op_as::<AxisOp>() {
            return self.each(|spatial| changed(spatial, change));
        }
        if let Some(sum) = node.op_as::<EinSum>() {
            return self.einsum(sum);
        }
        if let Some(reduce) = node.op_as::<Reduce>() {
            return self.combined(&reduce.axes);
        }
        if let Some(norm) = node.op_as::<RmsNorm>() {
            return self.combined(&[norm.axis]);
        }
        Err("it is not on the list of operations proved local".into())
    }

    /// Values combined along `axes`, which may not be rows or columns.
    fn combined(&self, axes: &[usize]) -> Result<[Spatial; 2], String> {
        self.each(|spatial| match spatial.position {
            Some(position) if axes.contains(&position) => {
                Err("it combines cells along rows or columns".into())
            }
            _ => Ok(spatial),
        })
    }

    /// The map in `slot`, where all other inputs are fixed.
    fn only(&self, slot: usize) -> Result<[Spatial; 2], String> {
        let maps = self.values.iter().enumerate();
        let mut maps = maps.filter_map(|(slot, value)| match value {
            Value::Map(spatial) => Some((slot, *spatial)),
            Value::Fixed => None,
        });
        match (maps.next(), maps.next()) {
            (Some((found, spatial)), None) if found == slot => Ok(spatial),
            _ => Err("it must read one map, and constants".into()),
        }
    }

    fn each(
        &self,
        change: impl Fn(Spatial) -> Result<Spatial, String>,
    ) -> Result<[Spatial; 2], String> {
        let [y, x] = self.only(0)?;
        Ok([change(y)?, change(x)?])
    }

    /// Lengths of the axes of input `slot`.
    fn lengths(&self, slot: usize) -> Result<Vec<usize>, String> {
        let outlet = self.node.inputs.get(slot).ok_or("it lacks an input")?;
        let fact = self
            .model
            .outlet_fact(*outlet)
            .map_err(|error| format!("{error:#}"))?;
        fact.shape
            .as_concrete()
            .map(<[usize]>::to_vec)
            .ok_or_else(|| "its shape is not fixed".into())
    }

    /// Sliding windows; along batch there are none, and channels may not be rows or columns.
    fn windows(&self, spec: &PoolSpec) -> Result<[Spatial; 2], String> {
        let lengths = self.lengths(0)?;
        let shape = spec
            .data_format
            .shape(lengths)
            .map_err(|error| format!("{error:#}"))?;
        let padding = spec.computed_padding(shape.hw_dims());
        self.each(|spatial| {
            let Some(position) = spatial.position else {
                return Ok(spatial);
            };
            if position == shape.c_axis() {
                return Err("it mixes rows or columns as if they were channels".into());
            }
            let Some(axis) = position
                .checked_sub(shape.h_axis())
                .filter(|axis| *axis < shape.hw_rank())
            else {
                return Ok(spatial);
            };
            let (Some(kernel), Some(padding)) = (spec.kernel_shape.get(axis), padding.get(axis))
            else {
                return Err("one of its axes is missing".into());
            };
            through(
                spatial,
                &Window {
                    kernel: *kernel,
                    stride: spec.stride(axis),
                    dilation: spec.dilation(axis),
                    pad_before: padding.pad_before,
                    pad_after: padding.pad_after,
                },
            )
        })
    }

    /// Values that meet cell by cell; or one after the other along axis `joined`.
    fn together(&self, joined: Option<usize>) -> Result<[Spatial; 2], String> {
        let mut met: Option<([Spatial; 2], Vec<usize>)> = None;
        for (slot, value) in self.values.iter().enumerate() {
            let Value::Map(spatial) = value else { continue };
            let lengths = self.lengths(slot)?;
            let Some((before, before_lengths)) = &mut met else {
                met = Some((*spatial, lengths));
                continue;
            };
            if lengths.len() != before_lengths.len() {
                return Err("it combines maps of different rank".into());
            }
            for (before, new) in before.iter_mut().zip(spatial) {
                if before.position != new.position {
                    return Err("it combines rows with columns".into());
                }
                let length = |lengths: &[usize]| {
                    before
                        .position
                        .map_or(Some(1), |at| lengths.get(at).copied())
                };
                let length_met = length(before_lengths);
                if length_met != length(&lengths) {
                    return Err("it repeats cells over space".into());
                }
                before.reach = if length_met == Some(1) {
                    // The only cell is number 0: strides do not matter.
                    Reach {
                        stride: before.reach.stride,
                        lo: before.reach.lo.min(new.reach.lo),
                        hi: before.reach.hi.max(new.reach.hi),
                    }
                } else {
                    before
                        .reach
                        .hull(new.reach)
                        .ok_or("it combines maps of different stride")?
                };
            }
        }
        let (spatial, _) = met.ok_or("it does not depend on the image")?;
        // A map of one row, repeated to the rows of a constant, would tell all rows of the same.
        let output = self.node.outputs.first().ok_or("it has no output")?;
        for axis in &spatial {
            let Some(position) = axis.position else {
                continue;
            };
            if joined == Some(position) {
                return Err("it joins maps along rows or columns".into());
            }
            let slot = self
                .values
                .iter()
                .position(|value| matches!(value, Value::Map(_)))
                .unwrap_or_default();
            let made = output
                .fact
                .shape
                .as_concrete()
                .and_then(|s| s.get(position));
            if made != self.lengths(slot)?.get(position) {
                return Err("it repeats cells over space".into());
            }
        }
        Ok(spatial)
    }

    fn pad(&self, pad: &Pad) -> Result<[Spatial; 2], String> {
        if !matches!(pad.mode, PadMode::Constant(_)) {
            return Err("it pads with other cells of the map".into());
        }
        self.each(|spatial| {
            let before = spatial.position.and_then(|axis| pad.pads.get(axis));
            let before =
                i64::try_from(before.map_or(0, |(before, _)| *before)).map_err(|_| OVERFLOW)?;
            shifted(spatial, -before)
        })
    }

    fn downsample(&self, down: &Downsample) -> Result<[Spatial; 2], String> {
        let stride = usize::try_from(down.stride).map_err(|_| "it turns rows or columns round")?;
        if down.modulo != 0 {
            // The second step of optimisation may merge it into a convolution, and forget the offset.
            return Err("it takes every n-th cell, but not from the first on".into());
        }
        self.each(|spatial| match spatial.position {
            Some(position) if position == down.axis => through(
                spatial,
                &Window {
                    kernel: 1,
                    stride,
                    dilation: 1,
                    pad_before: 0,
                    pad_after: 0,
                },
            ),
            _ => Ok(spatial),
        })
    }

    /// Sums of products with constants. A row's axis must be one of the output's too, only once and
    /// of the same length: then each row of the output is made of that row alone.
    fn einsum(&self, sum: &EinSum) -> Result<[Spatial; 2], String> {
        if sum.q_params.is_some() {
            return Err("it is quantised".into());
        }
        let slot = self
            .values
            .iter()
            .position(|value| matches!(value, Value::Map(_)))
            .ok_or("it does not depend on the image")?;
        let spatial = self.only(slot)?;
        let lengths = self.lengths(slot)?;
        let made = self.node.outputs.first().ok_or("it has no output")?;
        let made = made.fact.shape.as_concrete();
        let followed = |spatial: Spatial| {
            let Some(position) = spatial.position else {
                return Ok(spatial);
            };
            let axis = sum
                .axes
                .axis((InOut::In(slot), position))
                .map_err(|error| format!("{error:#}"))?;
            match (
                axis.inputs.get(slot).map(|at| at.as_slice()),
                axis.outputs.as_slice(),
            ) {
                (Some([_]), [output]) if output.len() == 1 => {
                    let at = output.first().copied();
                    let length = at.and_then(|at| made.and_then(|made| made.get(at)));
                    if length != lengths.get(position) {
                        return Err("it repeats cells over space".to_string());
                    }
                    Ok(Spatial {
                        position: at,
                        ..spatial
                    })
                }
                (Some([_]), [output]) if output.is_empty() && lengths.get(position) == Some(&1) => {
                    Ok(Spatial {
                        position: None,
                        ..spatial
                    })
                }
                _ => Err("it sums over rows or columns".to_string()),
            }
        };
        Ok([followed(spatial[0])?, followed(spatial[1])?])
    }
}

fn shifted(spatial: Spatial, cells: i64) -> Result<Spatial, String> {
    let reach = spatial.reach.shifted(cells).ok_or(OVERFLOW)?;
    Ok(Spatial { reach, ..spatial })
}

fn through(spatial: Spatial, window: &Window) -> Result<Spatial, String> {
    let reach = spatial.reach.through(window).ok_or(OVERFLOW)?;
    Ok(Spatial { reach, ..spatial })
}

/// Where a spatial axis stands after axes were added, taken away or moved.
fn changed(spatial: Spatial, change: &AxisOp) -> Result<Spatial, String> {
    let Some(position) = spatial.position else {
        return Ok(spatial);
    };
    let position = match change {
        AxisOp::Add(at) if position >= *at => Some(position + 1),
        AxisOp::Add(_) => Some(position),
        // Only axes of length 1 can be taken away.
        AxisOp::Rm(at) if position == *at => None,
        AxisOp::Rm(at) if position > *at => Some(position - 1),
        AxisOp::Rm(_) => Some(position),
        AxisOp::Move(from, to) => Some(moved(position, *from, *to)),
        AxisOp::Reshape(at, _, _) if position < *at => Some(position),
        AxisOp::Reshape(at, from, to) if position >= at + from.len() => {
            Some(position - from.len() + to.len())
        }
        AxisOp::Reshape(..) => return Err("it reshapes rows or columns".into()),
    };
    Ok(Spatial {
        position,
        ..spatial
    })
}

/// Where axis `position` stands after axis `from` was taken out and put in again at `to`.
fn moved(position: usize, from: usize, to: usize) -> usize {
    if position == from {
        return to;
    }
    let without = if position > from {
        position - 1
    } else {
        position
    };
    if without >= to { without + 1 } else { without }
}
