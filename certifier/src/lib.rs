//! Certificates against adversarial patches, for image classifiers that vote cell by cell.
//!
//! A network with a small receptive field scores every cell of a grid; a class's votes are its
//! cells with a score of one, and the class with the most votes wins. A patch reaches only the
//! cells whose receptive fields meet it (the affected region `R(l)`), so it can be worked out, for
//! each place that the patch may take, how many votes an attacker could move there. Where that is
//! never enough to change the winner, the prediction is *certified*: no patch of that size, whatever
//! is painted on it and wherever it lies, changes it. The conditions are those of Metzen and Yatsura,
//! "Efficient certified defenses against patch attacks on image classifiers" (ICLR 2021).
//!
//! - [`Axis`] and [`Geometry`]: which cells a patch reaches.
//! - [`ScoreMap`]: logits to binary scores, votes, prediction.
//! - [`Certifier`]: Conditions 3.1, 3.2 and 3.3 for the sum, for any number of patch sizes.
//! - [`certify_monotone`]: Condition 3.1 for any other [`MonotoneAggregation`].
//! - [`failsafe`]: what a vehicle may take from each cycle, and the message that carries it.
//!
//! No `std`, no allocator, no unsafe code, no recursion, no panic. The memory is the caller's, and
//! [`Shape`] says at compile time how much; every loop is bounded by the shape.
//!
//! ```
//! use bagcert_certifier::{Axis, Certifier, Condition, Geometry, PatchSize, ScoreMap, Shape};
//!
//! // Ten classes on 32x32 cells, and buffers that firmware would make static.
//! const SHAPE: Shape = match Shape::new(10, 32, 32) {
//!     Ok(shape) => shape,
//!     Err(_) => panic!("fails when it is compiled, never when it runs"),
//! };
//! let mut scores = [0; SHAPE.score_len()];
//! let mut table = [0; SHAPE.table_len()];
//!
//! // Cell i reads the pixels i-3..=i+3 of 32, in both directions: receptive field 7.
//! let axis = Axis::new(32, 32, 1, -3, 3)?;
//! let geometry = Geometry { x: axis, y: axis };
//!
//! // What a network said: class 3 everywhere, class 5 in the first 300 cells as well.
//! let mut logits = [-1.0; 10 * 32 * 32];
//! logits[3 * 1024..4 * 1024].fill(1.0);
//! logits[5 * 1024..5 * 1024 + 300].fill(1.0);
//!
//! let map = ScoreMap::from_logits(SHAPE, &logits, &mut scores)?;
//! assert_eq!(map.predicted(), 3);
//! let certifier = Certifier::new(&map, &geometry, &mut table)?;
//! let verdict = certifier.certify(PatchSize::new(5, 5)?, Condition::SumWindow32)?;
//! // 724 votes ahead of class 5; a patch reaches 11x11 cells and moves two votes in each, where
//! // class 5 has none yet.
//! assert_eq!((verdict.slack, verdict.rival), (724 - 2 * 121, 5));
//! assert!(verdict.certified);
//! assert_eq!(certifier.largest_square(), 13);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A certificate holds for one patch in one frame, for the predicted class, and only if scores
//! outside the affected region do not change by a single bit when the patch does: the geometry must
//! be that of the network, and the network must run with arithmetic that keeps cells apart. It does
//! not say that the prediction is right.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod aggregation;
mod certifier;
pub mod failsafe;
mod fault;
mod geometry;
mod geometry_error;
mod lane;
mod mask_set;
mod masks;
mod overlay;
mod patch;
mod pieces;
mod plane;
mod score_map;
mod search;
mod shape;
mod sweep;
mod table;
mod unanimous;
mod vector;
mod verdict;

pub use aggregation::{ClassScores, MonotoneAggregation, Sum, certify_monotone};
pub use certifier::Certifier;
pub use fault::Fault;
pub use geometry::{Axis, CellRect, Geometry, MAX_EXTENT, Span};
pub use geometry_error::GeometryError;
pub use mask_set::{MaskSet, Work};
pub use masks::MaskCertifier;
pub use patch::{ParsePatchError, PatchSize, Pixel, rectangles_of_area};
pub use score_map::ScoreMap;
pub use shape::{ScoreWord, Shape, ShapeError, TableWord};
pub use verdict::{Condition, Masking, UnknownCondition, Verdict};
