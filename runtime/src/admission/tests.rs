//! Typed graphs that no ONNX file leads to today: a later release of the library may make them, and
//! then they must be refused or understood, not misread.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use tract_core::internal::{
    AxisOp, DatumExt, DatumType, IntoArcTensor, QParams, Tensor, ToDim, TypedOp, tensor0, tensor1,
    tvec,
};
use tract_core::model::SpecialOps;
use tract_core::ops::array::{Pad, PadMode, Slice, StridedSlice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cast::cast;
use tract_core::ops::cnn::{KernelFormat, MaxPool, PoolSpec, SumPool};
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::logic::{Iff, comp_gt};
use tract_core::ops::math;
use tract_core::ops::nn::{self, DataFormat, Reduce, Reducer};

use super::error::Refusal;
use super::{cuts, walk::walk, windows as found};
use crate::network::{Binary, MapShape, Network, Op, Operand, PoolKind, Reach};
use crate::typed_graph::{CHANNELS, Graph, SIDE, conv, windows};

const MAP: MapShape = MapShape {
    channels: CHANNELS,
    height: SIDE,
    width: SIDE,
};
const SAME: [(usize, usize); 2] = [(1, 1), (1, 1)];

fn admitted(graph: Graph) -> Network {
    walk(&graph.finish()).unwrap()
}

/// The reason of the refusal.
fn reason<T>(outcome: Result<T, Refusal>) -> String {
    match outcome {
        Ok(_) => "admitted".into(),
        Err(refusal) => refusal.in_file("model".as_ref()).to_string(),
    }
}

#[track_caller]
fn refused(graph: Graph, words: &str) {
    let reason = reason(walk(&graph.finish()));
    assert!(reason.contains(words), "\"{words}\" is not in: {reason}");
}

#[track_caller]
fn fails<T>(outcome: Result<T, String>, words: &str) {
    let reason = outcome.err().unwrap_or_else(|| "admitted".into());
    assert!(reason.contains(words), "\"{words}\" is not in: {reason}");
}

/// The image where it is above one half, else its opposite: `comp_gt` then `Iff`.
fn flag() -> Graph {
    let mut graph = Graph::new();
    let half = graph.value(Tensor::zero::<f32>(&[1, 1, 1, 1]).unwrap());
    graph.with(TypedBinOp(comp_gt(), None), &[half])
}

#[test]
fn one_output_of_numbers() {
    let mut graph = Graph::new().then(math::abs());
    let both = [graph.last, (0, 0).into()];
    graph.model.select_output_outlets(&both).unwrap();
    assert!(reason(walk(&graph.model)).contains("exactly one output"));
    let mut graph = Graph::new();
    graph.last = graph.zeros(&[1, 2, 3, 3]);
    refused(graph, "does not depend on the image");
    refused(flag(), "not of numbers");
    refused(flag().then(math::neg()), "truth values");
}

#[test]
fn one_input() {
    let mut graph = Graph::new().then(math::abs());
    let fact = f32::fact([1, CHANNELS, SIDE, SIDE]);
    let second = graph.model.add_source("second", fact).unwrap();
    refused(graph.with(math::add(), &[second]), "second input");
}

#[test]
fn maps_stay_f32() {
    refused(Graph::new().then(cast(DatumType::F16)), "type of numbers");
    refused(flag().then(cast(DatumType::F32)), "type of numbers");
    let network = admitted(Graph::new().then(cast(DatumType::F32)).then(Identity));
    assert_eq!(network.nodes().len(), 1);
    let op = ElementWiseOp(Box::new(math::Abs {}), Some(DatumType::F16));
    fails(super::functions::unary(&op), "type of numbers");
    let op = TypedBinOp(Box::new(math::Add), Some(DatumType::F16));
    fails(super::functions::binary(&op), "type of numbers");
    let mut graph = Graph::new();
    graph.model.nodes[0].outputs[0].fact.datum_type = DatumType::F64;
    refused(graph, "computes in F64");
}

#[test]
fn functions_on_the_list_only() {
    refused(Graph::new().then(math::erf()), "not on the list");
    refused(
        Graph::new().then(nn::leaky_relu(f32::NAN)),
        "slope is not finite",
    );
    let image = (0, 0).into();
    refused(
        Graph::new().with(math::pow(), &[image]),
        "functions of two maps",
    );
    // The one function whose arguments come in the other order.
    let mut graph = Graph::new();
    let ones = graph.zeros(&[1, 1, 1, 1]);
    let network = admitted(graph.with(math::subf(), &[ones]));
    assert!(matches!(
        &network.nodes()[1].op,
        Op::Binary {
            function: Binary::Sub,
            left: Operand::Constant(_),
            right: Operand::Node(0)
        }
    ));
}

/// The library says one shape, the definition another.
#[test]
fn shapes_are_worked_out_twice() {
    let mut graph = Graph::new().then(math::abs());
    graph.model.nodes[1].outputs[0].fact.shape = [1, CHANNELS, SIDE, SIDE - 1].into();
    refused(graph, "was expected");
    let mut graph = Graph::new();
    graph.model.nodes[0].outputs[0].fact.shape = [2, CHANNELS, SIDE, SIDE].into();
    refused(graph, "not a map");
    let mut graph = Graph::new();
    graph.model.nodes[0].outputs[0].fact.shape = [1, CHANNELS, 1 << 20, 1 << 20].into();
    refused(graph, "too large");
    let mut graph = Graph::new();
    graph.model.nodes[0].outputs[0].fact.shape = [1, CHANNELS, SIDE, 0].into();
    refused(graph, "empty");
    let mut graph = Graph::new().then(math::abs());
    let fact = graph.model.nodes[1].outputs[0].clone();
    graph.model.nodes[1].outputs.push(fact);
    refused(graph, "2 outputs");
}

#[test]
fn constants_are_maps_or_numbers() {
    let mut graph = Graph::new();
    let number = graph.value(tensor0(2f32));
    graph.model.nodes[1].outputs[0].fact = f32::fact([1, 1, 1, 1]);
    let network = admitted(graph.with(math::mul(), &[number]));
    assert_eq!(network.parameters(), 0);
    let mut graph = Graph::new();
    let odd = graph.value(Tensor::zero::<f32>(&[2, CHANNELS, 1, 1]).unwrap());
    graph.model.nodes[1].outputs[0].fact = f32::fact([1, CHANNELS, 1, 1]);
    refused(graph.with(math::mul(), &[odd]), "constant of shape");
    // Computing on constants is the exporter's work.
    let mut graph = Graph::new();
    let constant = graph.zeros(&[1, CHANNELS, SIDE, SIDE]);
    let mut graph = graph.then(math::abs());
    graph.model.nodes[graph.last.node].inputs[0] = constant;
    let folded = graph.last;
    graph.last = (0, 0).into();
    refused(graph.with(math::add(), &[folded]), "constants folded");
}

#[test]
fn choices_by_a_comparison_only() {
    let image = (0, 0).into();
    let mut graph = flag();
    let other = graph.zeros(&[1, 1, 1, 1]);
    let network = admitted(graph.with(Iff, &[image, other]));
    assert!(matches!(
        network.nodes()[2].op,
        Op::Select { condition: 1, .. }
    ));
    let mut graph = Graph::new();
    let always = graph.value(tensor0(true).into_shape(&[1, 1, 1, 1]).unwrap());
    graph.last = always;
    refused(graph.with(Iff, &[image, image]), "depend on the image");
    let graph = flag();
    let comparison = graph.last.node;
    let mut graph = graph.with(Iff, &[image, image]);
    graph.model.nodes[comparison].op = math::add().into();
    graph.model.nodes[comparison].outputs[0].fact.datum_type = DatumType::F32;
    refused(graph, "must be a comparison");
}

#[test]
fn channels_join_where_grids_are_the_same() {
    let image = (0, 0).into();
    let smaller = || Graph::new().conv(windows([2, 1], 1, 1, [(0, 0); 2]));
    let mut joined = smaller();
    let op = TypedConcat::new(1);
    let name = "joined";
    // The library itself would not wire it.
    let fact = joined.model.nodes[joined.last.node].outputs[0].fact.clone();
    joined.model.nodes[joined.last.node].outputs[0].fact = f32::fact([1, CHANNELS, SIDE, SIDE]);
    joined.last = joined
        .model
        .wire_node(name, op, &[joined.last, image])
        .unwrap()[0];
    let convolution = joined.model.node_by_name(name).unwrap().inputs[0].node;
    joined.model.nodes[convolution].outputs[0].fact = fact;
    refused(joined, "different sizes");
    let one_channel = Graph::new().then(Reduce::new(tvec!(1), Reducer::Sum));
    assert_eq!(
        admitted(one_channel.with(math::add(), &[image])).nodes()[2].shape,
        MAP
    );
    let two = || Slice::new(1, 0.to_dim(), 2.to_dim());
    let mut graph = Graph::new().then(two());
    graph.model.nodes[1].outputs[0].fact = f32::fact([1, CHANNELS, SIDE, SIDE]);
    let mut graph = graph.with(math::add(), &[image]);
    graph.model.nodes[1].outputs[0].fact = f32::fact([1, 2, SIDE, SIDE]);
    refused(graph, "2 and 3 channels");
}

#[test]
fn pools_of_every_kind() {
    let spec = || windows([3, 3], 1, 1, SAME);
    let sum = |normalize| SumPool {
        pool_spec: spec(),
        count_include_pad: true,
        normalize,
    };
    let network = admitted(Graph::new().then(sum(false)));
    assert!(matches!(
        network.nodes()[1].op,
        Op::Pool {
            kind: PoolKind::Sum,
            ..
        }
    ));
    assert_eq!(
        network.nodes()[1].y,
        Reach {
            stride: 1,
            lo: -1,
            hi: 1
        }
    );
    let network = admitted(Graph::new().then(sum(true)));
    let kind = PoolKind::Average {
        count_padding: true,
    };
    assert!(matches!(network.nodes()[1].op, Op::Pool { kind: found, .. } if found == kind));
    let indices = MaxPool {
        pool_spec: spec(),
        with_index_outputs: Some(DatumType::I64),
    };
    let graph = Graph::new().then(indices);
    refused(graph, "outputs");
    fails(
        found::pool(
            &PoolSpec {
                input_channels: 2,
                ..spec()
            },
            MAP,
        ),
        "channels do not agree",
    );
    fails(
        found::pool(&windows([3, 3], 1, 1, [(3, 0), (0, 0)]), MAP),
        "wholly in the padding",
    );
    // The same at the end, where the last window but one sees one cell.
    assert!(found::pool(&windows([3, 3], 1, 1, [(0, 2), (0, 2)]), MAP).is_ok());
    for pads in [[(0, 3), (0, 0)], [(0, 0), (0, 3)]] {
        let beyond = windows([3, 3], 1, 1, pads);
        fails(found::pool(&beyond, MAP), "wholly in the padding");
    }
    for reducer in [Reducer::Prod, Reducer::ArgMax(false)] {
        refused(
            Graph::new().then(Reduce::new(tvec!(1), reducer)),
            "not followed",
        );
    }
}

#[test]
fn windows_by_the_definition_only() {
    let spec = || windows([3, 3], 1, 1, SAME);
    let weights = Tensor::zero::<f32>(&[CHANNELS, CHANNELS, 3, 3]).unwrap();
    let no_bias = tensor0(0f32);
    let convolved = |op: &tract_core::ops::cnn::Conv, weights: &Tensor, bias: &Tensor| {
        found::conv(op, 0, MAP, weights, bias)
    };
    let good = conv(spec());
    let (found, shape) = convolved(&good, &weights, &no_bias).unwrap();
    assert_eq!((found.bias, shape), (None, MAP));
    // One number for all filters, or one for each.
    for bias in [tensor0(0.5f32), tensor1(&[0.5f32; CHANNELS])] {
        let (found, _) = convolved(&good, &weights, &bias).unwrap();
        assert_eq!(found.bias.unwrap().as_ref(), [0.5; CHANNELS]);
    }
    fails(
        convolved(&good, &weights, &tensor1(&[0f32; 2])),
        "bias has shape",
    );
    fails(convolved(&good, &weights, &tensor0(f32::NAN)), "NaN");
    fails(convolved(&good, &weights, &tensor0(0i32)), "must be f32");
    let whole = Tensor::zero::<i64>(weights.shape()).unwrap();
    fails(convolved(&good, &whole, &no_bias), "must be f32");
    let line = Tensor::zero::<f32>(&[CHANNELS, CHANNELS, 3]).unwrap();
    fails(convolved(&good, &line, &no_bias), "need 4 axes");
    let narrow = Tensor::zero::<f32>(&[CHANNELS, 2, 3, 3]).unwrap();
    fails(convolved(&good, &narrow, &no_bias), "do not fit a map");
    let wide = Tensor::zero::<f32>(&[CHANNELS, CHANNELS, 3, 5]).unwrap();
    let disagrees = "do not agree with its weights";
    fails(convolved(&good, &wide, &no_bias), disagrees);
    let mut fewer = spec();
    fewer.input_channels = 2;
    fails(convolved(&conv(fewer), &weights, &no_bias), disagrees);
    let mut fewer = spec();
    fewer.output_channels = 2;
    fails(convolved(&conv(fewer), &weights, &no_bias), disagrees);
    let mut grouped = conv(spec());
    grouped.group = 0;
    fails(convolved(&grouped, &weights, &no_bias), "do not fit a map");
    let none = Tensor::zero::<f32>(&[0, CHANNELS, 3, 3]).unwrap();
    fails(convolved(&good, &none, &no_bias), "0 filters");
    let mut turned = conv(spec());
    turned.kernel_fmt = KernelFormat::HWIO;
    fails(
        convolved(&turned, &weights, &no_bias),
        "order output, input",
    );
    let mut quantised = conv(spec());
    quantised.q_params = Some(DatumType::QI8(QParams::ZpScale {
        zero_point: 0,
        scale: 1.0,
    }));
    fails(convolved(&quantised, &weights, &no_bias), "quantised");
    let channels_last = PoolSpec {
        data_format: DataFormat::NHWC,
        ..spec()
    };
    fails(found::pool(&channels_last, MAP), "order batch");
    let flat = PoolSpec {
        kernel_shape: tvec!(3),
        ..spec()
    };
    fails(found::pool(&flat, MAP), "spatial axes");
    let large = windows([SIDE + 1, 1], 1, 1, [(0, 0); 2]);
    fails(found::pool(&large, MAP), "does not fit a map of 9 cells");
    // 63 windows of 64 taps reach into the padding, and the others are alike: 64 * 64 on each axis.
    let listed = |pads| {
        found::pool(
            &windows([64, 64], 1, 1, [pads, (63, 0)]),
            MapShape {
                height: 200,
                width: 200,
                ..MAP
            },
        )
    };
    assert!(listed((63, 0)).is_ok());
    fails(listed((63, 1)), "its padding is too large");
    let still = windows([3, 3], 0, 1, SAME);
    fails(found::pool(&still, MAP), "not possible");
    assert!(found::padded(1, (usize::MAX, 1)).is_err());
    // Weights that depend on the image.
    let mut graph = Graph::new();
    let bias = graph.value(tensor0(0f32));
    let image = (0, 0).into();
    let mut cells = windows([SIDE, SIDE], 1, 1, [(0, 0); 2]);
    cells.output_channels = 1;
    refused(graph.with(conv(cells), &[image, bias]), "must be constant");
}

#[test]
fn borders_and_cuts() {
    let pad = |pads: [(usize, usize); 4], value: f32| {
        let value = PadMode::Constant(tensor0(value).into_arc_tensor());
        Graph::new().then(Pad::new(pads.to_vec(), value))
    };
    let none = (0, 0);
    refused(pad([none, none, none, (1, 0)], f32::INFINITY), "not finite");
    refused(pad([none, (1, 0), none, none], 0.0), "more than height");
    let network = admitted(pad([none, none, (2, 0), none], 0.5));
    assert_eq!(
        network.nodes()[1].y,
        Reach {
            stride: 1,
            lo: -2,
            hi: -2
        }
    );
    let whole_batch = Slice::new(0, 0.to_dim(), 1.to_dim());
    refused(Graph::new().then(whole_batch), "cuts axis 0");
    let image = || Graph::new();
    refused(image().then(AxisOp::Move(2, 3)), "not on the list");
}

/// An ONNX slice whose axes and steps are these inputs.
fn slice_op(axes: Option<usize>, steps: Option<usize>) -> StridedSlice {
    StridedSlice {
        optional_axes_input: axes,
        optional_steps_input: steps,
        begin_mask: 0,
        end_mask: 0,
        shrink_axis_mask: 0,
    }
}

fn strided(
    op: &StridedSlice,
    starts: &[i64],
    ends: &[i64],
    more: &[Tensor],
) -> Result<[usize; 6], String> {
    let parameters: Vec<Arc<Tensor>> = [tensor1(starts), tensor1(ends)]
        .into_iter()
        .chain(more.iter().cloned())
        .map(IntoArcTensor::into_arc_tensor)
        .collect();
    cuts::strided(op, &parameters, MAP).map(|part| {
        let ends = |range: &std::ops::Range<usize>| [range.start, range.end];
        let [a, b, c] = [&part.channels, &part.rows, &part.columns].map(ends);
        [a[0], a[1], b[0], b[1], c[0], c[1]]
    })
}

#[test]
fn slices_as_onnx_has_them() {
    let plain = slice_op(None, None);
    let with_axes = slice_op(Some(3), None);
    // Without axes, in order; the batch may be "cut" to itself; bounds count from the end too.
    let found = strided(&plain, &[0, 1, 2, -3], &[1, i64::MAX, 8, -1], &[]);
    assert_eq!(found, Ok([1, 3, 2, 8, 6, 8]));
    let axes = |axes: &[i64]| vec![tensor1(axes)];
    assert_eq!(
        strided(&with_axes, &[4], &[6], &axes(&[-1])),
        Ok([0, 3, 0, 9, 4, 6])
    );
    fails(strided(&plain, &[1], &[1], &[]), "cuts axis 0");
    fails(strided(&with_axes, &[0], &[1], &axes(&[7])), "cuts axis 7");
    fails(strided(&with_axes, &[0], &[1], &axes(&[-9])), "cuts axis");
    fails(
        strided(&with_axes, &[0, 0], &[1, 1], &axes(&[2, -2])),
        "twice",
    );
    fails(
        strided(&with_axes, &[0], &[1, 1], &axes(&[2])),
        "differ in number",
    );
    fails(
        strided(&with_axes, &[5], &[5], &axes(&[2])),
        "nothing or too much",
    );
    fails(strided(&with_axes, &[0], &[1], &[]), "lacks a parameter");
    fails(
        strided(&with_axes, &[0], &[1], &[tensor1(&[2f32])]),
        "parameter of type",
    );
    let steps = slice_op(Some(3), Some(4));
    let stepped = |step: i64| vec![tensor1(&[2i64]), tensor1(&[step])];
    assert!(strided(&steps, &[0], &[9], &stepped(1)).is_ok());
    fails(
        strided(&steps, &[0], &[9], &stepped(2)),
        "steps other than 1",
    );
    let plain = || slice_op(None, None);
    for masked in [
        StridedSlice {
            begin_mask: 1,
            ..plain()
        },
        StridedSlice {
            end_mask: 1,
            ..plain()
        },
        StridedSlice {
            shrink_axis_mask: 1,
            ..plain()
        },
    ] {
        fails(strided(&masked, &[0], &[1], &[]), "masks");
    }
}

#[test]
fn bounds_of_a_slice_are_constants() {
    let mut graph = Graph::new();
    let (starts, ends) = (graph.value(tensor1(&[0i64])), graph.value(tensor1(&[1i64])));
    let image = graph.last;
    let op: Box<dyn TypedOp> = Box::new(slice_op(None, None));
    let graph = graph.with(op, &[starts, ends]);
    // The library replaces such slices, so the inputs are exchanged by hand.
    let mut model = graph.finish();
    let cut = model.output_outlets().unwrap()[0].node;
    model.nodes[cut].inputs[1] = image;
    assert!(reason(walk(&model)).contains("depend on the image"));
    model.nodes[cut].inputs[0] = starts;
    assert!(reason(walk(&model)).contains("must cut a map"));
}
