//! Adam over one flat tensor, and the learning-rate schedule.
//!
//! libtorch's own Adam hides its moments from this side, so a run could not be resumed to the same result.

mod average;

use std::f64::consts::PI;

use tch::{Kind, Tensor, no_grad};

pub use average::Average;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// All that a run has beside its network: what a resumed run goes on from.
#[derive(Debug)]
pub struct Training {
    /// The optimiser.
    pub adam: Adam,
    /// The average of the weights, where the configuration asks for one.
    pub average: Option<Average>,
}

/// Adam (Kingma & Ba, 2015), with the decoupled weight decay of AdamW (Loshchilov & Hutter, 2019) where one is asked for.
#[derive(Debug)]
pub struct Adam {
    /// First moment, as long as the parameters.
    pub first: Tensor,
    /// Second moment, as long as the parameters.
    pub second: Tensor,
    /// Steps taken.
    pub steps: i64,
    /// As long as the parameters: what each loses of itself in a step, over the learning rate.
    decay: Option<Tensor>,
}

impl Adam {
    /// Moments of zero for `parameters`.
    pub fn new(parameters: &Tensor) -> Self {
        let zero = || parameters.detach().zeros_like();
        Self {
            first: zero(),
            second: zero(),
            steps: 0,
            decay: None,
        }
    }

    /// The same with a weight decay of `rate` where `decayed`, as long as the parameters, is 1; none where it is 0.
    pub fn with_decay(self, decayed: &Tensor, rate: f64) -> Self {
        Self {
            decay: Some(decayed * rate),
            ..self
        }
    }

    /// One step along `gradient`, both as long as the moments.
    pub fn step(&mut self, parameters: &Tensor, gradient: &Tensor, learning_rate: f64) {
        self.steps += 1;
        let bias1 = 1.0 - BETA1.powf(self.steps as f64);
        let bias2 = 1.0 - BETA2.powf(self.steps as f64);
        no_grad(|| {
            if let Some(decay) = &self.decay {
                let lost = decay * -learning_rate;
                let _ = parameters.shallow_clone().addcmul_(parameters, &lost);
            }
            let _ = self.first.lerp_(gradient, 1.0 - BETA1);
            let _ = self.second.lerp_(&gradient.square(), 1.0 - BETA2);
            let mut scale = self.second.sqrt();
            let _ = scale.g_div_scalar_(bias2.sqrt());
            let _ = scale.g_add_scalar_(EPSILON);
            let _ = scale.g_mul_scalar_(-bias1 / learning_rate);
            let _ = parameters.shallow_clone().addcdiv_(&self.first, &scale);
        });
    }
}

/// `gradient`, scaled down where its norm is above `largest`. Nothing is read back from the device.
pub fn clip_norm(gradient: &Tensor, largest: f64) -> Tensor {
    // In f32 the square of a number above 1e19 is infinite, and the step would be none.
    let norm = gradient.norm_scalaropt_dtype(2, Kind::Double);
    // A norm of 0 gives infinity, and a scale of 1.
    gradient * (norm.reciprocal() * largest).clamp_max(1.0)
}

/// The learning rate at `step` of `total`: linear over the first `warmup` steps, then cosine to zero.
pub fn learning_rate(step: i64, warmup: i64, total: i64, peak: f64) -> f64 {
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let progress = (step - warmup) as f64 / (total - warmup).max(1) as f64;
    peak * 0.5 * (1.0 + (PI * progress).cos())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn the_schedule_warms_up_and_decays_to_zero() {
        assert!((learning_rate(0, 10, 100, 1.0) - 0.1).abs() < 1e-12);
        assert!((learning_rate(9, 10, 100, 1.0) - 1.0).abs() < 1e-12);
        assert!((learning_rate(55, 10, 100, 1.0) - 0.5).abs() < 1e-12);
        assert!(learning_rate(100, 10, 100, 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_long_gradient_is_cut_to_the_norm_and_a_short_one_is_left() {
        let gradient = Tensor::from_slice(&[3.0f32, -4.0]);
        let values = |largest| Vec::<f32>::try_from(clip_norm(&gradient, largest)).unwrap();
        assert_eq!(values(5.5), [3.0, -4.0]);
        for (found, expected) in values(0.5).iter().zip([0.3f32, -0.4]) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        let zero = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        assert_eq!(
            Vec::<f32>::try_from(clip_norm(&zero, 0.5)).unwrap(),
            [0.0, 0.0]
        );
        for (found, expected) in Vec::<f32>::try_from(clip_norm(&(&gradient * 1e30), 0.5))
            .unwrap()
            .iter()
            .zip([0.3f32, -0.4])
        {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
        // What is no number stays none, so that the run stops.
        let broken = clip_norm(&Tensor::from_slice(&[f32::NAN, 1.0]), 0.5);
        assert!(
            Vec::<f32>::try_from(broken)
                .unwrap()
                .iter()
                .all(|value| value.is_nan())
        );
    }

    #[test]
    fn the_first_step_has_the_size_of_the_learning_rate() {
        let parameters = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        let gradient = Tensor::from_slice(&[5.0f32, -0.01, 2.0]);
        Adam::new(&parameters).step(&parameters, &gradient, 0.1);
        let found = Vec::<f32>::try_from(&parameters).unwrap();
        for (found, expected) in found.iter().zip([-0.1f32, 0.1, -0.1]) {
            assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
        }
    }

    #[test]
    fn it_agrees_with_the_formula_over_several_steps() {
        let parameters = Tensor::from_slice(&[1.0f32]);
        let mut adam = Adam::new(&parameters);
        let (mut p, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
        for step in 1..=20 {
            let gradient = (step as f64 * 0.7).sin();
            adam.step(&parameters, &Tensor::from_slice(&[gradient as f32]), 0.01);
            m = BETA1 * m + (1.0 - BETA1) * gradient;
            v = BETA2 * v + (1.0 - BETA2) * gradient * gradient;
            let corrected = (m / (1.0 - BETA1.powi(step)), v / (1.0 - BETA2.powi(step)));
            p -= 0.01 * corrected.0 / (corrected.1.sqrt() + EPSILON);
        }
        assert!((parameters.double_value(&[0]) - p).abs() < 1e-5);
    }

    /// Decoupled: the moments know nothing of it, and what is not to decay takes the same steps as without.
    #[test]
    fn weight_decay_agrees_with_the_formula_where_it_is_asked_for() {
        let parameters = Tensor::from_slice(&[1.0f32, 1.0]);
        let decayed = Tensor::from_slice(&[1.0f32, 0.0]);
        let mut adam = Adam::new(&parameters).with_decay(&decayed, 0.5);
        let (mut with, mut without, mut m, mut v) = (1.0f64, 1.0f64, 0.0f64, 0.0f64);
        for step in 1..=20 {
            let (gradient, rate) = ((step as f64 * 0.7).sin(), 0.01 * step as f64);
            adam.step(
                &parameters,
                &Tensor::from_slice(&[gradient as f32; 2]),
                rate,
            );
            m = BETA1 * m + (1.0 - BETA1) * gradient;
            v = BETA2 * v + (1.0 - BETA2) * gradient * gradient;
            let corrected = (m / (1.0 - BETA1.powi(step)), v / (1.0 - BETA2.powi(step)));
            let move_by = rate * corrected.0 / (corrected.1.sqrt() + EPSILON);
            with -= rate * 0.5 * with + move_by;
            without -= move_by;
        }
        assert!((with - without).abs() > 0.1);
        assert!((parameters.double_value(&[0]) - with).abs() < 1e-5);
        assert!((parameters.double_value(&[1]) - without).abs() < 1e-5);
    }
}
