//! Whether deadlines are about to be missed: a Kalman filter over the time from capture to
//! verdict, with its trend (the constant-velocity model).
//!
//! It warns and nothing else. No outcome depends on it.

use core::time::Duration;

use nalgebra::{ComplexField, SMatrix, SVector};

type Vector2 = SVector<f32, 2>;
type Matrix2 = SMatrix<f32, 2, 2>;

// All of these are in parts of the deadline, per cycle where a rate.
/// Standard deviation of the change of the trend.
const RESTLESSNESS: f32 = 0.002;
/// Least standard deviation of a single time.
const LEAST_JITTER: f32 = 0.002;
/// Standard deviation of a single time, before any was seen.
const FIRST_JITTER: f32 = 0.05;
/// Share of the newest surprise in the estimate of the jitter.
const LEARNING: f32 = 1.0 / 16.0;
/// Standard deviations between the expected time and the deadline that count as safe.
const SIGMAS: f32 = 3.0;
/// Times beyond this many deadlines count as this many: one hang must not blind the filter.
const MOST: f32 = 4.0;

/// What is to be expected of the next cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Forecast {
    /// Expected time from capture to verdict.
    pub latency: Duration,
    /// Standard deviation around it.
    pub jitter: Duration,
    /// Whether the deadline lies less than three standard deviations above the expected time.
    pub at_risk: bool,
}

/// The filter. State: the time from capture to verdict and its change per cycle.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    deadline: Duration,
    state: Option<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mean: Vector2,
    covariance: Matrix2,
    /// Variance of a single time around the trend, learnt from the surprises.
    jitter: f32,
}

impl Pace {
    /// A filter that has seen nothing.
    pub const fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            state: None,
        }
    }

    /// Takes in a measured time from capture to verdict.
    pub fn observe(&mut self, latency: Duration) {
        let measured = (latency.as_secs_f32() / self.deadline.as_secs_f32()).min(MOST);
        let state = match self.state {
            Some(state) => state.corrected(measured),
            None => State::first(measured),
        };
        // A deadline of zero gives no number to work with; then there is no forecast.
        self.state = state.is_finite().then_some(state);
    }

    /// What to expect of the next cycle; `None` before the first time.
    pub fn forecast(&self) -> Option<Forecast> {
        let next = self.state?.predicted();
        let latency = next.mean.x.max(0.0);
        let jitter = ComplexField::sqrt((next.covariance.m11 + next.jitter).max(0.0));
        let deadline = self.deadline.as_secs_f32();
        Some(Forecast {
            latency: Duration::try_from_secs_f32(latency * deadline).ok()?,
            jitter: Duration::try_from_secs_f32(jitter * deadline).ok()?,
            at_risk: latency + SIGMAS * jitter > 1.0,
        })
    }
}

#[allow(
    clippy::arithmetic_side_effects,
    reason = "matrices of floating-point numbers: nothing overflows or panics, and the result is checked to be finite"
)]
impl State {
    fn first(measured: f32) -> Self {
        let jitter = FIRST_JITTER * FIRST_JITTER;
        Self {
            mean: Vector2::new(measured, 0.0),
            covariance: Matrix2::new(jitter, 0.0, 0.0, jitter * LEARNING),
            jitter,
        }
    }

    /// One cycle on: the time moves by the trend, and both grow less certain.
    fn predicted(&self) -> Self {
        let step = Matrix2::new(1.0, 1.0, 0.0, 1.0);
        let push = Vector2::new(0.5, 1.0) * RESTLESSNESS;
        Self {
            mean: step * self.mean,
            covariance: step * self.covariance * step.transpose() + push * push.transpose(),
            jitter: self.jitter,
        }
    }

    fn corrected(&self, measured: f32) -> Self {
        let next = self.predicted();
        let variance = next.covariance.m11 + next.jitter;
        // Cut off, so that a single hang is soon forgotten; a lasting change is believed by and by.
        let limit = SIGMAS * ComplexField::sqrt(variance);
        let surprise = (measured - next.mean.x).max(-limit).min(limit);
        let gain = next.covariance.column(0) / variance;
        let learnt = self.jitter + LEARNING * (surprise * surprise - self.jitter);
        let mean = next.mean + gain * surprise;
        let covariance = next.covariance - gain * next.covariance.row(0);
        Self {
            mean,
            // Rounding must not make it lopsided.
            covariance: (covariance + covariance.transpose()) * 0.5,
            jitter: learnt.max(LEAST_JITTER * LEAST_JITTER),
        }
    }

    fn is_finite(&self) -> bool {
        let numbers = self.mean.iter().chain(self.covariance.iter());
        numbers
            .chain([&self.jitter])
            .all(|number| number.is_finite())
    }
}
