//! Why a model was not admitted.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// A model file that was not admitted. The text names the file and, where there is one, the node.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdmissionError {
    /// The file could not be read at all.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, a device, a pipe.
    #[error("{}: is not a regular file; give the path of an .onnx file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// Larger than this program reads.
    #[error("{}: has more than {limit} bytes, the most that is read of a model", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// Empty, cut off, or of another format.
    #[error(
        "{}: is not a whole ONNX model: {reason}; check that it was copied completely and \
         exported as ONNX",
        path.display()
    )]
    NotOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model as a whole breaks the contract (its inputs, outputs, metadata).
    #[error("{}: refused: {reason}", path.display())]
    Contract {
        /// The file.
        path: PathBuf,
        /// What breaks it, and what to do.
        reason: String,
    },
    /// One operation of the model is not on the list of those proved local.
    #[error("{}: refused: node \"{node}\" ({op}): {reason}", path.display())]
    Node {
        /// The file.
        path: PathBuf,
        /// The node's name in the file, or that of its first output where it has none.
        node: String,
        /// Its operation.
        op: String,
        /// Why it is refused, and what to do.
        reason: String,
    },
    /// The library that reads ONNX could not make sense of the graph.
    #[error("{}: refused: the graph cannot be analysed: {reason}", path.display())]
    Analysis {
        /// The file.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

/// The same without the path, as the layers below know it.
#[derive(Debug)]
pub(crate) enum Refusal {
    NotOnnx(String),
    Contract(String),
    Node {
        node: String,
        op: String,
        reason: String,
    },
    Analysis(String),
}

impl Refusal {
    pub(crate) fn contract(reason: impl Into<String>) -> Refusal {
        Refusal::Contract(reason.into())
    }

    pub(crate) fn node(
        node: impl Into<String>,
        op: impl Into<String>,
        reason: impl Into<String>,
    ) -> Refusal {
        Refusal::Node {
            node: node.into(),
            op: op.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn in_file(self, path: &Path) -> AdmissionError {
        let path = path.to_path_buf();
        match self {
            Refusal::NotOnnx(reason) => AdmissionError::NotOnnx { path, reason },
            Refusal::Contract(reason) => AdmissionError::Contract { path, reason },
            Refusal::Node { node, op, reason } => AdmissionError::Node {
                path,
                node,
                op,
                reason,
            },
            Refusal::Analysis(reason) => AdmissionError::Analysis { path, reason },
        }
    }
}
