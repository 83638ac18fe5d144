//! The forward pass.

use tch::{Device, Kind, Tensor};

use super::{
    parameters::Parameters,
    plan::{Block, Convolution, Plan},
};

/// What batch normalisation adds to a variance.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;
/// How much of each batch's statistics goes into the running ones.
const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Training (batch statistics, random path weights) or evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, shake-shake where `shake` is set.
    Train {
        /// Mix two paths by random weights, drawn anew for the backward pass.
        shake: bool,
    },
    /// Running statistics, paths averaged.
    Evaluate,
}

/// A network with its parameters.
#[derive(Debug)]
pub struct Network {
    /// Its layers.
    pub plan: Plan,
    /// Its numbers.
    pub parameters: Parameters,
    /// Mean and standard deviation of each image channel, taken off before the stem.
    pub normalisation: Vec<(f32, f32)>,
}

/// Hands out the tensors of one convolution after the other.
struct Cursor {
    parameters: std::vec::IntoIter<Tensor>,
    statistics: std::vec::IntoIter<Tensor>,
    mode: Mode,
}

impl Network {
    /// A freshly initialised network.
    pub fn new(plan: Plan, normalisation: Vec<(f32, f32)>, device: Device) -> Self {
        let parameters = Parameters::new(&plan, device);
        Self {
            plan,
            parameters,
            normalisation,
        }
    }

    /// Logits N x C x h x w of `images` N x channels x H x W in [0, 1].
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        let mut cursor = Cursor {
            parameters: self.parameters.parameters().into_iter(),
            statistics: self.parameters.statistics().into_iter(),
            mode,
        };
        let channel = |pick: fn(&(f32, f32)) -> f32| {
            let values: Vec<f32> = self.normalisation.iter().map(pick).collect();
            Tensor::from_slice(&values)
                .view([1, -1, 1, 1])
                .to_device(images.device())
        };
        let x = (images - channel(|n| n.0)) / channel(|n| n.1);
        let mut x = cursor.apply(&x, &self.plan.stem).relu_();
        for block in &self.plan.blocks {
            x = cursor.block(&x, block);
        }
        cursor.apply(&x, &self.plan.head)
    }
}

impl Cursor {
    fn next(&mut self) -> Option<Tensor> {
        self.parameters.next()
    }

    fn apply(&mut self, x: &Tensor, c: &Convolution) -> Tensor {
        let (stride, padding) = ([c.stride; 2], [c.padding(); 2]);
        let weight = self.next().unwrap_or_default();
        if !c.normalised {
            return x.conv2d(&weight, self.next(), stride, padding, [1i64, 1], 1);
        }
        let x = x.conv2d(&weight, None::<Tensor>, stride, padding, [1i64, 1], 1);
        let (scale, shift) = (self.next(), self.next());
        let (mean, variance) = (self.statistics.next(), self.statistics.next());
        let training = self.mode != Mode::Evaluate;
        x.batch_norm(
            scale,
            shift,
            mean,
            variance,
            training,
            BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
            true,
        )
    }

    fn block(&mut self, x: &Tensor, block: &Block) -> Tensor {
        let mut ends = Vec::with_capacity(block.paths.len());
        for [first, second] in &block.paths {
            let middle = self.apply(x, first).relu_();
            ends.push(self.apply(&middle, second));
        }
        let shortcut = block
            .shortcut
            .as_ref()
            .map_or_else(|| x.shallow_clone(), |c| self.apply(x, c));
        (shortcut + self.mix(ends)).relu_()
    }

    fn mix(&self, mut ends: Vec<Tensor>) -> Tensor {
        let Some(second) = ends.pop() else {
            return Tensor::new();
        };
        let Some(first) = ends.pop() else {
            return second;
        };
        let blend = |weight: &Tensor| &second + (&first - &second) * weight;
        if self.mode == (Mode::Train { shake: true }) {
            let draw = || Tensor::rand([1i64, 1, 1, 1], (Kind::Float, first.device()));
            // The value of the first draw, the gradient of the second (Gastaldi, 2017).
            let backward = blend(&draw());
            let forward = tch::no_grad(|| blend(&draw()) - &backward);
            return backward + forward;
        }
        (first + second) * 0.5
    }
}
