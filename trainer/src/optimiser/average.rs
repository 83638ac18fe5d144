//! An exponential moving average of the weights.

use tch::{Tensor, no_grad};

use crate::network::Parameters;

/// The average of a network's parameters and of its batch-normalisation statistics, each as one flat tensor.
#[derive(Debug)]
pub struct Average {
    /// As long as the parameters.
    pub parameters: Tensor,
    /// As long as the statistics.
    pub statistics: Tensor,
    decay: f64,
}

impl Average {
    /// Starts at the network as it is.
    pub fn new(parameters: &Parameters, decay: f64) -> Self {
        Self {
            parameters: parameters.flat.detach().copy(),
            statistics: parameters.statistics.detach().copy(),
            decay,
        }
    }

    /// Takes in the network after step `steps` (from 1): average = d * average + (1 - d) * network.
    ///
    /// d is (1 + steps) / (10 + steps) until that reaches the decay: the first weights are soon forgotten.
    pub fn update(&mut self, parameters: &Parameters, steps: i64) {
        let steps = steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        no_grad(|| {
            let _ = self.parameters.lerp_(&parameters.flat, 1.0 - decay);
            let _ = self.statistics.lerp_(&parameters.statistics, 1.0 - decay);
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::network::Plan;
    use tch::Device;

    #[test]
    fn it_agrees_with_the_formula_over_many_steps() {
        let config = toml::from_str("width = 2\nkernels = [1]").unwrap();
        let network = Parameters::new(&Plan::new(&config, 32, 3, 2), Device::Cpu);
        let value = |tensor: &Tensor| tensor.double_value(&[1]);
        let mut average = Average::new(&network, 0.9);
        let (mut weight, mut variance) = (value(&network.flat), value(&network.statistics));
        for step in 1..=120 {
            no_grad(|| {
                let _ = network.flat.shallow_clone().g_add_scalar_(0.1);
                let _ = network.statistics.shallow_clone().g_mul_scalar_(1.01);
            });
            average.update(&network, step);
            let decay = if step < 81 {
                (1.0 + step as f64) / (10.0 + step as f64)
            } else {
                0.9
            };
            weight = decay * weight + (1.0 - decay) * value(&network.flat);
            variance = decay * variance + (1.0 - decay) * value(&network.statistics);
            assert!(
                (value(&average.parameters) - weight).abs() < 1e-4,
                "step {step}"
            );
            assert!(
                (value(&average.statistics) - variance).abs() < 1e-4,
                "step {step}"
            );
        }
        assert!(
            (value(&average.parameters) - value(&network.flat)).abs() > 0.5,
            "it lags behind"
        );
    }
}
