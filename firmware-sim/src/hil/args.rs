//! The command line as declared to clap.

use std::ffi::OsString;
use std::path::PathBuf;

use bagcert::frames::Input;
use bagcert_certifier::PatchSize;
use bagcert_firmware_sim::packed::Job;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand, ValueEnum};

use crate::inject::Kind;

/// A test of the certifier with the hardware in the loop.
#[derive(Debug, Parser)]
#[command(name = "bagcert-hil", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Write the score maps of frames, as a model scores them, to a file.
    Maps(Maps),
    /// Have a target certify score maps, and check what it says.
    Run(Run),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Maps {
    /// The model, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    /// The patch size to certify against, in pixels, width first.
    #[arg(long, value_name = "WxH", value_parser = parse_patch)]
    pub(crate) patch: PatchSize,
    /// Take this many frames at most.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// PNG, JPEG or PPM files, folders of them, cifar10:DIR[:test|:train] or cifar10:FILE.
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub(crate) inputs: Vec<Input>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// The target's line: tcp:HOST:PORT, or a serial port such as /dev/ttyACM0.
    #[arg(long, value_name = "LINE")]
    pub(crate) port: String,
    /// Bits per second of a serial port.
    #[arg(long, value_name = "BITS", default_value_t = 115_200)]
    pub(crate) baud: u32,
    /// The score maps, a file of `bagcert-hil maps`.
    #[arg(long, value_name = "FILE")]
    pub(crate) maps: PathBuf,
    /// The certificate to work out.
    #[arg(long, value_name = "JOB", default_value = "3.2", value_parser = parse_job)]
    pub(crate) job: Job,
    /// Maps to send; those of the file are taken round and round [default: each once].
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Longest time from a map's last byte to its verdict, as the target counts it.
    #[arg(long, value_name = "US", default_value_t = 33_000.0)]
    pub(crate) deadline_us: f64,
    /// Longest wait for an answer before a message counts as lost, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    pub(crate) patience_ms: u64,
    /// Do this to a message every so often; may be given several times.
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) inject: Vec<Kind>,
    /// Damage one in this many messages.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..))]
    pub(crate) every: u32,
    /// Chooses what is damaged.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// The table alone, or a line of JSON for each message first.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Draw the times to this file.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) picture: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The summary, for people.
    Table,
    /// One JSON object per message on the standard output; the summary on the standard error.
    Jsonl,
}

fn parse_patch(text: &str) -> Result<PatchSize, String> {
    let number = |text: &str| text.parse().ok();
    let sides = text
        .split_once(['x', 'X'])
        .and_then(|(w, h)| Some((number(w)?, number(h)?)));
    let (width, height) = sides.ok_or("not a size like 5x5 (width x height)")?;
    PatchSize::new(width, height).map_err(|error| error.to_string())
}

fn parse_job(text: &str) -> Result<Job, String> {
    let found = Job::ALL.into_iter().find(|job| job.name() == text);
    found.ok_or_else(|| {
        let names = Job::ALL.map(Job::name).join(", ");
        format!("the certificates are {names}")
    })
}

fn input_parser() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().map(|argument: OsString| Input::parse(&argument))
}
