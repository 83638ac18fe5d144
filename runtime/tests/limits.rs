//! Models made to exhaust: each ends in an error, soon, and holding little memory on the way.
//!
//! The times are far above what a loaded machine needs and far below what happens without the
//! limit. Memory is counted by the allocator of this binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;
#[path = "common/memory.rs"]
mod memory;

use std::time::{Duration, Instant};

use bagcert::admission::admit;
use common::onnx::{Attr, Builder, small_classifier};
use memory::most_held;
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value as Dim},
    type_proto,
};

const MIB: usize = 1 << 20;

/// What admission says of these bytes. It must not take long, nor hold more than `memory` bytes.
fn outcome(bytes: &[u8], memory: usize) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let (outcome, held) = most_held(|| admit(&path).map(|_| ()));
    let took = start.elapsed();
    println!("{} bytes: {took:?}, {held} bytes held", bytes.len());
    assert!(took < Duration::from_secs(10), "took {took:?}");
    assert!(held <= memory, "{held} bytes were held, {memory} expected");
    outcome.map_err(|error| error.to_string())
}

/// Refused in these words.
fn refused(bytes: &[u8], memory: usize, word: &str) {
    let error = outcome(bytes, memory).expect_err(word);
    assert!(error.contains(word), "{error}");
    assert!(!error.contains("panic"), "{error}");
    assert!(
        error.len() < 4096 + 2048,
        "the error has {} bytes",
        error.len()
    );
}

/// A field of the protocol buffer that holds bytes.
fn field(number: u8, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = inner.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(inner);
    bytes
}

#[test]
fn empty_messages_take_no_memory() {
    // Two bytes each: nodes, weights, inputs, outputs and attributes without anything in them.
    for inner in [
        field(7, &[0x0a, 0x00].repeat(MIB)),
        field(7, &[0x2a, 0x00].repeat(MIB)),
        field(7, &[0x5a, 0x00].repeat(MIB)),
        field(7, &field(1, &[0x2a, 0x00].repeat(MIB))),
        [0x72, 0x00].repeat(MIB),
    ] {
        refused(&inner, 6 * MIB, "bytes of memory");
    }
    // Fields that ONNX does not have count too: each takes time.
    refused(&[0x7a, 0x00].repeat(MIB), 6 * MIB, "fields");
}

#[test]
fn lists_of_integers_do_not_grow() {
    let mut b = small_classifier(8, 8);
    let tensor = TensorProto {
        name: "list".into(),
        dims: vec![4 << 20],
        data_type: DataType::Int64 as i32,
        int64_data: vec![0; 4 << 20],
        ..TensorProto::default()
    };
    b.graph().initializer.push(tensor);
    let bytes = b.bytes();
    assert!(bytes.len() < 5 * MIB);
    refused(&bytes, 12 * MIB, "lists and names");
}

#[test]
fn names_and_texts_are_short() {
    let mut b = small_classifier(8, 8);
    b.graph().node[1].name = "n".repeat(5000);
    refused(&b.bytes(), MIB, "name");
    let mut b = small_classifier(8, 8);
    b.metadata("text", &"t".repeat(65 * MIB));
    refused(&b.bytes(), 160 * MIB, "bytes of memory");
}

#[test]
fn sub_graphs_are_not_followed_down() {
    let mut graph = GraphProto::default();
    for _ in 0..30 {
        let attribute = AttributeProto {
            name: "body".into(),
            r#type: AttributeType::Graph as i32,
            g: Some(graph),
            ..AttributeProto::default()
        };
        let node = NodeProto {
            op_type: "If".into(),
            attribute: vec![attribute],
            ..NodeProto::default()
        };
        graph = GraphProto {
            node: vec![node],
            ..GraphProto::default()
        };
    }
    let mut b = small_classifier(8, 8);
    b.graph().node.extend(graph.node);
    refused(&b.bytes(), MIB, "nested");
}

/// A chain of so many operations.
fn chain(nodes: usize, op: &str) -> Builder {
    let mut b = Builder::new(8, 8);
    let mut last = "image".to_string();
    for index in 0..nodes {
        let name = format!("n{index}");
        last = if op == "Conv" {
            b.conv(&name, &last, (3, 3), (1, 1), &[])
        } else {
            b.op(op, &name, &[&last], &[])
        };
    }
    b.output(&last);
    b
}

