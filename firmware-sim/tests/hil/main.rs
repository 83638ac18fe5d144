//! `bagcert-hil run` against `bagcert-hil target`, each a process of its own: maps and frames, damage,
//! and what a target must not take.
//!
//! The target runs on this machine, or, where BAGCERT_HIL_TARGET says how to start another build of it
//! (the words before `target`, one a line), on that processor: `cargo xtask arm --only linux` does so under
//! qemu-user. BAGCERT_HIL_IMAGES is the number of CIFAR-10 test images, where BAGCERT_DATA names them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../bench/mod.rs"]
mod bench;
mod damage;
mod liar;
#[path = "../line/mod.rs"]
mod line;
mod refusals;
#[cfg(target_os = "linux")]
mod serial;
mod target;
mod verdicts;
