//! Integrity: a model is used only where it is the one that is meant, and answers as it should.
//!
//! Beside a model `NAME.onnx` lies its manifest `NAME.toml`: SHA-256 and length of the file, and a
//! few golden frames with the score maps and verdicts that the model gives on them, less scores whose logits are near to 0. The manifest
//! may be signed with Ed25519 (`NAME.toml.sig`, 64 bytes). [`LoadedModel::load`] refuses a file that
//! is not its manifest's, and with a public key also a manifest that this key has not signed.
//! [`LoadedModel::pipeline`] runs the golden frames through the very engine and certifier that will
//! serve, before it hands them out.
//!
//! ```no_run
//! use bagcert::integrity::{LoadedModel, PublicKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = PublicKey::read("public.pem".as_ref())?;
//! let model = LoadedModel::load("model.onnx".as_ref(), Some(&key))?;
//! // One engine for each thread; each has answered the golden frames.
//! let mut pipeline = model.pipeline()?;
//! # Ok(())
//! # }
//! ```

mod error;
mod golden;
mod manifest;
mod signature;
mod tables;
mod undecided;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bagcert_certifier::{Condition, PatchSize};

pub use error::{IntegrityError, KeyError};
pub use manifest::{
    Fingerprint, GoldenFrame, GoldenVerdict, Manifest, ManifestError, check_golden,
};
pub use signature::{DOMAIN, PublicKey, SIGNATURE_LENGTH, SecretKey};
pub use undecided::{TOLERANCE, Undecided};

use crate::admission::{self, AdmittedModel};
use crate::bounded::{self, ReadError};
use crate::pipeline::Pipeline;

/// The manifest of the model at `model`: `NAME.toml` beside `NAME.onnx`.
#[must_use]
pub fn manifest_path(model: &Path) -> PathBuf {
    model.with_extension("toml")
}

/// The signature of the manifest of the model at `model`: `NAME.toml.sig`.
#[must_use]
pub fn signature_path(model: &Path) -> PathBuf {
    let mut name = OsString::from(manifest_path(model));
    name.push(".sig");
    PathBuf::from(name)
}

/// An admitted model, with the manifest that its file was checked against.
#[derive(Debug)]
pub struct LoadedModel {
    path: PathBuf,
    admitted: AdmittedModel,
    fingerprint: Fingerprint,
    manifest: Option<Manifest>,
}

impl LoadedModel {
    /// Reads the model at `path` and admits it where its manifest names this very file. With `key`,
    /// the manifest must be signed by it.
    ///
    /// The file is read once: the bytes that are hashed are the bytes that are admitted.
    ///
    /// # Errors
    /// Where a file is missing or cannot be read, where manifest, signature and model do not belong
    /// together, and where the model is not admitted.
    pub fn load(path: &Path, key: Option<&PublicKey>) -> Result<LoadedModel, IntegrityError> {
        let files = Files::read(path, key)?;
        Ok(LoadedModel {
            path: path.to_path_buf(),
            admitted: admission::admit_bytes(&files.model, path)?,
            fingerprint: files.manifest.model().clone(),
            manifest: Some(files.manifest),
        })
    }

    /// Admits the model at `path` whatever file it is: no manifest, no golden frames.
    ///
    /// # Errors
    /// Where the file cannot be read, and where the model is not admitted.
    pub fn bare(path: &Path) -> Result<LoadedModel, IntegrityError> {
        let bytes = admission::read(path)?;
        Ok(LoadedModel {
            path: path.to_path_buf(),
            admitted: admission::admit_bytes(&bytes, path)?,
            fingerprint: Fingerprint::of(&bytes),
            manifest: None,
        })
    }

    /// The model.
    #[must_use]
    pub fn admitted(&self) -> &AdmittedModel {
        &self.admitted
    }

    /// SHA-256 and length of the file that was read.
    #[must_use]
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// The manifest that the file was checked against; none for a bare model.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Whether its manifest names no golden frame, so that nothing shows that this machine computes as the one that wrote it.
    #[must_use]
    pub fn lacks_golden_frames(&self) -> bool {
        let golden = self.manifest.as_ref().map(Manifest::golden);
        golden.is_some_and(<[_]>::is_empty)
    }

    /// A new engine with the memory of its certificates, which has answered every golden frame of the
    /// manifest as it should.
    ///
    /// # Errors
    /// Where the engine cannot be built or fails its numerics check, where a golden frame's file is not
    /// the one listed, and where an answer differs in a verdict or in any score that is not undecided.
    pub fn pipeline(&self) -> Result<Pipeline, IntegrityError> {
        let mut pipeline =
            Pipeline::new(&self.admitted).map_err(|source| IntegrityError::Engine {
                model: self.path.clone(),
                source,
            })?;
        if let Some(manifest) = &self.manifest {
            let folder = folder(&self.path);
            golden::check(&mut pipeline, &self.admitted, &self.path, folder, manifest)?;
        }
        Ok(pipeline)
    }

