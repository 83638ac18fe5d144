//! Graphs that ask for exactly as much as is allowed, and one step more.

#![allow(clippy::indexing_slicing)]

use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::{MAX_COMPARED_VALUES, MAX_CONSTANTS, MAX_EDGES, MAX_RANK, MAX_READ_VALUES, Sizes};

fn tensor(name: &str, values: usize) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![i64::try_from(values).unwrap_or(i64::MAX)],
        data_type: DataType::Float as i32,
        ..TensorProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

/// A node of an attribute only.
fn constant(name: &str, attribute: AttributeProto) -> NodeProto {
    NodeProto {
        attribute: vec![attribute],
        ..node("Constant", &[], name)
    }
}

/// What is said of a graph of these weights and nodes; empty where it passes.
fn said(weights: &[TensorProto], nodes: &[NodeProto]) -> String {
    let mut sizes = Sizes::default();
    let weights = weights.iter().try_for_each(|one| sizes.weight(one));
    let all = weights.and_then(|()| nodes.iter().try_for_each(|one| sizes.node(one)));
    all.err().unwrap_or_default()
}

#[test]
fn inputs_and_outputs() {
    let wide = |inputs: usize| node("Sum", &vec!["image"; inputs], "sum");
    assert_eq!(said(&[], &[wide(MAX_EDGES - 1)]), "");
    assert!(said(&[], &[wide(MAX_EDGES)]).contains("inputs and outputs"));
    let two = |inputs| [wide(MAX_EDGES / 2), wide(inputs)];
    assert_eq!(said(&[], &two(MAX_EDGES / 2 - 2)), "");
    assert!(said(&[], &two(MAX_EDGES / 2 - 1)).contains("inputs and outputs"));
}

#[test]
fn values_read() {
    let weights = [tensor("half", MAX_READ_VALUES / 2), tensor("one", 1)];
    let read = |names: &[&str]| said(&weights, &[node("Sum", names, "sum")]);
    assert_eq!(read(&["half", "image", "half", ""]), "");
    assert!(read(&["half", "half", "one"]).contains("fixed values"));
    // By one node after the other, and through one that copies.
    let half = |output| node("Identity", &["half"], output);
    assert_eq!(said(&weights, &[half("a"), half("b")]), "");
    let copied = [half("a"), node("Identity", &["a"], "b")];
    assert_eq!(said(&weights, &copied), "");
    let more = [&copied[..], &[node("Identity", &["one"], "c")]].concat();
    assert!(said(&weights, &more).contains("fixed values"));
    // A constant that a node holds counts as one of the graph does.
    let held = AttributeProto {
        t: Some(tensor("", MAX_READ_VALUES / 2)),
        ..AttributeProto::default()
    };
    let floats = AttributeProto {
        floats: vec![0.0; 2],
        ..AttributeProto::default()
    };
    let ints = AttributeProto {
        ints: vec![0; 2],
        ..AttributeProto::default()
    };
    let value = AttributeProto::default();
    let nodes = [
        constant("held", held),
        constant("floats", floats),
        constant("ints", ints),
        constant("value", value),
    ];
    let read = |names: &[&str]| {
        said(
            &weights,
            &[&nodes[..], &[node("Sum", names, "sum")]].concat(),
        )
    };
    assert_eq!(read(&["half", "held"]), "");
    for (other, values) in [("floats", 2), ("ints", 2), ("value", 1)] {
        assert!(read(&["half", "held", other]).contains("fixed values"));
        let rest = MAX_READ_VALUES / 2 - values;
        let all = [tensor("rest", rest), tensor("half", MAX_READ_VALUES / 2)];
        let sum = node("Sum", &["half", "rest", other], "sum");
        assert_eq!(said(&all, &[&nodes[1..], &[sum]].concat()), "", "{other}");
    }
}

#[test]
fn axes() {
    let reshaped = |axes: usize| {
        let weights = [tensor("one", 1), tensor("shape", axes)];
        said(&weights, &[node("Reshape", &["one", "shape"], "out")])
    };
    assert_eq!(reshaped(MAX_RANK), "");
    assert!(reshaped(MAX_RANK + 1).contains("9 axes"));
}

#[test]
fn constants_are_counted() {
    let many = |count: usize| (0..count).map(|n| tensor("", n)).collect::<Vec<_>>();
    assert_eq!(said(&many(MAX_CONSTANTS), &[]), "");
    assert!(said(&many(MAX_CONSTANTS + 1), &[]).contains("more than 2048 constants"));
}

/// The library compares each constant with those of its shape as far as they are the same.
#[test]
fn constants_that_begin_alike() {
    let pair = |write: &dyn Fn(&mut TensorProto, usize)| {
        let one = |n| {
            let mut one = tensor("", MAX_COMPARED_VALUES + 1);
            write(&mut one, n);
            one
        };
        said(&[one(0), one(1)], &[])
    };
    let alike = |write: &dyn Fn(&mut TensorProto, usize)| {
        assert!(pair(write).contains("begin with the same values"));
    };
    let other = |write: &dyn Fn(&mut TensorProto, usize)| assert_eq!(pair(write), "");
    alike(&|t, _| t.float_data = vec![1.0, 2.0]);
    other(&|t, n| t.float_data = vec![1.0, n as f32]);
    other(&|t, n| t.dims[0] += n as i64);
    // What differs later than in the first 64 is not seen.
    alike(&|t, n| t.float_data = [vec![1.0; 64], vec![n as f32]].concat());
    other(&|t, n| t.float_data = [vec![1.0; 63], vec![n as f32]].concat());
    // Two zeros are one, and so are all that are no numbers.
    alike(&|t, n| t.float_data = vec![if n == 0 { 0.0 } else { -0.0 }]);
    alike(&|t, n| t.float_data = vec![if n == 0 { f32::NAN } else { -f32::NAN }]);
    other(&|t, n| t.float_data = vec![if n == 0 { 1.0 } else { -1.0 }]);
    // The same values, listed or as bytes.
    let bytes = |n: usize| (n as f32).to_le_bytes().to_vec();
    other(&|t, n| t.raw_data = bytes(n));
    alike(&|t, n| match n {
        0 => t.raw_data = bytes(3),
        _ => t.float_data = vec![3.0],
    });
    let double = |t: &mut TensorProto| t.data_type = DataType::Double as i32;
    let wide = |n: usize| (1.0 + n as f64 * 1e-12).to_le_bytes().to_vec();
    other(&|t, n| {
        double(t);
        t.raw_data = wide(n);
    });
    alike(&|t, n| {
        double(t);
        match n {
            0 => t.raw_data = wide(0),
            _ => t.double_data = vec![1.0],
        }
    });

    // As many as may be compared, and one more.
    let two = |name, values| [tensor(name, values), tensor(name, values)];
    let most = two("most", MAX_COMPARED_VALUES);
    assert_eq!(said(&most, &[]), "");
    let more = [&most[..], &two("more", 1)].concat();
    assert!(said(&more, &[]).contains("begin with the same values"));
    // The third is compared with both before it.
    let thirds = |values: usize| vec![tensor("", values); 3];
    assert_eq!(said(&thirds(MAX_COMPARED_VALUES / 3), &[]), "");
    assert!(said(&thirds(MAX_COMPARED_VALUES / 3 + 1), &[]).contains("the same values"));
}
