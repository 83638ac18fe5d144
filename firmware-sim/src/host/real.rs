//! A run in real time: camera, forward pass and supervision each in a thread of its own, with queues
//! between them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use bagcert_firmware_sim::{Capture, Clock, Frame, Intake, Reason, stages};
use heapless::spsc::{Producer, Queue};

use super::camera::{Camera, Shot};
use super::damage::Values;
use super::drive::{Inputs, Log, PLACES};
use super::expect::Before;
use super::perception::{Perception, Refusal};
use super::scenario::Kind;
use super::simulated::{hang, late, on_the_way_frame, overrun};
use super::stop::Stop;
use super::supervisor::{Arrival, Supervisor, has, set_back};

/// How long a stage sleeps before it looks again.
const NAP: Duration = Duration::from_micros(200);
/// Time to get all stages going before the first tick.
const LEAD: Duration = Duration::from_millis(50);

/// Time since the run began, and what a scenario makes of it.
struct RealClock<'f> {
    start: Instant,
    /// Time that the certificate is made to take on top: slept through at the second reading.
    overrun: Duration,
    faults: &'f [Kind],
    readings: Cell<u32>,
}

impl Clock for RealClock<'_> {
    fn now(&self) -> Duration {
        let reading = self.readings.replace(self.readings.get().saturating_add(1));
        if reading == 1 {
            std::thread::sleep(self.overrun);
        }
        set_back(self.faults, self.start.elapsed())
    }
}

/// What the threads share beside the queues.
struct Shared {
    start: Instant,
    /// The forward pass's last sign of life, in nanoseconds since the start.
    alive: AtomicU64,
    /// All cycles are done.
    done: AtomicBool,
    /// What the simulation wants to know of each picture.
    notes: Mutex<BTreeMap<u32, Note>>,
    refusals: Mutex<Vec<(u32, Reason)>>,
    unusable: Mutex<Vec<(u32, String)>>,
    forwards: Mutex<Vec<Duration>>,
}

#[derive(Default)]
struct Note {
    label: Option<usize>,
    clean: Option<Vec<f32>>,
    before: Before,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A thread that panicked has already ended the run.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, if the other thread lets go of it while there is time.
fn free<T>(mutex: &Mutex<T>, in_time: impl Fn() -> bool) -> Option<MutexGuard<'_, T>> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if in_time() => std::thread::sleep(NAP),
            Err(TryLockError::WouldBlock) => return None,
        }
    }
}

/// Runs all cycles.
pub(crate) fn run(
    inputs: &Inputs<'_>,
    camera: &mut Camera,
    perception: &mut Perception,
    supervisor: &mut Supervisor<'_>,
    log: &mut Log<'_>,
) -> Result<(), Stop> {
    let mut pictures: Queue<Shot, PLACES> = Queue::new();
    let (mut to_perception, mut from_camera) = pictures.split();
    let mut queue: Queue<Frame<Values>, PLACES> = Queue::new();
    let (mut capture, mut intake) = stages(&mut queue);
    let shared = Shared::new(Instant::now() + LEAD);
    let perception = Mutex::new(perception);
    let names = &*camera;
    let ids: Vec<String> = (0..inputs.cycles).map(|number| names.id(number)).collect();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| film(inputs, camera, &shared, &mut to_perception));
        scope.spawn(|| {
            let mut last = None;
            while !shared.done.load(Ordering::Acquire) {
                shared.beat();
                match from_camera.dequeue() {
                    Some(mut shot) => {
                        // Only the newest is worth a forward pass; the cycles of the others are over.
                        while let Some(newer) = from_camera.dequeue() {
                            locked(&perception).pass_over(&shot.picture);
                            shot = newer;
                        }
                        see(inputs, &perception, &shared, &shot, &mut last, &mut capture);
                    }
                    None => std::thread::sleep(NAP),
                }
            }
        });
        let outcome = supervise(
            inputs,
            supervisor,
            &shared,
            &perception,
            &mut intake,
            log,
            &ids,
        );
        shared.done.store(true, Ordering::Release);
        outcome
    });
    for time in locked(&shared.forwards).drain(..) {
        log.forward(time);
    }
    for (number, reason) in locked(&shared.unusable).drain(..) {
        log.unusable(camera, number, reason);
    }
    log.queue(capture.refused(), intake.superseded());
    outcome
}

