//! The test itself: one message at a time, its answer awaited, checked and noted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bagcert_certifier::{Condition, Verdict};
use bagcert_firmware_sim::packed::{Job, Layout, checked};
use bagcert_firmware_sim::wire::{DELIMITER, Refusal, Reply, Request};

use crate::args::Run;
use crate::inject::{Kind, Random};
use crate::port::{Port, Received, message};
use crate::report::{Answer, Event, Report};

/// How often a session is begun before the target counts as absent.
const TRIES: u32 = 5;

/// The maps of a file, and what this machine says of them.
struct Maps {
    layout: Layout,
    maps: Vec<(Vec<u8>, Verdict)>,
}

impl Maps {
    fn read(args: &Run) -> Result<Maps> {
        let path = args.maps.display();
        let bytes = std::fs::read(&args.maps).with_context(|| format!("could not read {path}"))?;
        let layout = Layout::from_bytes(&bytes).with_context(|| path.to_string())?;
        let mut scores = vec![0; layout.shape().score_len()];
        let mut table = vec![0; layout.table_len()];
        let mut maps = Vec::new();
        for record in bytes
            .get(Layout::LEN..)
            .unwrap_or_default()
            .chunks(layout.record_len())
        {
            let map = checked(record).with_context(|| format!("{path}: a map is damaged"))?;
            let verdict = {
                let map = layout.unpack(map, &mut scores)?;
                args.job.run(&layout, &map, &mut table)?
            };
            maps.push((map.to_vec(), verdict));
        }
        if maps.is_empty() {
            bail!("{path} holds no map");
        }
        Ok(Maps { layout, maps })
    }

    fn get(&self, number: usize) -> Option<&(Vec<u8>, Verdict)> {
        self.maps.get(number.checked_rem(self.maps.len())?)
    }
}

struct Loop<'a> {
    port: Port,
    args: &'a Run,
    maps: &'a Maps,
    ticks_per_second: u32,
    report: Report<'a>,
}

/// Runs the test; an error where a verdict differs or damage was answered with one.
pub(crate) fn run(args: &Run) -> Result<()> {
    let maps = Maps::read(args)?;
    let mut port = Port::open(&args.port, args.baud)?;
    let ticks_per_second = begin(&mut port, args, &maps.layout, 0, |_| ())?;
    let mut looped = Loop {
        port,
        args,
        maps: &maps,
        ticks_per_second,
        report: Report::new(args),
    };
    looped.all()?;
    let report = looped.report;
    report.finish()?;
    report.verdict()
}

/// Begins a session, whose requests begin after `number`; what comes before the answer goes to `stale`.
/// The target may be starting up, or in the middle of a message: it is tried several times.
fn begin(
    port: &mut Port,
    args: &Run,
    layout: &Layout,
    number: u32,
    mut stale: impl FnMut(Received),
) -> Result<u32> {
    let layout = layout.to_bytes();
    let request = Request::Begin {
        number,
        layout: &layout,
    };
    let begin = message(&request, layout.len())?;
    let patience = Duration::from_millis(args.patience_ms);
    for _ in 0..TRIES {
        // An end first: whatever the line held before ends there.
        port.send(&[DELIMITER])?;
        port.send(&begin)?;
        loop {
            match port.receive(patience)? {
                Received::Reply(Reply::Ready {
                    number: of,
                    ticks_per_second,
                }) if of == number => return Ok(ticks_per_second),
                Received::Reply(Reply::Refused {
                    reason: Refusal::Layout,
                    ..
                }) => bail!("the target has not enough memory for maps of this shape"),
                Received::Nothing => break,
                other => stale(other),
            }
        }
    }
    bail!("the target does not answer on {}", args.port)
}

impl Loop<'_> {
    fn all(&mut self) -> Result<()> {
        let count = self.args.count.unwrap_or(self.maps.maps.len());
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
            let whole = self.request(number)?;
            match kind {
                None => self.exchange(number, None, &[whole], 1)?,
                Some(Kind::Flip) => {
                    self.exchange(number, kind, &[random.flipped(&whole)], 0)?;
                }
                Some(Kind::Cut) => self.exchange(number, kind, &[random.cut(&whole)], 0)?,
                Some(Kind::Drop) => self.exchange(number, kind, &[], 0)?,
                Some(Kind::Repeat) => {
                    self.exchange(number, kind, &[whole.clone(), whole], 1)?;
                }
                Some(Kind::Swap) => {
                    let next = self.request(number + 1)?;
                    self.exchange(number, kind, &[next, whole], 0)?;
                    number += 1;
                }
            }
            number += 1;
        }
        Ok(())
    }

    fn request(&self, number: usize) -> Result<Vec<u8>> {
        let (map, _) = self.maps.get(number).context("no map")?;
        let job = Job::ALL.iter().position(|job| *job == self.args.job);
        let request = Request::Certify {
            number: u32::try_from(number + 1).context("too many maps")?,
            job: u8::try_from(job.unwrap_or(0))?,
            map,
        };
        message(&request, map.len())
    }

    /// Sends messages and notes all answers. `good` of them may be verdicts, the rest must not.
    fn exchange(
        &mut self,
        number: usize,
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
            target_us: None,
            round_trip_us: 0.0,
        };
        let mut received = Vec::new();
        if matches!(injected, Some(Kind::Flip | Kind::Cut)) {
            // How many answers there will be is not known: all that come before a new session's.
            let (args, layout) = (self.args, &self.maps.layout);
            let last = u32::try_from(number + 1)?;
            begin(&mut self.port, args, layout, last, |stale| {
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
            event.answers.push(match answer {
                Received::Nothing => continue,
                Received::Damaged => Answer::Damaged,
                Received::Reply(Reply::Ready { .. }) => Answer::Unexpected,
                Received::Reply(Reply::Refused { reason, .. }) => Answer::Refused(reason),
                Received::Reply(Reply::Verdict {
                    number: of,
                    ticks,
                    verdict,
                }) => {
                    verdicts += 1;
                    let rate = f64::from(self.ticks_per_second);
                    event.target_us = Some(f64::from(ticks) * 1e6 / rate);
                    let (_, here) = self.maps.get(number).context("no map")?;
                    let condition = condition(self.args.job);
                    let there = verdict.verdict(self.maps.layout.patch(), condition);
                    if usize::try_from(of)? != number + 1 || there != *here {
                        Answer::Wrong
                    } else if verdicts > good {
                        Answer::Unearned
                    } else if there.certified {
                        Answer::Certified
                    } else {
                        Answer::NotCertified
                    }
                }
            });
        }
        self.report.note(event)
    }
}

fn condition(job: Job) -> Condition {
    match job {
        Job::Sum | Job::SumConstantWork => Condition::SumWindow32,
        Job::Mask => Condition::Mask,
        Job::DoubleMask | Job::DoubleMaskConstantWork => Condition::DoubleMask,
    }
}
