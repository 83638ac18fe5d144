//! The simulation: a camera that ticks, a forward pass and a certificate that take the time that
//! they take here, and a loop that sees only what would reach it in the vehicle.

use std::cell::Cell;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

use bagcert::admission::{self, AdmittedModel};
use bagcert::engine::Engine;
use bagcert::frames::{Frames, Size};
use bagcert_certifier::{Condition, ScoreWord, TableWord};
use bagcert_firmware_sim::{
    Capture, Clock, Cycle, DataId, Frame, Header, Outcome, Settings, stages,
};
use heapless::spsc::Queue;

use super::args::{Args, Timing};
use super::damage::{Logits, Random};
use super::say;
use super::scenario::{Kind, Scenario};
use super::stop::{Stop, with_causes};
use super::summary::{Line, Summary};

/// The stream that the simulated camera's frames belong to.
const CAMERA: DataId = DataId(0x0BA6_CE27);
/// Frames lost in a row that the loop bears without a fault of its own.
const MAX_LOST: u32 = 3;
/// Places in the queue between the stages, and one that heapless keeps free.
const PLACES: usize = 5;

/// Simulated time: it stands at `begin`, and goes on as the processor here does.
struct SimulatedClock {
    begin: Duration,
    started: Instant,
    /// Time that the certificate is made to take on top.
    overrun: Duration,
    readings: Cell<u32>,
}

impl Clock for SimulatedClock {
    fn now(&self) -> Duration {
        let reading = self.readings.replace(self.readings.get().saturating_add(1));
        if reading == 0 {
            self.begin
        } else {
            self.begin + self.started.elapsed() + self.overrun
        }
    }
}

/// Everything that a run needs.
pub(crate) struct Drive {
    model: AdmittedModel,
    engine: Engine,
    size: Size,
    frames: Frames,
    /// Inputs that could not be opened.
    unopened: usize,
    cycles: u32,
    settings: Settings,
    timing: Timing,
    scenario: Scenario,
    quiet: bool,
}

/// A frame on its way, and when it comes.
struct Transit {
    arrival: Duration,
    frame: Frame<Logits>,
}

impl Drive {
    /// Admits the model and lists the frames.
    pub(crate) fn new(args: &Args, timing: Timing, scenario: Scenario) -> Result<Drive, Stop> {
        let path: &Path = &args.model;
        let model = admission::admit(path).map_err(|error| Stop::Refused(with_causes(&error)))?;
        let side = |pixels: usize| {
            let refused = || Stop::Refused(format!("{}: its image is too large", path.display()));
            u32::try_from(pixels).map_err(|_| refused())
        };
        let size = Size {
            width: side(model.input().width)?,
            height: side(model.input().height)?,
        };
        let patch = args.patch;
        if patch.width() > size.width || patch.height() > size.height {
            return Err(Stop::Usage(format!(
                "--patch {patch}: does not fit the model's image of {size} pixels (width first)"
            )));
        }
        let (frames, errors) = Frames::open(&args.inputs, size);
        for error in &errors {
            say(&format!("bagcert-firmware-sim: {}", with_causes(error)));
        }
        let cycles = match args.cycles {
            Some(cycles) => cycles.get(),
            None => u32::try_from(frames.len())
                .map_err(|_| Stop::Usage("too many frames; give --cycles".to_owned()))?,
        };
        if frames.is_empty() {
            return Err(Stop::NoInput("no frame to run on".to_owned()));
        }
        let engine = Engine::new(&model).map_err(|error| {
            Stop::Refused(format!("{}: {}", path.display(), with_causes(&error)))
        })?;
        let settings = Settings {
            shape: model.shape(),
            geometry: model.geometry(),
            patch,
            condition: Condition::SumWindow32,
            data_id: CAMERA,
            max_age: timing.deadline,
            deadline: timing.deadline,
            max_lost: MAX_LOST,
        };
        Ok(Drive {
            model,
            engine,
            size,
            frames,
            unopened: errors.len(),
            cycles,
            settings,
            timing,
            scenario,
            quiet: args.quiet,
        })
    }

