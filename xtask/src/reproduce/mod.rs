//! `cargo xtask reproduce`: trains, exports, attacks and draws what a plan says, one command after the other.

mod plan;
mod steps;
#[cfg(test)]
mod tests;

use crate::exec;
use crate::libtorch::{self, Site};
use anyhow::{Context, Result, bail};
use clap::{Args, builder::RangedU64ValueParser};
use plan::Plan;
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use steps::{Asked, Step};

#[derive(Debug, Args)]
pub(crate) struct ReproduceArgs {
    /// The plan, a TOML file; those that are shipped are in trainer/plans.
    plan: PathBuf,
    /// The folder of the images: the CIFAR-10 binary files or, where the plan says so, a folder by class.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where runs, models and figures go, from the root of the repository. A run that begins with what another
    /// leaves looks for that in runs [default: runs].
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Where libtorch computes: cpu or cuda.
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda"])]
    device: String,
    /// Epochs of every run in place of its own: a rehearsal, in a folder of its own, so that no run goes on from it.
    #[arg(long, value_name = "N", requires = "into", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    epochs: Option<usize>,
    /// Measure and attack the first N images only.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// Print the commands, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Use bagcert and bagcert-train in this folder as they are; they are built where it is not given.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Does what the plan says. What an earlier call has done, to the end or not, is gone on with.
pub(crate) fn run(site: &Site, args: &ReproduceArgs) -> Result<()> {
    let root = exec::root();
    let plan = Plan::read(&args.plan, &root)?;
    if !args.data.is_dir() {
        bail!("--data {}: there is no such folder", args.data.display());
    }
    let name = args.plan.file_stem().unwrap_or_default();
    let asked = Asked {
        data: std::path::absolute(&args.data)?,
        into: args.into.clone().unwrap_or_else(|| "runs".into()),
        name: name.to_string_lossy().into_owned(),
        device: args.device.clone(),
        epochs: args.epochs,
        limit: args.limit,
    };
    let steps = steps::steps(&plan, &asked);
    let programs = match &args.programs {
        _ if args.dry_run => PathBuf::new(),
        Some(folder) => std::path::absolute(folder)?,
        None => build(site)?,
    };
    if !args.dry_run {
        steps
            .iter()
            .try_for_each(|step| check_options(&programs, step))
            .with_context(|| format!("the plan {}", args.plan.display()))?;
    }
    for (at, step) in (1..).zip(&steps) {
        let mut command = Command::new(programs.join(step.program.name()));
        command.current_dir(&root).args(&step.arguments);
        if args.dry_run {
            // A reader that has gone has seen enough.
            let _ = writeln!(io::stdout(), "{}", exec::shown(&command));
            continue;
        }
        if let Some((checkpoint, epochs)) = &step.unless
            && epochs_behind(&root.join(checkpoint))?.is_some_and(|done| done >= *epochs)
        {
            continue;
        }
        eprintln!("step {at} of {}", steps.len());
        exec::run(&mut command)?;
    }
    if !args.dry_run && !plan.figures.is_empty() {
        let folder = root.join(&asked.into).join(&asked.name);
        eprintln!("figures: {}", folder.display());
    }
    Ok(())
}

/// Builds the programs; where they lie.
fn build(site: &Site) -> Result<PathBuf> {
    libtorch::ensure(site)?;
    let mut command = exec::cargo();
    command.args(["build", "--release", "--bins"]);
    for package in ["bagcert", "bagcert-trainer"] {
        command.args(["--package", package]);
    }
    exec::run(site.apply(&mut command))?;
    Ok(exec::target_dir()?.join("release"))
}

/// Has the program read a step's options and no more, so that a wrong one of the last is not found after hours of the first: asked for help
/// behind them, it gives it where it knows them all.
fn check_options(programs: &Path, step: &Step) -> Result<()> {
    let mut command = Command::new(programs.join(step.program.name()));
    let command = command.args(&step.arguments).arg("--help");
    let line = exec::shown(command);
    let output = command
        .output()
        .with_context(|| format!("could not start `{line}`"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}`: {}", reason.trim_end());
    }
    Ok(())
}

/// Epochs behind a checkpoint, by its own word; nothing where there is none.
fn epochs_behind(path: &Path) -> Result<Option<usize>> {
    if !path.exists() {
        return Ok(None);
    }
    let epochs = epochs_said(path).with_context(|| format!("cannot read {}", path.display()))?;
    let named = || format!("{} is no checkpoint of bagcert-train", path.display());
    epochs.map(Some).with_context(named)
}

/// A safetensors file begins with the length of its header, which is JSON.
fn epochs_said(path: &Path) -> io::Result<Option<usize>> {
    let mut file = File::open(path)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let mut header = vec![];
    file.take(u64::from_le_bytes(length))
        .read_to_end(&mut header)?;
    let said = || -> Option<usize> {
        let header: Value = serde_json::from_slice(&header).ok()?;
        let ours = header.get("__metadata__")?.get("bagcert")?.as_str()?;
        let ours: Value = serde_json::from_str(ours).ok()?;
        usize::try_from(ours.get("epoch")?.as_u64()?).ok()
    };
    Ok(said())
}