#[test]
fn long_chains() {
    for op in ["Relu", "Identity", "Conv", "MaxPool", "Selu"] {
        let whole = |nodes| {
            let mut b = chain(nodes, op);
            if op == "MaxPool" {
                for node in &mut b.graph().node {
                    node.attribute.push(AttributeProto {
                        name: "kernel_shape".into(),
                        r#type: AttributeType::Ints as i32,
                        ints: vec![1, 1],
                        ..AttributeProto::default()
                    });
                }
            }
            if op == "Selu" {
                // Each makes constants of its own.
                for (index, node) in b.graph().node.iter_mut().enumerate() {
                    for name in ["alpha", "gamma"] {
                        node.attribute.push(AttributeProto {
                            name: name.into(),
                            r#type: AttributeType::Float as i32,
                            f: 1.0 + index as f32 / 1000.0,
                            ..AttributeProto::default()
                        });
                    }
                }
            }
            b.bytes()
        };
        assert_eq!(outcome(&whole(1024), 64 * MIB), Ok(()), "{op}");
        refused(&whole(1025), 16 * MIB, "1025 nodes");
    }
}

#[test]
fn wide_graphs() {
    // Nodes that read everything before them.
    let mut b = Builder::new(8, 8);
    let mut names = vec!["image".to_string()];
    for index in 0..200 {
        let inputs: Vec<&str> = names.iter().map(String::as_str).collect();
        let name = b.op("Sum", &format!("n{index}"), &inputs, &[]);
        names.push(name);
    }
    b.output("n199");
    refused(&b.bytes(), 16 * MIB, "inputs and outputs");
    // One node with very many attributes, which are compared with each other.
    let mut b = small_classifier(8, 8);
    b.graph().node[1].attribute = (0..8_000)
        .map(|index| AttributeProto {
            name: format!("{index}"),
            ..AttributeProto::default()
        })
        .collect();
    refused(&b.bytes(), 64 * MIB, "8000 attributes");
}

/// The library reads what the second of two inputs with a weight's name says of its dimensions,
/// and follows its brackets down until the stack ends, which no program survives.
#[test]
fn brackets_of_a_dimension() {
    let expression = "(".repeat(4000) + "N" + &")".repeat(4000);
    let dim = |value| Dimension {
        value: Some(value),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: vec![dim(Dim::DimParam(expression.clone()))],
        }),
    };
    let input = ValueInfoProto {
        name: "stem.weight".into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    };
    let mut b = small_classifier(8, 8);
    b.graph().input.extend([input.clone(), input]);
    refused(&b.bytes(), MIB, "\"stem.weight\" appears twice");
    // That of the image is set to 1 and never read.
    let mut b = Builder::with_input(&[&expression, "3", "8", "8"]);
    let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
    b.output(&conv);
    assert_eq!(outcome(&b.bytes(), MIB), Ok(()));
}

#[test]
fn many_inputs_are_not_listed() {
    let mut b = small_classifier(8, 8);
    for index in 0..10_000 {
        b.input(&format!("more{index}"), &["1"]);
    }
    refused(&b.bytes(), 32 * MIB, "it has 10001: \"image\", ");
}

#[test]
fn axes_are_few() {
    let mut b = small_classifier(8, 8);
    b.graph().initializer.push(TensorProto {
        name: "ones".into(),
        dims: vec![1; 100_000],
        data_type: DataType::Float as i32,
        float_data: vec![1.0],
        ..TensorProto::default()
    });
    refused(&b.bytes(), 16 * MIB, "100000 axes");

    // Each adds sixty more.
    let mut b = small_classifier(8, 8);
    let axes: Vec<i64> = vec![0; 60];
    let axes = b.integers("axes", &axes);
    let mut last = b.constant("unit", &[1], &[1.0]);
    for index in 0..100 {
        last = b.op("Unsqueeze", &format!("u{index}"), &[&last, &axes], &[]);
    }
    refused(&b.bytes(), 8 * MIB, "61 axes");

    let mut b = small_classifier(8, 8);
    let shape = b.integers("shape", &[1; 64]);
    let unit = b.constant("unit", &[1], &[1.0]);
    b.op("Reshape", "reshaped", &[&unit, &shape], &[]);
    refused(&b.bytes(), 8 * MIB, "64 axes");

    let mut b = small_classifier(8, 8);
    b.integers("shape", &[1; 65]);
    refused(&b.bytes(), 8 * MIB, "at most 64");

    // Axes that are themselves computed are not known here.
    let mut b = small_classifier(8, 8);
    let unit = b.constant("unit", &[1], &[1.0]);
    b.op("Unsqueeze", "u", &[&unit], &[]);
    refused(&b.bytes(), 8 * MIB, "its axes");
}

