//! The forward pass.

use tch::{Device, Kind, Tensor, no_grad};

use crate::config::{Precision, TrainingConfig};

use super::{
    layout::{CHANNELS_BACK, CHANNELS_TO_END, channels_last, lies_channels_last},
    parameters::Parameters,
    plan::{Block, Convolution, Embedding, Plan, cells_given},
    sampling::Sampling,
    shake::{self, Weights},
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

/// How the convolutions are worked out; what they are worked out from is always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// The kind of activations and of the weights' copies: `Float` or `BFloat16`.
    pub kind: Kind,
    /// Activations with the channels of a cell side by side.
    pub channels_last: bool,
}

impl Default for Compute {
    fn default() -> Self {
        Self {
            kind: Kind::Float,
            channels_last: false,
        }
    }
}

impl From<&TrainingConfig> for Compute {
    fn from(config: &TrainingConfig) -> Self {
        Self {
            kind: match config.precision {
                Precision::F32 => Kind::Float,
                Precision::Bf16 => Kind::BFloat16,
            },
            channels_last: config.channels_last,
        }
    }
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
    /// How it is worked out.
    pub compute: Compute,
    /// 1 x channels x 1 x 1 each, on the device: nothing is copied there in a forward pass.
    mean: Tensor,
    deviation: Tensor,
}

/// Hands out the tensors of one layer after the other.
struct Cursor {
    /// The f32 parameters themselves.
    parameters: std::vec::IntoIter<Tensor>,
    /// The same in the kind of the convolutions.
    cast: std::vec::IntoIter<Tensor>,
    statistics: std::vec::IntoIter<Tensor>,
    /// For each block whose paths are mixed at random.
    weights: std::vec::IntoIter<Weights>,
    mode: Mode,
    /// Whether each batch normalisation takes on the statistics of what it is given.
    measuring: bool,
}

impl Network {
    /// A freshly initialised network.
    pub fn new(plan: Plan, normalisation: Vec<(f32, f32)>, device: Device) -> Self {
        let parameters = Parameters::new(&plan, device);
        Self::with_parameters(plan, normalisation, parameters)
    }

    /// The same layers with other numbers.
    pub fn with(&self, parameters: Parameters) -> Self {
        Self {
            compute: self.compute,
            ..Self::with_parameters(self.plan.clone(), self.normalisation.clone(), parameters)
        }
    }

    /// Moves all that it holds to `device`.
    pub fn move_to(&mut self, device: Device) {
        self.parameters.move_to(device);
        self.mean = self.mean.to_device(device);
        self.deviation = self.deviation.to_device(device);
    }

    fn with_parameters(plan: Plan, normalisation: Vec<(f32, f32)>, parameters: Parameters) -> Self {
        let channel = |pick: fn(&(f32, f32)) -> f32| {
            let values: Vec<f32> = normalisation.iter().map(pick).collect();
            Tensor::from_slice(&values)
                .view([1, -1, 1, 1])
                .to_device(parameters.flat.device())
        };
        Self {
            mean: channel(|n| n.0),
            deviation: channel(|n| n.1),
            plan,
            parameters,
            normalisation,
            compute: Compute::default(),
        }
    }

    /// Logits N x C x h x w (f32) of `images` N x channels x H x W in [0, 1] (f32).
    pub fn forward(&self, images: &Tensor, mode: Mode) -> Tensor {
        self.forward_sampled(images, mode, &Sampling::ALL)
    }

    /// The logits (f32) of the sampled cells alone: what `sampling` takes of the whole map, at less work.
    pub fn forward_sampled(&self, images: &Tensor, mode: Mode, sampling: &Sampling) -> Tensor {
        self.pass(images, mode, sampling, false)
    }

    /// Makes the running means and variances those of `images`, N x channels x H x W in [0, 1] (f32). Scales and shifts
    /// follow, so that the network says in evaluation what it said before. All cells are worked out, at once.
    pub fn measure(&mut self, images: &Tensor) {
        let _ = no_grad(|| self.pass(images, Mode::Evaluate, &Sampling::ALL, true));
    }

    fn pass(&self, images: &Tensor, mode: Mode, sampling: &Sampling, measuring: bool) -> Tensor {
        let parameters = self.parameters.parameters();
        let cast = if self.compute.kind == Kind::Float {
            parameters.iter().map(Tensor::shallow_clone).collect()
        } else {
            self.parameters.cast(self.compute.kind)
        };
        let mut cursor = Cursor {
            parameters: parameters.into_iter(),
            cast: cast.into_iter(),
            statistics: self.parameters.statistics().into_iter(),
            weights: match mode {
                Mode::Train { shake: true } => self.draw_weights(),
                _ => vec![],
            }
            .into_iter(),
            mode,
            measuring,
        };
        let x = ((images - &self.mean) / &self.deviation).to_kind(self.compute.kind);
        let x = if self.compute.channels_last {
            // Every layer after this one keeps that.
            channels_last(&x)
        } else {
            x
        };
        let samplings = self.plan.samplings(*sampling);
        let first = samplings.first().unwrap_or(sampling);
        let x = cursor.apply((&x, &Sampling::ALL), &self.plan.stem, first);
        let embedding = self.plan.stem_embedding.as_ref();
        let mut x = cursor.placed_relu(x, embedding, first);
        let ends = samplings.iter().zip(samplings.iter().skip(1));
        for (block, (from, to)) in self.plan.blocks.iter().zip(ends) {
            x = cursor.block((&x, from), block, to);
        }
        cursor
            .apply((&x, sampling), &self.plan.head, sampling)
            .to_kind(Kind::Float)
    }
}

