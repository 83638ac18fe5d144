//! Models of local operations: admitted, with exactly the intervals that the definition gives,
//! that pixels confirm, and that the network's description reproduces.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bagcert_certifier::Axis;
use common::onnx::{Attr, Builder, small_classifier};
use common::oracle::{admitted, check_model};

/// (stride, lo, hi) and the number of cells.
type Expected = (u32, i32, i32, u32);

fn found(axis: &Axis) -> Expected {
    (axis.stride(), axis.lo(), axis.hi(), axis.outputs())
}

/// Checks a model made of `build` and a 1x1 head against the intervals along x and y.
fn expect(
    (height, width): (usize, usize),
    (y, x): (Expected, Expected),
    channels: usize,
    build: impl FnOnce(&mut Builder) -> String,
) {
    expect_with((height, width), (y, x), channels, true, build);
}

fn expect_with(
    (height, width): (usize, usize),
    (y, x): (Expected, Expected),
    channels: usize,
    exact: bool,
    build: impl FnOnce(&mut Builder) -> String,
) {
    let mut b = Builder::new(height, width);
    let last = build(&mut b);
    let logits = b.conv("logits", &last, (channels, 4), (1, 1), &[]);
    b.output(&logits);
    let model = check_model(&b, exact);
    assert_eq!(found(&model.geometry().y), y, "y");
    assert_eq!(found(&model.geometry().x), x, "x");
    assert_eq!(model.geometry().x.inputs() as usize, width);
    assert_eq!(model.geometry().y.inputs() as usize, height);
    let shape = (
        model.shape().classes(),
        model.shape().height(),
        model.shape().width(),
    );
    assert_eq!(shape, (4, y.3 as usize, x.3 as usize));
}

fn ints(values: &[i64]) -> Attr {
    Attr::Ints(values.to_vec())
}

#[test]
fn valid_convolution() {
    expect((9, 11), ((1, 0, 2, 7), (1, 0, 4, 7)), 5, |b| {
        b.conv("conv", "image", (3, 5), (3, 5), &[])
    });
}

#[test]
fn even_kernel_and_uneven_padding() {
    // pads: top, left, bottom, right.
    expect((10, 10), ((1, -1, 0, 10), (1, -2, 1, 9)), 5, |b| {
        b.conv(
            "conv",
            "image",
            (3, 5),
            (2, 4),
            &[("pads", ints(&[1, 2, 0, 0]))],
        )
    });
}

#[test]
fn same_upper_and_lower() {
    // An even kernel puts the odd cell of padding after (upper) or before (lower).
    expect((9, 9), ((1, -1, 2, 9), (1, -1, 2, 9)), 5, |b| {
        b.conv(
            "conv",
            "image",
            (3, 5),
            (4, 4),
            &[("auto_pad", "SAME_UPPER".into())],
        )
    });
    expect((9, 9), ((1, -2, 1, 9), (1, -2, 1, 9)), 5, |b| {
        b.conv(
            "conv",
            "image",
            (3, 5),
            (4, 4),
            &[("auto_pad", "SAME_LOWER".into())],
        )
    });
    // With a stride, how much is padded depends on the size: 9 cells need (5-1)*2+4-9 = 3, of
    // which 1 before; 10 cells need 2.
    let strided = [
        ("auto_pad", "SAME_UPPER".into()),
        ("strides", ints(&[2, 2])),
    ];
    expect((9, 10), ((2, -1, 2, 5), (2, -1, 2, 5)), 5, |b| {
        b.conv("conv", "image", (3, 5), (4, 4), &strided)
    });
    let strided = [
        ("auto_pad", "SAME_LOWER".into()),
        ("strides", ints(&[2, 2])),
    ];
    expect((9, 10), ((2, -2, 1, 5), (2, -1, 2, 5)), 5, |b| {
        b.conv("conv", "image", (3, 5), (4, 4), &strided)
    });
}

#[test]
fn dilation_and_stride_by_axis() {
    // y: kernel 3, dilation 2, field 5, stride 1; x: kernel 2, dilation 3, field 4, stride 2.
    let attributes = [
        ("dilations", ints(&[2, 3])),
        ("strides", ints(&[1, 2])),
        ("pads", ints(&[2, 0, 2, 0])),
    ];
    expect((9, 12), ((1, -2, 2, 9), (2, 0, 3, 5)), 5, |b| {
        b.conv("conv", "image", (3, 5), (3, 2), &attributes)
    });
}

