//! `bagcert-train mean`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use bagcert_trainer::{export::export, import::is_exported, mean::mean_of_files};
use clap::Args;

use super::{said::note, same_file};

#[derive(Args)]
pub(super) struct MeanArgs {
    /// A checkpoint or an exported model (a name that ends in .onnx); two or more, all of the same layers, classes and images.
    #[arg(long = "of", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// What each counts in the mean, in the order of --of: any numbers above 0; all the same where none is given.
    #[arg(long = "weight", value_name = "W", allow_negative_numbers = true)]
    weights: Vec<f64>,
    /// The ONNX file to write.
    #[arg(long)]
    output: PathBuf,
}

/// Writes the mean, and says of what it is one.
pub(super) fn mean(args: &MeanArgs) -> Result<()> {
    let weights = match (args.weights.len(), args.files.len()) {
        (0, files) => vec![1.0; files],
        (weights, files) if weights == files => args.weights.clone(),
        (weights, files) => bail!(
            "--weight is given {weights} times and --of {files} times; give one for each, or none"
        ),
    };
    if let Some(part) = args.files.iter().find(|part| same_file(part, &args.output)) {
        bail!(
            "--output {} is one of the networks themselves ({}); give another file",
            args.output.display(),
            part.display()
        );
    }
    if !is_exported(&args.output) {
        bail!(
            "--output {}: what is written is ONNX; give a name that ends in .onnx",
            args.output.display()
        );
    }
    let parts: Vec<_> = args.files.iter().cloned().zip(weights).collect();
    let (header, network) = mean_of_files(&parts)?;
    export(&args.output, &header, &network)?;
    let all: f64 = parts.iter().map(|(_, weight)| weight).sum();
    for (path, weight) in &parts {
        note(&format!(
            "{:6.2} % of {}",
            100.0 * weight / all,
            path.display()
        ));
    }
    note(&format!(
        "{} parameters written to {}",
        network.plan.parameter_count(),
        args.output.display()
    ));
    Ok(())
}
