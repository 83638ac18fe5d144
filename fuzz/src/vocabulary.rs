//! What graphs are made of: operators, numbers and attributes.

use tract_onnx::pb::{
    AttributeProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension::Value as Dim},
    type_proto,
};

/// Numbers at the edges of what is allowed and of what fits.
pub(super) const ODD: [i64; 18] = [
    0,
    -1,
    1,
    2,
    3,
    4,
    -4,
    7,
    255,
    4096,
    1 << 20,
    (1 << 20) + 1,
    1 << 24,
    (1 << 24) + 1,
    1 << 32,
    1 << 40,
    i64::MAX,
    i64::MIN,
];

pub(super) const UNARY: [&str; 24] = [
    "Relu",
    "Abs",
    "Neg",
    "Sign",
    "Reciprocal",
    "Sqrt",
    "Exp",
    "Log",
    "Floor",
    "Ceil",
    "Round",
    "Sin",
    "Cos",
    "Tanh",
    "Sigmoid",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "ThresholdedRelu",
    "Elu",
    "Selu",
    "Softplus",
    "Softsign",
    "Identity",
];

pub(super) const BINARY: [&str; 8] = ["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "PRelu"];

/// Refused by name, or so they should be.
pub(super) const REFUSED: [&str; 10] = [
    "Softmax",
    "Transpose",
    "MatMul",
    "GlobalAveragePool",
    "ReduceMean",
    "Gather",
    "Resize",
    "If",
    "Expand",
    "Unheard",
];

/// The graph's input.
pub(super) fn image(symbolic: bool, height: i64, width: i64) -> ValueInfoProto {
    let batch = if symbolic {
        Dim::DimParam("N".into())
    } else {
        Dim::DimValue(1)
    };
    let dims = [
        batch,
        Dim::DimValue(3),
        Dim::DimValue(height),
        Dim::DimValue(width),
    ];
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto {
            dim: dims
                .into_iter()
                .map(|value| Dimension {
                    value: Some(value),
                    ..Dimension::default()
                })
                .collect(),
        }),
    };
    ValueInfoProto {
        name: "image".into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

pub(super) fn ints(name: &str, values: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Ints as i32,
        ints: values,
        ..AttributeProto::default()
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Int as i32,
        i: value,
        ..AttributeProto::default()
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::Float as i32,
        f: value,
        ..AttributeProto::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..AttributeProto::default()
    }
}
