//! What a run is told in at its end: counts of everything, and times.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bagcert_certifier::failsafe::{Event, Mode, Status, Trust};
use bagcert_firmware_sim::Outcome;
use hdrhistogram::Histogram;

use super::args::{Pace, Timing};
use super::expect::ModelWatch;
use super::line::Line;
use super::scenario::Kind;

/// Counts of one kind of injection.
#[derive(Clone, Copy, Default)]
struct Injected {
    cycles: u64,
    /// Cycles of these that ended in a fault.
    faults: u64,
    /// Cycles of these that gave no class.
    silent: u64,
    /// Cycles of these that were not answered as they must be.
    missed: u64,
}

/// Counts and times of a run.
pub(crate) struct Summary {
    pub(crate) timing: Timing,
    pace: Pace,
    cycles: u64,
    certified: u64,
    not_certified: u64,
    faults: BTreeMap<&'static str, u64>,
    events: BTreeMap<Event, u64>,
    trusts: BTreeMap<Trust, u64>,
    modes: BTreeMap<Mode, u64>,
    transitions: BTreeMap<(Mode, Mode), u64>,
    messages: BTreeMap<Status, u64>,
    resets: u64,
    /// The mode after each cycle, and whether it ended in a fault.
    pub(crate) course: Vec<(Mode, bool)>,
    injected: [Injected; Kind::NAMES.len()],
    /// Trust that no verdict gave, in a cycle without injection.
    unfounded: u64,
    patches_held: u64,
    patches_broken: u64,
    /// Words on a model that was damaged in memory.
    model: Option<String>,
    model_missed: u64,
    lost: u64,
    warnings: u64,
    pub(crate) refused: u32,
    pub(crate) superseded: u32,
    /// Inputs that could not be used.
    pub(crate) failures: usize,
    forward: Times,
    pub(crate) latency: Times,
}

impl Summary {
    pub(crate) fn new(timing: Timing, pace: Pace) -> Summary {
        Summary {
            timing,
            pace,
            cycles: 0,
            certified: 0,
            not_certified: 0,
            faults: BTreeMap::new(),
            events: BTreeMap::new(),
            trusts: BTreeMap::new(),
            modes: BTreeMap::new(),
            transitions: BTreeMap::new(),
            messages: BTreeMap::new(),
            resets: 0,
            course: Vec::new(),
            injected: [Injected::default(); Kind::NAMES.len()],
            unfounded: 0,
            patches_held: 0,
            patches_broken: 0,
            model: None,
            model_missed: 0,
            lost: 0,
            warnings: 0,
            refused: 0,
            superseded: 0,
            failures: 0,
            forward: Times::new(),
            latency: Times::new(),
        }
    }

    /// Takes in the time of a forward pass.
    pub(crate) fn forward(&mut self, time: Duration) {
        self.forward.add(time);
    }

    /// Takes in a cycle.
    pub(crate) fn add(&mut self, line: &Line<'_>) {
        let turn = line.turn;
        let report = &turn.report;
        let output = turn.output;
        self.cycles += 1;
        match report.outcome {
            Outcome::Certified { .. } => self.certified += 1,
            Outcome::NotCertified { .. } => self.not_certified += 1,
            Outcome::Fault { reason } => *self.faults.entry(reason.name()).or_default() += 1,
        }
        *self.events.entry(output.event).or_default() += 1;
        *self.trusts.entry(output.trust).or_default() += 1;
        *self.modes.entry(output.mode).or_default() += 1;
        *self.messages.entry(turn.status).or_default() += 1;
        let mut pass = |from: Mode, to: Mode| {
            if from != to {
                *self.transitions.entry((from, to)).or_default() += 1;
            }
        };
        pass(turn.before, output.mode);
        if let Some(mode) = turn.reset {
            pass(output.mode, mode);
            self.resets += 1;
        }
        let fault = report.outcome.fault().is_some();
        self.course.push((output.mode, fault));
        // A kind that is named twice for a cycle counts once.
        for (index, counts) in self.injected.iter_mut().enumerate() {
            if line.faults.iter().any(|kind| kind.index() == index) {
                counts.cycles += 1;
                counts.faults += u64::from(fault);
                counts.silent += u64::from(output.class.is_none());
            }
            let missed = line.missed.iter().any(|kind| kind.index() == index);
            counts.missed += u64::from(missed);
        }
        let injected = line.faults.is_empty() && !line.missed.is_empty();
        self.unfounded += u64::from(injected);
        self.lost += u64::from(report.lost);
        self.warnings += u64::from(report.forecast.is_some_and(|forecast| forecast.at_risk));
        if let Some(latency) = report.latency {
            self.latency.add(latency);
        }
    }

    /// Takes in a certified class under a patch, and the class of the scene without it.
    pub(crate) fn patch(&mut self, certified: usize, clean: Option<usize>) {
        // A fault without the patch would be one with it, too, or another scene.
        if clean == Some(certified) {
            self.patches_held += 1;
        } else {
            self.patches_broken += 1;
        }
    }

    /// Takes in what became of a model that was damaged in memory.
    pub(crate) fn model(&mut self, watch: &ModelWatch, injected: bool) {
        self.model_missed = u64::from(watch.missed);
        self.model = injected.then(|| {
            format!(
                "{} damaged models noticed, the last of them {} cycles after the damage; {} not in time",
                watch.detected, watch.longest, watch.missed
            )
        });
    }

