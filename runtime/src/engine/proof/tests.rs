//! Graphs that an optimiser may have made, against what was claimed of the network.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use tract_core::internal::{
    AxesMapping, AxisOp, DatumType, IntoArcTensor, OutletId, ToDim, tensor0, tvec,
};
use tract_core::ops::Downsample;
use tract_core::ops::array::{MultiBroadcastTo, Pad, PadMode, Slice, TypedConcat};
use tract_core::ops::cast::cast;
use tract_core::ops::cnn::PoolSpec;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::identity::Identity;
use tract_core::ops::math;
use tract_core::ops::nn::{Reduce, Reducer};

use super::super::EngineError;
use super::{Reach, check};
use crate::network::{MapShape, Network, Node, Op};
use crate::typed_graph::{CHANNELS, Graph, SIDE, conv, windows};

impl Graph {
    /// Checks the graph against a network of which this is claimed along both axes.
    fn claims(self, stride: i64, lo: i64, hi: i64) -> Result<(), EngineError> {
        let model = self.finish();
        let outlet = model.output_outlets().unwrap()[0];
        let fact = model.outlet_fact(outlet).unwrap();
        let cells = fact.shape.as_concrete().unwrap();
        let reach = Reach { stride, lo, hi };
        let node = |height, width, reach| Node {
            name: "claimed".into(),
            op: Op::Input,
            shape: MapShape {
                channels: CHANNELS,
                height,
                width,
            },
            y: reach,
            x: reach,
        };
        let image = node(SIDE, SIDE, Reach::IMAGE);
        let output = node(cells[2], cells[3], reach);
        check(&model, &Network::new(vec![image, output], 1))
    }
}

fn displaced(outcome: Result<(), EngineError>) -> bool {
    matches!(outcome, Err(EngineError::Displaced { .. }))
}

/// Displaced along this axis.
fn displaced_along(wanted: &str, outcome: Result<(), EngineError>) -> bool {
    matches!(outcome, Err(EngineError::Displaced { axis, .. }) if axis == wanted)
}

fn unproved(outcome: Result<(), EngineError>, word: &str) -> bool {
    matches!(outcome, Err(EngineError::Unproved { reason, .. }) if reason.contains(word))
}

#[test]
fn windows_must_lie_within_the_claim() {
    let same = [(1, 1), (1, 1)];
    let conv = || Graph::new().conv(windows([3, 3], 1, 1, same));
    assert!(conv().claims(1, -1, 1).is_ok());
    // More may be claimed than is read, never less.
    assert!(conv().claims(1, -2, 1).is_ok());
    assert!(displaced(conv().claims(1, 0, 1)));
    assert!(displaced(conv().claims(1, -1, 0)));
    // The same number of cells, other pixels.
    for pads in [(0, 2), (2, 0)] {
        let shifted = |axes| Graph::new().conv(windows([3, 3], 1, 1, axes));
        assert!(displaced(shifted([pads, (1, 1)]).claims(1, -1, 1)));
        assert!(displaced(shifted([(1, 1), pads]).claims(1, -1, 1)));
    }
    let wide = || Graph::new().conv(windows([3, 3], 1, 2, [(2, 2), (2, 2)]));
    assert!(displaced(wide().claims(1, -1, 1)));
    assert!(wide().claims(1, -2, 2).is_ok());
    let strided = || Graph::new().conv(windows([3, 3], 2, 1, same));
    assert!(strided().claims(2, -1, 1).is_ok());
    assert!(displaced(strided().claims(1, -1, 1)));
}

