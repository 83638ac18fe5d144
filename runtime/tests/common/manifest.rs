//! Manifests for the models of tests.

use std::fs;
use std::path::PathBuf;

use bagcert::integrity::{Fingerprint, Manifest, manifest_path};

/// Writes the manifest of a model file beside it, without golden frames; gives the model's path.
/// The file may hold anything.
pub fn with_manifest(model: PathBuf) -> PathBuf {
    let fingerprint = Fingerprint::of(&fs::read(&model).unwrap());
    let manifest = Manifest::new(fingerprint, Vec::new()).unwrap();
    fs::write(manifest_path(&model), manifest.to_toml().unwrap()).unwrap();
    model
}
