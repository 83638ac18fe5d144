//! Runs image classifiers whose answers are certified against adversarial patches.
//!
//! A frame passes through these layers, each of which knows only the ones before it:
//!
//! - [`frames`]: image files and data sets become values in [0, 1];
//! - [`admission`]: an ONNX file becomes a [`network`] that is proved local, or is refused;
//! - [`engine`]: a frame becomes logits, by an engine whose numerics were checked at load;
//! - [`pipeline`]: logits become verdicts, by the crate `bagcert-certifier`;
//! - [`tally`] and [`report`]: verdicts become figures and a page to read.
//!
//! ```no_run
//! use bagcert::frames::{Frames, Input, Size};
//! use bagcert::pipeline::{Pipeline, Query};
//! use bagcert_certifier::{Condition, PatchSize};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = bagcert::admission::admit("model.onnx".as_ref())?;
//! let mut pipeline = Pipeline::new(&model)?;
//! let query = Query {
//!     patches: vec![PatchSize::new(5, 5)?],
//!     condition: Condition::SumWindow32,
//!     largest_square: false,
//!     keep_scores: false,
//! };
//! let size = Size { width: 32, height: 32 };
//! let (frames, _unreadable) = Frames::open(&[Input::Path("frames".into())], size);
//! for at in 0..frames.len() {
//!     let frame = frames.load(at, size, model.class_names())?;
//!     let outcome = pipeline.judge(frame.picture.planes(), &query)?;
//!     for verdict in &outcome.verdicts {
//!         println!("{}: class {}, certified {}", frame.id, verdict.predicted, verdict.certified);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod admission;
pub mod engine;
pub mod frames;
mod guard;
pub mod network;
pub mod pipeline;
pub mod report;
pub mod tally;
