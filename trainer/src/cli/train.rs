//! `bagcert-train train` and its progress.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use bagcert_trainer::{
    config::Config,
    run::{self, EpochLog, Observer, Outset, Start},
};
use clap::{Args, builder::RangedU64ValueParser};
use indicatif::ProgressBar;

use super::{DeviceName, bar, said::note};

#[derive(Args)]
pub(super) struct TrainArgs {
    /// The TOML configuration.
    #[arg(long)]
    config: PathBuf,
    /// The folder of the images that the configuration describes; by default the CIFAR-10 binary files,
    /// plain or .xz.
    #[arg(long)]
    data: PathBuf,
    /// Where checkpoints and the log go.
    #[arg(long)]
    output: PathBuf,
    /// Go on from the checkpoint in --output.
    #[arg(long)]
    resume: bool,
    /// Seed of the run, in place of the configuration's; it is kept with the run, and --resume wants it again.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Epochs of the run, in place of the configuration's. With --resume the run goes on to so many, whatever it
    /// was started with; from there on the learning rate is that of the new schedule.
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Stop after epoch N, with a checkpoint; --resume goes on as if it had not stopped.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    until: Option<usize>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceName,
}

/// Trains, and says where the result lies.
pub(super) fn train(args: &TrainArgs) -> Result<()> {
    let mut config = Config::read(&args.config)?;
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    if let Some(epochs) = args.epochs {
        config.training.epochs = epochs;
        config.check()?;
    }
    let start = match (args.resume, args.epochs) {
        (false, _) => Start::New,
        (true, None) => Start::Resume,
        (true, Some(_)) => Start::Reschedule,
    };
    let device = args.device.open()?;
    let mut progress = Progress::new(config.training.epochs, args.until);
    run::train(
        &config,
        &args.data,
        &args.output,
        start,
        args.until,
        device,
        &mut progress,
    )?;
    progress.bar.finish_and_clear();
    note(&format!(
        "done: {}",
        args.output.join(run::CHECKPOINT).display()
    ));
    Ok(())
}

struct Progress {
    bar: ProgressBar,
    /// Epochs of the schedule, and the one after which this command stops.
    epochs: usize,
    last: usize,
    /// When the first step was about to be taken, and the epochs finished then.
    begun: (Instant, usize),
}

impl Progress {
    fn new(epochs: usize, until: Option<usize>) -> Self {
        Self {
            last: until.map_or(epochs, |until| until.min(epochs)),
            bar: bar(1, "epoch {msg} {bar:40} {pos}/{len} steps, {eta} left"),
            epochs,
            begun: (Instant::now(), 0),
        }
    }

    /// How long the epochs after `epoch` will take, by the time of those of this command; nothing after the last, nor
    /// where this command has only measured one that was trained before.
    fn left(&self, epoch: usize) -> String {
        let (since, before) = self.begun;
        let done = epoch.saturating_sub(before);
        let left = self.last.saturating_sub(epoch);
        if done == 0 || left == 0 {
            return String::new();
        }
        let minutes = since.elapsed().as_secs_f64() / 60.0 * left as f64 / done as f64;
        format!("; {minutes:.0} min left")
    }
}

impl Observer for Progress {
    fn begins(&mut self, outset: &Outset<'_>) {
        let Outset { plan, geometry, .. } = outset;
        let (field, cells) = (geometry.x.receptive_field(), geometry.x.outputs());
        note(&format!(
            "{}: {} images to train on, {} to choose by; {} steps an epoch",
            outset.dataset, outset.images, outset.validation, outset.steps
        ));
        note(&format!(
            "network: {} parameters, receptive field {field}x{field}, {cells}x{cells} cells, {:.1} M multiply-adds a frame",
            plan.parameter_count(),
            plan.multiply_adds() as f64 / 1e6
        ));
        if outset.epoch > 0 {
            note(&format!("going on after epoch {}", outset.epoch));
        }
        self.begun = (Instant::now(), outset.epoch);
    }

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
        let measured = log
            .validation
            .as_ref()
            .and_then(|value| {
                let patches = value.get("patches")?.as_array()?;
                // One is enough for a line, of three the middle one; the log has all.
                let patch = patches.get(patches.len() / 2)?;
                let side = |at: usize| patch.get("patch")?.get(at)?.as_u64();
                let (width, height) = (side(0)?, side(1)?);
                let clean = 100.0 * value.get("clean")?.as_f64()?;
                let certified = 100.0 * patch.get("certified")?.as_f64()?;
                let masked = patch
                    .get("double_mask")
                    .and_then(|masked| masked.get("certified")?.as_f64());
                let masked = masked.map_or_else(String::new, |masked| {
                    format!(", {:.2} % (double masking)", 100.0 * masked)
                });
                Some(format!(
                    ", validation: clean {clean:.2} %, certified at {width}x{height} {certified:.2} % (Condition 3.2){masked}"
                ))
            })
            .unwrap_or_default();
        // Of the peak that was named, or else of what was measured.
        let peak = log.share_of_peak.map(|share| (share, "the peak"));
        let reached = log
            .share_of_matrix_rate
            .map(|share| (share, "a large matrix product's"));
        let share = peak.or(reached).map_or_else(String::new, |(share, of)| {
            format!(" ({:.1} % of {of})", 100.0 * share)
        });
        let line = format!(
            "epoch {}/{}: loss {:.4}, {:.0} images/s, {:.1} GFLOP/s{share}{measured}{}",
            log.epoch,
            self.epochs,
            log.loss,
            log.images_per_second,
            log.gflops,
            self.left(log.epoch)
        );
        self.bar.suspend(|| note(&line));
    }
}
