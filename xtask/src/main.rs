//! The chores of the workspace, run as `cargo xtask ...`.
//!
//! `setup` fetches libtorch, `lint` and `test` are what `.ci/run` runs,
//! `reproduce` makes the models and figures, and `peers` times the certificate
//! beside the same one in Python.

mod arm;
mod coverage;
mod exec;
mod fuzz;
mod libtorch;
mod lint;
mod mutants;
mod peers;
mod picture;
mod python;
mod reproduce;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// The chores of the bagcert workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// Folder that holds libtorch (default: .libtorch in the repository).
    #[arg(long, global = true, value_name = "DIR")]
    libtorch_dir: Option<PathBuf>,
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Fetch libtorch from the Python package index, check it by hash, and say what else is missing.
    Setup,
    /// Set up what is missing, then run every test of every crate.
    Test,
    /// Check formatting, clippy and rustdoc, with every warning an error.
    Lint,
    /// Time the certificate beside numpy and PyTorch, and compare the verdicts.
    Peers {
        /// Leave PyTorch (some 550 MB to fetch) out of the comparison.
        #[arg(long)]
        no_torch: bool,
        /// Only install the Python packages into .peers, and compare nothing.
        #[arg(long)]
        setup_only: bool,
        /// Also write the table to this Markdown file.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Say which lines of the certifier, of admission and of the engine the tests run.
    Coverage {
        /// Fail where the certifier or admission has fewer of its lines run, in per cent.
        #[arg(long, value_name = "PERCENT", default_value_t = 95.0)]
        least: f64,
    },
    /// Change the code at one place at a time, and say which changes no test notices (with
    /// cargo-mutants). Takes hours.
    Mutants {
        /// One part only (certifier, masks, admission, proof); all where none is given.
        part: Option<String>,
        /// Only this part of the changes, such as 0/8 for the first eighth.
        #[arg(long, value_name = "K/N")]
        shard: Option<String>,
    },
    /// Fuzz what reads files, one target after the other (with a nightly compiler and cargo-fuzz).
    Fuzz {
        /// One target only; all where none is given.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// All that concerns ARM: the firmware for Cortex-M4F, M7, M55 and R5F, held against its promises and
    /// run in QEMU, and the runtime for aarch64 Linux, compared with this machine's under qemu-user.
    Arm(arm::ArmArgs),
    /// Train, export, attack and draw what a plan says: the paper's tables and figures, or the shipped models.
    Reproduce(reproduce::ReproduceArgs),
    /// Take the picture in the README from a report on the sample frames (with chromium).
    Picture {
        /// Another model than that of the README's command.
        #[arg(long, value_name = "M.onnx")]
        model: Option<PathBuf>,
    },
}

fn run(cli: Cli) -> Result<()> {
    let site = libtorch::Site::choose(cli.libtorch_dir)?;
    match cli.chore {
        Chore::Setup => {
            libtorch::ensure(&site)?;
            python::report_other_tools();
            Ok(())
        }
        Chore::Test => test::run(&site),
        Chore::Lint => lint::run(&site),
        Chore::Peers {
            no_torch,
            setup_only,
            output,
        } => peers::run(!no_torch, setup_only, output.as_deref()),
        Chore::Coverage { least } => coverage::run(&site, least),
        Chore::Mutants { part, shard } => mutants::run(part.as_deref(), shard.as_deref()),
        Chore::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds),
        Chore::Arm(args) => arm::run(&args),
        Chore::Reproduce(args) => reproduce::run(&site, &args),
        Chore::Picture { model } => picture::run(model),
    }
}

fn main() -> ExitCode {
    if std::env::var_os(coverage::WRAPPER).is_some() {
        return coverage::wrap();
    }
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
