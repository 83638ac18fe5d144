//! The command line as declared to clap.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bagcert::frames::Input;
use bagcert_certifier::PatchSize;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, ValueEnum};

use super::stop::Stop;

/// The vehicle's loop in simulated time: frames at a set rate, certified and supervised cycle by
/// cycle, with faults of a scenario.
#[derive(Debug, Parser)]
#[command(
    name = "bagcert-firmware-sim",
    version,
    after_help = "\
Exit status: 0 done; 1 the results could not be written, or an injected fault went undetected;
2 wrong usage; 3 the model was refused; 4 an input could not be read (its cycles had no frame)."
)]
pub(crate) struct Args {
    /// The model, an ONNX file.
    #[arg(long, value_name = "M.onnx")]
    pub(crate) model: PathBuf,
    /// The patch size to certify against, in pixels, width first.
    #[arg(long, value_name = "WxH", value_parser = parse_patch)]
    pub(crate) patch: PatchSize,
    /// Frames per second.
    #[arg(long, value_name = "HZ", default_value = "30", value_parser = parse_positive)]
    rate: f64,
    /// Longest time from capture to verdict, in milliseconds; at most one period [default: one period].
    #[arg(long, value_name = "D", value_parser = parse_positive)]
    deadline_ms: Option<f64>,
    /// Cycles to run; the inputs are taken round and round [default: one per frame].
    #[arg(long, value_name = "N")]
    pub(crate) cycles: Option<NonZeroU32>,
    /// Faults to inject.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) scenario: Option<PathBuf>,
    /// How to write the results: the summary (table), or every cycle (jsonl; the summary then goes
    /// to the standard error).
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Log nothing.
    #[arg(long)]
    pub(crate) quiet: bool,
    /// PNG, JPEG or PPM files, folders of them, cifar10:DIR[:test|:train] or cifar10:FILE.
    #[arg(required = true, value_name = "INPUT", value_parser = input_parser())]
    pub(crate) inputs: Vec<Input>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The summary, for people.
    Table,
    /// One JSON object per cycle.
    Jsonl,
}

/// The simulated camera's period and the loop's deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) period: Duration,
    pub(crate) deadline: Duration,
}

impl Args {
    /// Period and deadline, checked against each other.
    pub(crate) fn timing(&self) -> Result<Timing, Stop> {
        let time = |seconds: f64, what: &str| {
            Duration::try_from_secs_f64(seconds)
                .ok()
                .filter(|time| !time.is_zero() && *time < LONGEST)
                .ok_or_else(|| Stop::Usage(format!("{what}: not a time that can be simulated")))
        };
        let period = time(1.0 / self.rate, "--rate")?;
        let deadline = match self.deadline_ms {
            Some(ms) => time(ms / 1e3, "--deadline-ms")?,
            None => period,
        };
        if deadline > period {
            return Err(Stop::Usage(format!(
                "--deadline-ms: {deadline:?} is longer than the {period:?} from frame to frame; \
                 give a shorter deadline or a lower --rate"
            )));
        }
        Ok(Timing { period, deadline })
    }
}

/// An hour per frame is no video.
const LONGEST: Duration = Duration::from_secs(3600);

fn parse_patch(text: &str) -> Result<PatchSize, String> {
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<u32>().ok()).flatten()
    };
    let (width, height) = text
        .split_once(['x', 'X'])
        .and_then(|(width, height)| Some((number(width)?, number(height)?)))
        .ok_or_else(|| format!("{text:?} is not WIDTHxHEIGHT in whole pixels, for example 5x5"))?;
    PatchSize::new(width, height).map_err(|error| error.to_string())
}

fn parse_positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| format!("{text:?} is not a number above 0"))
}

fn input_parser() -> impl TypedValueParser<Value = Input> {
    OsStringValueParser::new().map(|argument: OsString| Input::parse(&argument))
}