    /// What the model answers on a frame, to be listed in its manifest: score map and verdicts for
    /// `patches`; under a masking condition one predictor for all of them. `frame` is the path of an image from the model's folder, its
    /// parts separated by `/`. Scores whose logits are nearer to 0 than [`TOLERANCE`] of the largest of their class are set aside, see
    /// [`GoldenFrame::undecided`].
    ///
    /// # Errors
    /// Where the frame cannot be read or judged, and where more than one in a hundred of a class's scores would have to be set aside.
    pub fn record(
        &self,
        pipeline: &mut Pipeline,
        frame: &str,
        patches: Vec<PatchSize>,
        condition: Condition,
    ) -> Result<GoldenFrame, IntegrityError> {
        let folder = folder(&self.path);
        golden::record(pipeline, &self.admitted, folder, frame, patches, condition)
    }
}

/// Checks, without running it, that the model at `path`, its manifest, the golden frames' files and
/// the signature by `key` belong together. Gives the manifest.
///
/// # Errors
/// The first that does not.
pub fn verify(path: &Path, key: &PublicKey) -> Result<Manifest, IntegrityError> {
    let files = Files::read(path, Some(key))?;
    golden::check_files(folder(path), &files.manifest)?;
    Ok(files.manifest)
}

/// The signature of the manifest of the model at `path`, for the file [`signature_path`]. Only a
/// manifest that is of this model and of these golden frames' files is signed.
///
/// # Errors
/// Where they do not belong together.
pub fn sign(path: &Path, key: &SecretKey) -> Result<[u8; SIGNATURE_LENGTH], IntegrityError> {
    let files = Files::read(path, None)?;
    golden::check_files(folder(path), &files.manifest)?;
    Ok(key.sign(&files.manifest_text))
}

/// How a model file stands to its manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// There is no manifest.
    Missing,
    /// The manifest is of this file.
    Matches(Manifest),
    /// The manifest is of another file.
    Differs(Manifest),
    /// The manifest cannot be read, for this reason.
    Invalid(String),
}

/// How the file at `path` with this fingerprint stands to its manifest. Signatures are not looked at.
#[must_use]
pub fn standing(path: &Path, fingerprint: &Fingerprint) -> Standing {
    match read_manifest(path) {
        Err(IntegrityError::NoManifest { .. }) => Standing::Missing,
        Err(error) => Standing::Invalid(error.to_string()),
        Ok(bytes) => match Manifest::parse(&bytes) {
            Err(error) => Standing::Invalid(error.to_string()),
            Ok(manifest) if manifest.model() == fingerprint => Standing::Matches(manifest),
            Ok(manifest) => Standing::Differs(manifest),
        },
    }
}

/// A model file and the manifest that it was checked against, each read once.
struct Files {
    model: Vec<u8>,
    manifest_text: Vec<u8>,
    manifest: Manifest,
}

impl Files {
    fn read(path: &Path, key: Option<&PublicKey>) -> Result<Files, IntegrityError> {
        let model = admission::read(path)?;
        let manifest_text = read_manifest(path)?;
        // Before the text is parsed: only what was signed is.
        if let Some(key) = key {
            check_signature(path, &manifest_text, key)?;
        }
        let manifest =
            Manifest::parse(&manifest_text).map_err(|source| IntegrityError::BadManifest {
                path: manifest_path(path),
                source,
            })?;
        let found = Fingerprint::of(&model);
        if found != *manifest.model() {
            return Err(IntegrityError::OtherModel {
                model: path.to_path_buf(),
                manifest: manifest_path(path),
                found,
                expected: manifest.model().clone(),
            });
        }
        Ok(Files {
            model,
            manifest_text,
            manifest,
        })
    }
}

fn read_manifest(path: &Path) -> Result<Vec<u8>, IntegrityError> {
    let manifest = manifest_path(path);
    bounded::read(&manifest, manifest::MAX_MANIFEST_BYTES).map_err(|error| match error {
        ReadError::Io(error) if error.kind() == ErrorKind::NotFound => IntegrityError::NoManifest {
            model: path.to_path_buf(),
            manifest,
        },
        error => IntegrityError::unreadable(&manifest, &error),
    })
}

fn check_signature(path: &Path, manifest: &[u8], key: &PublicKey) -> Result<(), IntegrityError> {
    let file = signature_path(path);
    let signature = bounded::read(&file, SIGNATURE_LENGTH as u64).map_err(|error| match error {
        ReadError::Io(error) if error.kind() == ErrorKind::NotFound => {
            IntegrityError::NoSignature {
                manifest: manifest_path(path),
                signature: file.clone(),
            }
        }
        error => IntegrityError::unreadable(&file, &error),
    })?;
    if key.has_signed(manifest, &signature) {
        return Ok(());
    }
    Err(IntegrityError::WrongSignature {
        manifest: manifest_path(path),
        signature: file,
    })
}

/// The folder that a file lies in.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
