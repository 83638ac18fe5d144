//! The header for C is that of this crate, and compiles without a warning.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../support/c.rs"]
mod c;
#[path = "../../support/header.rs"]
mod header;

use std::path::Path;

const HEADER: &str = "bagcert.h";

#[test]
fn the_header_is_current() {
    header::is_current(Path::new(env!("CARGO_MANIFEST_DIR")), HEADER);
}

#[test]
fn the_header_compiles_as_c_and_as_cpp() {
    header::compiles(HEADER);
}
