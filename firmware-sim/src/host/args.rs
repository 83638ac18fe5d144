//! The command line as declared to clap.

use std::num::{NonZeroU8, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use bagcert::frames::Input;
use bagcert_certifier::PatchSize;
use clap::{Parser, ValueEnum};

use super::camera::Road;
use super::model::{Trust, input_parser};
use super::stop::Stop;
use super::supervisor::Primary;

/// The vehicle's loop on this machine: frames at a set rate, certified and supervised cycle by cycle,
/// with faults of a scenario.
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
    #[command(flatten)]
    pub(crate) trust: Trust,
    /// The patch size to certify against, in pixels, width first.
    #[arg(long, value_name = "WxH")]
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
    /// Whether cycles follow each other as fast as they can, the clock standing in between, or run in
    /// real time, each stage in a thread of its own.
    #[arg(long, value_enum, default_value_t = Pace::Simulated)]
    pub(crate) time: Pace,
    /// Make a synthetic road of the inputs: each is an object that is seen for N frames, moved a little
    /// from frame to frame and with noise.
    #[arg(long, value_name = "N")]
    road: Option<NonZeroU32>,
    /// Where the class of the primary perception comes from.
    #[arg(long, value_enum, default_value_t = Primary::Model)]
    pub(crate) primary: Primary,
    /// Cycles from one look at a picture whose answer is known to the next; 0 for never.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) known_answer_every: u32,
    /// Longest silence of the forward pass before it counts as hung, in milliseconds [default: two
    /// periods].
    #[arg(long, value_name = "D", value_parser = parse_positive)]
    watchdog_ms: Option<f64>,
    /// Good cycles in a row that end the start and that heal.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) good_cycles: NonZeroU8,
    /// Faults and contradictions within the window that lead to the safe state.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(crate) strikes: u8,
    /// Cycles that they are counted over, at most 32.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) window: u8,
    /// Reset after N cycles in the safe state, with a self-test [default: never].
    #[arg(long, value_name = "N")]
    pub(crate) reset_after: Option<NonZeroU32>,
    /// Faults to inject.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) scenario: Option<PathBuf>,
    /// How to write the results: the summary (table), or every cycle (jsonl; the summary then goes
    /// to the standard error).
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Draw the times from capture to verdict, and the modes.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) picture: Option<PathBuf>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pace {
    /// Simulated time.
    Simulated,
    /// The time of this machine.
    Real,
}

/// The camera's period and the loop's deadline.
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

impl Args {
    /// The synthetic road, where one is asked for.
    pub(crate) fn road(&self) -> Option<Road> {
        self.road.map(|frames| Road {
            frames: frames.get(),
            reach: ROAD_REACH,
        })
    }

    /// Longest silence of the forward pass.
    pub(crate) fn watchdog(&self, timing: Timing) -> Duration {
        let limit = self
            .watchdog_ms
            .and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
        limit.unwrap_or(timing.period * 2)
    }
}

/// The farthest that an object of the road moves from its place, in pixels.
const ROAD_REACH: i64 = 2;
/// An hour per frame is no video.
const LONGEST: Duration = Duration::from_secs(3600);

fn parse_positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number > 0.0)
        .ok_or_else(|| format!("{text:?} is not a number above 0"))
}