#[test]
fn cuts_borders_and_every_nth_cell_move_the_pixels() {
    let cut = |first: usize| {
        let end = (first + 8).to_dim();
        Graph::new().then(Slice::new(2, first.to_dim(), end))
    };
    assert!(cut(0).claims(1, 0, 0).is_ok());
    assert!(displaced_along("row", cut(1).claims(1, 0, 0)));
    assert!(displaced_along("column", cut(1).claims(1, 1, 1)));
    let pad = |before| {
        let pads = vec![(0, 0), (0, 0), (0, 0), (before, 2 - before)];
        Graph::new().then(Pad::new(
            pads,
            PadMode::Constant(tensor0(0f32).into_arc_tensor()),
        ))
    };
    assert!(pad(0).claims(1, 0, 0).is_ok());
    assert!(displaced_along("column", pad(1).claims(1, 0, 0)));
    assert!(displaced(pad(1).claims(1, 0, 1)));
    assert!(pad(1).claims(1, -1, 0).is_ok());
    let mirrored = Pad::new(vec![(0, 0), (0, 0), (1, 1), (0, 0)], PadMode::Reflect);
    assert!(unproved(
        Graph::new().then(mirrored).claims(1, -1, 1),
        "pads"
    ));
    let every = |stride, modulo| {
        Graph::new()
            .then(Downsample::new(2, stride, modulo))
            .then(Downsample::new(3, stride, modulo))
    };
    assert!(every(2, 0).claims(2, 0, 0).is_ok());
    assert!(displaced(every(2, 0).claims(1, 0, 0)));
    let rows = || Graph::new().then(Downsample::new(2, 2, 0));
    assert!(displaced_along("row", rows().claims(1, 0, 0)));
    assert!(displaced_along("column", rows().claims(2, 0, 0)));
    // An offset that a later step may lose is not let pass, whatever is claimed.
    assert!(unproved(every(2, 1).claims(2, 0, 1), "first"));
    assert!(unproved(every(-1, 0).claims(1, -8, 8), "round"));
}

#[test]
fn rows_and_columns_keep_their_places() {
    let exchanged = || Graph::new().then(AxisOp::Move(2, 3));
    assert!(unproved(exchanged().claims(1, 0, 0), "places"));
    assert!(exchanged().then(AxisOp::Move(3, 2)).claims(1, 0, 0).is_ok());
    let flat = |from: [usize; 2], to: [usize; 2]| {
        let dims = |dims: [usize; 2]| dims.iter().map(|dim| dim.to_dim()).collect();
        Graph::new().then(AxisOp::Reshape(2, dims(from), dims(to)))
    };
    assert!(unproved(flat([9, 9], [27, 3]).claims(1, 0, 0), "reshapes"));
    // Only columns, or rows together with channels.
    let dims = |dims: &[usize]| dims.iter().map(|dim| dim.to_dim()).collect();
    let parted = AxisOp::Reshape(3, dims(&[9]), dims(&[3, 3]));
    refused_words(Graph::new().then(parted), "reshapes");
    let mixed = AxisOp::Reshape(1, dims(&[CHANNELS, 9]), dims(&[CHANNELS * 9, 1]));
    refused_words(Graph::new().then(mixed), "reshapes");
    // Taken away, put back, moved: only where things end counts.
    let there_and_back = Graph::new()
        .then(AxisOp::Rm(0))
        .then(AxisOp::Move(0, 2))
        .then(AxisOp::Add(0))
        .then(AxisOp::Move(3, 1));
    assert!(there_and_back.claims(1, 0, 0).is_ok());
    let mut graph = Graph::new().then(AxisOp::Move(2, 3));
    let image = OutletId::new(0, 0);
    graph = graph.with(math::add(), &[image]);
    assert!(unproved(graph.claims(1, 0, 0), "rows with columns"));
}

#[test]
fn rows_are_neither_channels_nor_flattened() {
    let mixed =
        Graph::new()
            .then(AxisOp::Move(1, 2))
            .then(Slice::new(1, 0.to_dim(), CHANNELS.to_dim()));
    let spec = windows([1, 1], 1, 1, [(0, 0); 2]);
    let spec = PoolSpec {
        input_channels: CHANNELS,
        ..spec
    };
    refused_words(mixed.conv(spec), "as if they were channels");
    // What happens behind rows and columns does not move them.
    let behind = Graph::new()
        .then(AxisOp::Add(4))
        .then(AxisOp::Reshape(
            4,
            tvec!(1.to_dim()),
            tvec!(1.to_dim(), 1.to_dim()),
        ))
        .then(AxisOp::Rm(5))
        .then(AxisOp::Rm(4));
    assert!(behind.claims(1, 0, 0).is_ok());
    let before = Graph::new()
        .then(AxisOp::Reshape(
            0,
            tvec!(1.to_dim()),
            tvec!(1.to_dim(), 1.to_dim()),
        ))
        .then(AxisOp::Rm(0));
    assert!(before.claims(1, 0, 0).is_ok());
}

