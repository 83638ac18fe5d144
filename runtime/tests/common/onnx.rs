//! Builds ONNX files for tests: the operators that exporters write, and the ones that must be
//! refused.

use std::path::{Path, PathBuf};

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value as Dim},
    type_proto,
};

/// The value of an attribute.
#[derive(Clone)]
pub enum Attr {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'static str),
    Tensor(TensorProto),
    Graph(GraphProto),
}

impl From<i64> for Attr {
    fn from(value: i64) -> Attr {
        Attr::Int(value)
    }
}

impl From<f32> for Attr {
    fn from(value: f32) -> Attr {
        Attr::Float(value)
    }
}

impl From<&'static str> for Attr {
    fn from(value: &'static str) -> Attr {
        Attr::Text(value)
    }
}

impl<const N: usize> From<[i64; N]> for Attr {
    fn from(values: [i64; N]) -> Attr {
        Attr::Ints(values.to_vec())
    }
}

/// A model in the making. Nodes are named after their output.
#[derive(Clone)]
pub struct Builder {
    pub model: ModelProto,
    seed: u64,
}

impl Builder {
    /// An empty graph with the input "image", f32 `[1,3,height,width]`.
    pub fn new(height: usize, width: usize) -> Builder {
        Builder::with_input(&["1", "3", &height.to_string(), &width.to_string()])
    }

    /// An empty graph with the input "image" of these dimensions, symbolic where not a number.
    pub fn with_input(dims: &[&str]) -> Builder {
        let graph = GraphProto {
            name: "test".into(),
            input: vec![value_info("image", DataType::Float, dims)],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: 8,
            producer_name: "bagcert tests".into(),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(graph),
            ..ModelProto::default()
        };
        Builder { model, seed: 1 }
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.model.graph.as_mut().unwrap()
    }

    /// Another graph input.
    pub fn input(&mut self, name: &str, dims: &[&str]) -> String {
        self.graph()
            .input
            .push(value_info(name, DataType::Float, dims));
        name.into()
    }

    /// Adds an operation; gives the name of its output, which is `name`.
    pub fn op(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attr)],
    ) -> String {
        let node = NodeProto {
            op_type: op.into(),
            name: name.into(),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![name.into()],
            attribute: attributes
                .iter()
                .map(|(name, value)| attribute(name, value))
                .collect(),
            ..NodeProto::default()
        };
        self.graph().node.push(node);
        name.into()
    }

    /// Fixed f32 values.
    pub fn constant(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        assert_eq!(dims.iter().product::<usize>(), values.len());
        self.graph().initializer.push(tensor(name, dims, values));
        name.into()
    }

    /// Fixed i64 values, one axis.
    pub fn integers(&mut self, name: &str, values: &[i64]) -> String {
        self.graph().initializer.push(TensorProto {
            name: name.into(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        name.into()
    }

    /// Weights that are never 0: in -1 ..= -0.25 and 0.25 ..= 1, scaled by `scale`.
    pub fn weights(&mut self, name: &str, dims: &[usize], scale: f32) -> String {
        let values: Vec<f32> = (0..dims.iter().product())
            .map(|_| self.weight() * scale)
            .collect();
        self.constant(name, dims, &values)
    }

    /// Weights in 0.25 ..= 1, scaled.
    pub fn positive(&mut self, name: &str, dims: &[usize], scale: f32) -> String {
        let values: Vec<f32> = (0..dims.iter().product())
            .map(|_| self.weight().abs() * scale)
            .collect();
        self.constant(name, dims, &values)
    }

    fn weight(&mut self) -> f32 {
        // Numerical Recipes' linear congruential generator; good enough for weights.
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let unit = (self.seed >> 40) as f32 / (1u64 << 24) as f32;
        let size = 0.25 + 0.75 * unit;
        if (self.seed >> 33) & 1 == 0 {
            size
        } else {
            -size
        }
    }

    /// Sets the start of the weights' random numbers.
    pub fn seed(&mut self, seed: u64) -> &mut Builder {
        self.seed = seed.wrapping_mul(2).wrapping_add(1);
        self
    }

    /// A convolution with bias. `channels` is (in, out); weights are scaled to keep values small.
    pub fn conv(
        &mut self,
        name: &str,
        input: &str,
        channels: (usize, usize),
        kernel: (usize, usize),
        attributes: &[(&str, Attr)],
    ) -> String {
        let groups = attributes
            .iter()
            .find_map(|(name, value)| match value {
                Attr::Int(groups) if *name == "group" => Some(*groups as usize),
                _ => None,
            })
            .unwrap_or(1);
        let per_group = channels.0 / groups;
        let taps = (per_group * kernel.0 * kernel.1) as f32;
        let weights = self.weights(
            &format!("{name}.weight"),
            &[channels.1, per_group, kernel.0, kernel.1],
            1.5 / taps.sqrt(),
        );
        let bias = self.weights(&format!("{name}.bias"), &[channels.1], 0.25);
        let mut all: Vec<(&str, Attr)> = vec![(
            "kernel_shape",
            Attr::Ints(vec![kernel.0 as i64, kernel.1 as i64]),
        )];
        all.extend(attributes.iter().cloned());
        self.op("Conv", name, &[input, &weights, &bias], &all)
    }

    /// Adds an entry to the metadata.
    pub fn metadata(&mut self, key: &str, value: &str) -> &mut Builder {
        let entry = StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        self.model.metadata_props.push(entry);
        self
    }

    /// Declares a graph output.
    pub fn output(&mut self, name: &str) -> &mut Builder {
        let info = ValueInfoProto {
            name: name.into(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: DataType::Float as i32,
                    shape: None,
                })),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        };
        self.graph().output.push(info);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    /// Writes the model; gives its path.
    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }
}

