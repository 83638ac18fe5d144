//! Which model files are trusted: `--no-card` and `--public-key`.

use std::path::{Path, PathBuf};

use bagcert::integrity::{self, LoadedModel, Manifest, PublicKey};
use clap::Args;

use super::{say, stop::Stop};

/// What must be shown of a model's file before it is used.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// Load the bare file: no manifest is asked for, and no golden frame is run.
    #[arg(long)]
    no_card: bool,
    /// Refuse the model unless its manifest is signed by this Ed25519 key, a PEM file.
    #[arg(long, value_name = "PUBLIC.pem", conflicts_with = "no_card")]
    public_key: Option<PathBuf>,
}

impl TrustArgs {
    /// What is read where the model at `path` is loaded and used.
    pub(crate) fn files(&self, path: &Path, model: &LoadedModel) -> Vec<PathBuf> {
        let beside = [
            path.to_owned(),
            integrity::manifest_path(path),
            integrity::signature_path(path),
        ];
        let golden = model.manifest().map_or(&[][..], Manifest::golden);
        let golden = golden
            .iter()
            .map(|golden| path.with_file_name(&golden.frame));
        let key = self.public_key.clone();
        beside.into_iter().chain(golden).chain(key).collect()
    }

    /// Loads the model, or says why it is refused.
    pub(crate) fn load(&self, path: &Path) -> Result<LoadedModel, Stop> {
        let key = self.public_key.as_deref().map(public_key).transpose()?;
        let loaded = if self.no_card {
            LoadedModel::bare(path)
        } else {
            LoadedModel::load(path, key.as_ref())
        };
        let loaded = loaded?;
        if loaded.lacks_golden_frames() {
            say(&format!(
                "bagcert: {}: its manifest has no golden frames, so no known answer was checked here; \
                 `bagcert manifest --model {} FRAME...` writes one that has",
                path.display(),
                path.display()
            ));
        }
        Ok(loaded)
    }
}

/// The key in the file that `--public-key` names.
pub(crate) fn public_key(path: &Path) -> Result<PublicKey, Stop> {
    PublicKey::read(path).map_err(|error| Stop::Usage(format!("--public-key {error}")))
}
