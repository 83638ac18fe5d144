//! Arguments and progress of `bagcert-train`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bagcert_certifier::PatchSize;
use bagcert_trainer::{
    attack::{self, Attack},
    checkpoint::{Checkpoint, Header},
    config::Config,
    data::{self, Part},
    device::DeviceChoice,
    evaluate::{Accuracy, evaluate},
    export::export,
    run::{self, EpochLog, Observer},
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

/// Images attacked at once.
const ATTACK_BATCH: i64 = 100;

/// Trains networks for certified classification and exports them to ONNX.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train by a TOML configuration.
    Train(TrainArgs),
    /// Write a checkpoint's network as ONNX.
    Export(ExportArgs),
    /// Clean and certified accuracy of a checkpoint, in libtorch.
    Eval(EvalArgs),
    /// Attack a checkpoint with optimised patches (Section A.2); no certified image may flip.
    Attack(AttackArgs),
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
struct TrainArgs {
    /// The TOML configuration.
    #[arg(long)]
    config: PathBuf,
    /// The folder of the CIFAR-10 binary files, plain or .xz.
    #[arg(long)]
    data: PathBuf,
    /// Where checkpoints and the log go.
    #[arg(long)]
    output: PathBuf,
    /// Go on from the checkpoint in --output.
    #[arg(long)]
    resume: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

#[derive(Args)]
struct ExportArgs {
    /// The checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The ONNX file to write.
    #[arg(long)]
    output: PathBuf,
}

#[derive(Args)]
struct AttackArgs {
    /// The checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The folder of the CIFAR-10 binary files, plain or .xz.
    #[arg(long)]
    data: PathBuf,
    /// The patch.
    #[arg(long, value_name = "WxH", default_value = "5x5")]
    patch: String,
    /// Steps of projected gradient ascent.
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Size of a step in pixel values.
    #[arg(long, default_value_t = 0.025)]
    step_size: f64,
    /// Only the first N test images.
    #[arg(long)]
    limit: Option<i64>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

#[derive(Args)]
struct EvalArgs {
    /// The checkpoint.
    #[arg(long)]
    checkpoint: PathBuf,
    /// The folder of the CIFAR-10 binary files, plain or .xz.
    #[arg(long)]
    data: PathBuf,
    /// Patch sizes to certify against.
    #[arg(long = "patch", value_name = "WxH", default_values = ["2x2", "5x5", "10x10"])]
    patches: Vec<String>,
    /// Only the first N test images.
    #[arg(long)]
    limit: Option<i64>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

/// Parses the arguments and does what they say.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Train(args) => train(&args),
        Command::Export(args) => {
            let checkpoint = Checkpoint::read(&args.checkpoint)?;
            let (mut network, _) = run::build(&checkpoint.header, tch::Device::Cpu)?;
            checkpoint.restore(&mut network, None)?;
            export(&args.output, &checkpoint.header, &network)?;
            eprintln!(
                "{} parameters written to {}",
                network.plan.parameter_count(),
                args.output.display()
            );
            Ok(())
        }
        Command::Eval(args) => eval(&args),
        Command::Attack(args) => attack(&args),
    }
}

fn train(args: &TrainArgs) -> Result<()> {
    let config = Config::read(&args.config)?;
    let device = args.device.open()?;
    let mut progress = Progress::new(config.training.epochs);
    run::train(
        &config,
        &args.data,
        &args.output,
        args.resume,
        device,
        &mut progress,
    )?;
    progress.bar.finish_and_clear();
    eprintln!("done: {}", args.output.join(run::CHECKPOINT).display());
    Ok(())
}

fn eval(args: &EvalArgs) -> Result<()> {
    let patches = args
        .patches
        .iter()
        .map(|text| parse_patch(text))
        .collect::<Result<Vec<_>>>()?;
    let device = args.device.open()?;
    let checkpoint = Checkpoint::read(&args.checkpoint)?;
    let (mut network, geometry) = run::build(&checkpoint.header, device)?;
    checkpoint.restore(&mut network, None)?;
    let images = data::read(&args.data, Part::Test)?;
    let images = images
        .slice(0, args.limit.unwrap_or(i64::MAX))
        .to_device(device);
    let bar = bar(
        images.len() as u64,
        "{bar:40} {pos}/{len} images, {eta} left",
    );
    let accuracy = evaluate(
        &network,
        &images,
        &geometry,
        &patches,
        run::EVALUATION_BATCH,
        &mut |done| bar.set_position(done as u64),
    )?;
    bar.finish_and_clear();
    print_accuracy(&checkpoint.header, &accuracy);
    Ok(())
}

fn attack(args: &AttackArgs) -> Result<()> {
    let patch = parse_patch(&args.patch)?;
    if !(args.step_size > 0.0 && args.step_size <= 1.0) {
        bail!(
            "--step-size {}: it must lie in (0, 1], the range of a pixel",
            args.step_size
        );
    }
    let device = args.device.open()?;
    let checkpoint = Checkpoint::read(&args.checkpoint)?;
    let (mut network, geometry) = run::build(&checkpoint.header, device)?;
    checkpoint.restore(&mut network, None)?;
    let images = data::read(&args.data, Part::Test)?;
    let images = images
        .slice(0, args.limit.unwrap_or(i64::MAX))
        .to_device(device);
    tch::manual_seed(checkpoint.header.seed);
    let bar = bar(
        images.len() as u64,
        "{bar:40} {pos}/{len} images, {eta} left",
    );
    let options = Attack {
        patch,
        steps: args.steps,
        step_size: args.step_size,
    };
    let report = attack::attack(
        &network,
        &images,
        &geometry,
        &options,
        ATTACK_BATCH,
        &mut |done| bar.set_position(done as u64),
    )?;
    bar.finish_and_clear();
    println!(
        "{} test images of {}, patch {patch}, {} steps",
        report.images, checkpoint.header.dataset, args.steps
    );
    println!("clean accuracy     {:.2} %", 100.0 * report.clean);
    println!("attacked accuracy  {:.2} %", 100.0 * report.attacked);
    println!(
        "certified accuracy {:.2} % (Condition 3.2)",
        100.0 * report.certified
    );
    if !report.broken.is_empty() {
        bail!(
            "{} certified images changed class, which must never happen: images {:?}",
            report.broken.len(),
            report.broken
        );
    }
    Ok(())
}

fn print_accuracy(header: &Header, accuracy: &Accuracy) {
    println!(
        "{} test images of {}, after {} epochs",
        accuracy.images, header.dataset, header.epoch
    );
    println!("clean accuracy {:.2} %", 100.0 * accuracy.clean);
    for patch in &accuracy.patches {
        let [width, height] = patch.patch;
        println!(
            "{width}x{height}: certified and right {:.2} % (Condition 3.2), {:.2} % (Condition 3.3); certified and wrong {:.2} %",
            100.0 * patch.certified,
            100.0 * patch.certified_33,
            100.0 * patch.certified_wrong
        );
    }
}

fn parse_patch(text: &str) -> Result<PatchSize> {
    let Some((width, height)) = text.split_once('x') else {
        bail!("--patch {text}: write WIDTHxHEIGHT, for example 5x5")
    };
    let number = |part: &str| {
        part.parse::<u32>()
            .with_context(|| format!("--patch {text}: {part:?} is no whole number"))
    };
    Ok(PatchSize::new(number(width)?, number(height)?)?)
}

/// A bar on a terminal, nothing elsewhere.
fn bar(len: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(len);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

struct Progress {
    bar: ProgressBar,
    epochs: usize,
}

impl Progress {
    fn new(epochs: usize) -> Self {
        Self {
            bar: bar(1, "epoch {msg} {bar:40} {pos}/{len} steps, {eta} left"),
            epochs,
        }
    }
}

impl Observer for Progress {
    fn step(&mut self, epoch: usize, step: i64, steps: i64) {
        if step == 1 {
            self.bar.set_length(steps as u64);
            self.bar.reset();
            self.bar
                .set_message(format!("{}/{}", epoch + 1, self.epochs));
        }
        self.bar.set_position(step as u64);
    }

    fn epoch(&mut self, log: &EpochLog) {
        let validation = log.validation.as_ref().and_then(|value| {
            let certified = value.get("patches")?.get(1)?.get("certified")?.as_f64()?;
            Some((value.get("clean")?.as_f64()?, certified))
        });
        let measured = validation.map_or_else(String::new, |(clean, certified)| {
            format!(
                ", validation: clean {:.2} %, certified at 5x5 {:.2} %",
                100.0 * clean,
                100.0 * certified
            )
        });
        let line = format!(
            "epoch {}/{}: loss {:.4}, {:.0} images/s{measured}",
            log.epoch, self.epochs, log.loss, log.images_per_second
        );
        self.bar.suspend(|| eprintln!("{line}"));
    }
}
