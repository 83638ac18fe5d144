//! The test itself: one message at a time, its answer awaited, checked and noted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bagcert_firmware_sim::wire::{DELIMITER, Refusal, Reply};
use indicatif::ProgressBar;

use crate::args::{Format, Run};
use crate::inject::{Kind, Random};
use crate::port::{Port, Received};
use crate::progress;
use crate::report::{Answer, Event, Report, Times};
use crate::source::{Item, Source};
use crate::stop::Stop;

/// How often a session is begun before the target counts as absent.
const TRIES: u32 = 5;

struct Loop<'a> {
    port: Port,
    args: &'a Run,
    source: Source,
    ticks_per_second: u32,
    report: Report<'a>,
}

/// Runs the test; an error where a verdict differs or damage was answered with one.
pub(crate) fn run(args: &Run) -> Result<(), Stop> {
    let source = Source::open(args)?;
    let mut port = Port::open(&args.port, args.baud)?;
    let ticks_per_second = begin(&mut port, args, &source, 0, |_| ())?;
    let mut looped = Loop {
        port,
        args,
        report: Report::new(args, source.what()),
        source,
        ticks_per_second,
    };
    looped.all()?;
    let report = looped.report;
    report.finish()?;
    Ok(report.verdict()?)
}

/// Begins a session, whose requests begin after `number`; what comes before the answer goes to `stale`.
/// The target may be starting up, or in the middle of a message: it is tried several times.
fn begin(
    port: &mut Port,
    args: &Run,
    source: &Source,
    number: u32,
    mut stale: impl FnMut(Received),
) -> Result<u32> {
    let begin = source.begin(number)?;
    let patience = Duration::from_millis(args.patience_ms);
    for _ in 0..TRIES {
        // An end first: whatever the line held before ends there.
        port.send(&[DELIMITER])?;
        port.send(&begin)?;
        loop {
            let received = port.receive(patience)?;
            if let Received::Reply(Reply::Refused { reason, .. }) = received
                && let Some(why) = no_session(reason)
            {
                bail!("the target refuses the session: {why}");
            }
            match received {
                Received::Reply(Reply::Ready {
                    number: of,
                    ticks_per_second,
                }) if of == number => return Ok(ticks_per_second),
                Received::Nothing => break,
                other => stale(other),
            }
        }
    }
    bail!("the target does not answer on {}", args.port)
}

/// Why a target begins no session, however often it is asked.
fn no_session(reason: Refusal) -> Option<&'static str> {
    match reason {
        Refusal::Layout => Some("it has not enough memory for maps of this shape"),
        Refusal::NoNetwork => Some("it runs no network, and takes score maps only (--maps)"),
        Refusal::Model => Some("it runs another model than --model"),
        Refusal::Question => Some(
            "it certifies against another patch or under another condition or lead than --patch, \
             --condition and --lead say",
        ),
        _ => None,
    }
}

