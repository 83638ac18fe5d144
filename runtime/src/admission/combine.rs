//! Operations that combine several maps cell by cell: functions of two maps, selection, and
//! the joining of channels.

use tract_core::ops::binary::TypedBinOp;

use super::constants;
use super::functions;
use super::walk::{Made, OVERFLOW, Value, Walk};
use crate::network::{MapShape, Op, Operand, Reach};

impl Walk {
    pub(super) fn binary(&self, op: &TypedBinOp, inputs: &[Value]) -> Result<Made, String> {
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

    pub(super) fn select(&self, inputs: &[Value]) -> Result<Made, String> {
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
            Value::Fixed(tensor) => constants::operand(tensor).map(Operand::Constant),
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

    pub(super) fn concat(&self, axis: usize, inputs: &[Value]) -> Result<Made, String> {
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
}

fn repeated(one: usize, other: usize) -> Result<usize, String> {
    match (one, other) {
        (a, b) if a == b => Ok(a),
        (1, n) | (n, 1) => Ok(n),
        (a, b) => Err(format!("combines {a} and {b} channels")),
    }
}