impl Shared {
    fn new(start: Instant) -> Self {
        Self {
            start,
            alive: AtomicU64::new(0),
            done: AtomicBool::new(false),
            notes: Mutex::new(BTreeMap::new()),
            refusals: Mutex::new(Vec::new()),
            unusable: Mutex::new(Vec::new()),
            forwards: Mutex::new(Vec::new()),
        }
    }

    fn beat(&self) {
        let now = self.start.elapsed().as_nanos();
        self.alive
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Release);
    }

    /// Sleeps until the clock says `until`.
    fn sleep(&self, until: Duration) {
        let now = self.start.elapsed();
        // Before the start the elapsed time is 0.
        let lead = self.start.saturating_duration_since(Instant::now());
        std::thread::sleep(until.saturating_sub(now) + lead);
    }
}

/// The camera's thread.
fn film(
    inputs: &Inputs<'_>,
    camera: &mut Camera,
    shared: &Shared,
    to_perception: &mut Producer<'_, Shot>,
) {
    let mut frame = false;
    for number in 0..inputs.cycles {
        let tick = inputs.timing.period * number;
        let faults: Vec<Kind> = inputs.scenario.at(number).collect();
        // The scene is there before its tick: reading a file is no part of the vehicle.
        let shot = camera.take(number, tick, &faults);
        shared.sleep(tick);
        if shared.done.load(Ordering::Acquire) {
            return;
        }
        match shot {
            Ok(mut shot) => {
                let note = Note {
                    label: shot.label,
                    clean: shot.clean.take(),
                    before: Before {
                        frame,
                        picture: shot.had_before,
                    },
                };
                locked(&shared.notes).insert(number, note);
                let dropped = has(&faults, |kind| matches!(kind, Kind::Drop));
                let refused = has(&faults, |kind| matches!(kind, Kind::FlipPicture(_)));
                frame |= !dropped && !refused;
                if !dropped {
                    // One that finds no place is lost, and its cycle has no frame.
                    drop(to_perception.enqueue(shot));
                }
            }
            Err(reason) => locked(&shared.unusable).push((number, reason)),
        }
    }
}

/// The forward pass's thread, one picture.
fn see(
    inputs: &Inputs<'_>,
    perception: &Mutex<&mut Perception>,
    shared: &Shared,
    shot: &Shot,
    last: &mut Option<Frame<Values>>,
    capture: &mut Capture<'_, Values>,
) {
    // The counter of the cycle; where it is damaged, so is the picture.
    let number = shot.picture.header().counter;
    let faults: Vec<Kind> = inputs.scenario.at(number).collect();
    let started = Instant::now();
    let processed = {
        let mut perception = locked(perception);
        if has(&faults, |kind| matches!(kind, Kind::FlipModel)) {
            perception.damage();
        }
        let processed = perception.process(number, &shot.picture, &faults);
        // With the model in its hands, as where a forward pass hangs.
        std::thread::sleep(hang(&faults));
        processed
    };
    let forward = started.elapsed().saturating_sub(hang(&faults));
    match processed {
        Ok(frame) => {
            locked(&shared.forwards).push(forward);
            let frame = on_the_way_frame(inputs.scenario, number, &faults, frame, last);
            std::thread::sleep(late(&faults));
            drop(capture.offer(frame));
        }
        Err(Refusal::Fault(reason)) => locked(&shared.refusals).push((number, reason)),
        Err(Refusal::Unusable(reason)) => locked(&shared.unusable).push((number, reason)),
    }
}

/// The supervisor's thread, which is this one.
fn supervise(
    inputs: &Inputs<'_>,
    supervisor: &mut Supervisor<'_>,
    shared: &Shared,
    perception: &Mutex<&mut Perception>,
    intake: &mut Intake<'_, Values>,
    log: &mut Log<'_>,
    ids: &[String],
) -> Result<(), Stop> {
    let mut ahead = None;
    for number in 0..inputs.cycles {
        let tick = inputs.timing.period * number;
        let faults: Vec<Kind> = inputs.scenario.at(number).collect();
        shared.sleep(tick);
        let deadline = tick + inputs.timing.deadline;
        let arrival = wait(shared, intake, &mut ahead, number, deadline);
        let alive = Duration::from_nanos(shared.alive.load(Ordering::Acquire));
        supervisor.watchdog.alive(alive);
        let clock = RealClock {
            start: shared.start,
            overrun: overrun(&faults),
            faults: &faults,
            readings: Cell::new(0),
        };
        let note = locked(&shared.notes).remove(&number).unwrap_or_default();
        let mut turn = supervisor.turn(number, &clock, &arrival, note.label, &faults);
        let mut was_damaged = false;
        if supervisor.wants_reset(&turn.output) {
            // A forward pass that hangs must not hold up this thread: its model has then failed the test.
            let model = match free(perception, || {
                shared.start.elapsed() < tick + inputs.timing.period
            }) {
                Some(mut perception) => {
                    was_damaged = perception.is_damaged();
                    perception.reload();
                    perception.check_model()
                }
                None => Err(Reason::Model),
            };
            turn.reset = Some(supervisor.reset(model, shared.start.elapsed()));
        }
        let id = ids.get(number as usize).cloned().unwrap_or_default();
        log.turn_named(
            id,
            number,
            &turn,
            &arrival,
            &faults,
            note.before,
            note.clean.map(|clean| (clean, was_damaged)),
        )?;
    }
    Ok(())
}

