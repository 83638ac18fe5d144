//! What several test binaries share. Each uses a part of it.
#![allow(dead_code, unreachable_pub, missing_docs)]

pub mod manifest;
pub mod onnx;
pub mod oracle;
pub mod reference;
