//! Which cells of the score map a training step works out.
//!
//! All layers after the last one that mixes neighbours are 1x1 convolutions, so that a cell that is left out there
//! is left out of all of them: with every second cell along both axes a step costs about a quarter. Where that layer's
//! kernel is dilated, the layers before it leave out cells between its taps too. The mean
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

    /// How many of `len` cells in a row, from the first, are taken where the offset is 0.
    pub(super) fn count(&self, len: i64) -> i64 {
        (len + self.stride - 1) / self.stride
    }

    /// The cells that a convolution must be given to work out these; others may be among them.
    pub(super) fn before(&self, c: &Convolution) -> Self {
        // What one tap of the kernel falls on lies `step` apart, and its taps `dilation`: all agree in this remainder.
        let step = self.stride * c.stride;
        let stride = match c.kernel {
            // Where every cell is wanted, all are worked out, so that the statistics are of all.
            _ if self.stride == 1 => 1,
            1 => step,
            _ => common_divisor(step, c.dilation),
        };
        let [padding, _] = c.padding();
        let offset = self
            .offset
            .map(|at| (at * c.stride - padding).rem_euclid(stride));
        Self { stride, offset }
    }

    /// The cells of the whole map that `self` takes, of those that `from` has taken already; a view.
    pub(super) fn of_those(&self, map: &Tensor, from: &Self) -> Tensor {
        let offset = [0, 1].map(|axis| (self.offset[axis] - from.offset[axis]) / from.stride);
        Self {
            stride: self.stride / from.stride,
            offset,
        }
        .of(map)
    }

    /// These cells of what the convolution gives for a map of which `x` (N x C x h x w) has those that `from` takes;
    /// the others are not worked out.
    pub(super) fn convolve(
        &self,
        (x, from): (&Tensor, &Self),
        weight: &Tensor,
        bias: Option<&Tensor>,
        c: &Convolution,
    ) -> Tensor {
        let [before, after] = c.padding();
        let stride = self.stride * c.stride / from.stride;
        let dilation = if c.kernel > 1 {
            c.dilation / from.stride
        } else {
            1
        };
        // What lies before the first sampled cell's window is cut off: padding below 0.
        let [top, left] = [0, 1]
            .map(|axis| (before + from.offset[axis] - self.offset[axis] * c.stride) / from.stride);
        let end = after / from.stride;
        // Padding of its own is a copy of the map.
        if top == end && left == end {
            return x.conv2d(weight, bias, [stride; 2], [end; 2], [dilation; 2], 1);
        }
        let x = x.constant_pad_nd([left, end, top, end]);
        x.conv2d(weight, bias, [stride; 2], [0i64; 2], [dilation; 2], 1)
    }
}

fn common_divisor(one: i64, other: i64) -> i64 {
    if other == 0 {
        one
    } else {
        common_divisor(other, one % other)
    }
}
