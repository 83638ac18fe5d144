//! Each rule for attributes, on both sides of its limit.

use tract_onnx::pb::{
    AttributeProto, GraphProto, NodeProto, SparseTensorProto, TensorProto,
    attribute_proto::AttributeType, tensor_proto::DataType,
};

use super::check;
use crate::admission::limits::{MAX_ATTRIBUTES, MAX_DIM, MAX_STEP};

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i,
        ..AttributeProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

/// What is said of a node with these attributes; empty where it passes.
fn said(op: &str, attribute: Vec<AttributeProto>) -> String {
    let node = NodeProto {
        op_type: op.into(),
        attribute,
        ..NodeProto::default()
    };
    check(&node).err().unwrap_or_default()
}

#[track_caller]
fn passes(op: &str, attribute: AttributeProto) {
    assert_eq!(said(op, vec![attribute]), "");
}

#[track_caller]
fn refused(op: &str, attribute: AttributeProto, words: &str) {
    let reason = said(op, vec![attribute]);
    assert!(reason.contains(words), "\"{words}\" is not in: {reason}");
}

#[test]
fn as_many_as_are_read() {
    let many = |count: usize| (0..count).map(|n| int(&format!("a{n}"), 0)).collect();
    assert_eq!(said("Relu", many(MAX_ATTRIBUTES)), "");
    assert!(said("Relu", many(MAX_ATTRIBUTES + 1)).contains("33 attributes"));
    let twice = vec![int("a", 0), int("b", 0), int("a", 0)];
    assert!(said("Relu", twice).contains("\"a\" appears twice"));
}

#[test]
fn graphs_and_sparse_values_one_by_one() {
    let graph = GraphProto::default;
    let sparse = SparseTensorProto::default;
    let plain = || int("odd", 0);
    for attribute in [
        AttributeProto {
            g: Some(graph()),
            ..plain()
        },
        AttributeProto {
            graphs: vec![graph()],
            ..plain()
        },
        AttributeProto {
            sparse_tensor: Some(sparse()),
            ..plain()
        },
        AttributeProto {
            sparse_tensors: vec![sparse()],
            ..plain()
        },
    ] {
        refused("Relu", attribute, "holds a graph or sparse values");
    }
    // Tensors are looked into, one or several.
    let tensor = || TensorProto {
        dims: vec![2],
        data_type: DataType::Float as i32,
        float_data: vec![0.0],
        ..TensorProto::default()
    };
    let one = AttributeProto {
        t: Some(tensor()),
        ..plain()
    };
    refused("Relu", one, "needs 2 values");
    let several = AttributeProto {
        tensors: vec![tensor()],
        ..plain()
    };
    refused("Relu", several, "needs 2 values");
}

#[test]
fn windows_have_two_axes() {
    for op in ["Conv", "MaxPool", "AveragePool"] {
        for name in ["kernel_shape", "strides", "dilations"] {
            passes(op, ints(name, &[1, MAX_STEP]));
            refused(op, ints(name, &[0, 1]), "holds 0");
            refused(op, ints(name, &[1, MAX_STEP + 1]), "holds 4097");
            refused(op, ints(name, &[1]), "must have 2 values");
        }
        passes(op, ints("pads", &[0, 0, MAX_STEP, 0]));
        refused(op, ints("pads", &[0; 8]), "must have 4 values");
        refused(op, ints("pads", &[0, 0, 0, -1]), "holds -1");
        refused(op, int("pads", 0), "right type");
    }
    // Elsewhere nobody reads them, but for the pads of a border: all four axes, before and after.
    passes("Relu", ints("strides", &[0]));
    passes("Pad", ints("pads", &[0, 0, 1, 2, 0, 0, 3, 0]));
    refused("Pad", ints("pads", &[0; 4]), "must have 8 values");
    refused("Pad", ints("pads", &[0, 0, 0, 0, 0, 0, 0, -1]), "holds -1");
}

#[test]
fn single_numbers() {
    passes("Conv", int("group", 1));
    passes("Conv", int("group", MAX_DIM));
    refused("Conv", int("group", 0), "\"group\" is 0");
    refused("Conv", int("group", MAX_DIM + 1), "\"group\" is");
    refused("Conv", ints("group", &[1]), "right type");
    for axis in [-4, 0, 3] {
        passes("Concat", int("axis", axis));
    }
    refused("Concat", int("axis", -5), "\"axis\" is -5");
    refused("Concat", int("axis", 4), "\"axis\" is 4");
    for sign in [1, -1] {
        passes("Relu", int("scale", sign << 40));
        refused("Relu", int("scale", sign * ((1 << 40) + 1)), "out of range");
    }
}

#[test]
fn only_channels_are_combined() {
    passes("ReduceSum", ints("axes", &[1]));
    passes("ReduceSum", ints("axes", &[-3]));
    for axes in [&[0][..], &[2], &[3], &[-1], &[1, 2], &[]] {
        refused("ReduceMean", ints("axes", axes), "distant cells");
    }
    passes("ReduceMax", int("keepdims", 1));
    refused("ReduceMax", int("keepdims", 0), "keepdims");
    // Of other operators they are something else.
    passes("Unsqueeze", ints("axes", &[2, 3]));
    passes("Relu", int("keepdims", 0));
}

#[test]
fn modes_that_are_not_followed() {
    passes("BatchNormalization", int("training_mode", 0));
    refused(
        "BatchNormalization",
        int("training_mode", 1),
        "training mode",
    );
    passes("MaxPool", int("storage_order", 0));
    refused("MaxPool", int("storage_order", 1), "column-major");
}
