//! Models that are not local: each refused, naming the node, the operation and the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::onnx::{Attr, Builder};
use common::oracle::{admitted, holds, refusal};
use tract_onnx::pb::GraphProto;

fn ints(values: &[i64]) -> Attr {
    Attr::Ints(values.to_vec())
}

/// A 4-channel map of 8x8 cells, then what `build` makes, as the output. The refusal must hold
/// all `words`.
fn refused(words: &[&str], build: impl FnOnce(&mut Builder, &str) -> String) {
    let mut b = Builder::new(8, 8);
    let stem = b.conv(
        "stem",
        "image",
        (3, 4),
        (3, 3),
        &[("pads", ints(&[1, 1, 1, 1]))],
    );
    let last = build(&mut b, &stem);
    b.output(&last);
    holds(&refusal(&b), words);
}

#[test]
fn what_mixes_distant_cells() {
    for op in ["GlobalAveragePool", "GlobalMaxPool"] {
        refused(&["\"far\"", op, "whole map"], |b, x| {
            let pooled = b.op(op, "far", &[x], &[]);
            b.op("Add", "sum", &[x, &pooled], &[])
        });
    }
    for op in ["ReduceMean", "ReduceMax", "ReduceSum", "ReduceL2"] {
        refused(&["\"far\"", op, "along an axis"], |b, x| {
            let mean = b.op(op, "far", &[x], &[("axes", ints(&[2]))]);
            b.op("Sub", "centred", &[x, &mean], &[])
        });
    }
    // Over everything, or with the axes as an input.
    refused(&["far", "distant cells"], |b, x| {
        let mean = b.op("ReduceMean", "far", &[x], &[]);
        b.op("Sub", "centred", &[x, &mean], &[])
    });
    refused(&["far", "distant cells"], |b, x| {
        b.model.opset_import[0].version = 18;
        let axes = b.integers("axes", &[1, 3]);
        let mean = b.op("ReduceMean", "far", &[x, &axes], &[]);
        b.op("Sub", "centred", &[x, &mean], &[])
    });
    refused(&["\"far\"", "ReduceMean", "keepdims"], |b, x| {
        let attributes = [("axes", ints(&[1])), ("keepdims", 0.into())];
        b.op("ReduceMean", "far", &[x], &attributes)
    });
    for (op, word) in [
        ("GroupNormalization", "statistics"),
        ("LayerNormalization", "statistics"),
        ("LpNormalization", "statistics"),
        ("MeanVarianceNormalization", "statistics"),
        ("ArgMax", "along an axis"),
        ("TopK", "along an axis"),
        ("Attention", "not on the list"),
        ("RotaryEmbedding", "not on the list"),
        ("LSTM", "recurrence"),
        ("Einsum", "mixes cells"),
        ("DFT", "not on the list"),
    ] {
        refused(&["\"far\"", op, word], |b, x| {
            let weights = b.weights("weights", &[4], 1.0);
            b.op(op, "far", &[x, &weights, &weights], &[])
        });
    }
    refused(
        &["\"far\"", "InstanceNormalization", "statistics"],
        |b, x| {
            let scale = b.weights("scale", &[4], 1.0);
            let shift = b.weights("shift", &[4], 1.0);
            b.op("InstanceNormalization", "far", &[x, &scale, &shift], &[])
        },
    );
    for axis in [1i64, 2, 3, -1] {
        refused(&["\"far\"", "Softmax", "logits"], |b, x| {
            b.op("Softmax", "far", &[x], &[("axis", axis.into())])
        });
    }
    refused(&["\"far\"", "CumSum"], |b, x| {
        let axis = b.integers("axis", &[3]);
        b.op("CumSum", "far", &[x, &axis], &[])
    });
    refused(
        &[
            "\"q\"",
            "DynamicQuantizeLinear",
            "maximum over the whole map",
        ],
        |b, x| {
            b.op("DynamicQuantizeLinear", "q", &[x], &[]);
            let node = b.graph().node.last_mut().unwrap();
            node.output
                .extend(["scale".to_string(), "zero".to_string()]);
            b.op("DequantizeLinear", "back", &["q", "scale", "zero"], &[])
        },
    );
}