#[test]
fn one_output_that_depends_on_the_image() {
    let mut graph = Graph::new();
    graph.last = graph.zeros(&[1, CHANNELS, SIDE, SIDE]);
    refused_words(graph, "does not depend on the image");
    let mut graph = Graph::new().then(math::abs());
    let output = graph.model.nodes[1].outputs[0].clone();
    graph.model.nodes[1].outputs.push(output);
    refused_words(graph, "2 outputs");
    let mut model = Graph::new().finish();
    let empty = check(&model, &Network::new(Vec::new(), 0));
    assert!(unproved(empty, "empty"));
    model.outputs.push(model.outputs[0]);
    let network = Network::new(Vec::new(), 0);
    assert!(unproved(check(&model, &network), "must be one"));
}

fn refused_words(graph: Graph, words: &str) {
    assert!(unproved(graph.claims(1, 0, 0), words), "{words}");
}

#[test]
fn values_meet_cell_by_cell() {
    // One branch reads two rows down.
    let down = Graph::new().conv(windows([3, 1], 1, 1, [(0, 2), (0, 0)]));
    let both = |graph: Graph| graph.with(math::add(), &[OutletId::new(0, 0)]);
    assert!(displaced(both(down).claims(1, 0, 1)));
    let down = Graph::new().conv(windows([3, 1], 1, 1, [(0, 2), (0, 0)]));
    assert!(both(down).claims(1, 0, 2).is_ok());
    // One row for all rows.
    let one_row = Graph::new().conv(windows([9, 1], 1, 1, [(0, 0), (0, 0)]));
    assert!(unproved(both(one_row).claims(1, -8, 8), "repeats"));
    // The same where the row comes second, and the sum has as many rows as the first.
    let one_row = Graph::new().conv(windows([9, 1], 1, 1, [(0, 0), (0, 0)]));
    let row = one_row.last;
    let image_first = Graph {
        last: OutletId::new(0, 0),
        ..one_row
    };
    let sum = image_first.with(math::add(), &[row]);
    assert!(unproved(sum.claims(1, -8, 8), "repeats"));
    let mut one_row = Graph::new().conv(windows([9, 1], 1, 1, [(0, 0), (0, 0)]));
    let rows = one_row.zeros(&[1, 1, SIDE, 1]);
    assert!(unproved(
        one_row.with(math::add(), &[rows]).claims(1, -8, 8),
        "repeats"
    ));
    let shape = [1, CHANNELS, SIDE, SIDE].iter().map(|dim| dim.to_dim());
    let one_row = Graph::new()
        .conv(windows([9, 1], 1, 1, [(0, 0), (0, 0)]))
        .then(MultiBroadcastTo {
            shape: shape.collect(),
        });
    assert!(unproved(one_row.claims(1, -8, 8), "not on the list"));
    let joined = |axis| Graph::new().with(TypedConcat::new(axis), &[OutletId::new(0, 0)]);
    assert!(joined(1).claims(1, 0, 0).is_ok());
    assert!(unproved(joined(2).claims(1, 0, 0), "joins"));
}

#[test]
fn values_of_other_strides_do_not_meet() {
    // Four cells each, two pixels or one apart.
    let image = OutletId::new(0, 0);
    let strided = windows([3, 3], 2, 1, [(0, 0); 2]);
    let strided = Graph::new().conv(strided);
    let other = strided.last;
    let cut = |axis| Slice::new(axis, 0.to_dim(), 4.to_dim());
    let graph = Graph {
        last: image,
        ..strided
    };
    let met = graph.then(cut(2)).then(cut(3)).with(math::add(), &[other]);
    refused_words(met, "different stride");
    // Of a single cell, number 0, there is no stride.
    let whole = |stride| windows([SIDE, SIDE], stride, 1, [(0, 0); 2]);
    let graph = Graph::new().conv(whole(2));
    let other = graph.last;
    let graph = Graph {
        last: image,
        ..graph
    };
    let met = graph.conv(whole(1)).with(math::add(), &[other]);
    assert!(met.claims(1, 0, 8).is_ok());
}

#[test]
fn values_that_pass_through() {
    assert!(
        Graph::new()
            .then(cast(DatumType::F32))
            .claims(1, 0, 0)
            .is_ok()
    );
    assert!(Graph::new().then(Identity).claims(1, 0, 0).is_ok());
    assert!(Graph::new().then(math::abs()).claims(1, 0, 0).is_ok());
}

