//! All trainable numbers in one flat tensor, so that the optimiser is a few kernels.

use tch::{Device, Kind, Tensor, no_grad};

use super::plan::{Embedding, Layer, Plan};

/// Parameters and batch-normalisation statistics of a network.
///
/// Each convolution contributes its weight [out, in, k, k], then, where it is normalised, scale and shift
/// `[out]`, otherwise its bias `[out]`; each normalised one also a running mean and variance `[out]`. A position
/// embedding contributes its value [channels, rows, columns].
#[derive(Debug)]
pub struct Parameters {
    /// All trainable numbers; the one leaf of the autograd graph.
    pub flat: Tensor,
    /// All running means and variances.
    pub statistics: Tensor,
    layout: Layout,
}

#[derive(Clone, Debug)]
struct Layout {
    parameters: Vec<(String, Vec<i64>)>,
    statistics: Vec<(String, Vec<i64>)>,
}

impl Layout {
    fn new(plan: &Plan) -> Self {
        let mut layout = Self {
            parameters: vec![],
            statistics: vec![],
        };
        for layer in plan.layers() {
            let c = match layer {
                Layer::Convolution(c) => c,
                Layer::Embedding(Embedding { name, shape }) => {
                    layout
                        .parameters
                        .push((format!("{name}.value"), shape.to_vec()));
                    continue;
                }
            };
            let name = |part: &str| format!("{}.{part}", c.name);
            layout
                .parameters
                .push((name("weight"), vec![c.output, c.input, c.kernel, c.kernel]));
            if c.normalised {
                layout.parameters.push((name("scale"), vec![c.output]));
                layout.parameters.push((name("shift"), vec![c.output]));
                layout.statistics.push((name("mean"), vec![c.output]));
                layout.statistics.push((name("variance"), vec![c.output]));
            } else {
                layout.parameters.push((name("bias"), vec![c.output]));
            }
        }
        layout
    }
}

fn sizes(entries: &[(String, Vec<i64>)]) -> Vec<i64> {
    entries
        .iter()
        .map(|(_, shape)| shape.iter().product())
        .collect()
}

fn split(flat: &Tensor, entries: &[(String, Vec<i64>)]) -> Vec<Tensor> {
    let parts = flat.split_with_sizes(sizes(entries), 0);
    parts
        .iter()
        .zip(entries)
        .map(|(part, (_, shape))| part.view(shape.as_slice()))
        .collect()
}

impl Parameters {
    /// He-normal weights (by fan-in), scales and variances of one, all else zero. Uses libtorch's generator.
    pub fn new(plan: &Plan, device: Device) -> Self {
        let layout = Layout::new(plan);
        // Drawn on the CPU, so that a seed means the same network on every device.
        let options = (Kind::Float, Device::Cpu);
        let parameters = layout.parameters.iter().map(|(name, shape)| {
            if name.ends_with(".weight") {
                let fan_in: i64 = shape.iter().skip(1).product();
                Tensor::randn(shape.as_slice(), options) * (2.0 / fan_in as f64).sqrt()
            } else if name.ends_with(".scale") {
                Tensor::ones(shape.as_slice(), options)
            } else {
                Tensor::zeros(shape.as_slice(), options)
            }
        });
        let flat = Tensor::cat(
            &parameters
                .map(|tensor| tensor.flatten(0, -1))
                .collect::<Vec<_>>(),
            0,
        );
        let statistics = layout.statistics.iter().map(|(name, shape)| {
            let value = if name.ends_with(".variance") {
                1.0
            } else {
                0.0
            };
            Tensor::full(shape.as_slice(), value, options)
        });
        // A folded network has none.
        let empty = Tensor::zeros([0i64], options);
        let statistics: Vec<Tensor> = std::iter::once(empty).chain(statistics).collect();
        let statistics = Tensor::cat(&statistics, 0).to_device(device);
        Self {
            flat: flat.to_device(device).set_requires_grad(true),
            statistics,
            layout,
        }
    }

    /// Views of the parameters, in the order of `Plan::layers`.
    pub fn parameters(&self) -> Vec<Tensor> {
        split(&self.flat, &self.layout.parameters)
    }

    /// The parameters in another kind, converted as one tensor.
    pub fn cast(&self, kind: Kind) -> Vec<Tensor> {
        split(&self.flat.to_kind(kind), &self.layout.parameters)
    }

    /// The same layout over other numbers, which are not trained.
    pub fn with(&self, flat: &Tensor, statistics: &Tensor) -> Self {
        Self {
            flat: flat.detach(),
            statistics: statistics.detach(),
            layout: self.layout.clone(),
        }
    }

    /// Views of the statistics: mean and variance in turn.
    pub fn statistics(&self) -> Vec<Tensor> {
        split(&self.statistics, &self.layout.statistics)
    }

    /// As long as `flat`: 1 for the weights of convolutions, 0 for all else (biases, scales, shifts, position embeddings).
    pub fn weights(&self) -> Tensor {
        let marks = self.layout.parameters.iter().map(|(name, shape)| {
            let mark = if name.ends_with(".weight") { 1.0 } else { 0.0 };
            Tensor::full(
                shape.iter().product::<i64>(),
                mark,
                (Kind::Float, self.flat.device()),
            )
        });
        Tensor::cat(&marks.collect::<Vec<_>>(), 0)
    }

    /// Moves all of them to `device`.
    pub(super) fn move_to(&mut self, device: Device) {
        self.flat = self.flat.detach().to_device(device).set_requires_grad(true);
        self.statistics = self.statistics.to_device(device);
    }

    /// Every tensor with its name, detached: what a checkpoint holds.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let names = self
            .layout
            .parameters
            .iter()
            .chain(&self.layout.statistics)
            .map(|(name, _)| name.clone());
        let tensors = self.parameters().into_iter().chain(self.statistics());
        names.zip(tensors.map(|tensor| tensor.detach())).collect()
    }

    /// Overwrites one named tensor; false where the name or the shape is unknown here.
    pub fn set(&mut self, name: &str, value: &Tensor) -> bool {
        let Some((_, mut place)) = self.named().into_iter().find(|(known, _)| known == name) else {
            return false;
        };
        if place.size() != value.size() {
            return false;
        }
        no_grad(|| place.copy_(value));
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_convolutions_are_told_from_all_else() {
        let config = "width = 2\nkernels = [1, 3]\npaths = 1\nposition_embedding = true";
        let plan = Plan::new(&toml::from_str(config).unwrap(), 8, 3, 2);
        let parameters = Parameters::new(&plan, Device::Cpu);
        let marks = parameters.with(&parameters.weights(), &parameters.statistics);
        let statistics = marks.layout.statistics.len();
        let named = marks.named();
        let (mut weights, mut places) = (0, 0);
        for (name, mark) in &named[..named.len() - statistics] {
            let expected = f64::from(name.ends_with(".weight"));
            assert_eq!(mark.min().double_value(&[]), expected, "{name}");
            assert_eq!(mark.max().double_value(&[]), expected, "{name}");
            weights += usize::from(name.ends_with(".weight"));
            places += usize::from(name.ends_with("place.value"));
        }
        // Stem, two in each block, head; one embedding at the stem and at each block.
        assert_eq!((weights, places), (6, 3));
    }
}
