//! The few ONNX constructs that the export needs.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};

use crate::network::Convolution;

/// Version of the default operator set. All operators used are unchanged since 14.
const OPSET: i64 = 17;
/// Version of the file format that goes with it.
const IR_VERSION: i64 = 8;

/// Builds a graph in order of evaluation.
#[derive(Default)]
pub(super) struct GraphBuilder {
    graph: GraphProto,
    metadata: Vec<StringStringEntryProto>,
}

impl GraphBuilder {
    pub(super) fn new() -> Self {
        let graph = GraphProto {
            name: "bagcert".into(),
            ..GraphProto::default()
        };
        Self {
            graph,
            metadata: vec![],
        }
    }

    pub(super) fn input(&mut self, name: &str, shape: &[i64]) {
        self.graph.input.push(value_info(name, shape));
    }

    /// An f32 constant; returns its name.
    pub(super) fn constant(&mut self, name: &str, shape: &[i64], values: &[f32]) -> String {
        self.graph.initializer.push(TensorProto {
            name: name.into(),
            dims: shape.to_vec(),
            data_type: DataType::Float as i32,
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
            ..TensorProto::default()
        });
        name.into()
    }

    /// A node without attributes; returns the name of its output, which is its own.
    pub(super) fn node(&mut self, op_type: &str, name: &str, inputs: &[&str]) -> String {
        self.push(op_type, name, inputs, vec![])
    }

    /// A convolution with bias; returns the name of its output.
    pub(super) fn convolution(
        &mut self,
        x: &str,
        c: &Convolution,
        weight: &[f32],
        bias: &[f32],
    ) -> String {
        let weight = self.constant(
            &format!("{}.weight", c.name),
            &[c.output, c.input, c.kernel, c.kernel],
            weight,
        );
        let bias = self.constant(&format!("{}.bias", c.name), &[c.output], bias);
        let [before, after] = c.padding();
        let mut attributes = vec![
            ints("kernel_shape", &[c.kernel; 2]),
            ints("strides", &[c.stride; 2]),
            ints("pads", &[before, before, after, after]),
        ];
        if c.dilation != 1 {
            attributes.push(ints("dilations", &[c.dilation; 2]));
        }
        self.push("Conv", &c.name, &[x, &weight, &bias], attributes)
    }

    /// Declares `value` as the output and gives it its public name.
    pub(super) fn output(&mut self, value: &str, name: &str, shape: &[i64]) {
        for output in self.graph.node.iter_mut().flat_map(|node| &mut node.output) {
            if output == value {
                *output = name.into();
            }
        }
        self.graph.output.push(value_info(name, shape));
    }

    pub(super) fn metadata(&mut self, key: &str, value: &str) {
        self.metadata.push(StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        });
    }

    /// The bytes of the ONNX file.
    pub(super) fn finish(self) -> Vec<u8> {
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            graph: Some(self.graph),
            metadata_props: self.metadata,
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }

    fn push(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        self.graph.node.push(NodeProto {
            name: name.into(),
            op_type: op_type.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![name.into()],
            attribute,
            ..NodeProto::default()
        });
        name.into()
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints,
        ..AttributeProto::default()
    }
}

fn value_info(name: &str, shape: &[i64]) -> ValueInfoProto {
    let dimension = |&len: &i64| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(len)),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: shape.iter().map(dimension).collect(),
        }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value,
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