#[test]
fn squeeze_and_excite() {
    refused(&["\"squeeze\"", "GlobalAveragePool"], |b, x| {
        let pooled = b.op("GlobalAveragePool", "squeeze", &[x], &[]);
        let gate = b.conv("excite", &pooled, (4, 4), (1, 1), &[]);
        let gate = b.op("Sigmoid", "gate", &[&gate], &[]);
        b.op("Mul", "scaled", &[x, &gate], &[])
    });
    // The same with a pool that is a window over the whole map: it is local by itself, but its
    // one cell may not be repeated over space.
    refused(
        &["\"scaled\"", "Mul", "repeating cells over space"],
        |b, x| {
            let pooled = b.op(
                "AveragePool",
                "squeeze",
                &[x],
                &[("kernel_shape", ints(&[8, 8]))],
            );
            let gate = b.conv("excite", &pooled, (4, 4), (1, 1), &[]);
            b.op("Mul", "scaled", &[x, &gate], &[])
        },
    );
    // Nor one row over all rows.
    refused(&["\"scaled\"", "repeating cells over space"], |b, x| {
        let pooled = b.op(
            "MaxPool",
            "squeeze",
            &[x],
            &[("kernel_shape", ints(&[8, 1]))],
        );
        b.op("Mul", "scaled", &[&pooled, x], &[])
    });
    // Nor by a constant that is larger than the map, in one direction or both.
    for kernel in [[8, 8], [8, 1], [1, 8]] {
        refused(&["\"scaled\"", "constant of 8x8"], |b, x| {
            let pooled = b.op(
                "AveragePool",
                "squeeze",
                &[x],
                &[("kernel_shape", ints(&kernel))],
            );
            let ones = b.constant("ones", &[1, 1, 8, 8], &[1.0; 64]);
            b.op("Mul", "scaled", &[&pooled, &ones], &[])
        });
    }
}

/// Attention as exporters write it out: maps flattened, multiplied, normalised.
#[test]
fn attention_written_out() {
    refused(&["\"key\"", "Transpose"], |b, x| {
        let shape = b.integers("shape", &[1, 4, 64]);
        let query = b.op("Reshape", "query", &[x, &shape], &[]);
        let key = b.op("Transpose", "key", &[&query], &[("perm", ints(&[0, 2, 1]))]);
        let weights = b.op("MatMul", "weights", &[&key, &query], &[]);
        let weights = b.op("Softmax", "attention", &[&weights], &[]);
        let mixed = b.op("MatMul", "mixed", &[&query, &weights], &[]);
        let back = b.integers("back", &[1, 4, 8, 8]);
        b.op("Reshape", "out", &[&mixed, &back], &[])
    });
}

/// One number made of the whole image decides what every cell says.
#[test]
fn a_global_trigger() {
    // By a pool over the whole map.
    refused(&["\"trigger\"", "GlobalMaxPool"], |b, x| {
        let trigger = b.op("GlobalMaxPool", "trigger", &[x], &[]);
        let half = b.constant("half", &[], &[0.5]);
        let is_set = b.op("Greater", "is_set", &[&trigger, &half], &[]);
        let other = b.op("Neg", "other", &[x], &[]);
        b.op("Where", "chosen", &[&is_set, &other, x], &[])
    });
    // By local operations only, whose one cell is repeated: the repeating is refused.
    for gate in ["Mul", "Add", "Max"] {
        refused(&["\"chosen", gate, "repeating cells over space"], |b, x| {
            let trigger = b.conv("trigger", x, (4, 1), (8, 8), &[]);
            let stepped = b.op("HardSigmoid", "stepped", &[&trigger], &[]);
            b.op(gate, "chosen", &[x, &stepped], &[])
        });
    }
    refused(&["\"is_set\"", "Greater"], |b, x| {
        let trigger = b.conv("trigger", x, (4, 1), (8, 8), &[]);
        let half = b.constant("half", &[], &[0.5]);
        let is_set = b.op("Greater", "is_set", &[&trigger, &half], &[]);
        let other = b.op("Neg", "other", &[x], &[]);
        b.op("Where", "chosen", &[&is_set, &other, x], &[])
    });
}

