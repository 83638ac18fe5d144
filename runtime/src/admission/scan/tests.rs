//! What is counted of each field, as the library's own encoder writes it.

#![allow(clippy::indexing_slicing)]

use prost::Message as _;
use tract_onnx::pb::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    SparseTensorProto, StringStringEntryProto, TensorAnnotation, TensorProto, TensorShapeProto,
    TrainingInfoProto, TypeProto, ValueInfoProto, tensor_proto::Segment,
    tensor_shape_proto::Dimension, type_proto,
};

use super::{Counts, MAX_DECODED_BYTES, MAX_FIELDS, MAX_NAME_BYTES, MAX_NESTING, Message, check};
use crate::admission::error::Refusal;

fn count(model: &ModelProto) -> Result<Counts, Refusal> {
    let mut counts = Counts::default();
    counts.message(&model.encode_to_vec(), Message::Model, 1)?;
    Ok(counts)
}

fn words(refusal: Refusal) -> String {
    refusal.in_file("model".as_ref()).to_string()
}

/// A model with this in it, at some depth.
type Put<T> = fn(T) -> ModelProto;

fn in_graph(graph: GraphProto) -> ModelProto {
    ModelProto {
        graph: Some(graph),
        ..ModelProto::default()
    }
}

fn in_node(node: NodeProto) -> ModelProto {
    in_graph(GraphProto {
        node: vec![node],
        ..GraphProto::default()
    })
}

fn in_attribute(attribute: AttributeProto) -> ModelProto {
    in_node(NodeProto {
        attribute: vec![attribute],
        ..NodeProto::default()
    })
}

fn in_tensor(tensor: TensorProto) -> ModelProto {
    in_graph(GraphProto {
        initializer: vec![tensor],
        ..GraphProto::default()
    })
}

fn in_sparse(sparse: SparseTensorProto) -> ModelProto {
    in_graph(GraphProto {
        sparse_initializer: vec![sparse],
        ..GraphProto::default()
    })
}

fn in_value(value: ValueInfoProto) -> ModelProto {
    in_graph(GraphProto {
        input: vec![value],
        ..GraphProto::default()
    })
}

fn in_type(r#type: TypeProto) -> ModelProto {
    in_value(ValueInfoProto {
        r#type: Some(r#type),
        ..ValueInfoProto::default()
    })
}

fn in_tensor_type(tensor: type_proto::Tensor) -> ModelProto {
    in_type(TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..TypeProto::default()
    })
}

fn in_shape(shape: TensorShapeProto) -> ModelProto {
    in_tensor_type(type_proto::Tensor {
        shape: Some(shape),
        ..type_proto::Tensor::default()
    })
}

fn in_annotation(annotation: TensorAnnotation) -> ModelProto {
    in_graph(GraphProto {
        quantization_annotation: vec![annotation],
        ..GraphProto::default()
    })
}

fn in_training(training: TrainingInfoProto) -> ModelProto {
    ModelProto {
        training_info: vec![training],
        ..ModelProto::default()
    }
}

fn in_function(function: FunctionProto) -> ModelProto {
    ModelProto {
        functions: vec![function],
        ..ModelProto::default()
    }
}

/// At least so many bytes more are counted where `fill` has put something in.
#[track_caller]
fn adds<T: Default>(bytes: usize, put: Put<T>, fill: impl FnOnce(&mut T)) {
    let counted = |value| count(&put(value)).map(|counts| counts.decoded).unwrap_or(0);
    let before = counted(T::default());
    let mut value = T::default();
    fill(&mut value);
    let after = counted(value);
    assert!(
        after >= before + bytes,
        "{before}, then {after}, not {bytes} more"
    );
}

/// A message is counted, with as much as it takes without what it holds.
#[track_caller]
fn message<T: Default, M: Default>(put: Put<T>, fill: impl FnOnce(&mut T, M)) {
    adds(3 * size_of::<M>(), put, |value| fill(value, M::default()));
}

