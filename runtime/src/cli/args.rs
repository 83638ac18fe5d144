//! The command line as declared to clap.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bagcert_certifier::{PatchSize, rectangles_of_area};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use bagcert::admission::AdmittedModel;
use bagcert::frames::{Input, Size};

use super::figure::FigureArgs;
use super::manifest::ManifestArgs;
use super::predictor::PredictorArgs;
use super::sign::{SignArgs, VerifyArgs};
use super::stop::Stop;
use super::targets::TargetArgs;
use super::trust::TrustArgs;

/// Image classification with answers certified against adversarial patches.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "\
Exit status: 0 done; 1 the results could not be written; 2 wrong usage; 3 the model was refused;
4 an input could not be read (the others are done)."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Classify frames and certify each answer against patches.
    Certify(CertifyArgs),
    /// Measure clean and certified accuracy on a labelled data set.
    Eval(EvalArgs),
    /// Draw the paper's tables and figures of results from any number of models.
    Figure(FigureArgs),
    /// Say what a model is, and whether it can be certified at all.
    Inspect(InspectArgs),
    /// Time the forward pass and the certificate.
    Bench(BenchArgs),
    /// Make a model's manifest: which file it is, and what it answers on golden frames.
    Manifest(ManifestArgs),
    /// Sign a model's manifest.
    Sign(SignArgs),
    /// Check that a model, its manifest, its golden frames and its signature belong together.
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CertifyArgs {
    /// The model, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    #[command(flatten)]
    pub(crate) patches: PatchArgs,
    /// How to write the results.
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub(crate) format: RowFormat,
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
    /// PNG, JPEG or PPM files, folders of them, cifar10:DIR[:test|:train] or cifar10:FILE, or
    /// records:CLASSES/BYTES:FILE.
    ///
    /// An image file named <anything>-<class>.<ending>, for example 0003-cat.png, carries its label.
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub(crate) inputs: Vec<Input>,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// The model, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// The labelled data: cifar10:DIR[:test|:train] or cifar10:FILE (plain or .xz).
    ///
    /// Or records:CLASSES/BYTES:FILE, 32x32 images in CIFAR-10's layout with other labels: the last of so many
    /// bytes before each image; records:100/2:test.bin for CIFAR-100.
    ///
    /// Or folder:DIR, images by class in DIR/val/CLASS as ImageNet is laid out. The shorter side is scaled and
    /// the middle cut out, as for the trainer's validation: to the length that the model was trained with, or as
    /// said by folder:RESIZE:DIR. Patches are in pixels of what was cut out.
    #[arg(long, value_name = "cifar10:DIR", value_parser = data_parser())]
    pub(crate) data: Input,
    #[command(flatten)]
    pub(crate) patches: PatchArgs,
    /// Use the first N frames only.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<NonZeroUsize>,
    /// Threads, each with its own engine; the verdicts do not depend on it [default: all cores].
    #[arg(long, value_name = "T", value_parser = up_to::<MAX_THREADS>)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// How to write the results: the summary (table, json) or every frame (jsonl, csv).
    #[arg(long, value_enum, default_value_t = EvalFormat::Table)]
    pub(crate) format: EvalFormat,
    #[command(flatten)]
    pub(crate) targets: TargetArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The model, an ONNX file.
    #[arg(value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    /// Count the cells that a patch of this size affects at most; may be repeated.
    #[arg(long, value_name = "WxH")]
    pub(crate) patch: Vec<PatchSize>,
    /// How to write the result.
    #[arg(long, value_enum, default_value_t = InspectFormat::Table)]
    pub(crate) format: InspectFormat,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The model, an ONNX file.
    #[arg(value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) trust: TrustArgs,
    /// Frames to time, after a warm-up.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = up_to::<MAX_FRAMES>)]
    pub(crate) frames: NonZeroUsize,
    /// Threads, each with its own engine and its share of the frames.
    #[arg(long, value_name = "T", default_value = "1", value_parser = up_to::<MAX_THREADS>)]
    pub(crate) threads: NonZeroUsize,
    /// A patch size of the certificate, width first; may be repeated.
    #[arg(long, value_name = "WxH", default_value = "5x5")]
    pub(crate) patch: Vec<PatchSize>,
    #[command(flatten)]
    pub(crate) predictor: PredictorArgs,
    /// Frames to time, taken round and round, as `bagcert certify` takes them [default: random pixels].
    ///
    /// How long a certificate takes depends on the scores a little, and under double-mask more: random
    /// pixels do not stand for a camera.
    #[arg(value_name = "INPUT", value_parser = input_parser())]
    pub(crate) inputs: Vec<Input>,
}

