//! The arguments of `bagcert-train`.

mod attack;
mod check;
mod figure;
mod images;
mod mean;
mod measure;
mod network;
mod panics;
pub(crate) mod said;
mod train;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Result, bail};
use bagcert_trainer::{
    checkpoint::{checkpoint_bytes, write_output},
    device::DeviceChoice,
    export::export,
    run,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use attack::{AttackArgs, Certificates};
use check::CheckArgs;
use figure::FigureArgs;
use mean::MeanArgs;
use measure::EvalArgs;
use train::TrainArgs;

/// Trains networks for certified classification and exports them to ONNX.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check configurations, and say what networks they describe.
    Check(CheckArgs),
    /// Train by a TOML configuration.
    Train(TrainArgs),
    /// Write a checkpoint's network as ONNX, or without the rest of the run.
    Export(ExportArgs),
    /// Write the mean of the weights of several networks of the same layers as ONNX.
    Mean(MeanArgs),
    /// Clean and certified accuracy of a checkpoint or an exported model, in libtorch.
    Eval(EvalArgs),
    /// Attack a checkpoint or an exported model with optimised patches (Section A.2); no certified image may
    /// flip.
    Attack(AttackArgs),
    /// Draw the paper's Figures 7 and 8 from attacks and runs.
    Figure(FigureArgs),
}

#[derive(Clone, Copy, ValueEnum)]
enum DeviceName {
    Cpu,
    Cuda,
}

impl DeviceName {
    fn open(self) -> Result<tch::Device> {
        let choice = match self {
            Self::Cpu => DeviceChoice::Cpu,
            Self::Cuda => DeviceChoice::Cuda,
        };
        Ok(choice.open()?)
    }
}

#[derive(Args)]
struct ExportArgs {
    /// The checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The file to write: ONNX, or with the ending .safetensors a checkpoint of the network alone (its average, where
    /// there is one), from which a run can begin (`training.initial`) but none be resumed.
    #[arg(long)]
    output: PathBuf,
}

impl Command {
    /// What may help where libtorch failed.
    fn advice(&self) -> &'static str {
        match self {
            Self::Train(_) => {
                "Where memory is short, a smaller training.batch may help: the last checkpoint is kept, if there is one, \
                 and training.initial begins a new run with it; with more memory, --resume goes on"
            }
            Self::Eval(_) | Self::Attack(_) => "Where memory is short, a smaller --batch may help",
            Self::Check(_) | Self::Export(_) | Self::Mean(_) | Self::Figure(_) => {
                "Where memory is short, more of it may help"
            }
        }
    }
}

/// Parses the arguments and does what they say.
pub(crate) fn run() -> Result<ExitCode> {
    let command = Cli::parse().command;
    panics::contained(command.advice(), || execute(command))
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Check(args) => check::check(&args)?,
        Command::Train(args) => train::train(&args)?,
        Command::Export(args) => {
            if same_file(&args.output, &args.checkpoint) {
                bail!(
                    "--output {} is the checkpoint itself, whose run could not be resumed any more; give another file",
                    args.output.display()
                );
            }
            let (header, network, _) = run::load(&args.checkpoint, tch::Device::Cpu)?;
            let ending = args.output.extension();
            if ending.is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
                let bytes = checkpoint_bytes(&args.output, &header, &network, None)?;
                write_output(&args.output, &bytes)?;
            } else {
                export(&args.output, &header, &network)?;
            }
            said::note(&format!(
                "{} parameters written to {}",
                network.plan.parameter_count(),
                args.output.display()
            ));
        }
        Command::Mean(args) => mean::mean(&args)?,
        Command::Eval(args) => measure::eval(&args)?,
        Command::Figure(args) => figure::figure(&args)?,
        Command::Attack(args) => {
            if attack::attack(&args)? == Certificates::Broken {
                return Ok(ExitCode::from(attack::BROKEN));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether both are there and one file.
fn same_file(one: &Path, other: &Path) -> bool {
    let places = [one, other].map(|path| path.canonicalize().ok());
    places[0].is_some() && places[0] == places[1]
}

/// A bar on a terminal, nothing elsewhere.
fn bar(len: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