pub fn tensor(name: &str, dims: &[usize], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|dim| *dim as i64).collect(),
        data_type: DataType::Float as i32,
        raw_data: values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        ..TensorProto::default()
    }
}

fn attribute(name: &str, value: &Attr) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: name.into(),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attr::Int(value) => {
            attribute.i = *value;
            AttributeType::Int
        }
        Attr::Ints(values) => {
            attribute.ints = values.clone();
            AttributeType::Ints
        }
        Attr::Float(value) => {
            attribute.f = *value;
            AttributeType::Float
        }
        Attr::Text(value) => {
            attribute.s = value.as_bytes().to_vec();
            AttributeType::String
        }
        Attr::Tensor(value) => {
            attribute.t = Some(value.clone());
            AttributeType::Tensor
        }
        Attr::Graph(value) => {
            attribute.g = Some(value.clone());
            AttributeType::Graph
        }
    };
    attribute.r#type = kind as i32;
    attribute
}

fn value_info(name: &str, kind: DataType, dims: &[&str]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|dim| Dimension {
            value: Some(match dim.parse::<i64>() {
                Ok(size) => Dim::DimValue(size),
                Err(_) => Dim::DimParam(dim.to_string()),
            }),
            ..Dimension::default()
        })
        .collect();
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: kind as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// A small classifier as the trainer exports it: 3x3 stem, a residual block, 1x1 head; ten
/// classes, receptive field 5.
pub fn small_classifier(height: usize, width: usize) -> Builder {
    let mut b = Builder::with_input(&["N", "3", &height.to_string(), &width.to_string()]);
    let stem = b.conv(
        "stem",
        "image",
        (3, 8),
        (3, 3),
        &[("pads", [1, 1, 1, 1].into())],
    );
    let stem = b.op("Relu", "stem.relu", &[&stem], &[]);
    let one = b.conv(
        "one",
        &stem,
        (8, 8),
        (3, 3),
        &[("pads", [1, 1, 1, 1].into())],
    );
    let one = b.op("Relu", "one.relu", &[&one], &[]);
    let two = b.conv("two", &one, (8, 8), (1, 1), &[]);
    let half = b.constant("half", &[], &[0.5]);
    let two = b.op("Mul", "two.half", &[&two, &half], &[]);
    let sum = b.op("Add", "sum", &[&two, &stem], &[]);
    let logits = b.conv("logits", &sum, (8, 10), (1, 1), &[]);
    b.output(&logits);
    b.metadata(
        "bagcert.class_names",
        r#"["a","b","c","d","e","f","g","h","i","j"]"#,
    );
    b.metadata("bagcert.normalisation", "inside");
    b
}
