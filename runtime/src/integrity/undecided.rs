//! Scores of golden frames that another processor's rounding could turn: they are set aside, so that a sound model is not refused
//! there, and every other score is compared.

use bagcert_certifier::Shape;
use serde::{Deserialize, Serialize};

/// A logit that is not farther from 0 than this, relative to the largest of its class, is undecided.
/// Processors round differently: by 9 units in the last place (1e-6) between x86-64 and aarch64 as
/// far as was seen.
pub const TOLERANCE: f32 = 1e-5;

/// Of so many scores of a class one may be undecided, and one of fewer.
const SCORES_PER_UNDECIDED: usize = 100;

/// Not a vote, and a number.
const NO_VOTE: f32 = -1.0;

/// A score of a golden frame that is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undecided {
    /// Its class.
    pub class: usize,
    /// Row of the score map.
    pub row: usize,
    /// Column of the score map.
    pub column: usize,
    /// How far its logit may be from 0 on any machine: twice [`TOLERANCE`] of the largest of its class on the one that made the
    /// manifest, once for what it may be there and once for what rounding may add.
    pub within: f32,
}

impl Undecided {
    pub(super) fn place(&self) -> [usize; 3] {
        [self.class, self.row, self.column]
    }
}

/// The undecided scores of a map, by class, row and column.
pub(super) fn undecided(shape: Shape, logits: &[f32]) -> Vec<Undecided> {
    let mut found = Vec::new();
    for (class, plane) in logits.chunks(shape.cells().max(1)).enumerate() {
        let largest = plane.iter().fold(0f32, |most, logit| most.max(logit.abs()));
        // An infinite logit is a fault, which the score map finds.
        if !largest.is_finite() {
            continue;
        }
        // A plane of zeros is near to 0 as well.
        let near = plane.iter().enumerate();
        let near = near.filter(|(_, logit)| logit.abs() <= TOLERANCE * largest);
        found.extend(near.map(|(at, _)| Undecided {
            class,
            row: at / shape.width(),
            column: at % shape.width(),
            within: 2.0 * TOLERANCE * largest,
        }));
    }
    found
}

/// Takes the votes of these scores away.
///
/// # Errors
/// The first that is not of this map, or whose logit is not near to 0; and a class with so many that the others say little of it.
pub(super) fn set_aside(
    shape: Shape,
    logits: &mut [f32],
    scores: &[Undecided],
) -> Result<(), String> {
    let most = (shape.cells() / SCORES_PER_UNDECIDED).max(1);
    for of_class in scores.chunk_by(|one, next| one.class == next.class) {
        let count = of_class.len();
        // With all cells of a class nothing is left of it.
        if count > most || count == shape.cells() {
            return Err(format!(
                "{count} of the {} scores of class {} are undecided: their logits are nearer to 0 than {TOLERANCE:e} of the largest of \
                 the class, so that another processor's rounding could turn them; one in {SCORES_PER_UNDECIDED} may be, take another frame",
                shape.cells(),
                of_class[0].class
            ));
        }
    }
    for score in scores {
        let [class, y, x] = score.place();
        if class >= shape.classes() || y >= shape.height() || x >= shape.width() {
            return Err(format!(
                "there is no score (class {class}, row {y}, column {x}) that could be undecided"
            ));
        }
        let logit = &mut logits[(class * shape.height() + y) * shape.width() + x];
        // Neither NaN nor infinity is near to 0, whatever the manifest says.
        let near = logit.is_finite() && logit.abs() <= score.within;
        if !near {
            return Err(format!(
                "logit (class {class}, row {y}, column {x}) is {logit:e}, where the manifest says that it is within {:e} of 0",
                score.within
            ));
        }
        *logit = NO_VOTE;
    }
    Ok(())
}
