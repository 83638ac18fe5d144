//! Evaluates a `Network` from its description alone, slowly and plainly: the proof that the
//! description is complete.

use bagcert::network::{Conv, MapShape, Network, Op, Operand, PoolKind, Reduction, Window};

/// The map of every node, in node order.
pub fn evaluate(network: &Network, image: &[f32]) -> Vec<Vec<f32>> {
    let mut maps: Vec<Vec<f32>> = Vec::new();
    for node in network.nodes() {
        let shape_of = |index: usize| network.nodes()[index].shape;
        let map = match &node.op {
            Op::Input => image.to_vec(),
            Op::Conv(op) => conv(op, &maps[op.input], shape_of(op.input), node.shape),
            Op::Pool { input, kind, y, x } => {
                pool(*kind, (y, x), &maps[*input], shape_of(*input), node.shape)
            }
            Op::Unary { input, function } => maps[*input]
                .iter()
                .map(|value| function.apply(*value))
                .collect(),
            Op::Binary {
                function,
                left,
                right,
            } => cells(node.shape)
                .map(|at| {
                    function.apply(
                        read(left, at, &maps, network),
                        read(right, at, &maps, network),
                    )
                })
                .collect(),
            Op::Select {
                condition,
                then,
                otherwise,
            } => cells(node.shape)
                .map(|at| {
                    let holds = read(&Operand::Node(*condition), at, &maps, network) != 0.0;
                    read(if holds { then } else { otherwise }, at, &maps, network)
                })
                .collect(),
            Op::Concat { parts } => parts
                .iter()
                .flat_map(|part| match part {
                    Operand::Node(index) => maps[*index].clone(),
                    Operand::Constant(constant) => constant.values.to_vec(),
                })
                .collect(),
            Op::Pad { input, y, x, value } => {
                let from = shape_of(*input);
                cells(node.shape)
                    .map(
                        |(c, row, column)| match (row.checked_sub(y.0), column.checked_sub(x.0)) {
                            (Some(r), Some(k)) if r < from.height && k < from.width => {
                                maps[*input][index(from, (c, r, k))]
                            }
                            _ => *value,
                        },
                    )
                    .collect()
            }
            Op::Crop {
                input,
                channel,
                y,
                x,
            } => {
                let from = shape_of(*input);
                cells(node.shape)
                    .map(|(c, row, column)| {
                        maps[*input][index(from, (c + channel, row + y, column + x))]
                    })
                    .collect()
            }
            Op::Reduce { input, kind } => {
                let from = shape_of(*input);
                cells(node.shape)
                    .map(|(_, y, x)| {
                        let channels =
                            (0..from.channels).map(|c| maps[*input][index(from, (c, y, x))]);
                        match kind {
                            Reduction::Sum => channels.sum(),
                            Reduction::Max => channels.fold(f32::NEG_INFINITY, f32::max),
                            Reduction::Min => channels.fold(f32::INFINITY, f32::min),
                        }
                    })
                    .collect()
            }
            other => panic!("the reference does not know {other:?}"),
        };
        assert_eq!(map.len(), node.shape.volume().unwrap(), "{}", node.name);
        maps.push(map);
    }
    maps
}

/// The logits.
pub fn logits(network: &Network, image: &[f32]) -> Vec<f32> {
    evaluate(network, image).swap_remove(network.output())
}

type Cell = (usize, usize, usize);

fn cells(shape: MapShape) -> impl Iterator<Item = Cell> {
    (0..shape.channels).flat_map(move |c| {
        (0..shape.height).flat_map(move |y| (0..shape.width).map(move |x| (c, y, x)))
    })
}

fn index(shape: MapShape, (c, y, x): Cell) -> usize {
    (c * shape.height + y) * shape.width + x
}

/// The value of an operand in a cell, repeated where it has size 1.
fn read(operand: &Operand, (c, y, x): Cell, maps: &[Vec<f32>], network: &Network) -> f32 {
    let (shape, values) = match operand {
        Operand::Node(index) => (network.nodes()[*index].shape, maps[*index].as_slice()),
        Operand::Constant(constant) => (constant.shape, constant.values.as_ref()),
    };
    let at = |place: usize, size: usize| if size == 1 { 0 } else { place };
    values[index(
        shape,
        (
            at(c, shape.channels),
            at(y, shape.height),
            at(x, shape.width),
        ),
    )]
}

fn conv(op: &Conv, input: &[f32], from: MapShape, to: MapShape) -> Vec<f32> {
    let in_group = from.channels / op.groups;
    let out_group = to.channels / op.groups;
    cells(to)
        .map(|(filter, row, column)| {
            let first = filter / out_group * in_group;
            // f64, so that only the engine under test rounds.
            let mut sum = op.bias.as_ref().map_or(0.0, |bias| f64::from(bias[filter]));
            for c in 0..in_group {
                for ky in 0..op.y.kernel {
                    for kx in 0..op.x.kernel {
                        let (Some(y), Some(x)) = (
                            op.y.tap(row, ky, from.height),
                            op.x.tap(column, kx, from.width),
                        ) else {
                            continue;
                        };
                        let place = ((filter * in_group + c) * op.y.kernel + ky) * op.x.kernel + kx;
                        sum += f64::from(op.weights[place])
                            * f64::from(input[index(from, (first + c, y, x))]);
                    }
                }
            }
            sum as f32
        })
        .collect()
}

fn pool(
    kind: PoolKind,
    (wy, wx): (&Window, &Window),
    input: &[f32],
    from: MapShape,
    to: MapShape,
) -> Vec<f32> {
    cells(to)
        .map(|(c, row, column)| {
            let mut values = Vec::new();
            let mut counted = 0usize;
            for ky in 0..wy.kernel {
                for kx in 0..wx.kernel {
                    // A window that runs past the padding (ceil mode) does not count there.
                    let inside = |window: &Window, output: usize, tap: usize, inputs: usize| {
                        output * window.stride + tap * window.dilation
                            < window.pad_before + inputs + window.pad_after
                    };
                    if inside(wy, row, ky, from.height) && inside(wx, column, kx, from.width) {
                        counted += 1;
                    }
                    if let (Some(y), Some(x)) =
                        (wy.tap(row, ky, from.height), wx.tap(column, kx, from.width))
                    {
                        values.push(input[index(from, (c, y, x))]);
                    }
                }
            }
            let sum: f32 = values.iter().sum();
            match kind {
                PoolKind::Max => values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
                PoolKind::Sum => sum,
                PoolKind::Average {
                    count_padding: true,
                } => sum / counted as f32,
                PoolKind::Average {
                    count_padding: false,
                } => sum / values.len() as f32,
            }
        })
        .collect()
}
