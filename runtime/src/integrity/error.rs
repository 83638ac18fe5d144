//! Why a model file is not trusted.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::manifest::{Fingerprint, ManifestError};
use crate::admission::AdmissionError;
use crate::bounded::ReadError;
use crate::engine::EngineError;

/// A model that is refused for what its file, its manifest or its signature is, or for what its
/// engine answered on a golden frame. The text names the file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IntegrityError {
    /// The model itself was not admitted.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Nothing says which file this should be.
    #[error(
        "{}: refused: there is no manifest {} to say which file this should be; make one with \
         `bagcert manifest --model {}`, or load the bare file with --no-card",
        model.display(), manifest.display(), model.display()
    )]
    NoManifest {
        /// The model file.
        model: PathBuf,
        /// Where its manifest should be.
        manifest: PathBuf,
    },
    /// A manifest, a signature or a golden frame that cannot be read.
    #[error("{}: refused: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A manifest that is not in the form of one.
    #[error("{}: refused: not a manifest that this program understands: {source}", path.display())]
    BadManifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// Not the file that the manifest was made for.
    #[error(
        "{}: refused: its SHA-256 is {} ({} bytes), but {} names {} ({} bytes); get the file that \
         the manifest was made for, or, where this one is meant, make its manifest with \
         `bagcert manifest --model {}`; --no-card loads the bare file",
        model.display(), found.sha256, found.bytes, manifest.display(), expected.sha256,
        expected.bytes, model.display()
    )]
    OtherModel {
        /// The model file.
        model: PathBuf,
        /// Its manifest.
        manifest: PathBuf,
        /// What the file is.
        found: Fingerprint,
        /// What the manifest says.
        expected: Fingerprint,
    },
    /// A public key was given, and the manifest is not signed.
    #[error(
        "{}: refused: a public key was given, but there is no signature {}; sign the model with \
         `bagcert sign`",
        manifest.display(), signature.display()
    )]
    NoSignature {
        /// The manifest.
        manifest: PathBuf,
        /// Where its signature should be.
        signature: PathBuf,
    },
    /// The signature is not one of this key over this manifest.
    #[error(
        "{}: refused: this is no signature of {} by the given key; the manifest was changed after \
         it was signed, or signed with another key",
        signature.display(), manifest.display()
    )]
    WrongSignature {
        /// The manifest.
        manifest: PathBuf,
        /// Its signature.
        signature: PathBuf,
    },
    /// A golden frame is not the file that the manifest lists.
    #[error(
        "{}: refused: golden frame with SHA-256 {found}, but the manifest names {expected}; get \
         the frame that the manifest was made with, or make the manifest anew",
        frame.display()
    )]
    OtherFrame {
        /// The frame's file.
        frame: PathBuf,
        /// Its SHA-256.
        found: String,
        /// What the manifest says.
        expected: String,
    },
    /// The engine could not be made, or failed its own checks.
    #[error("{}: {source}", model.display())]
    Engine {
        /// The model file.
        model: PathBuf,
        /// Why.
        source: EngineError,
    },
    /// The engine answered otherwise on a golden frame than the manifest says.
    #[error(
        "{}: refused: golden frame {}: {difference}; this engine does not compute what the model \
         computed when its manifest was made, and gives no verdicts",
        model.display(), frame.display()
    )]
    Golden {
        /// The model file.
        model: PathBuf,
        /// The frame's file.
        frame: PathBuf,
        /// What differed first.
        difference: String,
    },
    /// A frame that cannot be a golden one.
    #[error("{}: cannot be a golden frame: {reason}", frame.display())]
    Unsuitable {
        /// The frame's file.
        frame: PathBuf,
        /// Why.
        reason: String,
    },
}

impl IntegrityError {
    pub(super) fn unreadable(path: &Path, error: &ReadError) -> IntegrityError {
        IntegrityError::Unreadable {
            path: path.to_path_buf(),
            reason: format!("it {error}"),
        }
    }
}

/// A file that holds no usable key.
#[derive(Debug, Error)]
#[error("{}: {reason}", path.display())]
pub struct KeyError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong, and what to do.
    pub reason: String,
}