/// What is certified.
#[derive(Debug, Args)]
pub(crate) struct PatchArgs {
    /// A patch size in pixels, width first; may be repeated.
    #[arg(long, value_name = "WxH", required_unless_present = "area")]
    patch: Vec<PatchSize>,
    /// Every patch of N pixels that fits the image, from 1xN to Nx1.
    #[arg(long, value_name = "N")]
    area: Option<u32>,
    #[command(flatten)]
    pub(crate) predictor: PredictorArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// For people: one line per frame.
    Table,
    /// One JSON object per frame and patch.
    Jsonl,
    /// One line per frame and patch, with a header.
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvalFormat {
    /// The summary, for people.
    Table,
    /// The summary as one JSON object.
    Json,
    /// One JSON object per frame and patch; the summary goes to the standard error.
    Jsonl,
    /// One line per frame and patch, with a header; the summary goes to the standard error.
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InspectFormat {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

impl PatchArgs {
    /// The patch sizes asked for, in order and without repeats, all of them fitting the model's image and its masks
    /// its score map.
    pub(crate) fn sizes(&self, model: &AdmittedModel) -> Result<Vec<PatchSize>, Stop> {
        let image = model.image_size();
        let mut sizes: Vec<PatchSize> = Vec::new();
        for &patch in &self.patch {
            check_fits(patch, image)?;
            sizes.push(patch);
        }
        if let Some(area) = self.area {
            let before = sizes.len();
            sizes.extend(rectangles_of_area(area, image.width, image.height));
            if sizes.len() == before {
                return Err(Stop::Usage(format!(
                    "--area {area}: no rectangle of {area} pixels fits an image of {image} pixels"
                )));
            }
        }
        let mut unique: Vec<PatchSize> = Vec::with_capacity(sizes.len());
        for patch in sizes {
            if !unique.contains(&patch) {
                unique.push(patch);
            }
        }
        self.predictor.check(model, &unique)?;
        Ok(unique)
    }
}

/// A patch must lie inside the image.
pub(crate) fn check_fits(patch: PatchSize, image: Size) -> Result<(), Stop> {
    if patch.width() <= image.width && patch.height() <= image.height {
        return Ok(());
    }
    Err(Stop::Usage(format!(
        "--patch {patch}: a patch of {patch} pixels does not fit the model's image of {image} pixels \
         (width first)"
    )))
}

/// More threads than this would be a slip of the finger.
pub(crate) const MAX_THREADS: usize = 1024;

/// More frames than this to time, too: their times are kept.
const MAX_FRAMES: usize = 10_000_000;

pub(crate) fn up_to<const MOST: usize>(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|number: &NonZeroUsize| number.get() <= MOST)
        .ok_or_else(|| format!("{text:?} is not a number from 1 to {MOST}"))
}

/// A file, a folder or a data set. What looks like a data set, is none and lies nowhere was a slip in its layout.
fn input_parser() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().try_map(|argument: OsString| match Input::parse(&argument) {
        Input::Path(path) if names_a_set(&path) && !path.exists() => Err(no_set(&path)),
        input => Ok(input),
    })
}

pub(crate) fn data_parser() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().try_map(|argument: OsString| match Input::parse(&argument) {
        Input::Path(path) => Err(no_set(&path)),
        data => Ok(data),
    })
}

fn names_a_set(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["records:", "folder:"]
        .iter()
        .any(|kind| text.starts_with(kind))
}

fn no_set(path: &Path) -> String {
    format!(
        "{}: a data set is written cifar10:DIR, cifar10:DIR:train, cifar10:FILE, \
         records:CLASSES/BYTES:FILE, with 2 to 65536 classes and 1 to 16 label bytes (at least 2 for more than \
         256 classes), folder:DIR or folder:RESIZE:DIR, with a shorter side of 1 to 8192 pixels",
        path.display()
    )
}