#[test]
fn what_moves_cells() {
    refused(&["\"turned\"", "Transpose"], |b, x| {
        b.op(
            "Transpose",
            "turned",
            &[x],
            &[("perm", ints(&[0, 1, 3, 2]))],
        )
    });
    refused(&["\"flat\"", "Flatten"], |b, x| {
        let flat = b.op("Flatten", "flat", &[x], &[("axis", 1.into())]);
        let weights = b.weights("weights", &[256, 10], 0.1);
        b.op("Gemm", "gemm", &[&flat, &weights], &[])
    });
    refused(&["\"mixed\"", "MatMul"], |b, x| {
        let weights = b.weights("weights", &[8, 8], 0.1);
        b.op("MatMul", "mixed", &[x, &weights], &[])
    });
    refused(&["\"larger\"", "Resize"], |b, x| {
        let roi = b.constant("roi", &[1], &[0.0]);
        let scales = b.constant("scales", &[4], &[1.0, 1.0, 2.0, 2.0]);
        b.op("Resize", "larger", &[x, &roi, &scales], &[])
    });
    refused(&["\"picked\"", "Gather"], |b, x| {
        let indices = b.integers("indices", &[7, 6, 5, 4, 3, 2, 1, 0]);
        b.op("Gather", "picked", &[x, &indices], &[("axis", 3.into())])
    });
    refused(&["\"reshaped", "not on the list"], |b, x| {
        let shape = b.integers("shape", &[1, 4, 64]);
        b.op("Reshape", "reshaped", &[x, &shape], &[])
    });
    // Of rank 4 again, but with space and channels mixed.
    refused(&["\"reshaped", "not on the list"], |b, x| {
        let shape = b.integers("shape", &[1, 8, 4, 8]);
        b.op("Reshape", "reshaped", &[x, &shape], &[])
    });
    refused(&["\"flipped\"", "steps other than 1"], |b, x| {
        let (starts, ends) = (b.integers("starts", &[-1]), b.integers("ends", &[i64::MIN]));
        let (axes, steps) = (b.integers("axes", &[3]), b.integers("steps", &[-1]));
        b.op("Slice", "flipped", &[x, &starts, &ends, &axes, &steps], &[])
    });
    // A roll: the last columns first.
    refused(&["\"rolled\"", "only channels"], |b, x| {
        let axes = b.integers("axes", &[3]);
        let (zero, five, all) = (
            b.integers("zero", &[0]),
            b.integers("five", &[5]),
            b.integers("all", &[8]),
        );
        let left = b.op("Slice", "left", &[x, &zero, &five, &axes], &[]);
        let right = b.op("Slice", "right", &[x, &five, &all, &axes], &[]);
        b.op("Concat", "rolled", &[&right, &left], &[("axis", 3.into())])
    });
    for (op, word) in [
        ("SpaceToDepth", "moves or repeats"),
        ("DepthToSpace", "moves or repeats"),
        ("Tile", "moves or repeats"),
        ("Expand", "moves or repeats"),
        ("GatherND", "by index"),
        ("ScatterND", "by index"),
        ("GridSample", "resamples"),
        ("ReverseSequence", "not on the list"),
        ("Compress", "not on the list"),
        ("RoiAlign", "not on the list"),
        ("MaxUnpool", "not on the list"),
        ("Col2Im", "not on the list"),
        ("RandomNormalLike", "not on the list"),
    ] {
        refused(&["\"moved\"", op, word], |b, x| {
            b.op(op, "moved", &[x], &[("blocksize", 2.into())])
        });
    }
    refused(&["\"joined\"", "only channels"], |b, x| {
        b.op("Concat", "joined", &[x, x], &[("axis", 3.into())])
    });
    refused(&["\"mirrored\"", "repeats cells"], |b, x| {
        let pads = b.integers("pads", &[0, 0, 2, 2, 0, 0, 2, 2]);
        b.op(
            "Pad",
            "mirrored",
            &[x, &pads],
            &[("mode", "reflect".into())],
        )
    });
    refused(&["\"up\"", "ConvTranspose", "resamples"], |b, x| {
        let weights = b.weights("weights", &[4, 4, 2, 2], 0.1);
        b.op(
            "ConvTranspose",
            "up",
            &[x, &weights],
            &[("strides", ints(&[2, 2]))],
        )
    });
}

