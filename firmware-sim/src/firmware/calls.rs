//! A call of everything in the certifying path, with arguments that the compiler knows nothing of.

use core::cell::Cell;
use core::hint::black_box;
use core::num::{NonZeroU8, NonZeroU32};
use core::time::Duration;

use bagcert_certifier::failsafe::{
    Deadline, FailSafe, FaultKind, Input, Judgement, Limits, Mark, Receiver, SelfTest, Sender,
    self_test,
};
use bagcert_certifier::{
    Axis, Certifier, Condition, Fault, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, Pixel,
    ScoreMap, Shape, Sum, Verdict, Work, certify_monotone, rectangles_of_area,
};
use bagcert_firmware_sim::packed::{self, Job, Layout};
use bagcert_firmware_sim::session::{Judged, Session, Target};
use bagcert_firmware_sim::wire::{self, Inbox, Network, REPLY_LEN, Refusal};
use bagcert_firmware_sim::{
    Binary, Clock, Cycle, DataId, Frame, Header, KnownAnswer, Memory, PictureGuard, Reason,
    Settings,
};

/// A value of which the compiler knows its type only.
fn any<T>(value: T) -> T {
    black_box(value)
}

/// Any slice, up to the given one.
fn slice<T>(all: &mut [T]) -> &mut [T] {
    let len = any(all.len());
    any(all.get_mut(..len).unwrap_or_default())
}

pub(crate) fn all() {
    let _ = black_box(certify());
    let _ = black_box(packed());
    let _ = black_box(messages());
    let _ = black_box(cycle());
    let _ = black_box(fail_safe());
}

fn shape() -> Option<Shape> {
    Shape::new(any(2), any(1), any(1)).ok()
}

fn geometry() -> Option<Geometry> {
    let axis = || Axis::new(any(1), any(1), any(1), any(0), any(0)).ok();
    Some(Geometry {
        x: axis()?,
        y: axis()?,
    })
}

fn condition() -> Condition {
    any(Condition::SumWindow32)
}

fn certify() -> Result<i64, Fault> {
    let (Some(shape), Some(geometry)) = (any(shape()), any(geometry())) else {
        return Ok(0);
    };
    let (mut scores, mut table, mut logits) = ([0u8; 64], [0i16; 256], [0f32; 64]);
    let patch = PatchSize::new(any(1), any(1))?;
    let map = if any(true) {
        ScoreMap::from_logits(shape, slice(&mut logits), slice(&mut scores))?
    } else {
        ScoreMap::from_scores(shape, |c, y, x| any(c ^ y ^ x) == 0, slice(&mut scores))?
    };
    let mut sum = i64::from(map.score(any(1), any(1), any(1)).is_some());
    let region = geometry.affected(
        patch,
        Pixel {
            x: any(1),
            y: any(1),
        },
    );
    sum ^= i64::from(region.is_some());
    sum ^= i64::from(geometry.max_affected_cells(patch)?);
    sum ^= certify_monotone(&map, &geometry, patch, &Sum)?.slack;
    {
        let certifier = Certifier::new(&map, &geometry, slice(&mut table))?;
        sum ^= certifier.certify(patch, condition())?.slack;
        sum ^= certifier.certify_constant_work(patch)?.slack;
        sum ^= i64::from(certifier.largest_square());
        for verdict in certifier.squares(condition()) {
            sum ^= verdict.slack;
        }
        let patches = rectangles_of_area(any(24), any(32), any(32));
        for verdict in certifier.sweep(patches, condition()) {
            sum ^= verdict?.slack;
        }
    }
    let mut patches = [patch, any(patch)];
    let set = MaskSet::new(&geometry, slice(&mut patches))?.with_work(any(Work::Least));
    let set = match NonZeroU32::new(any(1)) {
        Some(step) => set.with_step(step),
        None => set,
    };
    let set = set.with_lead(any(0));
    let masking = any(Masking::Single);
    let mut masks = MaskCertifier::new(&map, set, masking, slice(&mut table))?;
    sum ^= masks.certify(any(patch))?.slack;
    for verdict in masks.verdicts() {
        sum ^= verdict?.slack;
    }
    Ok(sum)
}

/// A target with little memory and any network.
struct AnyTarget {
    scores: [u8; 64],
    table: [i16; 256],
}

impl Target for AnyTarget {
    const TICKS_PER_SECOND: u32 = 1;

    fn ticks(&mut self) -> u32 {
        any(1)
    }

    fn fits(&self, layout: &Layout) -> bool {
        any(layout.map_len()) < 100
    }

    fn certify(&mut self, layout: &Layout, map: &[u8], job: Job) -> Result<Verdict, Fault> {
        let map = layout.unpack(map, slice(&mut self.scores))?;
        job.run(layout, &map, slice(&mut self.table))
    }

    fn network(&self) -> Option<Network> {
        let patch = PatchSize::new(any(1), any(1)).ok()?;
        any(Some(Network::new(
            any([1; 32]),
            any([1; 2]),
            patch,
            condition(),
        )))
    }

    fn judge(&mut self, pixels: &[u8]) -> Result<Judged, Refusal> {
        let map = ScoreMap::from_scores(
            shape().ok_or(Refusal::Fault)?,
            |_, _, _| any(pixels).first() == Some(&1),
            slice(&mut self.scores),
        )?;
        let geometry = geometry().ok_or(Refusal::Fault)?;
        let patch = PatchSize::new(any(1), any(1)).map_err(|_| Refusal::Fault)?;
        let certifier = Certifier::new(&map, &geometry, slice(&mut self.table))?;
        Ok(Judged {
            verdict: certifier.certify(patch, condition())?,
            forward: any(1),
            certificate: any(1),
        })
    }
}

