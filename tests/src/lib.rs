//! What the tests that cross the crates share.
//!
//! The tests themselves are in `tests/`. Here is what they need on the way: the
//! repository's files, what its Rust files define and its safety pages say, the
//! programs as they were built, a small model to try things on, and a certificate
//! worked out the slow way from the paper's definitions, which shares no code with
//! the certifier.

pub mod images;
pub mod onnx;
pub mod oracle;
pub mod paper;
pub mod programs;
pub mod repository;
pub mod safety;
pub mod search;
pub mod source;
