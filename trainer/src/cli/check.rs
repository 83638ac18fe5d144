//! `bagcert-train check`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bagcert_trainer::{config::Config, run};
use clap::Args;

use super::said::results;

#[derive(Args)]
pub(super) struct CheckArgs {
    /// A TOML configuration; all that are given are checked.
    #[arg(long, required = true, value_name = "FILE")]
    config: Vec<PathBuf>,
}

/// Checks configurations as far as that goes without images, and prints what network each describes.
pub(super) fn check(args: &CheckArgs) -> Result<()> {
    for path in &args.config {
        let named = || path.display().to_string();
        let config = Config::read(path).with_context(named)?;
        let (plan, geometry) = run::described(&config).with_context(named)?;
        let (field, cells) = (geometry.x.receptive_field(), geometry.x.outputs());
        results(&format!(
            "{}: {} epochs; {} parameters, receptive field {field}x{field}, {cells}x{cells} cells, {:.1} M multiply-adds a frame\n",
            path.display(),
            config.training.epochs,
            plan.parameter_count(),
            plan.multiply_adds() as f64 / 1e6
        ))?;
    }
    Ok(())
}
