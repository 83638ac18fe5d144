//! An exported network as one that can be trained on.

use std::collections::HashMap;

use tch::{Kind, Tensor};

use crate::network::{BATCH_NORM_EPSILON, Network};

/// The norm of the weights to a channel in a network that was just made (He et al., 2015), from any number of inputs.
const FRESH_NORM: f64 = std::f64::consts::SQRT_2;
/// A channel with a smaller norm hears nothing; below, no power of two brings it near to a fresh one in f32.
const SMALLEST_NORM: f64 = 1e-18;

/// Gives `network`, freshly made, the numbers of `folded`, the same layers with their batch normalisation folded in, so that
/// both say the same in evaluation.
///
/// What was folded is not known any more. Means and variances are those of `images` (N x channels x H x W in [0, 1]), and the
/// weights to a channel are scaled near to those of a fresh network: a learning rate means the same for both. A channel that hears
/// nothing keeps its fresh weights, with a scale of 0.
///
/// # Errors
/// Names the first tensor that has no place in `network`.
pub(super) fn unfold(
    folded: &Network,
    network: &mut Network,
    images: &Tensor,
) -> Result<(), String> {
    let fresh: HashMap<_, _> = network.parameters.named().into_iter().collect();
    for (name, tensor) in folded.parameters.named() {
        let layer = name.strip_suffix(".weight");
        let scale = layer.map(|layer| format!("{layer}.scale"));
        let shift = name.strip_suffix(".bias");
        let shift = shift.map(|layer| format!("{layer}.shift"));
        let set = match (scale, shift) {
            (Some(scale), _) => {
                // The head has no scale, and its weights as they are.
                let tensor = match (fresh.contains_key(&scale), fresh.get(&name)) {
                    (true, Some(fresh)) => {
                        let (weight, gain) = scaled(&tensor, fresh);
                        let gain = gain * (1.0 + BATCH_NORM_EPSILON).sqrt();
                        let _ = network.parameters.set(&scale, &gain);
                        weight
                    }
                    _ => tensor,
                };
                network.parameters.set(&name, &tensor)
            }
            (_, Some(shift)) => {
                network.parameters.set(&shift, &tensor) || network.parameters.set(&name, &tensor)
            }
            _ => network.parameters.set(&name, &tensor),
        };
        if !set {
            return Err(no_place(&name));
        }
    }
    network.measure(images);
    Ok(())
}

/// Why a tensor cannot be taken over.
pub(super) fn no_place(name: &str) -> String {
    format!("the network has no {name} of its shape")
}

/// Weights (out x in x k x k) and scales (out) whose product is `weight`: the weights to each channel times the power of two that
/// brings their norm nearest to a fresh one, which is exact, or those of `fresh` and a scale of 0.
fn scaled(weight: &Tensor, fresh: &Tensor) -> (Tensor, Tensor) {
    let norm = weight
        .to_kind(Kind::Double)
        .square()
        .sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Double)
        .sqrt();
    let silent = norm.lt(SMALLEST_NORM);
    let factor = (norm.clamp_min(SMALLEST_NORM).reciprocal() * FRESH_NORM).log2();
    let factor = factor.round().exp2().to_kind(Kind::Float);
    let gain = factor.reciprocal().masked_fill(&silent, 0.0);
    let each = [-1i64, 1, 1, 1];
    let weight = fresh.where_self(&silent.view(each), &(weight * factor.view(each)));
    (weight, gain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::{
        checkpoint::Header,
        export::export,
        import::import,
        network::Mode,
        run::{build, initial::tests::header_of},
    };
    use tch::Device;

    /// A network whose numbers are all random.
    pub(in crate::run) fn random(header: &Header) -> Network {
        let (mut network, _) = build(header, Device::Cpu).unwrap();
        for (name, tensor) in network.parameters.named() {
            let noise = Tensor::randn_like(&tensor) * 0.3;
            let value = match name.rsplit_once('.').map(|(_, part)| part) {
                // Variances and scales are above 0.
                Some("variance" | "scale") => noise.exp(),
                Some("weight") => tensor * 7.0,
                _ => noise,
            };
            assert!(network.parameters.set(&name, &value));
        }
        network
    }

    /// The largest difference, as a share of the largest number.
    fn off(one: &Tensor, other: &Tensor) -> f64 {
        let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
        largest(&(one - other)) / largest(other)
    }

    #[test]
    fn an_exported_network_says_the_same_and_learns_from_statistics_that_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("network.onnx");
        let layers = "kernels = [1, 3, 1]\nstrides = [1, 2, 1]\nwidths = [4, 6, 6]";
        for rest in [
            "paths = 1\nposition_embedding = true\ndilations = [1, 2, 1]",
            "paths = 2\nstem_kernel = 2\nhidden_widths = [5, 6, 7]",
        ] {
            let header = header_of(16, &format!("{layers}\n{rest}"));
            let before = random(&header);
            export(&path, &header, &before).unwrap();
            let (_, folded, _) = import(&path, Device::Cpu).unwrap();
            let (mut network, _) = build(&header, Device::Cpu).unwrap();
            let images = Tensor::rand([32, 3, 16, 16], (Kind::Float, Device::Cpu));
            unfold(&folded, &mut network, &images).unwrap();
            let logits = |network: &Network, mode| network.forward(&images, mode).detach();
            let said = logits(&before, Mode::Evaluate);
            let difference = off(&logits(&network, Mode::Evaluate), &said);
            assert!(difference < 1e-4, "{rest}: {difference}");
            // The first step on these images normalises as evaluation does, but for the count less one in a variance.
            let difference = off(&logits(&network, Mode::Train { shake: false }), &said);
            assert!(difference < 1e-2, "{rest}: {difference}");
            let fresh = network.parameters.named().into_iter();
            for (name, tensor) in fresh.filter(|(name, _)| name.ends_with("conv1.weight")) {
                let norms =
                    tensor
                        .square()
                        .sum_dim_intlist([1i64, 2, 3].as_slice(), false, Kind::Float);
                let (low, high) = (norms.min().double_value(&[]), norms.max().double_value(&[]));
                assert!(low > 0.9 && high < 4.1, "{name}: {low} to {high}");
            }
        }
    }

    /// Zeros in weights and scale at once would learn nothing ever again.
    #[test]
    fn a_channel_without_weights_can_learn() {
        let options = (Kind::Float, Device::Cpu);
        let weight = Tensor::zeros([3, 2, 1, 1], options);
        let _ = weight.get(1).fill_(1e-3);
        let _ = weight.get(2).fill_(1e-30);
        let fresh = Tensor::ones([3, 2, 1, 1], options);
        let (scaled, gain) = super::scaled(&weight, &fresh);
        assert_eq!(scaled.get(0), fresh.get(0));
        assert_eq!(scaled.get(2), fresh.get(2));
        assert_eq!(gain.double_value(&[0]), 0.0);
        assert_eq!(gain.double_value(&[2]), 0.0);
        assert!(scaled.get(1).norm().double_value(&[]) > 1.0);
        let back = scaled.get(1) * gain.get(1);
        assert_eq!(back, weight.get(1));
    }
}