/// Weights that depend on the image, over an input that does not.
#[test]
fn maps_are_not_weights() {
    let mut graph = Graph::new();
    let bias = graph.value(tensor0(0f32));
    let image = graph.last;
    graph.last = graph.zeros(&[1, CHANNELS, SIDE, SIDE]);
    let mut spec = windows([SIDE, SIDE], 1, 1, [(0, 0); 2]);
    spec.output_channels = 1;
    refused_words(graph.with(conv(spec), &[image, bias]), "must read one map");
}

/// A single row may lose its axis: what is done to others then does not move it.
#[test]
fn a_row_without_an_axis() {
    let row = || {
        let fourth = Slice::new(2, 4.to_dim(), 5.to_dim());
        Graph::new().then(fourth)
    };
    let cut = || Slice::new(2, 1.to_dim(), SIDE.to_dim());
    let taken = || row().then(AxisOp::Rm(2)).then(cut());
    assert!(taken().then(AxisOp::Add(2)).claims(1, 1, 4).is_ok());
    assert!(displaced(taken().then(AxisOp::Add(2)).claims(1, 1, 3)));
    // Summed away, which is the same for one row.
    let summed = |formula: &str| {
        let mut graph = row();
        let constant = graph.zeros(&[CHANNELS, CHANNELS]);
        let axes: AxesMapping = formula.parse().unwrap();
        graph.with(EinSum::new(axes, DatumType::F32), &[constant])
    };
    let gone = || summed("nchw,kc->nkw").then(cut());
    assert!(gone().then(AxisOp::Add(2)).claims(1, 1, 4).is_ok());
    // Such a row is not the rows of a map.
    let model = gone().then(AxisOp::Add(2)).finish();
    let node = |height, width| Node {
        name: "claimed".into(),
        op: Op::Input,
        shape: MapShape {
            channels: CHANNELS,
            height,
            width,
        },
        y: Reach {
            stride: 1,
            lo: -8,
            hi: 8,
        },
        x: Reach {
            stride: 1,
            lo: 1,
            hi: 1,
        },
    };
    let claimed = |rows| Network::new(vec![node(SIDE, SIDE), node(rows, SIDE - 1)], 1);
    assert!(check(&model, &claimed(1)).is_ok());
    assert!(unproved(check(&model, &claimed(2)), "places"));
}

#[test]
fn sums_may_run_over_channels_only() {
    let sum = |formula: &str, constant: &[usize]| {
        let mut graph = Graph::new();
        let constant = graph.zeros(constant);
        let axes: AxesMapping = formula.parse().unwrap();
        graph.with(EinSum::new(axes, DatumType::F32), &[constant])
    };
    assert!(
        sum("nchw,kc->nkhw", &[CHANNELS, CHANNELS])
            .claims(1, 0, 0)
            .is_ok()
    );
    // Over columns, and rows taken for channels.
    assert!(unproved(
        sum("nchw,kw->nchk", &[SIDE, SIDE]).claims(1, -8, 8),
        "sums over"
    ));
    assert!(unproved(
        sum("nchw,kc->nkwh", &[CHANNELS, CHANNELS]).claims(1, 0, 0),
        "places"
    ));
    let mean = Reduce::new(tvec!(2), Reducer::Sum);
    assert!(unproved(
        Graph::new().then(mean).claims(1, -8, 8),
        "combines cells"
    ));
    let over_channels = Graph::new().then(Reduce::new(tvec!(1), Reducer::Max));
    assert!(over_channels.claims(1, 0, 0).is_ok());
}

/// An axis of length 1 that a constant repeats: all rows of the sum tell of the same pixels.
#[test]
fn sums_may_not_repeat_a_row() {
    let sum = |rows: usize| {
        let mut graph = Graph::new().conv(windows([SIDE, 1], 1, 1, [(0, 0), (0, 0)]));
        let constant = graph.zeros(&[CHANNELS, CHANNELS, rows]);
        let axes: AxesMapping = "nchw,kch->nkhw".parse().unwrap();
        graph.with(EinSum::new(axes, DatumType::F32), &[constant])
    };
    assert!(unproved(sum(SIDE).claims(1, 0, 8), "repeats"));
    assert!(sum(1).claims(1, 0, 8).is_ok());
}
