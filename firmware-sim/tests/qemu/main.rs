//! The firmware in QEMU against the same library here.
//!
//! `cargo xtask arm` builds the firmware and runs these tests; on their own they are skipped, and say
//! so. BAGCERT_ARM names the folder of the builds, BAGCERT_ARM_BOARDS the boards that are built, and
//! BAGCERT_DEFMT_PRINT the program that decodes the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod boards;
mod counts;
#[path = "../line/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod line;
mod link;
mod looped;
mod maps;
mod stack;
mod thumb;
mod verdicts;
