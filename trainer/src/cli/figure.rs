//! `bagcert-train figure`.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use bagcert_certifier::PatchSize;
use bagcert_trainer::{checkpoint::write_output, results};
use clap::{Args, ValueEnum};

use super::said::note;

#[derive(Args)]
pub(super) struct FigureArgs {
    /// What to draw.
    #[arg(value_enum)]
    kind: FigureKind,
    /// For `attacked`: a file that `attack --output` wrote; may be repeated.
    #[arg(long, value_name = "FILE", required_if_eq("kind", "attacked"))]
    journal: Vec<PathBuf>,
    /// For `scores`: the folder of a run; may be repeated.
    #[arg(long, value_name = "DIR", required_if_eq("kind", "scores"))]
    run: Vec<PathBuf>,
    /// For `scores`: the patch whose certified accuracy is drawn, one of the runs' training.validation_patches [default: 5x5].
    #[arg(long, value_name = "WxH")]
    patch: Option<PatchSize>,
    /// The folder for KIND.csv and KIND.svg; it is made where it is not there.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum FigureKind {
    /// Figure 7: accuracy under attack, beside clean and certified accuracy.
    Attacked,
    /// Figure 8: Heaviside, sigmoid and softmax scores in training, over seeds.
    Scores,
}

impl FigureArgs {
    /// Refuses what the figure would not look at.
    fn check(&self) -> Result<()> {
        let (unused, this, other) = match self.kind {
            FigureKind::Attacked if !self.run.is_empty() => ("--run", "attacked", "scores"),
            FigureKind::Attacked if self.patch.is_some() => ("--patch", "attacked", "scores"),
            FigureKind::Scores if !self.journal.is_empty() => ("--journal", "scores", "attacked"),
            FigureKind::Attacked | FigureKind::Scores => return Ok(()),
        };
        bail!("{unused} has no effect on `figure {this}`, only on `figure {other}`; leave it out")
    }
}

/// Draws, and says where.
pub(super) fn figure(args: &FigureArgs) -> Result<()> {
    args.check()?;
    let (name, drawing) = match args.kind {
        FigureKind::Attacked => ("attacked", results::attacked(&args.journal)?),
        FigureKind::Scores => {
            let patch = args.patch.map_or_else(|| PatchSize::new(5, 5), Ok)?;
            ("scores", results::scores(&args.run, patch)?)
        }
    };
    fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make {}", args.output.display()))?;
    for (ending, text) in [("csv", &drawing.csv), ("svg", &drawing.svg)] {
        let path = args.output.join(format!("{name}.{ending}"));
        write_output(&path, text.as_bytes())?;
        note(&format!("written: {}", path.display()));
    }
    Ok(())
}