#[test]
fn weights_computed_from_the_image() {
    refused(
        &["\"dynamic\"", "Conv", "\"kernel\"", "depends on the image"],
        |b, x| {
            let kernel = b.conv("kernel", x, (4, 4), (1, 1), &[]);
            b.op("Conv", "dynamic", &[x, &kernel], &[])
        },
    );
    refused(
        &["\"bn\"", "BatchNormalization", "depends on the image"],
        |b, x| {
            let one = b.positive("one", &[4], 1.0);
            b.op("BatchNormalization", "bn", &[x, &one, &one, x, &one], &[])
        },
    );
    refused(&["\"clip\"", "Clip", "depends on the image"], |b, x| {
        b.op("Clip", "clip", &[x, x], &[])
    });
}

#[test]
fn training_mode() {
    refused(
        &["\"bn\"", "BatchNormalization", "training mode"],
        |b, x| {
            let (scale, shift) = (b.weights("scale", &[4], 1.0), b.weights("shift", &[4], 1.0));
            let (mean, var) = (b.weights("mean", &[4], 1.0), b.positive("var", &[4], 1.0));
            let inputs = [x, &scale, &shift, &mean, &var];
            b.op(
                "BatchNormalization",
                "bn",
                &inputs,
                &[("training_mode", 1.into())],
            )
        },
    );
    refused(&["\"drop\"", "Dropout", "training"], |b, x| {
        b.op("Dropout", "drop", &[x], &[])
    });
}

#[test]
fn control_flow_and_foreign_operators() {
    refused(&["\"branch\"", "If", "control flow"], |b, _| {
        let condition = b.constant("condition", &[1], &[1.0]);
        let graph = Attr::Graph(GraphProto::default());
        let both = [("then_branch", graph.clone()), ("else_branch", graph)];
        b.op("If", "branch", &[&condition], &both)
    });
    refused(&["\"loop\"", "Loop", "control flow"], |b, x| {
        b.op(
            "Loop",
            "loop",
            &["", "", x],
            &[("body", Attr::Graph(GraphProto::default()))],
        )
    });
    refused(&["\"scan\"", "Scan", "control flow"], |b, x| {
        let body = ("body", Attr::Graph(GraphProto::default()));
        b.op("Scan", "scan", &[x], &[body, ("num_scan_inputs", 1.into())])
    });
    // The library would run the standard operator of the same name.
    refused(&["\"custom\"", "com.example.Relu", "domain"], |b, x| {
        b.op("Relu", "custom", &[x], &[]);
        b.graph().node.last_mut().unwrap().domain = "com.example".into();
        "custom".into()
    });
    refused(&["\"unknown\"", "Frobnicate", "not on the list"], |b, x| {
        b.op("Frobnicate", "unknown", &[x], &[])
    });
}

#[test]
fn attributes_that_are_not_plain() {
    let conv = |b: &mut Builder, x: &str, attribute: (&str, Attr)| {
        b.conv("odd", x, (4, 4), (1, 1), &[attribute])
    };
    let graph = || Attr::Graph(GraphProto::default());
    refused(&["\"odd\"", "\"group\" appears twice"], |b, x| {
        conv(b, x, ("group", 1.into()));
        let node = b.graph().node.last_mut().unwrap();
        let group = node.attribute.last().unwrap().clone();
        node.attribute.push(group);
        "odd".into()
    });
    refused(&["\"odd\"", "function's attribute"], |b, x| {
        conv(b, x, ("group", 1.into()));
        let node = b.graph().node.last_mut().unwrap();
        node.attribute.last_mut().unwrap().ref_attr_name = "outer".into();
        "odd".into()
    });
    refused(&["\"odd\"", "holds a graph"], |b, x| {
        conv(b, x, ("body", graph()))
    });
    refused(&["\"odd\"", "\"scale\" is out of range"], |b, x| {
        conv(b, x, ("scale", (1i64 << 41).into()))
    });
    refused(&["\"odd\"", "\"group\" is 0"], |b, x| {
        conv(b, x, ("group", 1.into()));
        let node = b.graph().node.last_mut().unwrap();
        node.attribute.last_mut().unwrap().i = 0;
        "odd".into()
    });
}