#[test]
fn weights_are_not_copied_without_end() {
    // 4 MiB of weights that seventy convolutions share.
    let mut b = Builder::new(8, 8);
    let weights = b.constant("weights", &[3, 3, 256, 456], &vec![0.5; 3 * 3 * 256 * 456]);
    let mut last = "image".to_string();
    for index in 0..70 {
        let attributes = [("pads", Attr::Ints(vec![128, 228, 127, 227]))];
        last = b.op(
            "Conv",
            &format!("n{index}"),
            &[&last, &weights],
            &attributes,
        );
    }
    b.output(&last);
    refused(&b.bytes(), 24 * MIB, "fixed values");

    // 4 MiB of weights, given seventy new shapes.
    let mut b = small_classifier(8, 8);
    b.constant("weights", &[1 << 20], &vec![0.5; 1 << 20]);
    for index in 0..70 {
        let size = b.integers(&format!("shape{index}"), &[1 << (index % 20), -1]);
        b.op("Reshape", &format!("r{index}"), &["weights", &size], &[]);
    }
    refused(&b.bytes(), 24 * MIB, "fixed values");
}

#[test]
fn images_and_steps_are_bounded() {
    for (height, width) in [(16_385, 1), (1, 16_385), (1 << 24, 1)] {
        let mut b = Builder::new(height, width);
        let relu = b.op("Relu", "relu", &["image"], &[]);
        b.output(&relu);
        refused(&b.bytes(), MIB, "1 to 16384");
    }
    let mut b = Builder::new(16_384, 1);
    let relu = b.op("Relu", "relu", &["image"], &[]);
    b.output(&relu);
    assert_eq!(outcome(&b.bytes(), MIB), Ok(()));
    for name in ["strides", "dilations", "kernel_shape"] {
        let mut b = Builder::new(8, 8);
        let mut attributes = vec![(name, Attr::Ints(vec![4097, 1]))];
        if name != "kernel_shape" {
            attributes.push(("kernel_shape", Attr::Ints(vec![1, 1])));
        }
        let pool = b.op("MaxPool", "pool", &["image"], &attributes);
        b.output(&pool);
        refused(&b.bytes(), MIB, "4097");
    }
}

/// Maps that double in height at every node.
#[test]
fn maps_do_not_grow_without_end() {
    let mut b = Builder::new(8, 8);
    let mut last = "image".to_string();
    for index in 0..40 {
        last = b.op(
            "Concat",
            &format!("n{index}"),
            &[&last, &last],
            &[("axis", 1.into())],
        );
    }
    b.output(&last);
    refused(&b.bytes(), 4 * MIB, "too large");
    let mut b = Builder::new(8, 8);
    let mut last = "image".to_string();
    let pads = b.integers("pads", &[0, 0, 1 << 40, 0, 0, 0, 1 << 40, 0]);
    for index in 0..40 {
        last = b.op("Pad", &format!("n{index}"), &[&last, &pads], &[]);
    }
    b.output(&last);
    let error = outcome(&b.bytes(), 4 * MIB).unwrap_err();
    assert!(error.contains("\"n0\""), "{error}");
}

