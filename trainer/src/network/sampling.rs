//! Which cells of the score map a training step works out.
//!
//! All layers after the last one that mixes neighbours are 1x1 convolutions, so that a cell that is left out there
//! is left out of all of them: with every second cell along both axes a step costs about a quarter. The layers before
//! that one leave out cells too: those between its taps, where its kernel is dilated, and those between its windows,
//! where it is neither dilated nor strided and they do not touch. The mean
//! scores of the cells that remain are an unbiased estimate of those of the whole map where the stride divides it.
//! So is the gradient of what is linear in them: the paper's margin below its clip, but for the maximum over the
//! rivals; not the squared distance to a teacher's mean scores, to which the sample adds its variance,
//! nor the cross-entropy with its classes, to which it adds about half of it over the softness.

use tch::{Device, Kind, Tensor};

use super::{
    layout::{CHANNELS_BACK, CHANNELS_TO_END, lies_channels_last},
    plan::Convolution,
};

/// With fewer input channels oneDNN, which libtorch uses on a processor, writes beyond its memory in the gradient of a strided
/// 1x1 convolution (seen with AVX2).
const SAFE_STRIDED_CHANNELS: i64 = 8;

/// Every `stride`-th cell along both axes, from an offset; before a layer that mixes neighbours, runs of cells.
///
/// Along an axis cell `i` is taken where `(i - offset) mod stride < run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    stride: i64,
    /// A row and a column where a run begins, each below the stride.
    offset: [i64; 2],
    /// Cells side by side: 1, or fewer than the stride.
    run: i64,
}

impl Sampling {
    /// Every cell.
    pub const ALL: Self = Self {
        stride: 1,
        offset: [0, 0],
        run: 1,
    };

