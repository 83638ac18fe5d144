//! What can go wrong in an engine.

use bagcert_certifier::{PatchSize, Pixel};
use thiserror::Error;

/// A forward pass, or the making of an engine, that failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine could not be built from an admitted model.
    #[error("the model cannot be prepared for running: {0}")]
    Build(String),
    /// A setting in the environment would change how the engine computes.
    #[error(
        "the environment variable {name} changes how tract computes, and no certificate was \
         proved for that; unset it"
    )]
    Environment {
        /// The variable.
        name: String,
    },
    /// The image has the wrong number of values.
    #[error("the image has {found} values, the model takes {expected} ({shape})")]
    ImageLength {
        /// Values that the model takes.
        expected: usize,
        /// Values given.
        found: usize,
        /// Channels x height x width that the model takes.
        shape: String,
    },
    /// A value of the image is outside `[0,1]` or not a number.
    #[error("value {index} of the image is {value}, must be in [0,1]")]
    ImageValue {
        /// Its place in the image, row-major, channel slowest.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The forward pass failed.
    #[error("the forward pass failed: {0}")]
    Forward(String),
    /// A forward pass failed badly before; the engine's state is not trusted any more.
    #[error("an earlier forward pass failed badly; make a new engine")]
    Broken,
    /// The engine gave a map of another size than the model has.
    #[error("the engine gave {found} logits, {expected} were expected")]
    OutputLength {
        /// Logits expected.
        expected: usize,
        /// Logits given.
        found: usize,
    },
    /// Optimisation changed what the model computes.
    #[error(
        "the optimised model gives other logits than the model in the file: class {class} agrees \
         in only {agreeing} of {cells} cells (for example {expected:e} became {found:e}); this \
         engine would not run the model that was admitted"
    )]
    Disagreement {
        /// The class.
        class: usize,
        /// Cells in which both give the same, to rounding.
        agreeing: usize,
        /// Cells compared.
        cells: usize,
        /// A logit before optimisation.
        expected: f32,
        /// The same logit after it.
        found: f32,
    },
    /// The optimised graph cannot be proved local.
    #[error(
        "the optimiser's graph cannot be proved local: node \"{node}\": {reason}; the model in the \
         file was admitted, but this engine would run it in a form for which no certificate holds"
    )]
    Unproved {
        /// Node of the optimised graph, which may not be one of the file's.
        node: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Optimisation made cells read other pixels than was proved.
    #[error(
        "the optimiser displaced the network: {axis} {cell} of the score map would read pixels \
         {} to {} of the image, where {} to {} was proved; no certificate would hold on this engine. \
         A cut (Slice) before a stride is the known cause: crop the image before the model, or \
         train without the stride",
        found.0, found.1, claimed.0, claimed.1
    )]
    Displaced {
        /// "row" or "column".
        axis: &'static str,
        /// Number of the row or column of the score map.
        cell: usize,
        /// First and last pixel that were proved.
        claimed: (i64, i64),
        /// First and last pixel that would be read.
        found: (i64, i64),
    },
    /// A logit outside the affected region changed with a patch.
    #[error(
        "refused by the numerics check: with a patch of {patch} pixels at ({}, {}), logit (class \
         {class}, row {y}, column {x}) changed from {before:e} to {after:e} although it is \
         outside the affected region; no certificate would hold on this engine",
        at.x, at.y
    )]
    Leak {
        /// The patch.
        patch: PatchSize,
        /// Its top-left pixel.
        at: Pixel,
        /// Class of the logit.
        class: usize,
        /// Row of its cell.
        y: usize,
        /// Column of its cell.
        x: usize,
        /// The logit without the patch.
        before: f32,
        /// The logit with the patch.
        after: f32,
    },
    /// The same image gave other logits the second time.
    #[error(
        "refused by the numerics check: the same image gave {before:e} and then {after:e} for \
         logit (class {class}, row {y}, column {x}); no certificate would hold on this engine"
    )]
    NotRepeatable {
        /// Class of the logit.
        class: usize,
        /// Row of its cell.
        y: usize,
        /// Column of its cell.
        x: usize,
        /// The first time.
        before: f32,
        /// The second time.
        after: f32,
    },
    /// The numerics check found no position for a patch; the geometry cannot be right.
    #[error("the numerics check cannot place its patches: {0}")]
    Placement(String),
}