/// A text is counted, and may be long.
#[track_caller]
fn text<T: Default>(put: Put<T>, fill: impl FnOnce(&mut T, String)) {
    adds(9000 + 3 * size_of::<String>(), put, |value| {
        fill(value, "t".repeat(9000))
    });
}

/// A name is counted, and may not be long.
#[track_caller]
fn name<T: Default>(put: Put<T>, fill: impl Fn(&mut T, String)) {
    let named = |length| {
        let mut value = T::default();
        fill(&mut value, "n".repeat(length));
        check(&put(value).encode_to_vec())
    };
    assert!(named(MAX_NAME_BYTES).is_ok());
    let long = named(MAX_NAME_BYTES + 1).map_err(words);
    assert!(long.is_err_and(|why| why.contains("a name in it has more than 4096")));
    let bytes = MAX_NAME_BYTES + 3 * size_of::<String>();
    adds(bytes, put, |value| fill(value, "n".repeat(MAX_NAME_BYTES)));
}

/// Integers of one byte each in the file.
#[track_caller]
fn list<T: Default, I: From<u8> + Clone>(put: Put<T>, fill: impl FnOnce(&mut T, Vec<I>)) {
    adds(3 * 1000 * 8, put, |value| {
        fill(value, vec![I::from(1); 1000])
    });
}

#[test]
fn models_and_graphs() {
    let model: Put<ModelProto> = |model| model;
    message(model, |model, graph: GraphProto| model.graph = Some(graph));
    message(model, |model, set: OperatorSetIdProto| {
        model.opset_import.push(set)
    });
    message(model, |model, one: StringStringEntryProto| {
        model.metadata_props.push(one)
    });
    message(model, |model, one: TrainingInfoProto| {
        model.training_info.push(one)
    });
    message(model, |model, one: FunctionProto| model.functions.push(one));
    text(model, |model, text| model.producer_name = text);
    text(model, |model, text| model.producer_version = text);
    text(model, |model, text| model.domain = text);
    text(model, |model, text| model.doc_string = text);
    message(in_graph, |graph, node: NodeProto| graph.node.push(node));
    message(in_graph, |graph, one: TensorProto| {
        graph.initializer.push(one)
    });
    message(in_graph, |graph, one: SparseTensorProto| {
        graph.sparse_initializer.push(one)
    });
    message(in_graph, |graph, one: ValueInfoProto| graph.input.push(one));
    message(in_graph, |graph, one: ValueInfoProto| {
        graph.output.push(one)
    });
    message(in_graph, |graph, one: ValueInfoProto| {
        graph.value_info.push(one)
    });
    message(in_graph, |graph, one: TensorAnnotation| {
        graph.quantization_annotation.push(one)
    });
    name(in_graph, |graph, name| graph.name = name);
    text(in_graph, |graph, text| graph.doc_string = text);
}

#[test]
fn nodes_and_attributes() {
    message(in_node, |node, one: AttributeProto| {
        node.attribute.push(one)
    });
    name(in_node, |node, name| node.input.push(name));
    name(in_node, |node, name| node.output.push(name));
    name(in_node, |node, name| node.name = name);
    name(in_node, |node, name| node.op_type = name);
    name(in_node, |node, name| node.domain = name);
    text(in_node, |node, text| node.doc_string = text);
    message(in_attribute, |one, tensor: TensorProto| {
        one.t = Some(tensor)
    });
    message(in_attribute, |one, tensor: TensorProto| {
        one.tensors.push(tensor)
    });
    message(in_attribute, |one, graph: GraphProto| one.g = Some(graph));
    message(in_attribute, |one, graph: GraphProto| {
        one.graphs.push(graph)
    });
    message(in_attribute, |one, sparse: SparseTensorProto| {
        one.sparse_tensor = Some(sparse)
    });
    message(in_attribute, |one, sparse: SparseTensorProto| {
        one.sparse_tensors.push(sparse)
    });
    message(in_attribute, |one, r#type: TypeProto| {
        one.type_protos.push(r#type)
    });
    list(in_attribute, |one, ints| one.ints = ints);
    name(in_attribute, |one, name| one.name = name);
    name(in_attribute, |one, name| one.s = name.into());
    name(in_attribute, |one, name| one.strings.push(name.into()));
    name(in_attribute, |one, name| one.ref_attr_name = name);
    text(in_attribute, |one, text| one.doc_string = text);
}

