//! What differs from board to board, one module each: start-up, a free-running counter, a serial
//! line. Another board needs another module and a memory map in `build.rs`.
//!
//! Each module has
//! - `entry`, the attribute of the main function;
//! - `TICKS_PER_SECOND`, `start_counter()` and `ticks()`: a counter of at least 32 bits, of which the
//!   lowest are taken;
//! - `open_line()`, `receive()` and `send()`: the serial line; `receive` waits for a byte.

#![allow(dead_code, unused_imports, reason = "each program uses a part")]

#[cfg(any(board = "mps2", board = "mps3"))]
mod cmsdk;
mod registers;

#[cfg(board = "mps2")]
mod mps2;
#[cfg(board = "mps3")]
mod mps3;
#[cfg(board = "versatile")]
mod versatile;

#[cfg(board = "mps2")]
pub(crate) use mps2::*;
#[cfg(board = "mps3")]
pub(crate) use mps3::*;
#[cfg(board = "versatile")]
pub(crate) use versatile::*;
