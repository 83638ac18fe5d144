//! Reading the file, and decoding it into ONNX's own structures.

use std::path::Path;

use sha2::{Digest, Sha256};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::Framework;

use super::error::{AdmissionError, Refusal};
use super::scan;
use crate::bounded::{self, ReadError};

/// The bytes of a regular file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, AdmissionError> {
    let path_of = || path.to_path_buf();
    bounded::read(path, limit).map_err(|error| match error {
        ReadError::Io(source) => AdmissionError::Read {
            path: path_of(),
            source,
        },
        ReadError::NotAFile => AdmissionError::NotAFile { path: path_of() },
        ReadError::TooLarge(limit) => AdmissionError::TooLarge {
            path: path_of(),
            limit,
        },
    })
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Decodes the protocol buffer. What it holds is not checked here.
pub(crate) fn decode(bytes: &[u8]) -> Result<ModelProto, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::NotOnnx("the file is empty".into()));
    }
    scan::check(bytes)?;
    let mut rest = bytes;
    let model = tract_onnx::onnx()
        .proto_model_for_read(&mut rest)
        .map_err(|error| Refusal::NotOnnx(format!("{error:#}")))?;
    if model.graph.is_none() {
        return Err(Refusal::NotOnnx("it holds no graph".into()));
    }
    // ONNX asks for it, and most exporters write it last: a file cut off there is noticed.
    if model.opset_import.is_empty() {
        return Err(Refusal::NotOnnx("it names no operator set".into()));
    }
    Ok(model)
}