#[test]
fn stacked_strides() {
    // 2*i-1 ..= 2*i+1, then 3*j ..= 3*j+1: pixels 6j-1 ..= 6j+3; then 2 with one cell before.
    expect((38, 38), ((12, -7, 3, 3), (12, -7, 3, 3)), 6, |b| {
        let pads = ("pads", ints(&[1, 1, 1, 1]));
        let one = b.conv(
            "one",
            "image",
            (3, 5),
            (3, 3),
            &[("strides", ints(&[2, 2])), pads],
        );
        let one = b.op("LeakyRelu", "one.leaky", &[&one], &[("alpha", 0.5.into())]);
        let two = b.conv("two", &one, (5, 5), (2, 2), &[("strides", ints(&[3, 3]))]);
        let pads = ("pads", ints(&[1, 1, 0, 0]));
        b.conv(
            "three",
            &two,
            (5, 6),
            (2, 2),
            &[("strides", ints(&[2, 2])), pads],
        )
    });
}

#[test]
fn the_last_pixels_may_be_read_by_no_cell() {
    // 10 pixels, kernel 3, stride 4: cells at 0..=2 and 4..=6; 7 to 9 are never read.
    expect((10, 10), ((4, 0, 2, 2), (4, 0, 2, 2)), 5, |b| {
        b.conv(
            "conv",
            "image",
            (3, 5),
            (3, 3),
            &[("strides", ints(&[4, 4]))],
        )
    });
}

