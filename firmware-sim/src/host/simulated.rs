//! A run in simulated time: the stages one after another, each taking the time that it takes here.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bagcert_firmware_sim::{Capture, Clock, Frame, stages};
use heapless::spsc::Queue;

use super::camera::Camera;
use super::damage::{Random, Values};
use super::drive::{Inputs, Log, PLACES};
use super::expect::Before;
use super::perception::{Perception, Refusal};
use super::scenario::{Kind, Scenario};
use super::stop::Stop;
use super::supervisor::{Arrival, Supervisor, has, set_back};

/// Simulated time: it stands at `begin`, and goes on as the processor here does.
struct SimulatedClock<'f> {
    begin: Duration,
    started: Instant,
    /// Time that the certificate is made to take on top.
    overrun: Duration,
    faults: &'f [Kind],
    readings: Cell<u32>,
}

impl SimulatedClock<'_> {
    /// The time, whatever the clock says.
    fn truth(&self) -> Duration {
        self.begin + self.started.elapsed() + self.overrun
    }
}

impl Clock for SimulatedClock<'_> {
    fn now(&self) -> Duration {
        let reading = self.readings.replace(self.readings.get().saturating_add(1));
        let now = if reading == 0 {
            self.begin
        } else {
            self.truth()
        };
        set_back(self.faults, now)
    }
}

/// A frame on its way, and when it comes.
struct Transit {
    arrival: Duration,
    frame: Frame<Values>,
}

/// Runs all cycles.
pub(crate) fn run(
    inputs: &Inputs<'_>,
    camera: &mut Camera,
    perception: &mut Perception,
    supervisor: &mut Supervisor<'_>,
    log: &mut Log<'_>,
) -> Result<(), Stop> {
    let mut queue: Queue<Frame<Values>, PLACES> = Queue::new();
    let (mut capture, mut intake) = stages(&mut queue);
    let mut transit: VecDeque<Transit> = VecDeque::new();
    let mut last: Option<Frame<Values>> = None;
    // When the one processor of the vehicle is free for the next forward pass, and when the last cycle
    // ended.
    let mut free = Duration::ZERO;
    let mut ended = Duration::ZERO;
    for number in 0..inputs.cycles {
        let tick = inputs.timing.period * number;
        let faults: Vec<Kind> = inputs.scenario.at(number).collect();

        // The camera, and the forward pass.
        let dropped = has(&faults, |kind| matches!(kind, Kind::Drop));
        let shot = match camera.take(number, tick, &faults) {
            Ok(shot) => Some(shot),
            Err(reason) => {
                log.unusable(camera, number, reason);
                None
            }
        };
        let before = Before {
            frame: last.is_some(),
            picture: shot.as_ref().is_some_and(|shot| shot.had_before),
        };
        if has(&faults, |kind| matches!(kind, Kind::FlipModel)) {
            perception.damage();
        }
        // The cycle begins when its frame is there, or when the timer says that it is not. A frame that
        // is overdue is taken out with the next.
        let mut begin = tick + inputs.timing.deadline;
        let mut refused = None;
        if let Some(shot) = shot.as_ref().filter(|_| !dropped) {
            let start = free.max(tick);
            supervisor.watchdog.alive(start);
            let started = Instant::now();
            let processed = perception.process(number, &shot.picture, &faults);
            let forward = started.elapsed();
            free = start + forward + hang(&faults);
            match processed {
                Ok(frame) => {
                    log.forward(forward);
                    let sent = on_the_way(inputs.scenario, number, &faults, frame, free, &mut last);
                    begin = begin.min(sent.arrival);
                    transit.push_back(sent);
                }
                Err(Refusal::Fault(reason)) => {
                    if free <= begin {
                        begin = free;
                        refused = Some(reason);
                    }
                }
                Err(Refusal::Unusable(reason)) => log.unusable(camera, number, reason),
            }
        }
        let begin = begin.max(ended);
        if free <= begin {
            // Idle, and it says so.
            supervisor.watchdog.alive(begin);
        }
        deliver(&mut transit, begin, &mut capture);

        // The supervising stage.
        let newest = intake.newest();
        let arrival = match (refused, newest) {
            (Some(reason), _) => Arrival::Refused(reason),
            (None, Some(frame)) => Arrival::Frame(frame),
            (None, None) => Arrival::Nothing,
        };
        let clock = SimulatedClock {
            begin,
            started: Instant::now(),
            overrun: overrun(&faults),
            faults: &faults,
            readings: Cell::new(0),
        };
        let label = shot.as_ref().and_then(|shot| shot.label);
        let mut turn = supervisor.turn(number, &clock, &arrival, label, &faults);
        ended = clock.truth();
        free = free.max(ended);
        let was_damaged = perception.is_damaged();
        if supervisor.wants_reset(&turn.output) {
            perception.reload();
            turn.reset = Some(supervisor.reset(perception.check_model(), ended));
        }
        let clean = shot.and_then(|shot| shot.clean);
        log.turn(
            camera,
            number,
            &turn,
            &arrival,
            &faults,
            before,
            clean.map(|clean| (clean, was_damaged)),
        )?;
    }
    log.queue(capture.refused(), intake.superseded());
    Ok(())
}

/// What happens to a sealed frame between the forward pass and the queue: when it arrives, and as
/// what.
pub(crate) fn on_the_way_frame(
    scenario: &Scenario,
    number: u32,
    faults: &[Kind],
    frame: Frame<Values>,
    last: &mut Option<Frame<Values>>,
) -> Frame<Values> {
    let before = last.replace(frame.clone());
    let repeated = has(faults, |kind| matches!(kind, Kind::Repeat));
    let mut sent = match before {
        Some(before) if repeated => before,
        _ => frame,
    };
    for kind in faults {
        if let Kind::Flip(bits) = kind {
            let logits = &mut sent.payload_mut().0;
            Random::of(scenario.seed, number, *kind).flip(logits, *bits);
        }
    }
    sent
}

fn on_the_way(
    scenario: &Scenario,
    number: u32,
    faults: &[Kind],
    frame: Frame<Values>,
    ready: Duration,
    last: &mut Option<Frame<Values>>,
) -> Transit {
    Transit {
        arrival: ready + late(faults),
        frame: on_the_way_frame(scenario, number, faults, frame, last),
    }
}

/// Queues what has arrived by `now`, in order of arrival.
fn deliver(transit: &mut VecDeque<Transit>, now: Duration, capture: &mut Capture<'_, Values>) {
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

fn sum(faults: &[Kind], delay: impl Fn(&Kind) -> Option<Duration>) -> Duration {
    faults.iter().filter_map(delay).sum()
}

pub(crate) fn late(faults: &[Kind]) -> Duration {
    sum(faults, |kind| match kind {
        Kind::Late(delay) => Some(*delay),
        _ => None,
    })
}

pub(crate) fn overrun(faults: &[Kind]) -> Duration {
    sum(faults, |kind| match kind {
        Kind::Overrun(delay) => Some(*delay),
        _ => None,
    })
}

pub(crate) fn hang(faults: &[Kind]) -> Duration {
    sum(faults, |kind| match kind {
        Kind::Hang(delay) => Some(*delay),
        _ => None,
    })
}
