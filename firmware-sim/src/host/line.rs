//! One cycle, as a line of JSON and in words.

use anyhow::Context as _;
use bagcert_firmware_sim::{Outcome, Report};
use serde_json::{Value, json};

use super::scenario::Kind;
use super::stop::Stop;
use super::supervisor::Turn;

/// One cycle, with what the simulation knows and the loop does not.
pub(crate) struct Line<'a> {
    pub(crate) turn: &'a Turn,
    /// The input that the camera saw.
    pub(crate) id: String,
    pub(crate) class_names: &'a [String],
    pub(crate) faults: &'a [Kind],
    /// Injections that were not answered as they must be.
    pub(crate) missed: &'a [Kind],
}

impl Line<'_> {
    /// As a line of JSON.
    pub(crate) fn json(&self) -> Result<String, Stop> {
        let Report {
            cycle,
            counter,
            captured: _,
            lost,
            latency,
            outcome,
            forecast,
        } = self.turn.report;
        let (word, class, slack, reason) = match outcome {
            Outcome::Certified { class, slack } => ("certified", Some(class), Some(slack), None),
            Outcome::NotCertified { class, slack } => {
                ("not-certified", Some(class), Some(slack), None)
            }
            Outcome::Fault { reason } => ("fault", None, None, Some(reason)),
        };
        let injected: Vec<&str> = self.faults.iter().map(|kind| kind.name()).collect();
        let output = self.turn.output;
        let answer = output.class.map(usize::from);
        let message: String = self
            .turn
            .message
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let line: Value = json!({
            "cycle": cycle,
            "id": self.id,
            "counter": counter,
            "outcome": word,
            "class": class,
            "class_name": class.and_then(|class| self.class_names.get(class)),
            "slack": slack,
            "reason": reason.map(|reason| reason.name()),
            "detail": reason.map(|reason| reason.to_string()),
            "lost": lost,
            "latency_us": latency.map(|latency| latency.as_secs_f64() * 1e6),
            "deadline_at_risk": forecast.is_some_and(|forecast| forecast.at_risk),
            "primary": self.turn.primary,
            "event": output.event.name(),
            "mode": output.mode.name(),
            "trust": output.trust.name(),
            "answer": answer,
            "answer_name": answer.and_then(|class| self.class_names.get(class)),
            "strikes": output.strikes,
            "message": message,
            "received": self.turn.status.name(),
            "reset": self.turn.reset.map(|mode| mode.name()),
            "injected": injected,
        });
        let text = serde_json::to_string(&line).context("a cycle could not be written as JSON")?;
        Ok(text + "\n")
    }

    /// What went wrong, what may soon, and what changed, in plain text.
    pub(crate) fn words(&self) -> Vec<String> {
        let turn = self.turn;
        let report = &turn.report;
        let cycle = report.cycle;
        let mut lines = Vec::new();
        if let Outcome::Fault { reason } = report.outcome {
            let name = reason.name();
            lines.push(format!("cycle {cycle}: fault ({name}): {reason}"));
        }
        if report.lost > 0 {
            let lost = report.lost;
            lines.push(format!("cycle {cycle}: {lost} frames lost before this one"));
        }
        if let Some(forecast) = report.forecast.filter(|forecast| forecast.at_risk) {
            lines.push(format!(
                "cycle {cycle}: deadline at risk: {:?} expected, deviation {:?}",
                forecast.latency, forecast.jitter
            ));
        }
        let output = turn.output;
        if output.mode != turn.before {
            let (before, after, event) = (turn.before, output.mode, output.event);
            lines.push(format!("cycle {cycle}: {before} -> {after} ({event})"));
        }
        if !turn.status.is_usable() {
            lines.push(format!("cycle {cycle}: message not taken: {}", turn.status));
        }
        if let Some(mode) = turn.reset {
            lines.push(format!("cycle {cycle}: reset -> {mode}"));
        }
        for kind in self.missed {
            lines.push(format!("cycle {cycle}: UNDETECTED: {}", kind.name()));
        }
        lines
    }
}
