//! The C interface of `bagcert`: open a model, certify frames. What it is for stands in
//! `docs/c-interface.md`; the header, `capi/include/bagcert.h`, is made from this crate.
//!
//! A model is a number, not a pointer: one that is not open any more is an error, whoever uses it.
//! Panics do not cross the boundary; after one, there is no verdict and the model is not used again.

#[allow(unsafe_code, reason = "the boundary to C")]
mod ffi;
mod models;
mod problem;
mod types;

pub use ffi::*;
pub use problem::BagcertModelStatus;
pub use types::{BAGCERT_ABI, BagcertModel, BagcertModelInfo, BagcertTimes};
