//! What is said of operators that are not listed.

use tract_onnx::pb::NodeProto;

use super::{Class, class};

fn of(op: &str, domain: &str) -> Result<Class, String> {
    class(&NodeProto {
        op_type: op.into(),
        domain: domain.into(),
        ..NodeProto::default()
    })
}

#[test]
fn each_is_refused_with_its_reason() {
    for (words, operators) in [
        (
            "pools over the whole map",
            &["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"][..],
        ),
        ("along an axis", &["ReduceL2", "ArgMax", "CumSum", "TopK"]),
        (
            "statistics over space",
            &["InstanceNormalization", "LayerNormalization"],
        ),
        ("over any axis", &["Softmax", "LogSoftmax", "Hardmax"]),
        ("mixes cells", &["MatMul", "Gemm", "Einsum", "Flatten"]),
        ("moves or repeats cells", &["Transpose", "Tile", "Expand"]),
        (
            "resamples the map",
            &["Resize", "Upsample", "ConvTranspose"],
        ),
        ("by index", &["Gather", "ScatterND"]),
        (
            "control flow",
            &["If", "Loop", "Scan", "LSTM", "GRU", "RNN"],
        ),
        ("a maximum over the whole map", &["DynamicQuantizeLinear"]),
        (
            "quantised operations",
            &["QuantizeLinear", "DequantizeLinear", "QLinearConv"],
        ),
        ("belongs to training", &["Dropout"]),
        ("shapes must be fixed", &["Shape", "Size"]),
        ("not on the list", &["Frobnicate", "add", ""]),
    ] {
        for op in operators {
            let reason = of(op, "").err().unwrap_or_default();
            assert!(reason.contains(words), "{op}: {reason}");
        }
    }
}

#[test]
fn parameters_of_each_class() {
    for (op, parameters, many_outputs) in [
        ("Add", false, false),
        ("Conv", true, false),
        ("Split", true, true),
        ("Identity", false, false),
    ] {
        let class = of(op, "").ok();
        assert!(class == of(op, "ai.onnx").ok() && class.is_some());
        assert!(of(op, "ai.onnx.ml").is_err());
        let Some(class) = class else { continue };
        assert!(!class.must_be_constant(0));
        assert_eq!(class.must_be_constant(1), parameters, "{op}");
        assert_eq!(class.many_outputs(), many_outputs, "{op}");
    }
}