#[test]
fn the_encoder_and_the_scan_agree_on_what_is_whole() {
    // All that a model may hold, so that a field that the scan reads wrongly would be refused.
    let mut b = small_classifier(8, 8);
    b.model.doc_string = "d".repeat(100_000);
    b.model.producer_version = "1".into();
    b.graph().doc_string = "g".repeat(100_000);
    let node = &mut b.graph().node[0];
    node.doc_string = "n".repeat(100_000);
    b.model.metadata_props[0].value.push(' ');
    let whole = b.model.encode_to_vec();
    assert_eq!(outcome(&whole, 4 * MIB), Ok(()));
}
/// Constants that are compared with each other: many small ones, and large ones that differ in
/// their last value only.
#[test]
fn constants_that_are_alike() {
    let many = |count| {
        let mut b = small_classifier(8, 8);
        let there = b.graph().initializer.len();
        for index in there..count {
            b.constant(&format!("c{index}"), &[1], &[index as f32]);
        }
        b.bytes()
    };
    assert_eq!(outcome(&many(2048), 64 * MIB), Ok(()));
    refused(&many(2049), 64 * MIB, "2048 constants");

    // In each way to write a number, and with both zeros.
    let alike = |write: &dyn Fn(&mut TensorProto, Vec<f32>)| {
        let mut b = small_classifier(8, 8);
        for index in 0..500_u16 {
            let mut values = vec![0.0; 10_000];
            values[usize::from(index) % 64] = -0.0;
            values[9_999] = f32::from(index);
            let mut tensor = TensorProto {
                name: format!("alike{index}"),
                dims: vec![10_000],
                data_type: DataType::Float as i32,
                ..TensorProto::default()
            };
            write(&mut tensor, values);
            b.graph().initializer.push(tensor);
        }
        b.bytes()
    };
    let bytes = |values: Vec<f32>| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let doubles = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
    let memory = 256 * MIB;
    let word = "begin with the same";
    refused(&alike(&|t, v| t.float_data = v), memory, word);
    refused(&alike(&|t, v| t.raw_data = bytes(v)), memory, word);
    let double = DataType::Double as i32;
    let listed = |t: &mut TensorProto, v| (t.data_type, t.double_data) = (double, doubles(v));
    refused(&alike(&listed), memory, word);
    let raw = |t: &mut TensorProto, v| {
        t.data_type = double;
        t.raw_data = doubles(v).iter().flat_map(|v| v.to_le_bytes()).collect();
    };
    refused(&alike(&raw), memory, word);

    let mut b = small_classifier(8, 8);
    for index in 0..3_000_u16 {
        let tensor = common::onnx::tensor("", &[1], &[f32::from(index)]);
        b.op(
            "Constant",
            &format!("c{index}"),
            &[],
            &[("value", Attr::Tensor(tensor))],
        );
    }
    refused(&b.bytes(), 16 * MIB, "nodes");
}

/// Small files whose engine would take all memory, or for ever.
#[test]
fn what_a_frame_may_cost() {
    let image = |height, width| {
        let mut b = Builder::new(height, width);
        let conv = b.conv("conv", "image", (3, 2), (1, 1), &[]);
        (b, conv)
    };
    // Ten maps of 64 million values that the last node reads, the latest first.
    let (mut b, conv) = image(4096, 8192);
    let mut names = vec![conv];
    for index in 0..10 {
        let last = names.last().unwrap().clone();
        names.push(b.op("Neg", &format!("n{index}"), &[&last], &[]));
    }
    let names: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    let sum = b.op("Sum", "sum", &names, &[]);
    b.output(&sum);
    refused(&b.bytes(), MIB, "values at once");
    // The same maps one after the other are held two at a time.
    b.graph().node.pop();
    b.graph().output.clear();
    b.output("n9");
    assert_eq!(outcome(&b.bytes(), MIB), Ok(()));

    // Windows of 4 million cells, 4 million of them.
    let (mut b, conv) = image(4096, 4096);
    let window = [("kernel_shape", [2048, 2048].into())];
    let pool = b.op("MaxPool", "pool", &[&conv], &window);
    b.output(&pool);
    refused(&b.bytes(), MIB, "too many operations");

    // Weights of 100 by 100 taps on four million cells.
    let (mut b, conv) = image(2048, 2048);
    let weights = b.weights("weights", &[2, 2, 100, 100], 1.0);
    let wide = b.op("Conv", "wide", &[&conv, &weights], &[]);
    b.output(&wide);
    refused(&b.bytes(), 2 * MIB, "node \"wide\" lays out");
}

/// Found by fuzzing: the sum of two maps of different sizes has no shape but a formula, and a window
/// with "same" padding on windows of that one took the library all memory to simplify.
#[test]
fn shapes_are_numbers() {
    let mut b = Builder::new(11, 7);
    let more = b.integers("more", &[0, 0, 2, 1, 0, 0, 2, 0]);
    let padded = b.op("Pad", "padded", &["image", &more], &[]);
    let met = b.op("Max", "met", &[&padded, "image"], &[]);
    let window = [("pads", [0, 3, 1, 3].into()), ("strides", [3, 1].into())];
    let first = b.conv("first", &met, (3, 5), (4, 4), &window);
    let same = [
        ("dilations", [3, 3].into()),
        ("auto_pad", Attr::Text("SAME_UPPER")),
    ];
    let second = b.conv("second", &first, (5, 4), (4, 4), &same);
    b.output(&second);
    refused(&b.bytes(), 4 * MIB, "\"met\"");
}