impl Network {
    /// For every block, all of one draw; none where no block has two paths.
    fn draw_weights(&self) -> Vec<Weights> {
        if self.plan.blocks.iter().all(|block| block.paths.len() < 2) {
            return vec![];
        }
        let options = (Kind::Float, self.parameters.flat.device());
        Weights::draw(self.plan.blocks.len(), options, self.compute.kind)
    }
}

impl Cursor {
    /// The next parameter, and its copy in the kind of the convolutions.
    fn next(&mut self) -> (Option<Tensor>, Option<Tensor>) {
        (self.parameters.next(), self.cast.next())
    }

    /// The cells that `sampling` takes of what the convolution gives, from a map and what was taken of it.
    fn apply(&mut self, x: (&Tensor, &Sampling), c: &Convolution, sampling: &Sampling) -> Tensor {
        let weight = self.next().1.unwrap_or_default();
        if !c.normalised {
            return sampling.convolve(x, &weight, self.next().1.as_ref(), c);
        }
        let x = sampling.convolve(x, &weight, None, c);
        let (scale, shift) = (self.next().0, self.next().0);
        let (mean, variance) = (self.statistics.next(), self.statistics.next());
        if self.measuring {
            measure(&x, [&scale, &shift, &mean, &variance]);
        }
        x.batch_norm(
            scale,
            shift,
            mean,
            variance,
            self.mode != Mode::Evaluate,
            BATCH_NORM_MOMENTUM,
            BATCH_NORM_EPSILON,
            true,
        )
    }

    /// ReLU of `x`, a map of the cells that `sampling` takes, with the embedding of these cells added.
    fn placed_relu(
        &mut self,
        mut x: Tensor,
        embedding: Option<&Embedding>,
        sampling: &Sampling,
    ) -> Tensor {
        let Some(numbers) = embedding.and_then(|_| self.next().1) else {
            return x.relu_();
        };
        // In the order in which the map lies: libtorch adds, and sums the gradient, one number after the other where the two
        // differ.
        let numbers = sampling.of(&numbers.unsqueeze(0));
        if !lies_channels_last(&x) {
            return (x + numbers.contiguous()).relu_();
        }
        let numbers = numbers.permute(CHANNELS_TO_END).contiguous();
        // In place before the axes are put back: in a view it would copy.
        let mut placed = x.permute(CHANNELS_TO_END) + numbers;
        placed.relu_().permute(CHANNELS_BACK)
    }

    /// From a map, of which there are the cells that `from` takes, to those that `to` takes of the block's.
    fn block(&mut self, (x, from): (&Tensor, &Sampling), block: &Block, to: &Sampling) -> Tensor {
        let mut ends = Vec::with_capacity(block.paths.len());
        for path in &block.paths {
            let [first, second] = path;
            let [middle, end] = cells_given(path, *from, *to);
            let hidden = self.apply((x, from), first, &middle).relu_();
            ends.push(self.apply((&hidden, &middle), second, &end));
        }
        let shortcut = match &block.shortcut {
            Some(c) => self.apply((x, from), c, to),
            None => to.of_those(x, from),
        };
        let mixed = shake::mix(ends, self.weights.next());
        let sum = shortcut + mixed;
        self.placed_relu(sum, block.embedding.as_ref(), to)
    }
}

/// Gives a batch normalisation (scale, shift, mean and variance) the statistics of `x`, N x channels x h x w, and the scale
/// and the shift with which it does to every map what it did before. Under `no_grad` only.
fn measure(x: &Tensor, numbers: [&Option<Tensor>; 4]) {
    let [Some(scale), Some(shift), Some(mean), Some(variance)] = numbers else {
        return;
    };
    let axes = [0i64, 2, 3];
    let (found_variance, found_mean) =
        x.to_kind(Kind::Float)
            .var_mean_dim(axes.as_slice(), true, false);
    let deviation = |variance: &Tensor| (variance + BATCH_NORM_EPSILON).sqrt();
    let gain = scale / deviation(variance);
    let moved = (&found_mean - mean) * &gain;
    let _ = shift.detach().g_add_(&moved);
    scale.detach().copy_(&(gain * deviation(&found_variance)));
    mean.shallow_clone().copy_(&found_mean);
    variance.shallow_clone().copy_(&found_variance);
}
