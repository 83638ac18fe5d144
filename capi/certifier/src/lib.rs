//! The C interface of `bagcert-certifier`; what it is for stands in `docs/c-interface.md`.
//!
//! The functions are those of the header `capi/include/bagcert_certifier.h`, which is made from this
//! crate. They keep nothing between calls, allocate nothing, and work in the caller's memory. What
//! can be checked of a pointer is checked before it is used: null, alignment, length, overlap.
//!
//! On a target without an operating system the crate brings a panic handler that calls a function
//! which nobody defines, `bagcert_certifier_panicked`. In a release build no panic can be reached, the
//! linker drops the handler, and nothing is missing; were one reachable, the link would fail.
#![no_std]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

// Brings the panic handler of hosts; nothing else of it is used.
#[cfg(not(target_os = "none"))]
extern crate std;

mod certify;
#[allow(unsafe_code, reason = "the boundary to C")]
mod ffi;
#[cfg(target_os = "none")]
#[allow(unsafe_code, reason = "calls a function that only C can define")]
mod panic;
mod status;
mod types;

pub use certify::{Answers, Question};
pub use ffi::*;
pub use status::{BagcertStatus, Failure};
pub use types::*;
