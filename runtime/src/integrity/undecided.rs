//! Scores of golden frames that another processor's rounding could turn: they are set aside, so that a sound model is not refused
//! there, and every other score is compared.

use bagcert_certifier::Shape;

/// A logit that is not farther from 0 than this, relative to the largest of its class, is undecided.
/// Processors round differently: by 9 units in the last place (1e-6) between x86-64 and aarch64 as
/// far as was seen.
pub const TOLERANCE: f32 = 1e-5;

/// Of so many scores one may be undecided.
const SCORES_PER_UNDECIDED: usize = 100;

/// Not a vote, and a number.
const NO_VOTE: f32 = -1.0;

/// Class, row and column of the undecided scores, in this order.
///
/// # Errors
/// Where there are too many for the others to say much of the frame.
pub(super) fn undecided(shape: Shape, logits: &[f32]) -> Result<Vec<[usize; 3]>, String> {
    let mut found = Vec::new();
    for (class, plane) in logits.chunks(shape.cells().max(1)).enumerate() {
        let bound = TOLERANCE * largest(plane);
        // An infinite logit is a fault, which the score map finds.
        if !bound.is_finite() {
            continue;
        }
        // A plane of zeros is near to 0 as well.
        let near = plane.iter().enumerate();
        let near = near.filter(|(_, logit)| logit.abs() <= bound);
        found.extend(near.map(|(at, _)| [class, at / shape.width(), at % shape.width()]));
    }
    if found.len() > logits.len() / SCORES_PER_UNDECIDED {
        return Err(format!(
            "{} of its {} logits are nearer to 0 than {TOLERANCE:e} of the largest of their class, so that another processor's \
             rounding could turn these scores; one in {SCORES_PER_UNDECIDED} may be, take another frame",
            found.len(),
            logits.len()
        ));
    }
    Ok(found)
}

/// Takes the votes of these scores away.
///
/// # Errors
/// The first that is not of this map, or whose logit is farther from 0 than it can be where both processors are sound.
pub(super) fn set_aside(
    shape: Shape,
    logits: &mut [f32],
    scores: &[[usize; 3]],
) -> Result<(), String> {
    // As measured first: what is set aside is no longer the largest.
    let bounds: Vec<f32> = logits
        .chunks(shape.cells().max(1))
        .map(|plane| 2.0 * TOLERANCE * largest(plane))
        .collect();
    for &[class, y, x] in scores {
        let inside = class < shape.classes() && y < shape.height() && x < shape.width();
        if !inside {
            return Err(format!(
                "there is no score (class {class}, row {y}, column {x}), which the manifest says is undecided"
            ));
        }
        let logit = &mut logits[(class * shape.height() + y) * shape.width() + x];
        // Neither NaN nor infinity is near to 0, whatever the bound.
        if !logit.is_finite() || logit.abs() > bounds[class] {
            return Err(format!(
                "logit (class {class}, row {y}, column {x}) is {logit:e}, and was near to 0 when the manifest was made"
            ));
        }
        *logit = NO_VOTE;
    }
    Ok(())
}

fn largest(plane: &[f32]) -> f32 {
    plane.iter().fold(0f32, |most, logit| most.max(logit.abs()))
}
