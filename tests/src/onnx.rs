//! A small model to try things on, written as ONNX.

use crate::repository::Random;
use prost::Message as _;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto::AttributeType,
    tensor_proto::DataType, tensor_shape_proto, type_proto,
};

/// Classes of the model.
pub const CLASSES: usize = 5;
/// Width and height of its image.
pub const PIXELS: usize = 20;

/// Bytes of a residual network with random weights and uneven geometry.
///
/// A 4x4 stem of stride 2 that pads by 1 on the upper left and 2 on the lower right
/// (receptive field 4, lo -1), two paths of a 3x3 and a 1x1 convolution, averaged
/// by a constant, a shortcut, and a 1x1 head: cell i of 10 reads inputs
/// `2*i - 3 ..= 2*i + 4`. The head favours class 3, so that some noise images are
/// certified against small patches and some are not.
#[must_use]
pub fn uneven_model(seed: u64) -> Vec<u8> {
    const WIDTH: usize = 8;
    let mut net = Net {
        graph: GraphProto {
            name: "uneven".to_owned(),
            ..GraphProto::default()
        },
        random: Random::new(seed),
    };
    net.graph
        .input
        .push(value("image", &[1, 3, PIXELS as i64, PIXELS as i64]));
    net.conv("stem", "image", [WIDTH, 3, 4], 2, [1, 1, 2, 2], 0.0);
    net.node("Relu", "stem.relu", &["stem"]);
    net.conv("a1", "stem.relu", [WIDTH, WIDTH, 3], 1, [1; 4], 0.0);
    net.node("Relu", "a1.relu", &["a1"]);
    net.conv("a2", "a1.relu", [WIDTH, WIDTH, 1], 1, [0; 4], 0.0);
    net.conv("b1", "stem.relu", [WIDTH, WIDTH, 1], 1, [0; 4], 0.0);
    net.node("Relu", "b1.relu", &["b1"]);
    net.conv("b2", "b1.relu", [WIDTH, WIDTH, 3], 1, [1; 4], 0.0);
    net.node("Add", "paths", &["a2", "b2"]);
    net.constant("half", &[1, 1, 1, 1], vec![0.5]);
    net.node("Mul", "mean", &["paths", "half"]);
    net.node("Add", "block", &["stem.relu", "mean"]);
    net.node("Relu", "block.relu", &["block"]);
    net.conv("logits", "block.relu", [CLASSES, WIDTH, 1], 1, [0; 4], 0.9);
    net.graph
        .output
        .push(value("logits", &[1, CLASSES as i64, 10, 10]));
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: 17,
        }],
        graph: Some(net.graph),
        ..ModelProto::default()
    }
    .encode_to_vec()
}

struct Net {
    graph: GraphProto,
    random: Random,
}

impl Net {
    /// Of `[out, in, kernel]`; the bias of output channel 3 is `favour` above, of all others below 0.
    fn conv(
        &mut self,
        name: &str,
        from: &str,
        [out, into, kernel]: [usize; 3],
        stride: i64,
        pads: [i64; 4],
        favour: f32,
    ) {
        let fan = into * kernel * kernel;
        let scale = (6.0 / fan as f32).sqrt();
        let weights = (0..out * fan)
            .map(|_| (2.0 * self.random.unit() - 1.0) * scale)
            .collect();
        let biases = (0..out)
            .map(|channel| if channel == 3 { favour } else { -favour })
            .collect();
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let kernel = kernel as i64;
        self.constant(&weight, &[out as i64, into as i64, kernel, kernel], weights);
        self.constant(&bias, &[out as i64], biases);
        self.node("Conv", name, &[from, &weight, &bias]);
        if let Some(node) = self.graph.node.last_mut() {
            node.attribute = vec![
                ints("kernel_shape", &[kernel; 2]),
                ints("strides", &[stride; 2]),
                ints("pads", &pads),
            ];
        }
    }

    fn constant(&mut self, name: &str, shape: &[i64], values: Vec<f32>) {
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: shape.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values,
            ..TensorProto::default()
        });
    }

    fn node(&mut self, op: &str, name: &str, inputs: &[&str]) {
        self.graph.node.push(NodeProto {
            op_type: op.to_owned(),
            name: name.to_owned(),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![name.to_owned()],
            ..NodeProto::default()
        });
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        r#type: AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..AttributeProto::default()
    }
}

fn value(name: &str, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = shape
        .iter()
        .map(|size| Dimension {
            value: Some(Value::DimValue(*size)),
            ..Dimension::default()
        })
        .collect();
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