    /// Runs all cycles and hands each to `each`.
    pub(crate) fn run(
        &mut self,
        mut each: impl FnMut(&Line<'_>) -> Result<(), Stop>,
    ) -> Result<Summary, Stop> {
        let shape = self.settings.shape;
        let mut scores = vec![ScoreWord::default(); shape.score_len()];
        let mut table = vec![TableWord::default(); shape.table_len()];
        let mut cycle = Cycle::new(self.settings, &mut scores, &mut table)
            .map_err(|error| Stop::Usage(error.to_string()))?;
        let mut queue: Queue<Frame<Logits>, PLACES> = Queue::new();
        let (mut capture, mut intake) = stages(&mut queue);

        let mut random = Random(self.scenario.seed);
        let mut summary = Summary::new(self.timing);
        let mut unusable = BTreeSet::new();
        let mut transit: VecDeque<Transit> = VecDeque::new();
        let mut last: Option<Frame<Logits>> = None;
        // When the one processor of the vehicle is free for the next forward pass, and when the
        // last cycle ended.
        let mut free = Duration::ZERO;
        let mut ended = Duration::ZERO;
        for number in 0..self.cycles {
            let tick = self.timing.period * number;
            let faults: Vec<Kind> = self.scenario.at(number).collect();
            let at = number as usize % self.frames.len();

            // The capture stage.
            let dropped = has(&faults, |kind| matches!(kind, Kind::Drop));
            let header = Header {
                counter: number,
                captured: tick,
            };
            let captured = if dropped {
                None
            } else {
                self.capture(at, header, &faults, &mut random, &mut unusable)
            };
            let repeats = last.is_some() && has(&faults, |kind| matches!(kind, Kind::Repeat));
            // The cycle begins when its frame is there, or when the watchdog says that it is not.
            // One that is overdue is taken out with the next.
            let mut begin = tick + self.timing.deadline;
            if let Some((frame, forward)) = captured {
                summary.forward(forward);
                free = free.max(tick) + forward;
                let sent = on_the_way(&faults, frame, free, &mut last, &mut random);
                begin = begin.min(sent.arrival);
                transit.push_back(sent);
            }
            let begin = begin.max(ended);
            deliver(&mut transit, begin, &mut capture);

            // The certifying stage.
            let frame = intake.newest();
            let clock = SimulatedClock {
                begin,
                started: Instant::now(),
                overrun: overrun(&faults),
                readings: Cell::new(0),
            };
            let report = cycle.run(&clock, frame.as_ref());
            ended = clock.now();
            free = free.max(ended);

            let line = Line {
                report: &report,
                id: self.frames.id(at).unwrap_or_default(),
                class_names: self.model.class_names(),
                faults: &faults,
                must_fault: has(&faults, |kind| match kind {
                    Kind::Repeat => repeats,
                    other => other.must_be_detected(self.timing.deadline),
                }),
            };
            summary.add(&line);
            self.log(&line);
            each(&line)?;
        }
        summary.refused = capture.refused();
        summary.superseded = intake.superseded();
        summary.failures = self.unopened + unusable.len();
        Ok(summary)
    }

    /// Reads, runs and seals one frame; with the time of its forward pass. `None` where the input
    /// cannot be used, which is said once.
    fn capture(
        &mut self,
        at: usize,
        header: Header,
        faults: &[Kind],
        random: &mut Random,
        unusable: &mut BTreeSet<usize>,
    ) -> Option<(Frame<Logits>, Duration)> {
        let mut fail = |reason: String| {
            if unusable.insert(at) {
                say(&format!("bagcert-firmware-sim: {reason}"));
            }
        };
        let names = self.model.class_names();
        let frame = match self.frames.load(at, self.size, names) {
            Ok(frame) => frame,
            Err(error) => {
                fail(with_causes(&error));
                return None;
            }
        };
        let started = Instant::now();
        match self.engine.logits(frame.picture.planes()) {
            Ok(logits) => {
                let mut logits = Logits(logits.to_vec());
                if has(faults, |kind| matches!(kind, Kind::Nan)) {
                    random.not_a_number(&mut logits.0);
                }
                let frame = Frame::seal(CAMERA, header, logits);
                Some((frame, started.elapsed()))
            }
            Err(error) => {
                fail(format!("{}: {}", frame.id, with_causes(&error)));
                None
            }
        }
    }

    /// What went wrong, and what may soon, in plain text.
    fn log(&self, line: &Line<'_>) {
        if self.quiet {
            return;
        }
        let report = line.report;
        if let Outcome::Fault { reason } = report.outcome {
            say(&format!(
                "cycle {}: fault ({}): {reason}",
                report.cycle,
                reason.name()
            ));
        }
        if report.lost > 0 {
            let lost = report.lost;
            say(&format!(
                "cycle {}: {lost} frames lost before this one",
                report.cycle
            ));
        }
        if let Some(forecast) = report.forecast.filter(|forecast| forecast.at_risk) {
            say(&format!(
                "cycle {}: deadline at risk: {:?} expected, deviation {:?}",
                report.cycle, forecast.latency, forecast.jitter
            ));
        }
    }
}

/// What happens to a sealed frame between the forward pass and the queue: when it arrives, and as
/// what.
fn on_the_way(
    faults: &[Kind],
    frame: Frame<Logits>,
    ready: Duration,
    last: &mut Option<Frame<Logits>>,
    random: &mut Random,
) -> Transit {
    let before = last.replace(frame.clone());
    let repeated = has(faults, |kind| matches!(kind, Kind::Repeat));
    let mut sent = match before {
        Some(before) if repeated => before,
        _ => frame,
    };
    let mut arrival = ready;
    for fault in faults {
        match fault {
            Kind::Flip(bits) => random.flip(&mut sent.payload_mut().0, *bits),
            Kind::Late(delay) => arrival += *delay,
            Kind::Drop | Kind::Repeat | Kind::Overrun(_) | Kind::Nan => {}
        }
    }
    Transit {
        arrival,
        frame: sent,
    }
}

fn has(faults: &[Kind], kind: impl Fn(&Kind) -> bool) -> bool {
    faults.iter().any(kind)
}

/// Queues what has arrived by `now`, in order of arrival.
fn deliver(transit: &mut VecDeque<Transit>, now: Duration, capture: &mut Capture<'_, Logits>) {
    let waiting = std::mem::take(transit);
    let (mut arrived, late): (Vec<Transit>, Vec<Transit>) = waiting
        .into_iter()
        .partition(|transit| transit.arrival <= now);
    arrived.sort_by_key(|transit| transit.arrival);
    for Transit { frame, .. } in arrived {
        // A frame that the queue hands back is lost, and counted there.
        drop(capture.offer(frame));
    }
    transit.extend(late);
}

fn overrun(faults: &[Kind]) -> Duration {
    faults
        .iter()
        .map(|fault| match fault {
            Kind::Overrun(delay) => *delay,
            _ => Duration::ZERO,
        })
        .sum()
}