#[test]
fn a_dead_end_is_refused_too() {
    refused(&["\"dead\"", "GlobalAveragePool"], |b, x| {
        b.op("GlobalAveragePool", "dead", &[x], &[]);
        x.into()
    });
}

#[test]
fn branches_that_do_not_match() {
    refused(&["\"sum\"", "4x4 and 4x5"], |b, x| {
        let one = b.conv("one", x, (4, 4), (2, 2), &[("strides", ints(&[2, 2]))]);
        let two = b.conv("two", x, (4, 4), (5, 4), &[]);
        b.op("Add", "sum", &[&one, &two], &[])
    })
}

/// What the library finds wrong with the graph is said, with its words.
#[test]
fn graphs_that_do_not_type() {
    refused(&["cannot be analysed", "conv"], |b, x| {
        let weights = b.weights("weights", &[4, 5, 1, 1], 1.0);
        b.op("Conv", "conv", &[x, &weights], &[])
    });
}

#[test]
fn branches_of_different_stride() {
    refused(&["\"sum\"", "strides 2 and 1"], |b, x| {
        let one = b.conv("one", x, (4, 4), (2, 2), &[("strides", ints(&[2, 2]))]);
        let two = b.conv("two", x, (4, 4), (5, 5), &[]);
        b.op("Add", "sum", &[&one, &two], &[])
    });
    refused(&["\"joined\"", "different strides"], |b, x| {
        let one = b.conv("one", x, (4, 4), (2, 2), &[("strides", ints(&[2, 2]))]);
        let two = b.conv("two", x, (4, 4), (5, 5), &[]);
        b.op("Concat", "joined", &[&one, &two], &[("axis", 1.into())])
    });
}

#[test]
fn values_that_are_not_finite() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        refused(&["\"conv\"", "Conv", &value.to_string()], |b, x| {
            let mut values = [0.5; 16];
            values[7] = value;
            let weights = b.constant("weights", &[4, 4, 1, 1], &values);
            b.op("Conv", "conv", &[x, &weights], &[])
        });
        refused(&["\"conv\"", "Conv", &value.to_string()], |b, x| {
            let weights = b.weights("weights", &[4, 4, 1, 1], 1.0);
            let bias = b.constant("bias", &[4], &[0.0, value, 0.0, 0.0]);
            b.op("Conv", "conv", &[x, &weights, &bias], &[])
        });
        refused(&["\"scaled\"", "Mul", &value.to_string()], |b, x| {
            let scale = b.constant("scale", &[4, 1, 1], &[1.0, 1.0, value, 1.0]);
            b.op("Mul", "scaled", &[x, &scale], &[])
        });
    }
}

/// The library lists the taps of each window that reads padding: for this one pool, 690 MB.
#[test]
fn windows_with_a_border_of_too_many_kinds() {
    let pool = |op: &str, kernel: i64| {
        let mut b = Builder::new(200, 200);
        let pad = (kernel - 1) / 2;
        let attributes = [
            ("kernel_shape", ints(&[kernel; 2])),
            ("pads", ints(&[pad; 4])),
        ];
        let pool = b.op(op, "pool", &["image"], &attributes);
        b.output(&pool);
        b
    };
    for op in ["MaxPool", "AveragePool"] {
        assert_eq!(admitted(&pool(op, 61)).geometry().x.receptive_field(), 61);
        holds(&refusal(&pool(op, 81)), &["\"pool\"", "81x81", "padding"]);
    }
}

#[test]
fn truth_values_are_not_logits() {
    refused(&["not on the list"], |b, x| {
        let zero = b.constant("zero", &[], &[0.0]);
        let scores = b.op("GreaterOrEqual", "scores", &[x, &zero], &[]);
        b.op("Cast", "numbers", &[&scores], &[("to", 1.into())])
    });
}
