//! Integrity of model files: manifests, signatures, golden frames.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../common/mod.rs"]
mod common;

mod files;
mod golden;
mod signatures;
mod undecided;
