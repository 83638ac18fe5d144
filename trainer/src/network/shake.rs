//! How the two paths of a block are mixed: evenly, or in training by random weights (shake-shake, Gastaldi 2017), of
//! which Section A.1 draws one for a whole batch.

use tch::{Device, Kind, Tensor, no_grad};

/// The weights of the first path in the forward and in the backward pass of one block, each a tensor of one number.
#[derive(Debug)]
pub(super) struct Weights {
    forward: Tensor,
    backward: Tensor,
}

impl Weights {
    /// Uniform in [0, 1], for each of `blocks` blocks, drawn in the kind and on the device of `options` and then
    /// brought to `kind`.
    pub(super) fn draw(blocks: usize, options: (Kind, Device), kind: Kind) -> Vec<Self> {
        let drawn = Tensor::rand([2 * blocks as i64, 1, 1, 1], options).to_kind(kind);
        let mut each = drawn.split(1, 0).into_iter();
        let pairs = std::iter::from_fn(|| {
            Some(Self {
                forward: each.next()?,
                backward: each.next()?,
            })
        });
        pairs.collect()
    }
}

/// What comes out of a block's paths (one or two, each N x C x h x w): the value by the forward weight, the gradient
/// by the backward weight, or the mean where there are no weights.
pub(super) fn mix(mut ends: Vec<Tensor>, weights: Option<Weights>) -> Tensor {
    let Some(second) = ends.pop() else {
        return Tensor::new();
    };
    let Some(first) = ends.pop() else {
        return second;
    };
    let Some(weights) = weights else {
        return (first + second) * 0.5;
    };
    let mixed = second.lerp_tensor(&first, &weights.backward);
    // The graph keeps the backward weight alone; the values are not needed for it, and are written over.
    no_grad(|| drop(second.lerp_tensor_out(&mixed, &first, &weights.forward)));
    mixed
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;

    const OPTIONS: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn ends() -> [Tensor; 2] {
        tch::manual_seed(5);
        [0; 2].map(|_| Tensor::randn([2, 3, 4, 4], OPTIONS).set_requires_grad(true))
    }

    fn number(value: f64) -> Tensor {
        Tensor::full([1, 1, 1, 1], value, OPTIONS)
    }

    #[test]
    fn the_value_is_of_one_weight_and_the_gradient_of_the_other() {
        let [first, second] = ends();
        let weights = Weights {
            forward: number(0.9),
            backward: number(0.3),
        };
        // A layer that needs its input for the backward pass must see the values, as in a network.
        let mixed = mix(
            vec![first.shallow_clone(), second.shallow_clone()],
            Some(weights),
        );
        let value = first.detach() * 0.9 + second.detach() * 0.1;
        assert!(mixed.detach().allclose(&value, 1e-5, 1e-6, false));
        let loss = (mixed.square() * 0.5).sum(Kind::Float);
        let found = Tensor::run_backward(&[loss], &[&first, &second], false, false);
        assert!(found[0].allclose(&(&value * 0.3), 1e-5, 1e-6, false));
        assert!(found[1].allclose(&(&value * 0.7), 1e-5, 1e-6, false));
    }

    #[test]
    fn without_weights_the_mean_comes_out_and_of_one_path_itself() {
        let [first, second] = ends();
        let both = vec![first.shallow_clone(), second.shallow_clone()];
        assert!(mix(both, None).allclose(&((&first + &second) / 2.0), 1e-6, 1e-7, false));
        assert_eq!(mix(vec![first.shallow_clone()], None), first);
    }

    #[test]
    fn every_block_and_both_passes_have_weights_of_their_own() {
        tch::manual_seed(6);
        let drawn = Weights::draw(400, OPTIONS, Kind::BFloat16);
        assert_eq!(drawn.len(), 400);
        let values: Vec<f64> = drawn
            .iter()
            .flat_map(|weights| [&weights.forward, &weights.backward])
            .map(|weight| weight.double_value(&[0, 0, 0, 0]))
            .collect();
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        let mean = values.iter().sum::<f64>() / 800.0;
        // bf16 knows some hundreds of numbers that are often drawn; one pair for all blocks would be two.
        let different: std::collections::BTreeSet<u64> =
            values.iter().map(|value| value.to_bits()).collect();
        assert!(
            (mean - 0.5).abs() < 0.05 && different.len() > 200,
            "{mean} {}",
            different.len()
        );
    }
}
