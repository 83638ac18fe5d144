//! Does the optimised plan still compute the model that was admitted?
//!
//! Optimisers have bugs (see `prepare`). Images through the graph as it was proved, operation by
//! operation and without any rewriting, are compared with the engine's own logits.

use std::sync::Arc;

use tract_core::internal::{IntoRunnable, IntoTValue, Tensor, TractResult, TypedSimplePlan, tvec};

use super::images::{Kind, SplitMix};
use super::{Engine, EngineError};
use crate::admission::AdmittedModel;

/// Largest difference that is taken for rounding, relative to the largest logit of the class: were it
/// relative to all, one huge constant class would hide every difference.
const TOLERANCE: f32 = 1e-3;

/// Compares the engine with the graph before optimisation, on an image like a frame of a camera and on
/// one whose pixels are all the way up or down.
pub(super) fn check(engine: &mut Engine, model: &AdmittedModel) -> Result<(), EngineError> {
    let cells = model.shape().cells();
    for image in images(model) {
        let plain = || plain(model, &image).map_err(|error| format!("{error:#}"));
        let expected = bagcert_images::contained(plain)
            .unwrap_or_else(|panic| Err(format!("the ONNX library failed on it ({panic})")))
            .map_err(EngineError::Build)?;
        let found = engine.logits(&image)?;
        if expected.len() != found.len() {
            return Err(EngineError::OutputLength {
                expected: expected.len(),
                found: found.len(),
            });
        }
        compare(&expected, found, cells)?;
    }
    Ok(())
}

/// Drawn from the model's hash: a file is judged the same each time, and its images are known to nobody
/// who has not finished it.
fn images(model: &AdmittedModel) -> [Vec<f32>; Kind::ALL.len()] {
    let mut random = SplitMix(seed(model.sha256()));
    Kind::ALL.map(|kind| kind.image(model.input(), &mut random))
}

/// From all digits of a hash.
fn seed(hash: &str) -> u64 {
    let digits = hash.bytes();
    digits.fold(0, |seed, digit| SplitMix(seed ^ u64::from(digit)).next())
}

/// The logits of the graph as it was proved.
fn plain(model: &AdmittedModel, image: &[f32]) -> TractResult<Vec<f32>> {
    let input = model.input();
    let plan: Arc<TypedSimplePlan> = model.typed().clone().into_runnable()?;
    let tensor = Tensor::from_shape(&[1, input.channels, input.height, input.width], image)?;
    let outputs = plan.run(tvec!(tensor.into_tvalue()))?;
    let mut logits = Vec::new();
    for output in outputs {
        logits.extend(output.to_plain_array_view::<f32>()?.iter().copied());
    }
    Ok(logits)
}

/// Each class must agree in nine of ten cells: steps (rounding, signs) turn a difference in the
/// last bit into one that is not small, but only in few cells. A value that is finite on one side
/// only is a difference; one that is on neither is a fault later.
fn compare(expected: &[f32], found: &[f32], cells: usize) -> Result<(), EngineError> {
    let classes = expected.chunks(cells).zip(found.chunks(cells)).enumerate();
    for (class, (expected, found)) in classes {
        let largest = expected
            .iter()
            .filter(|logit| logit.is_finite())
            .fold(0f32, |most, logit| most.max(logit.abs()));
        let pairs: Vec<(f32, f32)> = expected
            .iter()
            .copied()
            .zip(found.iter().copied())
            .filter(|(a, b)| a.is_finite() || b.is_finite())
            .collect();
        let agrees =
            |a: f32, b: f32| a.is_finite() && b.is_finite() && (a - b).abs() <= TOLERANCE * largest;
        let differs = |(a, b): &&(f32, f32)| !agrees(*a, *b);
        let differing = pairs.iter().filter(differs).count();
        if let Some((expected, found)) = pairs.iter().find(differs)
            && differing * 10 > pairs.len()
        {
            return Err(EngineError::Disagreement {
                class,
                agreeing: pairs.len() - differing,
                cells: pairs.len(),
                expected: *expected,
                found: *found,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::string_slice)]
mod tests {
    use std::{collections::HashSet, path::Path};

    use super::{compare, images, seed};
    use crate::{admission::admit, engine::EngineError};

    #[test]
    fn each_model_is_tried_on_images_of_its_own() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let of = |name: &str| images(&admit(&folder.join(name)).unwrap());
        let (one, other) = (of("cifar10-rf8.onnx"), of("cifar10-rf6.onnx"));
        assert_eq!(one, of("cifar10-rf8.onnx"));
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one.len(), other.len());
            assert_ne!(one, other);
        }
    }

    /// Not of its first digits alone: each place counts, and so does the order.
    #[test]
    fn every_digit_of_the_hash_counts() {
        let hash = "0".repeat(64);
        let mut seeds: HashSet<u64> = (0..64)
            .map(|at| seed(&format!("{}1{}", &hash[..at], &hash[at + 1..])))
            .collect();
        seeds.insert(seed(&hash));
        assert_eq!(seeds.len(), 65);
    }

    /// A class of large constants (a mask) or of values that overflow hides nothing in another.
    #[test]
    fn one_huge_class_does_not_hide_the_others() {
        let expected: Vec<f32> = (0..20)
            .map(|i| (i as f32 * 0.7).sin())
            .chain([-1e30; 20])
            .collect();
        let mut found = expected.clone();
        assert!(compare(&expected, &found, 20).is_ok());
        for logit in &mut found[..5] {
            *logit += 0.5;
        }
        assert!(compare(&expected, &found, 20).is_err());
        let mut found = expected.clone();
        found[20..].fill(f32::INFINITY);
        assert!(compare(&expected, &found, 20).is_err());
    }

    #[test]
    fn one_wrong_class_is_seen_and_rounding_is_not() {
        let expected: Vec<f32> = (0..40).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut found: Vec<f32> = expected.iter().map(|logit| logit * (1.0 + 1e-6)).collect();
        assert!(compare(&expected, &found, 20).is_ok());
        // Two cells of twenty: as a step may do.
        found[21] += 1.0;
        found[30] -= 1.0;
        assert!(compare(&expected, &found, 20).is_ok());
        found[35] -= 1.0;
        let outcome = compare(&expected, &found, 20);
        assert!(matches!(
            outcome,
            Err(EngineError::Disagreement {
                class: 1,
                agreeing: 17,
                cells: 20,
                ..
            })
        ));
    }

    /// What is rounding is a matter of scale: the same difference is none beside 100 and one beside 1.
    #[test]
    fn rounding_is_relative_to_the_largest_logit_of_the_class() {
        for (largest, agrees) in [(100.0, true), (1.0, false)] {
            let expected: Vec<f32> = (0..20).map(|i| largest * (i as f32 / 19.0)).collect();
            let found: Vec<f32> = expected.iter().map(|logit| logit + 0.05).collect();
            assert_eq!(compare(&expected, &found, 20).is_ok(), agrees, "{largest}");
        }
    }
}
