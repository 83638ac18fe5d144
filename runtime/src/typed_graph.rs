//! Typed graphs for unit tests: what no ONNX file leads to, but the library could make.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use tract_core::internal::{
    DatumExt, IntoArcTensor, OutletId, Tensor, TypedModel, TypedOp, tensor0, tvec,
};
use tract_core::model::SpecialOps;
use tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec, PoolSpec};
use tract_core::ops::nn::DataFormat;

/// Channels of the image and of all convolutions.
pub(crate) const CHANNELS: usize = 3;
/// Rows and columns of the image.
pub(crate) const SIDE: usize = 9;

/// A graph in the making, on one image.
pub(crate) struct Graph {
    pub(crate) model: TypedModel,
    /// The value that the next operation reads first.
    pub(crate) last: OutletId,
}

impl Graph {
    pub(crate) fn new() -> Graph {
        let mut model = TypedModel::default();
        let last = model
            .add_source("image", f32::fact([1, CHANNELS, SIDE, SIDE]))
            .unwrap();
        Graph { model, last }
    }

    /// Adds an operation that reads the last value only.
    pub(crate) fn then(self, op: impl Into<Box<dyn TypedOp>>) -> Graph {
        self.with(op, &[])
    }

    /// Adds an operation that reads the last value and others.
    pub(crate) fn with(mut self, op: impl Into<Box<dyn TypedOp>>, others: &[OutletId]) -> Graph {
        let name = format!("node{}", self.model.nodes().len());
        let inputs = [&[self.last], others].concat();
        self.last = self.model.wire_node(name, op, &inputs).unwrap()[0];
        self
    }

    /// Adds fixed values.
    pub(crate) fn value(&mut self, tensor: impl IntoArcTensor) -> OutletId {
        let name = format!("value{}", self.model.nodes().len());
        self.model.add_const(name, tensor).unwrap()
    }

    /// Adds zeros.
    pub(crate) fn zeros(&mut self, shape: &[usize]) -> OutletId {
        self.value(Tensor::zero::<f32>(shape).unwrap())
    }

    /// Adds a convolution without bias.
    pub(crate) fn conv(mut self, spec: PoolSpec) -> Graph {
        let kernel = &spec.kernel_shape;
        let weights = self.zeros(&[CHANNELS, CHANNELS, kernel[0], kernel[1]]);
        let bias = self.value(tensor0(0f32));
        self.with(conv(spec), &[weights, bias])
    }

    /// The graph, whose output is the last value.
    pub(crate) fn finish(mut self) -> TypedModel {
        self.model.select_output_outlets(&[self.last]).unwrap();
        self.model
    }
}

/// Windows along rows and columns; `pads` are before and after, rows first.
pub(crate) fn windows(
    kernel: [usize; 2],
    stride: usize,
    dilation: usize,
    pads: [(usize, usize); 2],
) -> PoolSpec {
    PoolSpec {
        data_format: DataFormat::NCHW,
        kernel_shape: kernel.into_iter().collect(),
        padding: PaddingSpec::Explicit(tvec!(pads[0].0, pads[1].0), tvec!(pads[0].1, pads[1].1)),
        dilations: Some(tvec!(dilation, dilation)),
        strides: Some(tvec!(stride, stride)),
        input_channels: CHANNELS,
        output_channels: CHANNELS,
    }
}

/// A convolution of such windows.
pub(crate) fn conv(spec: PoolSpec) -> Conv {
    Conv {
        pool_spec: spec,
        kernel_fmt: KernelFormat::OIHW,
        group: 1,
        q_params: None,
    }
}