    /// Every `stride`-th cell from row `offset[0]` and column `offset[1]`; what is out of range is brought into it.
    pub fn new(stride: i64, offset: [i64; 2]) -> Self {
        let stride = stride.max(1);
        Self {
            stride,
            offset: offset.map(|at| at.clamp(0, stride - 1)),
            run: 1,
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

    /// The sampled cells of a whole map N x C x h x w; a view, but of runs.
    pub fn of(&self, map: &Tensor) -> Tensor {
        if self.stride == 1 {
            return map.shallow_clone();
        }
        if self.run > 1 {
            return self.runs_of(map);
        }
        let [y, x] = self.offset;
        map.slice(2, y, None, self.stride)
            .slice(3, x, None, self.stride)
    }

    /// The same of runs: the map is cut into periods that begin with one each.
    fn runs_of(&self, map: &Tensor) -> Tensor {
        let lengths = [2, 3].map(|axis| map.size().get(axis).copied().unwrap_or(0));
        // Zeros, so that the first period and the last are whole.
        let front = self.offset.map(|at| (self.stride - at) % self.stride);
        let end = [0, 1].map(|axis| (-front[axis] - lengths[axis]).rem_euclid(self.stride));
        let periods = map.constant_pad_nd([front[1], end[1], front[0], end[0]]);
        // Channels that lie side by side shall do so after it: the copy below keeps the order of the axes.
        let last = lies_channels_last(map);
        let (periods, y) = if last {
            (periods.permute(CHANNELS_TO_END), 1)
        } else {
            (periods, 2)
        };
        let runs = periods
            .unflatten(y + 1, [-1, self.stride])
            .unflatten(y, [-1, self.stride])
            .narrow(y + 1, 0, self.run)
            .narrow(y + 3, 0, self.run)
            .flatten(y, y + 1)
            .flatten(y + 1, y + 2);
        let [rows, columns] = [0, 1].map(|axis| self.count(axis, lengths[axis]));
        let [top, left] = front.map(|zeros| zeros.min(self.run));
        // Dense: libtorch normalises a batch of anything else one number after the other.
        let runs = runs
            .narrow(y, top, rows)
            .narrow(y + 1, left, columns)
            .contiguous();
        if last {
            runs.permute(CHANNELS_BACK)
        } else {
            runs
        }
    }

    /// How many of the first `len` rows (axis 0) or columns (axis 1) are taken.
    pub(super) fn count(&self, axis: usize, len: i64) -> i64 {
        let taken = |at: &i64| (at - self.offset[axis]).rem_euclid(self.stride) < self.run;
        (0..len).filter(taken).count() as i64
    }

    /// The cells that a convolution works out to give these from those that `from` takes: where runs begin, all.
    pub(super) fn worked_out(self, from: &Self) -> Self {
        if self.run > 1 && self != *from {
            Self::ALL
        } else {
            self
        }
    }

    /// The cells that a convolution must be given to work out these; others may be among them.
    pub(super) fn before(&self, c: &Convolution) -> Self {
        if self.run > 1 {
            return if c.is_spatial() { Self::ALL } else { *self };
        }
        // What one tap of the kernel falls on lies `step` apart, and its taps `dilation`: all agree in this remainder.
        let step = self.stride * c.stride;
        let (stride, run) = match c.kernel {
            // Where every cell is wanted, all are worked out, so that the statistics are of all.
            _ if self.stride == 1 => (1, 1),
            1 => (step, 1),
            // Windows with cells between them.
            kernel if c.dilation == 1 && c.stride == 1 && kernel < step => (step, kernel),
            _ => (common_divisor(step, c.dilation), 1),
        };
        let [padding, _] = c.padding();
        let offset = self
            .offset
            .map(|at| (at * c.stride - padding).rem_euclid(stride));
        Self {
            stride,
            offset,
            run,
        }
    }

    /// The cells of the whole map that `self` takes, of those that `from` has taken already; a view, but where runs are
    /// taken of every cell.
    pub(super) fn of_those(&self, map: &Tensor, from: &Self) -> Tensor {
        if self == from {
            return map.shallow_clone();
        }
        if self.run > 1 {
            return self.of(map);
        }
        if from.run > 1 {
            // One of each run, at the same place in all.
            let [y, x] = [0, 1].map(|axis| from.count(axis, self.offset[axis]));
            return map.slice(2, y, None, from.run).slice(3, x, None, from.run);
        }
        let offset = [0, 1].map(|axis| (self.offset[axis] - from.offset[axis]) / from.stride);
        Self {
            stride: self.stride / from.stride,
            offset,
            run: 1,
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
        let all = self.worked_out(from);
        if all != *self {
            return self.of(&all.convolve((x, from), weight, bias, c));
        }
        if from.run > 1 && self.run == 1 {
            let (x, apart) = self.windows_of(x, from, c);
            return x.conv2d(weight, bias, [apart; 2], [0i64; 2], [1i64; 2], 1);
        }
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
        if c.kernel == 1 && stride > 1 && c.input < SAFE_STRIDED_CHANNELS {
            // Pixels of no window are left out beforehand; a kernel of 1 has no padding, so that `end` is 0.
            let read = x.slice(2, -top, None, stride).slice(3, -left, None, stride);
            return read.conv2d(weight, bias, [1i64; 2], [0i64; 2], [1i64; 2], 1);
        }
        // Padding of its own is a copy of the map.
        if top == end && left == end {
            return x.conv2d(weight, bias, [stride; 2], [end; 2], [dilation; 2], 1);
        }
        let x = x.constant_pad_nd([left, end, top, end]);
        x.conv2d(weight, bias, [stride; 2], [0i64; 2], [dilation; 2], 1)
    }

    /// What a convolution of stride 1 reads for these cells out of a map of runs, `x`, and how far apart in it two windows begin.
    fn windows_of(&self, x: &Tensor, from: &Self, c: &Convolution) -> (Tensor, i64) {
        if c.kernel == 1 {
            return (self.of_those(x, from), 1);
        }
        let [before, _] = c.padding();
        let [rows, columns] = [0, 1].map(|axis| {
            let first = self.offset[axis] - before;
            // What the first window has before the map, or what there is before the first window.
            let front = if first < 0 {
                -first
            } else {
                -from.count(axis, first)
            };
            let len = x.size().get(2 + axis).copied().unwrap_or(0);
            // A last window that is cut off is wanted if its own cell is there.
            let rest = (len + front) % from.run;
            let end = if rest > before { from.run } else { 0 } - rest;
            [front, end]
        });
        (x.constant_pad_nd([columns, rows].concat()), from.run)
    }
}

fn common_divisor(one: i64, other: i64) -> i64 {
    if other == 0 {
        one
    } else {
        common_divisor(other, one % other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layout::channels_last;

    /// Batches of maps that are not dense are normalised several times slower: no test of results sees it.
    #[test]
    fn runs_of_cells_lie_without_gaps() {
        let map = Tensor::rand([2, 5, 32, 32], (Kind::Float, Device::Cpu));
        let other = channels_last(&map);
        for at in 0..16 {
            let runs = Sampling {
                stride: 4,
                offset: [at / 4, at % 4],
                run: 3,
            };
            assert!(runs.of(&map).is_contiguous());
            let taken = runs.of(&other);
            assert!(lies_channels_last(&taken));
            assert!(taken.permute(CHANNELS_TO_END).is_contiguous());
            assert_eq!(taken, runs.of(&map));
        }
    }
}