/// What comes over a line, and is not to be trusted.
fn messages() -> Option<u32> {
    let mut received = [0u8; 256];
    let mut inbox = Inbox::new(slice(&mut received));
    let mut session = Session::default();
    let mut target = AnyTarget {
        scores: [0; 64],
        table: [0; 256],
    };
    let mut sum = 0;
    for _ in 0..any(1000) {
        let Some(message) = inbox.push(any(0)) else {
            continue;
        };
        let reply = session.answer(&mut target, message, any(1));
        let (mut scratch, mut line) = ([0; REPLY_LEN], [0; REPLY_LEN]);
        let sent = wire::write(&reply, slice(&mut scratch), slice(&mut line))?;
        sum ^= black_box(sent).len() as u32;
    }
    Some(sum)
}

fn packed() -> Option<i64> {
    let (mut bytes, mut scores, mut table) = ([0u8; 128], [0u8; 64], [0i16; 256]);
    let bytes = slice(&mut bytes);
    let layout = Layout::from_bytes(bytes).ok()?;
    let map = packed::checked(bytes)?;
    let map = layout.unpack(map, slice(&mut scores)).ok()?;
    let verdict = any(Job::Sum).run(&layout, &map, slice(&mut table));
    Some(verdict.ok()?.slack)
}

struct AnyTime(Cell<u64>);

impl Clock for AnyTime {
    fn now(&self) -> Duration {
        self.0.set(any(self.0.get()));
        Duration::from_nanos(self.0.get())
    }
}

fn duration() -> Duration {
    Duration::from_nanos(any(1))
}

fn cycle() -> Option<bool> {
    let (mut scores, mut table, mut logits) = ([0u8; 64], [0i16; 256], [0f32; 64]);
    let mut ready = [0u8; 64];
    let settings = Settings {
        shape: shape()?,
        geometry: geometry()?,
        patch: PatchSize::new(any(1), any(1)).ok()?,
        condition: condition(),
        data_id: DataId(any(1)),
        max_age: duration(),
        deadline: duration(),
        max_lost: any(1),
    };
    let (mut other_scores, mut other_table) = ([0u8; 64], [0i16; 256]);
    let first = Memory {
        scores: slice(&mut scores),
        table: slice(&mut table),
    };
    let mut cycle = if any(true) {
        Cycle::new(settings, first.scores, first.table).ok()?
    } else {
        let second = Memory {
            scores: slice(&mut other_scores),
            table: slice(&mut other_table),
        };
        Cycle::redundant(settings, first, second).ok()?
    };
    let mut guard = PictureGuard::new(DataId(any(1)));
    let clock = AnyTime(Cell::new(1));
    let mut certified = false;
    // Twice each, for what the loop remembers.
    for _ in 0..any(2) {
        let header = Header {
            counter: any(1),
            captured: duration(),
        };
        let frame = Frame::seal(DataId(any(1)), header, &*slice(&mut logits));
        certified |= guard.check(&frame).is_ok();
        certified |= KnownAnswer::new(frame.scores())
            .check(frame.scores())
            .is_ok();
        let report = cycle.run(&clock, any(Some(&frame)));
        certified |= report.outcome.is_certified();
        let frame = Frame::seal(DataId(any(1)), header, Binary(slice(&mut ready)));
        let report = cycle.run(&clock, any(Some(&frame)));
        certified |= report.outcome.is_certified();
        let report = cycle.refuse(&clock, any(Reason::Missing));
        certified |= black_box(report.input(any(Some(1)), duration()))
            .primary
            .is_some();
        cycle.reset();
    }
    Some(certified)
}

fn judgement() -> Judgement {
    match any(1) {
        1 => Judgement::Certified { class: any(1) },
        2 => Judgement::NotCertified { class: any(1) },
        _ => Judgement::Fault(any(FaultKind::Frame)),
    }
}

fn fail_safe() -> Option<bool> {
    let limits = Limits {
        classes: any(1),
        max_age: duration(),
        max_lost: any(1),
        good_cycles: NonZeroU8::new(any(1))?,
        strikes: any(1),
        window: any(1),
    };
    let mut fail_safe = FailSafe::new(limits, self_test()).ok()?;
    let mut sender = Sender::new(any(1));
    let mut receiver = Receiver::new(any(1), any(1));
    let mut received = [0u8; 64];
    let mut usable = false;
    for _ in 0..any(2) {
        let output = fail_safe.step(&Input {
            judgement: judgement(),
            primary: any(Some(1)),
            frame: any(Some(Mark {
                counter: any(1),
                age: duration(),
            })),
            deadline: any(Deadline::Met),
            now: duration(),
        });
        let message = any(sender.send(&output));
        usable |= receiver.receive(any(Some(&message))).0.is_usable();
        usable |= receiver.receive(Some(slice(&mut received))).1.is_some();
        usable |= sender.protect(slice(&mut received)).is_ok();
        receiver.restart();
        let output = fail_safe.reset(any(SelfTest::Passed));
        usable |= black_box(output).class.is_some();
    }
    Some(usable)
}
