//! Which ONNX operators may appear in a file at all, and why others may not.

use tract_onnx::pb::NodeProto;

/// What the first gate must know of an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// All its inputs may depend on the image.
    OnMaps,
    /// Its first input may depend on the image, all others are parameters.
    WithParameters,
    /// Like `WithParameters`, with several outputs.
    Parting,
    /// Copies or relabels values; the only class that may work on constants alone.
    OnConstants,
}

impl Class {
    pub(crate) fn must_be_constant(self, input: usize) -> bool {
        matches!(self, Class::WithParameters | Class::Parting) && input > 0
    }

    pub(crate) fn many_outputs(self) -> bool {
        self == Class::Parting
    }
}

/// The domain of ONNX's own operators.
pub(crate) fn is_standard(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// The class of an admissible operator, or the reason why it is refused.
pub(crate) fn class(node: &NodeProto) -> Result<Class, String> {
    // The library looks at the name alone and would run the standard operator of that name.
    if !is_standard(&node.domain) {
        return Err("an operator of another domain than ONNX's own cannot be proved local".into());
    }
    match node.op_type.as_str() {
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Sum" | "Concat" | "PRelu" | "Abs"
        | "Neg" | "Sign" | "Reciprocal" | "Sqrt" | "Exp" | "Log" | "Floor" | "Ceil" | "Round"
        | "Sin" | "Cos" | "Tanh" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Swish" | "Relu"
        | "LeakyRelu" | "ThresholdedRelu" | "Elu" | "Selu" | "Celu" | "Softplus" | "Softsign"
        | "MaxPool" | "AveragePool" => Ok(Class::OnMaps),
        "Conv" | "BatchNormalization" | "Clip" | "Pad" | "Slice" | "ReduceMean" | "ReduceSum"
        | "ReduceMax" | "ReduceMin" => Ok(Class::WithParameters),
        "Split" => Ok(Class::Parting),
        "Constant" | "Identity" | "Cast" | "Unsqueeze" | "Squeeze" | "Reshape" => {
            Ok(Class::OnConstants)
        }
        other => Err(reason(other).to_string()),
    }
}

/// Why an operator that is not listed is refused.
fn reason(op: &str) -> &'static str {
    match op {
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            "it pools over the whole map, so every cell would depend on every pixel"
        }
        "ReduceProd" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp"
        | "ReduceSumSquare" | "ArgMax" | "ArgMin" | "CumSum" | "TopK" => {
            "it combines cells along an axis, so distant cells would depend on each other"
        }
        "InstanceNormalization"
        | "LayerNormalization"
        | "GroupNormalization"
        | "LpNormalization"
        | "MeanVarianceNormalization"
        | "RMSNormalization" => {
            "it normalises by statistics over space, so distant cells would depend on each other; \
             use batch normalisation in inference mode"
        }
        "Softmax" | "LogSoftmax" | "Hardmax" => {
            "it is refused over any axis; give the logits before it (scores are logits >= 0)"
        }
        "MatMul" | "Gemm" | "Einsum" | "Flatten" => {
            "it mixes cells; write a per-cell linear layer as a 1x1 convolution"
        }
        "Transpose" | "DepthToSpace" | "SpaceToDepth" | "Tile" | "Expand" => {
            "it moves or repeats cells, which is not followed"
        }
        "Resize" | "Upsample" | "GridSample" | "ConvTranspose" => {
            "it resamples the map, which is not followed"
        }
        "Gather" | "GatherElements" | "GatherND" | "Scatter" | "ScatterElements" | "ScatterND" => {
            "it moves values by index, which is not followed"
        }
        "If" | "Loop" | "Scan" | "LSTM" | "GRU" | "RNN" => {
            "control flow and recurrence are not followed"
        }
        "DynamicQuantizeLinear" => {
            "its scale is a maximum over the whole map, so every cell would depend on every pixel"
        }
        "QuantizeLinear" | "DequantizeLinear" | "QLinearConv" | "QLinearMatMul" | "ConvInteger"
        | "MatMulInteger" => "quantised operations are not followed; export in f32",
        "Dropout" => "it belongs to training; export in inference mode",
        "Shape" | "Size" => "shapes must be fixed; export with a fixed size and constants folded",
        _ => "it is not on the list of operations proved local",
    }
}

#[cfg(test)]
mod tests;
