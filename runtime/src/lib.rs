//! Runs image classifiers whose answers are certified against adversarial patches.
//!
//! A frame passes through these layers, each of which knows only the ones before it:
//!
//! - [`frames`]: image files and data sets become values in [0, 1];
//! - [`admission`]: an ONNX file becomes a [`network`] that is proved local, or is refused;
//! - [`engine`]: a frame becomes logits, by an engine whose numerics were checked at load;
//! - [`pipeline`]: logits become verdicts, by the crate `bagcert-certifier`;
//! - [`integrity`]: all of it only for the very model that is meant, which answers golden frames first;
//! - [`tally`], [`report`] and [`results`]: verdicts become figures, a page to read, and charts.
//!
//! ```no_run
//! use std::num::NonZeroU32;
//!
//! use bagcert::frames::{Frames, Input};
//! use bagcert::integrity::LoadedModel;
//! use bagcert::pipeline::Query;
//! use bagcert_certifier::{Condition, PatchSize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // With its manifest, model.toml, beside it; see `bagcert manifest`.
//! let model = LoadedModel::load("model.onnx".as_ref(), None)?;
//! let mut pipeline = model.pipeline()?;
//! let query = Query {
//!     patches: vec![PatchSize::new(5, 5)?],
//!     condition: Condition::SumWindow32,
//!     mask_step: NonZeroU32::MIN,
//!     lead: 0,
//!     largest_square: false,
//!     keep_scores: false,
//! };
//! let size = model.admitted().image_size();
//! let (frames, _unreadable) = Frames::open(&[Input::Path("frames".into())], size);
//! for at in 0..frames.len() {
//!     let frame = frames.load(at, size, model.admitted().class_names())?;
//!     let outcome = pipeline.judge(frame.picture.planes(), &query)?;
//!     for verdict in &outcome.verdicts {
//!         println!("{}: class {}, certified {}", frame.id, verdict.predicted, verdict.certified);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod admission;
mod bounded;
mod causes;
pub mod engine;
pub mod frames;
pub mod integrity;
pub mod network;
pub mod pipeline;
pub mod report;
pub mod results;
pub mod tally;
#[cfg(test)]
mod typed_graph;

pub use causes::with_causes;
