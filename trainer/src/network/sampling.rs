//! Which cells of the score map a training step works out.
//!
//! All layers after the last one that mixes neighbours are 1x1 convolutions, so that a cell that is left out there
//! is left out of all of them: with every second cell along both axes a step costs about a quarter. The mean
//! scores of the cells that remain are an unbiased estimate of those of the whole map where the stride divides it.
//! So is the gradient of what is linear in them: the paper's margin below its clip, but for the maximum over the
//! rivals; not the squared distance to a teacher's mean scores, to which the sample adds its variance.

use tch::{Device, Kind, Tensor};

use super::plan::Convolution;

/// Every `stride`-th cell along both axes, from an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    stride: i64,
    /// The first row and column, each below the stride.
    offset: [i64; 2],
}

impl Sampling {
    /// Every cell.
    pub const ALL: Self = Self {
        stride: 1,
        offset: [0, 0],
    };

    /// Every `stride`-th cell from row `offset[0]` and column `offset[1]`; what is out of range is brought into it.
    pub fn new(stride: i64, offset: [i64; 2]) -> Self {
        let stride = stride.max(1);
        Self {
            stride,
            offset: offset.map(|at| at.clamp(0, stride - 1)),
        }
    }

    /// Offsets drawn from libtorch's generator of the CPU, on which no other device waits; nothing is drawn where
    /// the stride is 1.
    pub fn draw(stride: i64) -> Self {
        if stride <= 1 {
            return Self::ALL;
        }
        let drawn = Tensor::randint(stride, [2], (Kind::Int64, Device::Cpu));
        Self::new(stride, [0, 1].map(|at| drawn.int64_value(&[at])))
    }

    /// The sampled cells of a whole map N x C x h x w; a view.
    pub fn of(&self, map: &Tensor) -> Tensor {
        if self.stride == 1 {
            return map.shallow_clone();
        }
        let [y, x] = self.offset;
        map.slice(2, y, None, self.stride)
            .slice(3, x, None, self.stride)
    }

    /// The sampled cells of what the convolution gives for `x` (N x C x h x w); the others are not worked out.
    pub(super) fn convolve(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        c: &Convolution,
    ) -> Tensor {
        let padding = c.padding();
        if self.stride == 1 {
            return x.conv2d(weight, bias, [c.stride; 2], [padding; 2], [1i64, 1], 1);
        }
        // What lies before the first sampled cell's window is cut off: padding below 0.
        let [top, left] = self.offset.map(|offset| padding - offset * c.stride);
        let x = x.constant_pad_nd([left, padding, top, padding]);
        let stride = self.stride * c.stride;
        x.conv2d(weight, bias, [stride; 2], [0i64; 2], [1i64, 1], 1)
    }
}