#[test]
fn depthwise_and_grouped() {
    let pads = || ("pads", ints(&[1, 1, 1, 1]));
    expect((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 3, |b| {
        b.conv(
            "depthwise",
            "image",
            (3, 3),
            (3, 3),
            &[("group", 3.into()), pads()],
        )
    });
    expect((8, 8), ((1, -2, 2, 8), (1, -2, 2, 8)), 9, |b| {
        let wide = b.conv("wide", "image", (3, 6), (3, 3), &[pads()]);
        b.conv(
            "grouped",
            &wide,
            (6, 9),
            (3, 3),
            &[("group", 3.into()), pads()],
        )
    });
}

#[test]
fn residual_with_unequal_branches() {
    // One branch reads -2..=0, the other 0..=1, the identity 0: the hull is -2..=1.
    expect((8, 9), ((1, -2, 1, 8), (1, -2, 1, 9)), 3, |b| {
        let left = b.conv(
            "left",
            "image",
            (3, 3),
            (3, 3),
            &[("pads", ints(&[2, 2, 0, 0]))],
        );
        let right = b.conv(
            "right",
            "image",
            (3, 3),
            (2, 2),
            &[("pads", ints(&[0, 0, 1, 1]))],
        );
        let sum = b.op("Add", "sum", &[&left, &right], &[]);
        b.op("Add", "residual", &[&sum, "image"], &[])
    });
}

#[test]
fn gates_and_sums_of_many() {
    expect_with((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 3, false, |b| {
        let pads = ("pads", ints(&[1, 1, 1, 1]));
        let one = b.conv("one", "image", (3, 3), (3, 3), &[pads]);
        let gate = b.conv("gate", "image", (3, 1), (1, 1), &[]);
        let gate = b.op("Sigmoid", "gate.sigmoid", &[&gate], &[]);
        // One channel, repeated over three: local, unlike one cell repeated over space.
        let gated = b.op("Mul", "gated", &[&one, &gate], &[]);
        let low = b.op("Min", "low", &[&gated, &one], &[]);
        let high = b.op("Max", "high", &[&low, "image"], &[]);
        let difference = b.op("Sub", "difference", &[&high, &one], &[]);
        b.op("Sum", "all", &[&difference, &gated, "image"], &[])
    });
}

#[test]
fn concatenated_channels() {
    expect((8, 8), ((1, -1, 2, 8), (1, -1, 2, 8)), 8, |b| {
        let one = b.conv(
            "one",
            "image",
            (3, 2),
            (3, 3),
            &[("pads", ints(&[1, 1, 1, 1]))],
        );
        let two = b.conv(
            "two",
            "image",
            (3, 2),
            (3, 3),
            &[("pads", ints(&[0, 0, 2, 2]))],
        );
        let fixed = b.weights("position", &[1, 1, 8, 8], 1.0);
        b.op(
            "Concat",
            "joined",
            &[&one, &two, "image", &fixed],
            &[("axis", 1.into())],
        )
    });
}

#[test]
fn pools() {
    let attributes = || vec![("kernel_shape", ints(&[2, 3])), ("strides", ints(&[2, 2]))];
    expect_with((8, 9), ((2, 0, 1, 4), (2, 0, 2, 4)), 3, false, |b| {
        b.op("MaxPool", "max", &["image"], &attributes())
    });
    expect((8, 9), ((2, 0, 1, 4), (2, 0, 2, 4)), 3, |b| {
        b.op("AveragePool", "average", &["image"], &attributes())
    });
    for include in [0, 1] {
        expect((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 3, |b| {
            let attributes = [
                ("kernel_shape", ints(&[3, 3])),
                ("pads", ints(&[1, 1, 1, 1])),
                ("count_include_pad", include.into()),
            ];
            b.op("AveragePool", "average", &["image"], &attributes)
        });
        // Rounded up: 8 cells give 3 windows of 3 in steps of 3, the last cut off.
        expect((8, 8), ((3, 0, 2, 3), (3, 0, 2, 3)), 3, |b| {
            let attributes = [
                ("kernel_shape", ints(&[3, 3])),
                ("strides", ints(&[3, 3])),
                ("ceil_mode", 1.into()),
                ("count_include_pad", include.into()),
            ];
            b.op("AveragePool", "average", &["image"], &attributes)
        });
    }
    // A pool over the whole map is a window like any other: every cell sees every pixel.
    let mut b = Builder::new(6, 6);
    let pool = b.op(
        "AveragePool",
        "all",
        &["image"],
        &[("kernel_shape", ints(&[6, 6]))],
    );
    let logits = b.conv("logits", &pool, (3, 4), (1, 1), &[]);
    b.output(&logits);
    let model = check_model(&b, true);
    assert_eq!(found(&model.geometry().x), (1, 0, 5, 1));
}

#[test]
fn batch_norm_in_inference() {
    expect((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 4, |b| {
        let conv = b.conv(
            "conv",
            "image",
            (3, 4),
            (3, 3),
            &[("pads", ints(&[1, 1, 1, 1]))],
        );
        let scale = b.weights("bn.scale", &[4], 1.0);
        let shift = b.weights("bn.bias", &[4], 1.0);
        let mean = b.weights("bn.mean", &[4], 0.5);
        let variance = b.positive("bn.var", &[4], 2.0);
        let inputs = [conv.as_str(), &scale, &shift, &mean, &variance];
        let bn = b.op(
            "BatchNormalization",
            "bn",
            &inputs,
            &[("epsilon", 1e-3.into())],
        );
        b.op("LeakyRelu", "leaky", &[&bn], &[("alpha", 0.1.into())])
    });
}

/// Normalisation of each cell over its channels, as ConvNeXt has it, written out.
#[test]
fn normalised_over_channels() {
    for as_input in [false, true] {
        let field = (1, 0, 2, 7);
        expect((9, 9), (field, field), 6, |b| {
            if as_input {
                b.model.opset_import[0].version = 18;
            }
            let mean = |b: &mut Builder, name: &str, x: &str| {
                if as_input {
                    let axes = b.integers(&format!("{name}.axes"), &[-3]);
                    b.op("ReduceMean", name, &[x, &axes], &[])
                } else {
                    b.op("ReduceMean", name, &[x], &[("axes", ints(&[1]))])
                }
            };
            let conv = b.conv("conv", "image", (3, 6), (3, 3), &[]);
            let mu = mean(b, "mean", &conv);
            let centred = b.op("Sub", "centred", &[&conv, &mu], &[]);
            let squared = b.op("Mul", "squared", &[&centred, &centred], &[]);
            let variance = mean(b, "variance", &squared);
            let epsilon = b.constant("epsilon", &[], &[1e-5]);
            let sum = b.op("Add", "sum", &[&variance, &epsilon], &[]);
            let deviation = b.op("Sqrt", "deviation", &[&sum], &[]);
            let scaled = b.op("Div", "scaled", &[&centred, &deviation], &[]);
            let gain = b.weights("gain", &[6, 1, 1], 1.0);
            b.op("Mul", "normalised", &[&scaled, &gain], &[])
        });
    }
    for op in ["ReduceMax", "ReduceMin", "ReduceSum"] {
        let field = (1, 0, 2, 7);
        expect_with((9, 9), (field, field), 6, false, |b| {
            // The axes of a sum are an input since opset 13, those of a maximum since 18.
            b.model.opset_import[0].version = 18;
            let conv = b.conv("conv", "image", (3, 6), (3, 3), &[]);
            let axes = b.integers("axes", &[1]);
            let one = b.op(op, "one", &[&conv, &axes], &[]);
            b.op("Sub", "less", &[&conv, &one], &[])
        });
    }
}

#[test]
fn padding_and_cutting_shift_the_interval() {
    // Two rows above: cell i is cell i-2. Cut from column 3: cell i is cell i+3.
    expect((8, 9), ((1, -3, -1, 11), (1, 2, 4, 5)), 4, |b| {
        let conv = b.conv(
            "conv",
            "image",
            (3, 4),
            (3, 3),
            &[("pads", ints(&[1, 1, 1, 1]))],
        );
        let pads = b.integers("pads", &[0, 0, 2, 0, 0, 0, 1, 0]);
        let value = b.constant("value", &[], &[0.5]);
        let padded = b.op("Pad", "padded", &[&conv, &pads, &value], &[]);
        let starts = b.integers("starts", &[3]);
        let ends = b.integers("ends", &[8]);
        let axes = b.integers("axes", &[3]);
        b.op("Slice", "cut", &[&padded, &starts, &ends, &axes], &[])
    });
    // Channels may be cut and parted freely.
    expect((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 3, |b| {
        let conv = b.conv(
            "conv",
            "image",
            (3, 6),
            (3, 3),
            &[("pads", ints(&[1, 1, 1, 1]))],
        );
        let starts = b.integers("starts", &[2]);
        let ends = b.integers("ends", &[5]);
        let axes = b.integers("axes", &[1]);
        b.op("Slice", "cut", &[&conv, &starts, &ends, &axes], &[])
    });
    // Bounds from the end, past the end, of two axes at once.
    expect((8, 9), ((1, 0, 2, 5), (1, 2, 4, 5)), 4, |b| {
        let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
        let starts = b.integers("starts", &[-5, 0]);
        let ends = b.integers("ends", &[i64::MAX, -1]);
        let axes = b.integers("axes", &[-1, 2]);
        b.op("Slice", "cut", &[&conv, &starts, &ends, &axes], &[])
    });
}

#[test]
fn parted_channels() {
    expect((8, 8), ((1, -1, 1, 8), (1, -1, 1, 8)), 3, |b| {
        let conv = b.conv(
            "conv",
            "image",
            (3, 6),
            (3, 3),
            &[("pads", ints(&[1, 1, 1, 1]))],
        );
        let sizes = b.integers("sizes", &[3, 3]);
        b.op("Split", "first", &[&conv, &sizes], &[("axis", 1.into())]);
        let graph = b.graph();
        graph.node.last_mut().unwrap().output.push("second".into());
        b.op("Mul", "product", &["first", "second"], &[])
    });
}

#[test]
fn element_wise_functions() {
    for op in [
        "Relu",
        "LeakyRelu",
        "Elu",
        "Selu",
        "Celu",
        "Sigmoid",
        "HardSigmoid",
        "HardSwish",
        "Tanh",
        "Softplus",
        "Softsign",
        "Exp",
        "Abs",
        "Neg",
        "Sign",
        "Floor",
        "Ceil",
        "Round",
        "Sin",
        "Cos",
        "ThresholdedRelu",
        "Identity",
    ] {
        expect_with((5, 5), ((1, 0, 2, 3), (1, 0, 2, 3)), 4, false, |b| {
            let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
            b.op(op, "function", &[&conv], &[])
        });
    }
    for op in ["Sqrt", "Log", "Reciprocal"] {
        expect_with((5, 5), ((1, 0, 2, 3), (1, 0, 2, 3)), 4, false, |b| {
            let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
            let conv = b.op("Abs", "abs", &[&conv], &[]);
            let some = b.constant("some", &[1, 1, 1, 1], &[0.5]);
            let conv = b.op("Add", "above", &[&conv, &some], &[]);
            b.op(op, "function", &[&conv], &[])
        });
    }
    expect_with((5, 5), ((1, 0, 2, 3), (1, 0, 2, 3)), 4, false, |b| {
        let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
        let slope = b.weights("slope", &[4, 1, 1], 0.5);
        let conv = b.op("PRelu", "prelu", &[&conv, &slope], &[]);
        let low = b.constant("low", &[], &[-0.25]);
        let high = b.constant("high", &[], &[0.5]);
        b.op("Clip", "clip", &[&conv, &low, &high], &[])
    });
}

#[test]
fn constants_of_every_rank() {
    expect((5, 6), ((1, 0, 2, 3), (1, 0, 2, 4)), 4, |b| {
        let mut last = b.conv("conv", "image", (3, 4), (3, 3), &[]);
        let shapes: [(&str, &[usize], &str); 5] = [
            ("scalar", &[], "Mul"),
            ("channels", &[4, 1, 1], "Add"),
            ("full", &[1, 4, 3, 4], "Mul"),
            ("rows", &[3, 1], "Sub"),
            ("columns", &[1, 1, 1, 4], "Div"),
        ];
        for (name, dims, op) in shapes {
            let constant = b.weights(name, dims, 1.0);
            last = b.op(op, &format!("{name}.op"), &[&last, &constant], &[]);
        }
        // Constants on the left, where order matters.
        let one = b.constant("one", &[1], &[1.0]);
        b.op("Sub", "left", &[&one, &last], &[])
    });
}

#[test]
fn weights_may_come_as_nodes() {
    expect((6, 6), ((1, -1, 1, 6), (1, -1, 1, 6)), 3, |b| {
        let values: Vec<f32> = (0..81).map(|i| 0.1 + i as f32 / 100.0).collect();
        let value = Attr::Tensor(common::onnx::tensor("", &[3, 3, 3, 3], &values));
        let weights = b.op("Constant", "weights", &[], &[("value", value)]);
        let weights = b.op("Identity", "same", &[&weights], &[]);
        b.op(
            "Conv",
            "conv",
            &["image", &weights],
            &[("pads", ints(&[1, 1, 1, 1]))],
        )
    });
}

#[test]
fn the_image_may_be_the_logits() {
    let mut b = Builder::new(4, 6);
    let same = b.op("Identity", "same", &["image"], &[]);
    b.output(&same);
    let model = check_model(&b, true);
    assert_eq!(found(&model.geometry().x), (1, 0, 0, 6));
    assert_eq!((model.parameters(), model.macs()), (0, 0));
}

#[test]
fn a_trained_export() {
    let model = check_model(&small_classifier(12, 12), false);
    assert_eq!(found(&model.geometry().x), (1, -2, 2, 12));
    assert_eq!(
        model.class_names(),
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    );
    // 3x3 stem 3->8, 3x3 8->8, 1x1 8->8, 1x1 8->10, each with bias.
    let weights = [3 * 9 * 8, 8 * 9 * 8, 8 * 8, 8 * 10];
    let biases = 8 + 8 + 8 + 10;
    assert_eq!(model.parameters(), weights.iter().sum::<u64>() + biases);
    assert_eq!(model.macs(), 144 * weights.iter().sum::<u64>());
    let nodes = model.network().nodes();
    assert_eq!(nodes[0].name, "image");
    assert!(nodes.iter().any(|node| node.name == "logits"));
}

#[test]
fn batch_may_be_symbolic_or_one() {
    // 0 is how some exporters write a dimension that they do not know.
    for batch in ["1", "0", "N", "batch_size", "?"] {
        let mut b = Builder::with_input(&[batch, "3", "6", "6"]);
        let logits = b.conv("logits", "image", (3, 4), (3, 3), &[]);
        b.output(&logits);
        assert_eq!(found(&admitted(&b).geometry().x), (1, 0, 2, 4));
    }
}
