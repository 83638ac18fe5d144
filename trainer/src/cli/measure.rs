//! `bagcert-train eval` and `bagcert-train attack`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bagcert_certifier::PatchSize;
use bagcert_trainer::{
    attack::{self, Attack},
    checkpoint::Header,
    data::{self, Part},
    evaluate::{Accuracy, evaluate},
    run,
};
use clap::Args;

use super::{DeviceName, bar};

/// Images attacked at once.
const ATTACK_BATCH: i64 = 100;

#[derive(Args)]
pub(super) struct EvalArgs {
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

#[derive(Args)]
pub(super) struct AttackArgs {
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

/// Prints clean and certified accuracy on the test images.
pub(super) fn eval(args: &EvalArgs) -> Result<()> {
    let patches = args
        .patches
        .iter()
        .map(|text| parse_patch(text))
        .collect::<Result<Vec<_>>>()?;
    let device = args.device.open()?;
    let (header, network, geometry) = run::load(&args.checkpoint, device)?;
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
    print_accuracy(&header, &accuracy);
    Ok(())
}

/// Prints accuracy under attack; an error where a certified image changed class.
pub(super) fn attack(args: &AttackArgs) -> Result<()> {
    let patch = parse_patch(&args.patch)?;
    if !(args.step_size > 0.0 && args.step_size <= 1.0) {
        bail!(
            "--step-size {}: it must lie in (0, 1], the range of a pixel",
            args.step_size
        );
    }
    let device = args.device.open()?;
    let (header, network, geometry) = run::load(&args.checkpoint, device)?;
    let images = data::read(&args.data, Part::Test)?;
    let images = images
        .slice(0, args.limit.unwrap_or(i64::MAX))
        .to_device(device);
    tch::manual_seed(header.seed);
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
        report.images, header.dataset, args.steps
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
