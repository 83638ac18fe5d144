//! `bagcert-train check`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use bagcert_trainer::{
    config::{Config, DataKind},
    run,
};
use clap::Args;

use super::said::{note, results};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// A TOML configuration, or several.
    #[arg(long, required = true, value_name = "FILE")]
    config: Vec<PathBuf>,
}

/// Checks configurations as far as that goes without images, and prints what network each describes.
pub(super) fn check(args: &CheckArgs) -> Result<()> {
    let mut wrong = 0;
    for path in &args.config {
        match described(path) {
            Ok(line) => results(&line)?,
            Err(error) => {
                wrong += 1;
                note(&format!("error: {}: {error:#}", path.display()));
            }
        }
    }
    if wrong > 0 {
        bail!(
            "{wrong} of {} configurations cannot be used",
            args.config.len()
        );
    }
    Ok(())
}

/// A line of what the network of the configuration at `path` is.
fn described(path: &Path) -> Result<String> {
    let config = Config::read(path)?;
    let (plan, geometry) = run::described(&config)?;
    let (field, cells) = (geometry.x.receptive_field(), geometry.x.outputs());
    // How many classes a folder of images has is not known here.
    let classes = match config.data.kind {
        DataKind::Folder => " with two classes",
        DataKind::Cifar10 | DataKind::Records => "",
    };
    Ok(format!(
        "{}: {} epochs; {} parameters{classes}, receptive field {field}x{field}, {cells}x{cells} cells, {:.1} M multiply-adds a frame\n",
        path.display(),
        config.training.epochs,
        plan.parameter_count(),
        plan.multiply_adds() as f64 / 1e6
    ))
}
