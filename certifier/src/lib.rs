//! Patch-robustness certificates over binary score maps.
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
mod fault;
mod geometry;
mod pieces;
mod score_map;
mod search;
mod shape;
mod table;
mod vector;
mod verdict;

pub use aggregation::{ClassScores, MonotoneAggregation, Sum, certify_monotone};
pub use certifier::Certifier;
pub use fault::Fault;
pub use geometry::{
    Axis, CellRect, Geometry, GeometryError, MAX_EXTENT, PatchSize, Pixel, Span, rectangles_of_area,
};
pub use score_map::ScoreMap;
pub use shape::{ScoreWord, Shape, ShapeError, TableWord};
pub use verdict::{Condition, UnknownCondition, Verdict};