#[test]
fn tensors() {
    message(in_tensor, |tensor, one: Segment| tensor.segment = Some(one));
    message(in_tensor, |tensor, one: StringStringEntryProto| {
        tensor.external_data.push(one)
    });
    list(in_tensor, |tensor, ints| tensor.dims = ints);
    list(in_tensor, |tensor, ints| tensor.int32_data = ints);
    list(in_tensor, |tensor, ints| tensor.int64_data = ints);
    list(in_tensor, |tensor, ints| tensor.uint64_data = ints);
    name(in_tensor, |tensor, name| tensor.name = name);
    text(in_tensor, |tensor, text| {
        tensor.string_data.push(text.into())
    });
    text(in_tensor, |tensor, text| tensor.doc_string = text);
    message(in_sparse, |sparse, one: TensorProto| {
        sparse.values = Some(one)
    });
    message(in_sparse, |sparse, one: TensorProto| {
        sparse.indices = Some(one)
    });
    list(in_sparse, |sparse, ints| sparse.dims = ints);
    // Weights may be as large as the file.
    let weights = in_tensor(TensorProto {
        raw_data: vec![0; MAX_DECODED_BYTES],
        ..TensorProto::default()
    });
    assert!(check(&weights.encode_to_vec()).is_ok());
}

#[test]
fn types_and_the_rest() {
    message(in_value, |value, one: TypeProto| value.r#type = Some(one));
    name(in_value, |value, name| value.name = name);
    text(in_value, |value, text| value.doc_string = text);
    message(in_type, |r#type, one: type_proto::Tensor| {
        r#type.value = Some(type_proto::Value::TensorType(one));
    });
    name(in_type, |r#type, name| r#type.denotation = name);
    message(in_tensor_type, |tensor, one: TensorShapeProto| {
        tensor.shape = Some(one)
    });
    message(in_shape, |shape, one: Dimension| shape.dim.push(one));
    text(in_shape, |shape, text| {
        shape.dim.push(Dimension {
            denotation: text,
            ..Dimension::default()
        });
    });
    message(in_annotation, |one, entry: StringStringEntryProto| {
        one.quant_parameter_tensor_names.push(entry);
    });
    name(in_annotation, |one, name| one.tensor_name = Some(name));
    message(in_training, |one, graph: GraphProto| {
        one.initialization = Some(graph)
    });
    message(in_training, |one, graph: GraphProto| {
        one.algorithm = Some(graph)
    });
    message(in_training, |one, entry: StringStringEntryProto| {
        one.initialization_binding.push(entry);
    });
    message(in_training, |one, entry: StringStringEntryProto| {
        one.update_binding.push(entry)
    });
    message(in_function, |one, node: NodeProto| one.node.push(node));
    message(in_function, |one, set: OperatorSetIdProto| {
        one.opset_import.push(set)
    });
    name(in_function, |one, name| one.name = Some(name));
    name(in_function, |one, name| one.input.push(name));
    name(in_function, |one, name| one.output.push(name));
    name(in_function, |one, name| one.attribute.push(name));
    name(in_function, |one, name| one.domain = Some(name));
    text(in_function, |one, text| one.doc_string = Some(text));
}

/// The nodes of the fourth graph within graphs.
fn innermost(model: &mut ModelProto) -> &mut Vec<NodeProto> {
    let mut graph = model.graph.get_or_insert_default();
    for _ in 0..3 {
        graph = graph.node[0].attribute[0].g.get_or_insert_default();
    }
    &mut graph.node
}

/// What is said of bytes; empty where they pass.
fn said(bytes: &[u8]) -> String {
    check(bytes).map_err(words).err().unwrap_or_default()
}

#[test]
fn as_much_as_is_read() {
    // Fields of a number, two bytes each.
    let fields = |count: usize| said(&[0x08, 0x01].repeat(count));
    assert_eq!(fields(MAX_FIELDS), "");
    assert!(fields(MAX_FIELDS + 1).contains("more than 524288 fields"));

    let text = |bytes: usize| {
        said(
            &ModelProto {
                doc_string: "t".repeat(bytes),
                ..ModelProto::default()
            }
            .encode_to_vec(),
        )
    };
    let room = MAX_DECODED_BYTES - 3 * size_of::<String>();
    assert_eq!(text(room), "");
    assert!(text(room + 1).contains("bytes of memory"));

    // The model, its graph, a node, its attribute, the graph in that, and so on, three each time.
    let nested = |graphs: usize| {
        let mut graph = GraphProto::default();
        for _ in 1..graphs {
            let attribute = AttributeProto {
                g: Some(graph),
                ..AttributeProto::default()
            };
            graph = GraphProto {
                node: vec![NodeProto {
                    attribute: vec![attribute],
                    ..NodeProto::default()
                }],
                ..GraphProto::default()
            };
        }
        graph
    };
    // 1 + 3 * 3 + 1 = 11 messages down to the innermost graph, one more with a node in it.
    assert_eq!(MAX_NESTING, 12);
    assert_eq!(said(&in_graph(nested(4)).encode_to_vec()), "");
    assert!(said(&in_graph(nested(5)).encode_to_vec()).contains("nested more than 12 deep"));
    let mut twelve = in_graph(nested(4));
    let mut thirteen = twelve.clone();
    let node = |attribute| NodeProto {
        attribute,
        ..NodeProto::default()
    };
    innermost(&mut twelve).push(node(Vec::new()));
    assert_eq!(said(&twelve.encode_to_vec()), "");
    innermost(&mut thirteen).push(node(vec![AttributeProto::default()]));
    assert!(said(&thirteen.encode_to_vec()).contains("nested more than 12 deep"));
}

#[test]
fn fields_of_every_kind() {
    // Of field 1, which is a number in every other kind too: as the kind says it is skipped.
    assert_eq!(said(&[0x08, 0xff, 0x7f]), "");
    assert_eq!(said(&[0x09, 1, 2, 3, 4, 5, 6, 7, 8]), "");
    assert_eq!(said(&[0x0d, 1, 2, 3, 4]), "");
    assert_eq!(said(&[0x0a, 2, 0xff, 0xff]), "");
    for cut in [
        &[0x08][..],
        &[0x08, 0xff],
        &[0x09, 1, 2, 3, 4, 5, 6, 7],
        &[0x0d, 1, 2, 3],
        &[0x0a],
        &[0x0a, 2, 0xff],
    ] {
        assert!(said(cut).contains("ends within a field"), "{cut:?}");
    }
    for kind in [3, 4, 6, 7] {
        let words = format!("a field of type {kind},");
        assert!(said(&[0x08 | kind, 1]).contains(&words));
    }
    // Numbers are of up to ten bytes, with the lowest bits first.
    let longest = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
    assert_eq!(said(&longest), "");
    let endless = [&[0x08][..], &[0xff; 10], &[0x01]].concat();
    assert!(said(&endless).contains("does not end"));
    // A length of 300, in two bytes.
    let long = [&[0x0a, 0xac, 0x02][..], &[0; 300]].concat();
    assert_eq!(said(&long), "");
    assert!(said(&long[..302]).contains("ends within a field"));
}