/// Waits for what comes of this cycle's picture, until its deadline. A frame of a later cycle stays in `ahead` until that
/// one: where the deadline is the next tick, the next frame may be there already.
fn wait(
    shared: &Shared,
    intake: &mut Intake<'_, Values>,
    ahead: &mut Option<Frame<Values>>,
    number: u32,
    deadline: Duration,
) -> Arrival {
    let of_this_cycle = |frame: &mut Frame<Values>| frame.header().counter == number;
    loop {
        let refused = {
            let mut refusals = locked(&shared.refusals);
            let found = refusals.iter().find(|(cycle, _)| *cycle == number).copied();
            refusals.retain(|(cycle, _)| *cycle > number);
            found
        };
        if let Some((_, reason)) = refused {
            return Arrival::Refused(reason);
        }
        if let Some(frame) = ahead.take_if(of_this_cycle) {
            return Arrival::Frame(frame);
        }
        // What is left over from an earlier cycle comes too late for it. A repeated frame carries an
        // earlier counter, too; its cycle is then one without a frame.
        if let Some(frame) = intake.newest()
            && frame.header().counter >= number
        {
            *ahead = Some(frame);
            continue;
        }
        if shared.start.elapsed() >= deadline {
            return Arrival::Nothing;
        }
        std::thread::sleep(NAP);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::host::perception::LOGITS;
    use bagcert_firmware_sim::Header;
    use std::sync::mpsc;

    /// A frame that was lost is missing in its own cycle, though the next is there by the deadline.
    #[test]
    fn a_frame_of_the_next_cycle_answers_none_before() {
        let shared = Shared::new(Instant::now());
        let mut queue: Queue<Frame<Values>, PLACES> = Queue::new();
        let (mut capture, mut intake) = stages(&mut queue);
        let mut ahead = None;
        let mut offer = |counter| {
            let header = Header {
                counter,
                captured: Duration::ZERO,
            };
            drop(capture.offer(Frame::seal(LOGITS, header, Values(Vec::new()))));
        };
        let mut counter =
            |number| match wait(&shared, &mut intake, &mut ahead, number, Duration::ZERO) {
                Arrival::Frame(frame) => Some(frame.header().counter),
                Arrival::Nothing => None,
                Arrival::Refused(reason) => panic!("{reason}"),
            };
        offer(6);
        assert_eq!(counter(5), None);
        // It waits for its own, whatever comes after it.
        offer(7);
        assert_eq!(counter(6), Some(6));
        assert_eq!(counter(7), Some(7));
        // What comes too late is no other cycle's answer either.
        offer(7);
        assert_eq!(counter(8), None);
        offer(9);
        assert_eq!(counter(9), Some(9));
    }

    /// A forward pass that hangs holds the model: whoever wants it has its time, and no more.
    #[test]
    fn what_another_thread_holds_is_waited_for_while_there_is_time_only() {
        let model = Mutex::new(7);
        let (held, is_held) = mpsc::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let model = &model;
            scope.spawn(move || {
                let _guard = model.lock().unwrap();
                held.send(()).unwrap();
                // Ends by itself, so that whoever waits for it without end is told so and not left waiting.
                may_finish.recv_timeout(Duration::from_secs(5)).ok();
            });
            is_held.recv().unwrap();
            let looks = Cell::new(0);
            let found = free(model, || looks.replace(looks.get() + 1) < 3);
            assert!(found.is_none() && looks.get() == 4);
            drop(finish);
            assert_eq!(free(model, || true).map(|guard| *guard), Some(7));
        });
    }
}
