//! The test itself: one message at a time, its answer awaited, checked and noted.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bagcert_certifier::{Condition, Verdict};
use bagcert_firmware_sim::packed::{Job, Layout, checked};
use bagcert_firmware_sim::wire::{Refusal, Reply, Request};

use crate::args::Run;
use crate::inject::{Kind, Random};
use crate::port::{Port, Received, message};
use crate::report::{Answer, Event, Report};

/// How long a further answer to the same message is waited for.
const STRAGGLERS: Duration = Duration::from_millis(60);

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
    let ticks_per_second = begin(&mut port, args, &maps.layout)?;
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

/// Begins a session. The target may be starting up, or in the middle of a message: tried again.
fn begin(port: &mut Port, args: &Run, layout: &Layout) -> Result<u32> {
    let layout = layout.to_bytes();
    let request = Request::Begin {
        number: 0,
        layout: &layout,
    };
    let begin = message(&request, layout.len())?;
    for _ in 0..5 {
        // An end first: whatever the line held before ends there.
        port.send(&[0])?;
        port.send(&begin)?;
        let started = Instant::now();
        let patience = Duration::from_millis(args.patience_ms);
        while started.elapsed() < patience {
            match port.receive(patience)? {
                Received::Reply(Reply::Ready {
                    number: 0,
                    ticks_per_second,
                }) => return Ok(ticks_per_second),
                Received::Reply(Reply::Refused {
                    reason: Refusal::Layout,
                    ..
                }) => bail!("the target has not enough memory for maps of this shape"),
                Received::Nothing => break,
                _ => {}
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
        let patience = Duration::from_millis(self.args.patience_ms);
        let expected = if injected.is_none() {
            1
        } else {
            messages.len()
        };
        let mut verdicts = 0;
        // After damage it is not known how many answers there will be: until none comes.
        for at in 0.. {
            let wait = match injected {
                None if at == expected => break,
                None => patience,
                Some(Kind::Repeat | Kind::Swap) if at < expected => patience,
                Some(_) => STRAGGLERS,
            };
            let answer = match self.port.receive(wait)? {
                Received::Nothing => break,
                Received::Damaged => Answer::Damaged,
                Received::Reply(Reply::Ready { .. }) => Answer::Unexpected,
                Received::Reply(Reply::Refused { reason, .. }) => Answer::Refused(reason),
                Received::Reply(Reply::Verdict {
                    number: of,
                    ticks,
                    verdict,
                }) => {
                    verdicts += 1;
                    event.target_us =
                        Some(f64::from(ticks) * 1e6 / f64::from(self.ticks_per_second));
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
            };
            if event.answers.is_empty() {
                event.round_trip_us = started.elapsed().as_secs_f64() * 1e6;
            }
            event.answers.push(answer);
        }
        self.report.note(event)
    }
}

fn condition(job: Job) -> Condition {
    match job {
        Job::Sum | Job::SumConstantWork => Condition::SumWindow32,
        Job::Mask => Condition::Mask,
        Job::DoubleMask => Condition::DoubleMask,
    }
}
