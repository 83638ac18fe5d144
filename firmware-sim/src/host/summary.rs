//! What a run is told in: a line per cycle, counts and latencies at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bagcert_firmware_sim::{Outcome, Report};
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::args::Timing;
use super::scenario::Kind;
use super::stop::Stop;

/// One cycle, with what the simulation knows and the loop does not.
pub(crate) struct Line<'a> {
    pub(crate) report: &'a Report,
    /// The frame that the camera saw.
    pub(crate) id: String,
    pub(crate) class_names: &'a [String],
    pub(crate) faults: &'a [Kind],
    /// Whether an injected fault of this cycle must end in one.
    pub(crate) must_fault: bool,
}

impl Line<'_> {
    /// As a line of JSON.
    pub(crate) fn json(&self) -> Result<String, Stop> {
        let Report {
            cycle,
            counter,
            lost,
            latency,
            outcome,
            forecast,
        } = self.report;
        let (word, class, slack, reason) = match outcome {
            Outcome::Certified { class, slack } => ("certified", Some(*class), Some(*slack), None),
            Outcome::NotCertified { class, slack } => {
                ("not-certified", Some(*class), Some(*slack), None)
            }
            Outcome::Fault { reason } => ("fault", None, None, Some(reason)),
        };
        let injected: Vec<&str> = self.faults.iter().map(Kind::name).collect();
        let line: Value = json!({
            "cycle": cycle,
            "id": self.id,
            "counter": counter,
            "outcome": word,
            "class": class,
            "class_name": class.and_then(|class| self.class_names.get(class)),
            "slack": slack,
            "reason": reason.map(|reason| reason.name()),
            "detail": reason.map(ToString::to_string),
            "lost": lost,
            "latency_us": latency.map(|latency| latency.as_secs_f64() * 1e6),
            "deadline_at_risk": forecast.is_some_and(|forecast| forecast.at_risk),
            "injected": injected,
        });
        let text = serde_json::to_string(&line).context("a cycle could not be written as JSON")?;
        Ok(text + "\n")
    }
}

/// Counts and latencies of a run.
pub(crate) struct Summary {
    timing: Timing,
    cycles: u64,
    certified: u64,
    not_certified: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Cycles with each kind of injection, and those of them that ended in a fault.
    injected: [(u64, u64); Kind::NAMES.len()],
    /// Cycles with an injection that must end in a fault and did not.
    pub(crate) undetected: u64,
    lost: u64,
    warnings: u64,
    pub(crate) refused: u32,
    pub(crate) superseded: u32,
    /// Inputs that could not be used.
    pub(crate) failures: usize,
    forward: Times,
    latency: Times,
}

impl Summary {
    pub(crate) fn new(timing: Timing) -> Summary {
        Summary {
            timing,
            cycles: 0,
            certified: 0,
            not_certified: 0,
            faults: BTreeMap::new(),
            injected: [(0, 0); Kind::NAMES.len()],
            undetected: 0,
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
        let report = line.report;
        self.cycles += 1;
        match report.outcome {
            Outcome::Certified { .. } => self.certified += 1,
            Outcome::NotCertified { .. } => self.not_certified += 1,
            Outcome::Fault { reason } => *self.faults.entry(reason.name()).or_default() += 1,
        }
        let fault = report.outcome.fault().is_some();
        // A kind that is named twice for a cycle counts once.
        for (index, (cycles, detected)) in self.injected.iter_mut().enumerate() {
            if line.faults.iter().any(|kind| kind.index() == index) {
                *cycles += 1;
                *detected += u64::from(fault);
            }
        }
        self.undetected += u64::from(line.must_fault && !fault);
        self.lost += u64::from(report.lost);
        self.warnings += u64::from(report.forecast.is_some_and(|forecast| forecast.at_risk));
        if let Some(latency) = report.latency {
            self.latency.add(latency);
        }
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} cycles of {:?}, deadline {:?} after capture\n\n",
            self.cycles, self.timing.period, self.timing.deadline
        );
        let mut row = |name: &str, count: u64| {
            let share = count as f64 / self.cycles.max(1) as f64 * 100.0;
            put(
                &mut text,
                format_args!("{name:<28}{count:>10}{share:>9.2} %\n"),
            );
        };
        row("certified", self.certified);
        row("not certified", self.not_certified);
        row("fault", self.faults.values().sum());
        for (reason, count) in &self.faults {
            row(&format!("  {reason}"), *count);
        }
        put(
            &mut text,
            format_args!(
                "\n{:<28}{:>10}\n{:<28}{:>10}\n{:<28}{:>10}\n{:<28}{:>10}\n",
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
        if self.injected.iter().any(|(cycles, _)| *cycles > 0) {
            put(
                &mut text,
                format_args!(
                    "\n{:<28}{:>10}{:>16}\n",
                    "injected", "cycles", "ended in fault"
                ),
            );
            for (name, (cycles, detected)) in Kind::NAMES.iter().zip(self.injected) {
                if cycles > 0 {
                    put(
                        &mut text,
                        format_args!("{name:<28}{cycles:>10}{detected:>16}\n"),
                    );
                }
            }
            put(
                &mut text,
                format_args!("{:<28}{:>10}\n", "undetected", self.undetected),
            );
        }
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
}

/// Appends; a `String` always has room.
fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Cannot fail.
    let _ = text.write_fmt(arguments);
}

/// A day in nanoseconds; no time of a simulation is longer.
const LONGEST: u64 = 86_400_000_000_000;

/// A histogram of times in nanoseconds, to three digits.
struct Times(Option<Histogram<u64>>);

impl Times {
    fn new() -> Times {
        Times(Histogram::new_with_bounds(1, LONGEST, 3).ok())
    }

    fn add(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(LONGEST));
        }
    }

    fn row(&self, text: &mut String, name: &str) {
        put(text, format_args!("{name:<28}"));
        match &self.0 {
            Some(histogram) if !histogram.is_empty() => {
                for quantile in [0.5, 0.99, 0.999, 1.0] {
                    let nanoseconds = histogram.value_at_quantile(quantile);
                    put(text, format_args!("{:>12.1}", nanoseconds as f64 / 1e3));
                }
                put(text, format_args!("\n"));
            }
            _ => put(text, format_args!("{:>12}\n", "none")),
        }
    }
}
