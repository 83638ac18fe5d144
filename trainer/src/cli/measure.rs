//! `bagcert-train eval`.

use std::time::Instant;

use anyhow::{Result, bail};
use bagcert_certifier::PatchSize;
use bagcert_trainer::{
    checkpoint::Header,
    config::Scores,
    data::{DataError, Dataset, Images},
    evaluate::{Accuracy, Asked, evaluate_timed},
    network::Compute,
    run,
};
use clap::{Args, ValueEnum};
use tch::Kind;

use super::{DeviceName, bar, images::ImagesArgs, network::NetworkArgs, said::results};

#[derive(Args)]
pub(super) struct EvalArgs {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    images: ImagesArgs,
    /// Patch sizes to certify against.
    #[arg(long = "patch", value_name = "WxH", default_values = ["2x2", "5x5", "10x10"])]
    patches: Vec<PatchSize>,
    /// The votes by which double masking asks a class to be ahead beyond a majority, as `bagcert eval --lead`.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lead: u32,
    /// The last N training images in place of the test images, for a choice between networks that kept them aside: the test
    /// images are for the end.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    validation: Option<u32>,
    /// Only the first N of the images.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Arithmetic of the convolutions.
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionName,
    /// Activations with the channels of a cell side by side, which tensor cores want.
    #[arg(long)]
    channels_last: bool,
    /// Images per forward pass.
    #[arg(long, default_value_t = run::EVALUATION_BATCH, value_parser = clap::value_parser!(i64).range(1..=65536))]
    batch: i64,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

#[derive(Clone, Copy, ValueEnum)]
enum PrecisionName {
    F32,
    Bf16,
}

/// Prints clean and certified accuracy on the test images, or on those kept aside.
pub(super) fn eval(args: &EvalArgs) -> Result<()> {
    let device = args.device.open()?;
    let (header, mut network, geometry) = args.network.load(device)?;
    if args.lead > 0 && header.scores != Scores::Heaviside {
        bail!(
            "--lead {}: the scores of this network are no votes, and double masking reads nothing else; leave it out",
            args.lead
        );
    }
    network.compute = Compute {
        kind: match args.precision {
            PrecisionName::F32 => Kind::Float,
            PrecisionName::Bf16 => Kind::BFloat16,
        },
        channels_last: args.channels_last,
    };
    let (part, images) = match args.validation {
        Some(count) => (
            "validation",
            args.images.open_validation(&header, count as usize)?,
        ),
        None => ("test", args.images.open(&header)?.images),
    };
    let images = First {
        images,
        limit: args.limit.unwrap_or(i64::MAX),
    };
    let bar = bar(
        images.count() as u64,
        "{bar:40} {pos}/{len} images, {eta} left",
    );
    let begun = Instant::now();
    let (accuracy, times) = evaluate_timed(
        &network,
        header.scores,
        &images,
        &geometry,
        Asked {
            patches: &args.patches,
            lead: args.lead,
        },
        args.batch,
        &mut |done| bar.set_position(done as u64),
    )?;
    bar.finish_and_clear();
    let mut lines = told(&header, part, &accuracy, args.lead);
    lines.push(format!(
        "{:.2} s: {:.2} s for the images, {:.2} s waiting for the network, {:.2} s certifying\n",
        begun.elapsed().as_secs_f64(),
        times.images.as_secs_f64(),
        times.network.as_secs_f64(),
        times.certifier.as_secs_f64()
    ));
    results(&lines.join("\n"))
}

/// The first images of others.
struct First {
    images: Box<dyn Images>,
    limit: i64,
}

impl Images for First {
    fn count(&self) -> i64 {
        self.images.count().min(self.limit)
    }

    fn part(&self, start: i64, count: i64) -> Result<Dataset, DataError> {
        self.images.part(start, count.min(self.count() - start))
    }

    fn chosen(&self, indices: &[i64]) -> Result<Dataset, DataError> {
        self.images.chosen(indices)
    }
}

/// The figures in lines.
fn told(header: &Header, part: &str, accuracy: &Accuracy, lead: u32) -> Vec<String> {
    // How long it was trained an exported model does not say.
    let epochs = match header.epoch {
        0 => String::new(),
        epochs => format!(", after {epochs} epochs"),
    };
    let mut lines = vec![format!(
        "{} {part} images of {}{epochs}",
        accuracy.images, header.dataset
    )];
    if let Some(sha256) = &header.initial {
        lines.push(format!(
            "the run began with the weights of SHA-256 {sha256}"
        ));
    }
    lines.push(format!("clean accuracy {:.2} %", 100.0 * accuracy.clean));
    let with = match lead {
        0 => String::new(),
        lead => format!(" with a lead of {lead}"),
    };
    for patch in &accuracy.patches {
        let [width, height] = patch.patch;
        lines.push(format!(
            "{width}x{height}: certified and right {:.2} % (Condition 3.2), {:.2} % (Condition 3.3); certified and wrong {:.2} %",
            100.0 * patch.certified,
            100.0 * patch.certified_33,
            100.0 * patch.certified_wrong
        ));
        let Some(masked) = &patch.double_mask else {
            continue;
        };
        lines.push(format!(
            "{width}x{height}, double masking{with}: clean {:.2} %, certified and right {:.2} %, certified and wrong {:.2} %",
            100.0 * masked.clean,
            100.0 * masked.certified,
            100.0 * masked.certified_wrong
        ));
    }
    lines
}
