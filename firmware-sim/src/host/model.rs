//! Arguments about the model and its frames that all programs here take.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bagcert::frames::Input;
use bagcert::integrity::{LoadedModel, PublicKey};
use bagcert::with_causes;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::stop::Stop;

/// What must be shown of a model's file before it is used.
#[derive(Debug, clap::Args)]
pub(crate) struct Trust {
    /// Load the bare file: no manifest is asked for, and no golden frame is run.
    #[arg(long)]
    no_card: bool,
    /// Refuse the model unless its manifest is signed by this Ed25519 key, a PEM file.
    #[arg(long, value_name = "PUBLIC.pem", conflicts_with = "no_card")]
    public_key: Option<PathBuf>,
}

impl Trust {
    /// Loads the model, or says why it is refused.
    pub(crate) fn load(&self, path: &Path) -> Result<LoadedModel, Stop> {
        let key = self.public_key.as_deref().map(PublicKey::read).transpose();
        let key = key.map_err(|error| Stop::Usage(format!("--public-key {error}")))?;
        let loaded = if self.no_card {
            LoadedModel::bare(path)
        } else {
            LoadedModel::load(path, key.as_ref())
        };
        let loaded = loaded.map_err(|error| Stop::Refused(with_causes(&error)))?;
        if loaded.lacks_golden_frames() {
            return Err(Stop::Refused(format!(
                "{}: its manifest has no golden frames, so nothing shows that this machine computes as the one that wrote it; \
                 write one that has by `bagcert manifest`, or try it with --no-card",
                path.display()
            )));
        }
        Ok(loaded)
    }
}

pub(crate) fn input_parser() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().map(|argument: OsString| Input::parse(&argument))
}
