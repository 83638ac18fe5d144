//! Running an admitted model: tract, batch 1, f32, state kept between frames.
//!
//! That the graph is local is proved by admission. That its execution is local to the last bit
//! depends on how an engine computes (Winograd and FFT convolutions share rounding between
//! distant cells), so it is checked on the very engine that will run, see [`check_numerics`].

mod agreement;
mod environment;
mod error;
mod images;
mod numerics;
mod prepare;
mod proof;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tract_core::internal::{
    IntoRunnable, IntoTValue, Tensor, TypedSimplePlan, TypedSimpleState, tvec,
};

use crate::admission::AdmittedModel;
use crate::network::ImageShape;
pub use error::EngineError;
pub use numerics::{FORWARD_PASSES, check_numerics, fresh_seed};

/// A forward pass from an image to logits.
pub trait ForwardPass {
    /// `image`: channels x height x width in `[0,1]`, row-major, channel slowest. Gives the logits,
    /// classes x height x width of the score map, row-major, class slowest.
    ///
    /// # Errors
    /// Where the image is of the wrong size or outside `[0,1]`, or the pass itself fails.
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError>;
}

/// A model ready to run. Every engine has passed the numerics check.
pub struct Engine {
    state: TypedSimpleState,
    input: ImageShape,
    image_len: usize,
    /// Classes, height and width of the score map.
    output: [usize; 3],
    logits: Vec<f32>,
    broken: bool,
}

impl Engine {
    /// Prepares `model`, compares its logits with those of the graph before any optimisation, and
    /// checks its numerics with [`FORWARD_PASSES`] forward passes.
    ///
    /// # Errors
    /// Where the model cannot be prepared, where optimisation changed its logits by more than
    /// rounding, and where a logit outside the affected region of a patch changed by even one
    /// bit.
    pub fn new(model: &AdmittedModel) -> Result<Engine, EngineError> {
        let mut engine = Engine::unchecked(model)?;
        agreement::check(&mut engine, model)?;
        let geometry = model.geometry();
        check_numerics(
            &mut engine,
            model.input(),
            model.shape(),
            &geometry,
            fresh_seed(),
        )?;
        Ok(engine)
    }

    fn unchecked(model: &AdmittedModel) -> Result<Engine, EngineError> {
        environment::check(std::env::vars_os().map(|(name, _)| name))?;
        let build = || -> Result<TypedSimpleState, EngineError> {
            let failed = |error| EngineError::Build(format!("{error:#}"));
            // What `into_optimized` does, in its two steps.
            let mut rewritten = prepare::prepare(model.typed())
                .and_then(|model| model.into_decluttered())
                .map_err(failed)?;
            proof::check(&rewritten, model.network())?;
            rewritten.optimize().map_err(failed)?;
            let plan: Arc<TypedSimplePlan> = rewritten.into_runnable().map_err(failed)?;
            plan.spawn().map_err(failed)
        };
        let state = bagcert_images::contained(build).unwrap_or_else(|panic| {
            let reason = format!("the ONNX library failed on it ({panic})");
            Err(EngineError::Build(reason))
        })?;
        let input = model.input();
        let image_len = input
            .volume()
            .ok_or_else(|| EngineError::Build("the image is too large".into()))?;
        let shape = model.shape();
        let logits_len = shape
            .cells()
            .checked_mul(shape.classes())
            .ok_or_else(|| EngineError::Build("the score map is too large".into()))?;
        Ok(Engine {
            state,
            input,
            image_len,
            output: [shape.classes(), shape.height(), shape.width()],
            logits: vec![0.0; logits_len],
            broken: false,
        })
    }

    /// The logits of one image, as in [`ForwardPass::forward`]. Values that are not finite are
    /// passed on: they are a fault for the certifier, not for the engine.
    ///
    /// # Errors
    /// Where the image has the wrong number of values, or one outside `[0,1]`, or where the pass
    /// fails.
    pub fn logits(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        if self.broken {
            return Err(EngineError::Broken);
        }
        if image.len() != self.image_len {
            return Err(EngineError::ImageLength {
                expected: self.image_len,
                found: image.len(),
                shape: self.input.to_string(),
            });
        }
        // NaN is in no range.
        let outside = image
            .iter()
            .enumerate()
            .find(|(_, value)| !(0.0..=1.0).contains(*value));
        if let Some((index, value)) = outside {
            return Err(EngineError::ImageValue {
                index,
                value: *value,
            });
        }
        self.run(image)?;
        Ok(&self.logits)
    }

    /// One pass; fills `self.logits`.
    fn run(&mut self, image: &[f32]) -> Result<(), EngineError> {
        let ImageShape {
            channels,
            height,
            width,
        } = self.input;
        let state = &mut self.state;
        let logits = &mut self.logits;
        let expected = [1, self.output[0], self.output[1], self.output[2]];
        let pass = || -> Result<(), EngineError> {
            let failed = |error| EngineError::Forward(format!("{error:#}"));
            let tensor =
                Tensor::from_shape(&[1, channels, height, width], image).map_err(failed)?;
            let outputs = state.run(tvec!(tensor.into_tvalue())).map_err(failed)?;
            let [output] = outputs.as_slice() else {
                let reason = format!("it gave {} outputs, must give one", outputs.len());
                return Err(EngineError::Forward(reason));
            };
            if output.shape() != expected {
                let found = output.shape();
                let reason = format!("it gave logits of shape {found:?}, must be {expected:?}");
                return Err(EngineError::Forward(reason));
            }
            let view = output.to_plain_array_view::<f32>().map_err(failed)?;
            for (logit, value) in logits.iter_mut().zip(view.iter()) {
                *logit = *value;
            }
            Ok(())
        };
        match bagcert_images::contained(pass) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // What an interrupted pass left in the state is not known.
                self.broken = true;
                Err(error)
            }
            Err(panic) => {
                self.broken = true;
                Err(EngineError::Forward(format!(
                    "the ONNX library failed ({panic})"
                )))
            }
        }
    }
}

impl ForwardPass for Engine {
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        self.logits(image)
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("input", &self.input)
            .field("broken", &self.broken)
            .finish_non_exhaustive()
    }
}
