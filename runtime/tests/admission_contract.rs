//! Models that break the contract of one image in, one map of logits out: each refused, saying which
//! part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::onnx::Builder;
use common::oracle::{admitted, holds, refusal};
use tract_onnx::pb::{
    FunctionProto, SparseTensorProto, TrainingInfoProto, TypeProto, tensor_proto::DataType,
    type_proto,
};

#[test]
fn inputs_and_outputs() {
    let mut b = Builder::new(8, 8);
    b.input("second", &["1", "3", "8", "8"]);
    let sum = b.op("Add", "sum", &["image", "second"], &[]);
    b.output(&sum);
    holds(
        &refusal(&b),
        &["exactly one input", "\"image\"", "\"second\""],
    );

    let mut b = Builder::new(8, 8);
    let one = b.conv("one", "image", (3, 4), (1, 1), &[]);
    let two = b.conv("two", "image", (3, 4), (1, 1), &[]);
    b.output(&one).output(&two);
    holds(&refusal(&b), &["exactly one output", "\"one\"", "\"two\""]);

    let mut b = Builder::new(8, 8);
    b.conv("one", "image", (3, 4), (1, 1), &[]);
    holds(&refusal(&b), &["exactly one output"]);
    b.output("nothing");
    holds(&refusal(&b), &["nothing makes output \"nothing\""]);

    let mut b = Builder::new(8, 8);
    b.conv("one", "image", (3, 4), (1, 1), &[]);
    let fixed = b.weights("fixed", &[1, 4, 8, 8], 1.0);
    b.output(&fixed);
    holds(&refusal(&b), &["does not depend on the image"]);

    // One class has no rival.
    let mut b = Builder::new(8, 8);
    let one = b.conv("one", "image", (3, 1), (1, 1), &[]);
    b.output(&one);
    holds(&refusal(&b), &["cannot be certified"]);
}

/// What a file may hold beside its one graph, none of which is looked into.
#[test]
fn more_than_one_plain_graph() {
    let plain = || {
        let mut b = Builder::new(8, 8);
        let one = b.conv("one", "image", (3, 4), (1, 1), &[]);
        b.output(&one);
        b
    };
    let mut b = plain();
    let node = b.graph().node[0].clone();
    b.model.functions.push(FunctionProto {
        name: Some("inlined".into()),
        input: vec!["x".into()],
        output: vec!["y".into()],
        attribute: vec!["a".into()],
        node: vec![node],
        doc_string: Some("a function".into()),
        opset_import: b.model.opset_import.clone(),
        domain: Some("local".into()),
    });
    holds(&refusal(&b), &["functions of its own"]);

    let mut b = plain();
    let values = b.graph().initializer[0].clone();
    b.graph().sparse_initializer.push(SparseTensorProto {
        values: Some(values.clone()),
        indices: Some(values),
        dims: vec![4],
    });
    holds(&refusal(&b), &["sparse weights"]);

    // A training graph is not run, so it is not looked into either.
    let mut b = plain();
    let graph = b.graph().clone();
    b.model.training_info.push(TrainingInfoProto {
        initialization: Some(graph.clone()),
        algorithm: Some(graph),
        initialization_binding: Vec::new(),
        update_binding: Vec::new(),
    });
    assert!(admitted(&b).macs() > 0);

    let mut b = plain();
    b.graph().input[0].r#type = None;
    holds(&refusal(&b), &["\"image\"", "no tensor type"]);
    let mut b = plain();
    let Some(TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..
    }) = b.graph().input[0].r#type.as_mut()
    else {
        panic!("the builder gives tensors");
    };
    tensor.elem_type = DataType::Double as i32;
    holds(&refusal(&b), &["\"image\"", "must be f32"]);

    let mut b = plain();
    b.graph().node[0].output.push("two".into());
    holds(&refusal(&b), &["\"one\"", "more than one output"]);
    // A node without a name goes by that of its output.
    let mut b = plain();
    b.graph().node[0].name.clear();
    b.graph().node[0].op_type = "Loop".into();
    holds(&refusal(&b), &["\"one\"", "control flow"]);
}

#[test]
fn shapes_of_the_input() {
    let cases: [(&[&str], &str); 9] = [
        (&["1", "3", "H", "W"], "height is not fixed"),
        (&["1", "3", "8", "W"], "width is not fixed"),
        (&["1", "C", "8", "8"], "channels is not fixed"),
        (&["4", "3", "8", "8"], "batch is fixed to 4"),
        (&["1", "1", "8", "8"], "3 channels"),
        (&["3", "8", "8"], "[N,3,H,W]"),
        (&["1", "3", "0", "8"], "0 is no possible height"),
        (&["1", "3", "-5", "8"], "-5 is no possible height"),
        (&["1", "3", "16384", "16384"], "values"),
    ];
    for (dims, reason) in cases {
        let mut b = Builder::with_input(dims);
        let logits = b.conv("logits", "image", (3, 4), (1, 1), &[]);
        b.output(&logits);
        holds(&refusal(&b), &["\"image\"", reason]);
    }
}

#[test]
fn what_metadata_says_is_never_believed() {
    // A claim of a small receptive field changes nothing.
    let mut b = Builder::new(9, 9);
    let logits = b.conv("logits", "image", (3, 4), (5, 5), &[]);
    b.output(&logits);
    b.metadata("bagcert.receptive_field", "1")
        .metadata("bagcert.class_names", "[\"a\"]");
    let model = admitted(&b);
    assert_eq!(model.geometry().x.receptive_field(), 5);
    // Names that do not fit the classes are not used.
    assert_eq!(model.class_names(), ["0", "1", "2", "3"]);
    b.metadata("bagcert.output", "scores");
    holds(&refusal(&b), &["\"scores\"", "logits"]);

    let mut b = Builder::new(9, 9);
    let logits = b.conv("logits", "image", (3, 4), (5, 5), &[]);
    b.output(&logits)
        .metadata("bagcert.normalisation", "imagenet");
    holds(&refusal(&b), &["\"imagenet\"", "[0,1]"]);
}

/// What the file says of itself is there to be read, and the text for debugging names the model.
#[test]
fn metadata_can_be_read_back() {
    let mut b = Builder::new(9, 9);
    let logits = b.conv("logits", "image", (3, 4), (5, 5), &[]);
    b.output(&logits);
    assert!(admitted(&b).metadata().is_empty());
    b.metadata("first", "1").metadata("second", "two words");
    let model = admitted(&b);
    let entries: Vec<(&str, &str)> = model
        .metadata()
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(entries, [("first", "1"), ("second", "two words")]);
    let text = format!("{model:?}");
    assert!(
        text.contains(model.sha256()) && text.contains("geometry"),
        "{text}"
    );
}
