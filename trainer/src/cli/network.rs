//! The trained network that is measured or attacked.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bagcert_certifier::Geometry;
use bagcert_trainer::{
    checkpoint::Header,
    import::{import, is_exported},
    network::Network,
    run,
};
use clap::Args;
use tch::Device;

/// Where the network is.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub(super) struct NetworkArgs {
    /// The checkpoint.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// An ONNX file that `bagcert-train export` wrote.
    #[arg(long, value_name = "M.onnx")]
    model: Option<PathBuf>,
}

impl NetworkArgs {
    pub(super) fn path(&self) -> &Path {
        let given = self.checkpoint.as_deref().or(self.model.as_deref());
        given.unwrap_or(Path::new(""))
    }

    pub(super) fn load(&self, device: Device) -> Result<(Header, Network, Geometry)> {
        let path = self.path();
        if self.model.is_some() {
            return Ok(import(path, device)?);
        }
        if is_exported(path) {
            bail!(
                "--checkpoint {}: by its name this is an exported model; give it as --model",
                path.display()
            );
        }
        Ok(run::load(path, device)?)
    }
}
