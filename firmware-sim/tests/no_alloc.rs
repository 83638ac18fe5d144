//! A cycle allocates nothing: counted by this program's own allocator.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bagcert_certifier::failsafe::{FailSafe, Receiver, Sender, self_test};
use bagcert_firmware_sim::{Frame, PictureGuard, stages};
use heapless::spsc::Queue;
use support::*;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is handed on to the system's allocator; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` above, with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_cycle_allocates_nothing() {
    let mut random = Random(3);
    let mut twin = Twin::new();
    let mut cycle = twin.cycle();
    let mut logic = FailSafe::new(limits(), self_test()).unwrap();
    let (mut sender, mut receiver) = (Sender::new(1), Receiver::new(1, 1));
    let mut guard = PictureGuard::new(ID);
    let clock = TestClock::default();
    let mut queue: Queue<Frame<[f32; LEN]>, 3> = Queue::new();
    let (mut capture, mut intake) = stages(&mut queue);
    let (mut faults, mut answers, mut refused) = (0, 0, 0);
    let before = ALLOCATIONS.with(Cell::get);
    for counter in 0..1000 {
        let mut logits = random.logits();
        if random.one_in(8) {
            logits[0] = f32::NAN;
        }
        let mut frame = sealed(counter, logits);
        if random.one_in(8) {
            frame.payload_mut()[1] += 1.0;
        }
        if !random.one_in(8) {
            drop(capture.offer(frame));
        }
        let frame = intake.newest();
        let report = cycle.run(clock.set(begins(counter), WORK), frame.as_ref());
        faults += u32::from(report.outcome.fault().is_some());
        if let Some(frame) = &frame {
            refused += u32::from(guard.check(frame).is_err());
        }
        let output = logic.step(&report.input(Some(1), begins(counter) + WORK));
        let message = sender.send(&output);
        answers += u32::from(receiver.receive(Some(&message)).1 == Some(output));
    }
    assert_eq!(ALLOCATIONS.with(Cell::get), before);
    assert!(faults > 100 && faults < 900, "{faults}");
    assert!(answers == 1000 && refused > 50, "{answers} {refused}");
    // The counter does count.
    drop(std::hint::black_box(Box::new(0)));
    assert_eq!(ALLOCATIONS.with(Cell::get), before + 1);
}
