//! The target: a computer that runs the network, and answers what comes over the line.

use std::io::{self, ErrorKind};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use bagcert::pipeline::Outcome;
use bagcert_certifier::{Fault, ScoreWord, Shape, TableWord, Verdict};
use bagcert_firmware_sim::packed::{Job, LARGEST, Layout};
use bagcert_firmware_sim::session::{Judged, Session, Target};
use bagcert_firmware_sim::wire::{self, Inbox, Network, REPLY_LEN, Refusal, message_len};

use crate::args;
use crate::judge::{Judge, Question};
use crate::port::{self, Line};
use crate::say;
use crate::stop::Stop;

/// Nanoseconds of a tick: 32 bits of them are 429 seconds.
const TICK: u64 = 100;
/// Bytes that are read at once, at most.
const CHUNK: usize = 4096;
/// A serial port waits a tenth of a second for a byte; one that has hung up does not.
const HUNG_UP: Duration = Duration::from_millis(20);
/// Readings in a row that did not wait, before a serial port counts as hung up.
const EMPTY: u32 = 20;
/// From one try to open a serial port again to the next.
const AGAIN: Duration = Duration::from_secs(1);

/// A model with all memory that answers need: none is allocated by the length of a message.
struct Computer {
    judge: Judge,
    started: Instant,
    scores: Vec<ScoreWord>,
    table: Vec<TableWord>,
}

impl Computer {
    fn new(judge: Judge) -> Computer {
        let larger = |len: fn(Shape) -> usize| len(judge.shape()).max(len(LARGEST));
        Computer {
            scores: vec![0; larger(|shape| shape.score_len())],
            table: vec![0; larger(|shape| shape.table_len().max(shape.masks_len(1)))],
            judge,
            started: Instant::now(),
        }
    }

    /// Bytes of the longest request that can be meant.
    fn request_len(&self) -> usize {
        let bits = |shape: Shape| shape.classes().saturating_mul(shape.cells());
        let map = bits(self.judge.shape()).max(bits(LARGEST)).div_ceil(8);
        message_len(map.max(self.judge.network().frame_len()))
    }
}

impl Target for Computer {
    const TICKS_PER_SECOND: u32 = (1_000_000_000 / TICK) as u32;

    fn ticks(&mut self) -> u32 {
        // They wrap around, as those of every target.
        (self.started.elapsed().as_nanos() / u128::from(TICK)) as u32
    }

    fn fits(&self, layout: &Layout) -> bool {
        layout.shape().score_len() <= self.scores.len() && layout.table_len() <= self.table.len()
    }

    fn certify(&mut self, layout: &Layout, map: &[u8], job: Job) -> Result<Verdict, Fault> {
        let map = layout.unpack(map, &mut self.scores)?;
        job.run(layout, &map, &mut self.table)
    }

    fn network(&self) -> Option<Network> {
        Some(self.judge.network())
    }

    fn judge(&mut self, pixels: &[u8]) -> Result<Judged, Refusal> {
        let outcome = self.judge.judge(pixels).map_err(|error| {
            say(&format!("a frame has no verdict: {error:#}"));
            Refusal::Fault
        })?;
        let Outcome {
            forward,
            certificate,
            ..
        } = outcome;
        let ticks =
            |time: Duration| u32::try_from(time.as_nanos() / u128::from(TICK)).unwrap_or(u32::MAX);
        Ok(Judged {
            verdict: *outcome.verdicts.first().ok_or(Refusal::Fault)?,
            forward: ticks(forward),
            certificate: ticks(certificate),
        })
    }
}

/// Loads the model and serves until it is ended.
pub(crate) fn run(args: &args::Target) -> Result<(), Stop> {
    let question = Question {
        patch: args.patch,
        condition: args.condition,
        lead: args.lead,
    };
    let judge = Judge::load(&args.model, &args.trust, question)?;
    let what = judge.describe();
    let mut computer = Computer::new(judge);
    match args.port.strip_prefix("tcp:") {
        Some(address) => {
            let listening = || format!("could not listen on {address}");
            let listener = TcpListener::bind(address).with_context(listening)?;
            let address = listener.local_addr().with_context(listening)?;
            say(&format!("target on tcp:{address}: {what}"));
            connections(
                &listener,
                &mut computer,
                Duration::from_secs(args.silence_s),
            )
        }
        None => {
            let mut line = port::serial(&args.port, args.baud)?;
            say(&format!("target on {}: {what}", args.port));
            loop {
                let end = serve(&mut line, &mut computer, true);
                say(&format!("{}: {end}", args.port));
                line = loop {
                    std::thread::sleep(AGAIN);
                    if let Ok(line) = port::serial(&args.port, args.baud) {
                        break line;
                    }
                };
                say(&format!("{}: opened again", args.port));
            }
        }
    }
}

/// One connection after the other; each begins sessions of its own.
fn connections(
    listener: &TcpListener,
    computer: &mut Computer,
    silence: Duration,
) -> Result<(), Stop> {
    loop {
        let end = listener.accept().and_then(|(stream, peer)| {
            say(&format!("{peer} has connected"));
            prepare(&stream, silence)?;
            let mut stream = stream;
            Ok((peer, serve(&mut stream, computer, false)))
        });
        match end {
            Ok((peer, end)) => say(&format!("{peer}: {end}")),
            // Of this connection alone; it must not become a loop without rest.
            Err(error) => {
                say(&format!("a connection failed: {error}"));
                std::thread::sleep(AGAIN);
            }
        }
    }
}

fn prepare(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Who is silent, or does not read the answers, must not keep others out.
    stream.set_read_timeout(Some(silence))?;
    stream.set_write_timeout(Some(silence))
}

/// Answers all that comes until the line ends, and says why it did.
fn serve(line: &mut impl Line, computer: &mut Computer, serial: bool) -> String {
    let mut inbox = Inbox::new(vec![0; computer.request_len()]);
    let mut session = Session::default();
    let mut chunk = [0; CHUNK];
    let mut empty = 0;
    loop {
        let asked = Instant::now();
        let read = match line.read(&mut chunk) {
            Ok(0) if !serial => return "closed".to_owned(),
            Ok(0) => {
                empty = if asked.elapsed() < HUNG_UP {
                    empty + 1
                } else {
                    0
                };
                if empty >= EMPTY {
                    return "hung up".to_owned();
                }
                continue;
            }
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return "closed after its silence".to_owned();
            }
            Err(error) => return error.to_string(),
        };
        empty = 0;
        for byte in chunk.iter().take(read) {
            let Some(message) = inbox.push(*byte) else {
                continue;
            };
            let start = computer.ticks();
            let reply = session.answer(computer, message, start);
            let (mut scratch, mut wire) = ([0; REPLY_LEN], [0; REPLY_LEN]);
            let reply = wire::write(&reply, &mut scratch, &mut wire).unwrap_or_default();
            if let Err(error) = line.write_all(reply).and_then(|()| line.flush()) {
                return error.to_string();
            }
        }
    }
}