impl Loop<'_> {
    fn all(&mut self) -> Result<()> {
        let count = self.args.count.unwrap_or(self.source.len());
        // Lines of JSON show by themselves how far a run is.
        let bar = match self.args.format {
            Format::Table => progress::bar(count as u64, "messages"),
            Format::Jsonl => ProgressBar::hidden(),
        };
        let mut random = Random(self.args.seed);
        let mut number = 0;
        let mut injected = 0usize;
        while number < count {
            let every = usize::try_from(self.args.every)?;
            // Never two in a row: what follows on damage is to be seen by itself.
            let kind = (number % every == every - 2)
                .then(|| {
                    let kinds = &self.args.inject;
                    let kind = injected
                        .checked_rem(kinds.len())
                        .and_then(|at| kinds.get(at));
                    injected += 1;
                    kind.copied()
                })
                .flatten();
            let item = self.source.item(number)?;
            let whole = self.request(number, &item)?;
            match kind {
                None => self.exchange(number, &item, None, &[whole], 1)?,
                Some(Kind::Flip) => {
                    self.exchange(number, &item, kind, &[random.flipped(&whole)], 0)?;
                }
                Some(Kind::Cut) => self.exchange(number, &item, kind, &[random.cut(&whole)], 0)?,
                Some(Kind::Drop) => self.exchange(number, &item, kind, &[], 0)?,
                Some(Kind::Repeat) => {
                    self.exchange(number, &item, kind, &[whole.clone(), whole], 1)?;
                }
                Some(Kind::Swap) => {
                    let next = self.source.item(number + 1)?;
                    let next = self.request(number + 1, &next)?;
                    self.exchange(number, &item, kind, &[next, whole], 0)?;
                    number += 1;
                }
            }
            number += 1;
            bar.set_position(number as u64);
        }
        Ok(())
    }

    fn request(&self, number: usize, item: &Item) -> Result<Vec<u8>> {
        let number = u32::try_from(number + 1).context("too many messages")?;
        self.source.request(number, item)
    }

    /// Sends messages and notes all answers. `good` of them may be verdicts, the rest must not.
    fn exchange(
        &mut self,
        number: usize,
        item: &Item,
        injected: Option<Kind>,
        messages: &[Vec<u8>],
        good: usize,
    ) -> Result<()> {
        let started = Instant::now();
        for message in messages {
            self.port.send(message)?;
        }
        let mut event = Event {
            number,
            injected: injected.map(Kind::name),
            answers: Vec::new(),
            target: None,
            round_trip_us: 0.0,
        };
        let mut received = Vec::new();
        if matches!(injected, Some(Kind::Flip | Kind::Cut)) {
            // How many answers there will be is not known: all that come before a new session's.
            let last = u32::try_from(number + 1)?;
            begin(&mut self.port, self.args, &self.source, last, |stale| {
                received.push(stale)
            })?;
        } else {
            let patience = Duration::from_millis(self.args.patience_ms);
            for _ in messages {
                let answer = self.port.receive(patience)?;
                if received.is_empty() {
                    event.round_trip_us = started.elapsed().as_secs_f64() * 1e6;
                }
                received.push(answer);
            }
        }
        let mut verdicts = 0;
        for answer in received {
            let reply = match answer {
                Received::Nothing => continue,
                Received::Damaged => {
                    event.answers.push(Answer::Damaged);
                    continue;
                }
                Received::Reply(reply) => reply,
            };
            let (of, times, verdict) = match reply {
                Reply::Ready { .. } => {
                    event.answers.push(Answer::Unexpected);
                    continue;
                }
                Reply::Refused { reason, .. } => {
                    event.answers.push(Answer::Refused(reason));
                    continue;
                }
                Reply::Verdict {
                    number,
                    ticks,
                    verdict,
                } => (number, self.times(ticks, None), verdict),
                Reply::Judged {
                    number,
                    ticks,
                    forward,
                    certificate,
                    verdict,
                } => {
                    let times = self.times(ticks, Some((forward, certificate)));
                    (number, times, verdict)
                }
            };
            verdicts += 1;
            event.target = Some(times);
            let agrees = self.source.agrees(item, &verdict);
            event
                .answers
                .push(if usize::try_from(of)? != number + 1 || !agrees {
                    Answer::Wrong
                } else if verdicts > good {
                    Answer::Unearned
                } else if verdict.certified() {
                    Answer::Certified
                } else {
                    Answer::NotCertified
                });
        }
        self.report.note(event)
    }

    /// Ticks in microseconds.
    fn times(&self, ticks: u32, split: Option<(u32, u32)>) -> Times {
        let us = |ticks| f64::from(ticks) * 1e6 / f64::from(self.ticks_per_second);
        Times {
            all: us(ticks),
            forward: split.map(|(forward, _)| us(forward)),
            certificate: split.map(|(_, certificate)| us(certificate)),
        }
    }
}