    /// Injected faults that were not answered as they must be.
    pub(crate) fn undetected(&self) -> u64 {
        let injected: u64 = self.injected.iter().map(|counts| counts.missed).sum();
        injected + self.patches_broken + self.model_missed
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let time = match self.pace {
            Pace::Simulated => "simulated",
            Pace::Real => "real",
        };
        let mut text = format!(
            "{} cycles of {:?} in {time} time, deadline {:?} after capture\n\n",
            self.cycles, self.timing.period, self.timing.deadline
        );
        self.row(&mut text, "certified", self.certified);
        self.row(&mut text, "not certified", self.not_certified);
        self.row(&mut text, "fault", self.faults.values().sum());
        for (reason, count) in &self.faults {
            self.row(&mut text, &format!("  {reason}"), *count);
        }
        self.group(&mut text, "event", &self.events);
        self.group(&mut text, "trust", &self.trusts);
        self.group(&mut text, "mode after the cycle", &self.modes);
        self.group(&mut text, "message", &self.messages);
        put(&mut text, format_args!("\ntransitions\n"));
        for ((from, to), count) in &self.transitions {
            let name = format!("  {from} -> {to}");
            put(&mut text, format_args!("{name:<28}{count:>10}\n"));
        }
        put(
            &mut text,
            format_args!(
                "{:<28}{:>10}\n\n{:<28}{:>10}\n{:<28}{:>10}\n{:<28}{:>10}\n{:<28}{:>10}\n",
                "  resets",
                self.resets,
                "frames lost in gaps",
                self.lost,
                "refused by a full queue",
                self.refused,
                "dropped for a newer frame",
                self.superseded,
                "warnings of the deadline",
                self.warnings,
            ),
        );
        self.injections(&mut text);
        put(
            &mut text,
            format_args!(
                "\n{:<28}{:>12}{:>12}{:>12}{:>12}\n",
                "time in us", "p50", "p99", "p99.9", "max"
            ),
        );
        self.forward.row(&mut text, "forward pass (measured)");
        self.latency.row(&mut text, "capture to verdict");
        text
    }

    fn row(&self, text: &mut String, name: &str, count: u64) {
        let share = count as f64 / self.cycles.max(1) as f64 * 100.0;
        put(text, format_args!("{name:<28}{count:>10}{share:>9.2} %\n"));
    }

    fn group<K: std::fmt::Display>(
        &self,
        text: &mut String,
        title: &str,
        counts: &BTreeMap<K, u64>,
    ) {
        put(text, format_args!("\n{title}\n"));
        for (name, count) in counts {
            self.row(text, &format!("  {name}"), *count);
        }
    }

    fn injections(&self, text: &mut String) {
        if self.injected.iter().all(|counts| counts.cycles == 0) && self.undetected() == 0 {
            return;
        }
        put(
            text,
            format_args!(
                "\n{:<28}{:>10}{:>16}{:>12}{:>12}\n",
                "injected", "cycles", "ended in fault", "no class", "undetected"
            ),
        );
        for (name, counts) in Kind::NAMES.iter().zip(self.injected) {
            if counts.cycles > 0 || counts.missed > 0 {
                let Injected {
                    cycles,
                    faults,
                    silent,
                    missed,
                } = counts;
                put(
                    text,
                    format_args!("{name:<28}{cycles:>10}{faults:>16}{silent:>12}{missed:>12}\n"),
                );
            }
        }
        if self.patches_held + self.patches_broken > 0 {
            put(
                text,
                format_args!(
                    "certified under a patch: {} with the class of the scene without it, {} with another\n",
                    self.patches_held, self.patches_broken
                ),
            );
        }
        if let Some(model) = &self.model {
            put(text, format_args!("{model}\n"));
        }
        put(
            text,
            format_args!("{:<28}{:>10}\n", "undetected", self.undetected()),
        );
    }
}

/// Appends; a `String` always has room.
pub(crate) fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Cannot fail.
    let _ = text.write_fmt(arguments);
}

/// A day in nanoseconds; no time of a simulation is longer.
const LONGEST: u64 = 86_400_000_000_000;

/// The quantiles that are told, with their names.
pub(crate) const QUANTILES: [(f64, &str); 4] =
    [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "max")];

/// A histogram of times in nanoseconds, to three digits.
pub(crate) struct Times(Option<Histogram<u64>>);

impl Times {
    fn new() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST, 3).ok())
    }

    fn add(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST));
        }
    }

    /// A quantile in microseconds; `None` where no time was taken.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(histogram.value_at_quantile(quantile) as f64 / 1e3)
    }

    /// Times in microseconds, and how often each was taken.
    pub(crate) fn recorded(&self) -> Vec<(f64, u64)> {
        let histogram = self.0.iter();
        histogram
            .flat_map(Histogram::iter_recorded)
            .map(|value| {
                (
                    value.value_iterated_to() as f64 / 1e3,
                    value.count_at_value(),
                )
            })
            .collect()
    }

    fn row(&self, text: &mut String, name: &str) {
        put(text, format_args!("{name:<28}"));
        let mut some = false;
        for (quantile, _) in QUANTILES {
            if let Some(time) = self.quantile(quantile) {
                put(text, format_args!("{time:>12.1}"));
                some = true;
            }
        }
        if some {
            put(text, format_args!("\n"));
        } else {
            put(text, format_args!("{:>12}\n", "none"));
        }
    }
}
