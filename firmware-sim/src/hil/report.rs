//! What is noted of each message, and the summary of all.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result, bail};
use bagcert_firmware_sim::wire::Refusal;
use serde_json::json;

use crate::args::{Format, Run};
use crate::picture;

/// What a target answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This machine's verdict.
    Certified,
    /// This machine's verdict.
    NotCertified,
    /// Another verdict.
    Wrong,
    /// A verdict where there should be none.
    Unearned,
    Refused(Refusal),
    /// Bytes that are no answer.
    Damaged,
    /// An answer to nothing that was asked.
    Unexpected,
}

impl Answer {
    fn name(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::NotCertified => "not-certified",
            Self::Wrong => "wrong",
            Self::Unearned => "unearned",
            Self::Refused(reason) => reason.name(),
            Self::Damaged => "damaged-answer",
            Self::Unexpected => "unexpected",
        }
    }
}

/// One message and all that came of it.
pub(crate) struct Event {
    pub(crate) number: usize,
    pub(crate) injected: Option<&'static str>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) target: Option<Times>,
    pub(crate) round_trip_us: f64,
}

/// What a verdict took on the target, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// From the message's last byte to the verdict.
    pub(crate) all: f64,
    /// The forward pass, of a frame.
    pub(crate) forward: Option<f64>,
    /// Binarising and certifying, of a frame.
    pub(crate) certificate: Option<f64>,
}

pub(crate) struct Report<'a> {
    args: &'a Run,
    /// What was sent, in a few words.
    what: String,
    events: Vec<Event>,
    counts: BTreeMap<String, u64>,
    /// Numbers of the messages that were answered as they must not be.
    wrong: Vec<usize>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(args: &'a Run, what: String) -> Self {
        Self {
            args,
            what,
            events: Vec::new(),
            counts: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, event: Event) -> Result<()> {
        let names: Vec<&str> = event.answers.iter().map(|answer| answer.name()).collect();
        let what = match event.injected {
            None if names.is_empty() => "lost".to_owned(),
            None => names.join(", "),
            Some(kind) if names.is_empty() => format!("{kind}: no answer"),
            Some(kind) => format!("{kind}: {}", names.join(", ")),
        };
        *self.counts.entry(what).or_default() += 1;
        let wrong = event.answers.iter().any(|answer| {
            matches!(
                answer,
                Answer::Wrong | Answer::Unearned | Answer::Unexpected
            )
        });
        if wrong {
            self.wrong.push(event.number);
        }
        if self.args.format == Format::Jsonl {
            let line = json!({
                "number": event.number,
                "injected": event.injected,
                "answers": names,
                "target_us": event.target.map(|times| times.all),
                "forward_us": event.target.and_then(|times| times.forward),
                "certificate_us": event.target.and_then(|times| times.certificate),
                "round_trip_us": event.round_trip_us,
                "deadline_missed": event.target.map(|times| times.all > self.args.deadline_us),
            });
            writeln!(std::io::stdout(), "{line}").context("could not write the results")?;
        }
        self.events.push(event);
        Ok(())
    }

    /// Times of sound messages, sorted.
    fn times(&self, time: impl Fn(&Event) -> Option<f64>) -> Vec<f64> {
        let sound = self.events.iter().filter(|event| event.injected.is_none());
        let mut times: Vec<f64> = sound.filter_map(time).collect();
        times.sort_by(f64::total_cmp);
        times
    }

    fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "{name:<34} {value:>12}");
        };
        line("messages", self.events.len().to_string());
        for (what, count) in &self.counts {
            line(what, count.to_string());
        }
        let target = self.times(|event| event.target.map(|times| times.all));
        let forward = self.times(|event| event.target?.forward);
        let certificate = self.times(|event| event.target?.certificate);
        let missed = target.iter().filter(|us| **us > self.args.deadline_us);
        line("deadline missed", missed.count().to_string());
        let trip = self.times(|event| event.target.map(|_| event.round_trip_us));
        for (what, times) in [
            ("target", &target),
            ("forward pass", &forward),
            ("certificate", &certificate),
            ("round trip", &trip),
        ] {
            // Score maps have no forward pass.
            if times.is_empty() && !target.is_empty() {
                continue;
            }
            for (name, share) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
                let time = picture::percentile(times, share);
                line(
                    &format!("{what} {name}, us"),
                    time.map_or("-".to_owned(), |us| format!("{us:.1}")),
                );
            }
        }
        text
    }

    /// Writes the summary and the picture.
    pub(crate) fn finish(&self) -> Result<()> {
        let table = self.table();
        match self.args.format {
            Format::Table => write!(std::io::stdout(), "{table}"),
            Format::Jsonl => write!(std::io::stderr(), "{table}"),
        }
        .context("could not write the results")?;
        if let Some(path) = &self.args.picture {
            let svg = picture::draw(
                &self.times(|event| event.target.map(|times| times.all)),
                &self.what,
                self.args.deadline_us,
            );
            std::fs::write(path, svg)
                .with_context(|| format!("could not write {}", path.display()))?;
        }
        Ok(())
    }

    /// An error where a target answered what it must not.
    pub(crate) fn verdict(&self) -> Result<()> {
        let Some(first) = self.wrong.first() else {
            return Ok(());
        };
        bail!(
            "{} messages, number {first} the first of them, got a verdict that is not this machine's, or \
             none that they should have",
            self.wrong.len()
        )
    }
}
