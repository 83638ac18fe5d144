//! The command line as declared to clap.

use std::path::PathBuf;

use bagcert::frames::Input;
use bagcert_certifier::{Condition, PatchSize};
use bagcert_firmware_sim::packed::Job;
use clap::{Parser, Subcommand, ValueEnum};

use crate::inject::Kind;
use crate::model::{Trust, input_parser};

/// A test of the certifier with the hardware in the loop.
#[derive(Debug, Parser)]
#[command(
    name = "bagcert-hil",
    version,
    after_help = "\
Exit status: 0 done; 1 a verdict differs from this machine's, a damaged message was answered with
one, or something else failed; 2 wrong usage; 3 the model was refused; 4 a frame could not be read."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) task: Task,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Write the score maps of frames, as a model scores them, to a file.
    Maps(Maps),
    /// Have a target certify score maps, or frames where it runs the network, and check what it says.
    Run(Run),
    /// Be a target that runs the network, on any computer with Linux: answer what comes over a line.
    Target(Target),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Maps {
    /// The model, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    /// The patch size to certify against, in pixels, width first.
    #[arg(long, value_name = "WxH")]
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
    #[arg(long, value_name = "FILE", required_unless_present = "frames")]
    pub(crate) maps: Option<PathBuf>,
    /// The certificate to work out for each map.
    #[arg(long, value_name = "JOB", default_value = "3.2", value_parser = parse_job, conflicts_with = "frames")]
    pub(crate) job: Job,
    /// Frames in place of maps: PNG, JPEG or PPM files, folders of them, cifar10:DIR[:test|:train] or
    /// cifar10:FILE.
    #[arg(
        long,
        num_args = 1..,
        value_name = "INPUT",
        value_parser = input_parser(),
        conflicts_with = "maps",
        requires_all = ["model", "patch"]
    )]
    pub(crate) frames: Vec<Input>,
    /// The model that the target runs, an ONNX file: this machine runs it too.
    #[arg(long, value_name = "M.onnx", requires = "frames")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The patch size that frames are certified against, in pixels, width first.
    #[arg(long, value_name = "WxH", requires = "frames")]
    pub(crate) patch: Option<PatchSize>,
    /// The condition that frames are certified under: 3.1, 3.2, 3.3, mask or double-mask.
    #[arg(long, default_value = "3.2", requires = "frames")]
    pub(crate) condition: Condition,
    /// For double-mask: the votes by which a class must be ahead beyond a majority.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "frames")]
    pub(crate) lead: u32,
    /// Messages to send; maps or frames are taken round and round [default: each once].
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<usize>,
    /// Longest time from a message's last byte to its verdict, as the target counts it.
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

#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The line to the harness: tcp:HOST:PORT to listen on (port 0 takes a free one and says which), or a
    /// serial port such as /dev/ttyS0.
    #[arg(long, value_name = "LINE")]
    pub(crate) port: String,
    /// Bits per second of a serial port.
    #[arg(long, value_name = "BITS", default_value_t = 115_200)]
    pub(crate) baud: u32,
    /// The model to run, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The patch size to certify against, in pixels, width first.
    #[arg(long, value_name = "WxH")]
    pub(crate) patch: PatchSize,
    /// The condition to certify under: 3.1, 3.2, 3.3, mask or double-mask.
    #[arg(long, default_value = "3.2")]
    pub(crate) condition: Condition,
    /// For double-mask: the votes by which a class must be ahead beyond a majority.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) lead: u32,
    /// Longest silence of a TCP connection before it is closed, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) silence_s: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The summary, for people.
    Table,
    /// One JSON object per message on the standard output; the summary on the standard error.
    Jsonl,
}

fn parse_job(text: &str) -> Result<Job, String> {
    let found = Job::ALL.into_iter().find(|job| job.name() == text);
    found.ok_or_else(|| {
        let names = Job::ALL.map(Job::name).join(", ");
        format!("the certificates are {names}")
    })
}
