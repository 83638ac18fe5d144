//! What a call takes: ticks of the board's counter, bytes of stack.
#![allow(dead_code, reason = "each program uses a part")]

use core::arch::asm;
use core::sync::atomic::{Ordering, compiler_fence};

use crate::board::ticks;

/// Bytes of stack that are painted. A call that takes all of them has taken more than is known.
pub(crate) const PAINTED: usize = 12 * 1024;
const PAINT: u32 = 0xA5C3_5A3C;
/// More than the frame of [`paint`] has.
const FRAME: usize = 64;
const WORD: usize = size_of::<u32>();

/// What a call has taken.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    /// Ticks, those for reading the counter included (see [`nothing`]).
    pub(crate) ticks: u32,
    /// Bytes of stack below the caller's frame: the callee's frame and all below it.
    pub(crate) stack: u32,
}

/// Runs `call`, which should be the call of one function that is never inlined.
#[inline(never)]
pub(crate) fn of<T>(call: impl FnOnce() -> T) -> (T, Taken) {
    let base = stack_pointer();
    paint(base);
    compiler_fence(Ordering::SeqCst);
    let start = ticks();
    compiler_fence(Ordering::SeqCst);
    let value = call();
    compiler_fence(Ordering::SeqCst);
    let end = ticks();
    compiler_fence(Ordering::SeqCst);
    let taken = Taken {
        ticks: end.wrapping_sub(start),
        stack: deepest(base),
    };
    (value, taken)
}

/// Ticks of the fewest instructions between two readings.
#[inline(never)]
pub(crate) fn nothing() -> u32 {
    let start = ticks();
    compiler_fence(Ordering::SeqCst);
    ticks().wrapping_sub(start)
}

/// The same with a thousand instructions more, to check what a tick is.
#[inline(never)]
#[allow(unsafe_code)]
pub(crate) fn thousand() -> u32 {
    let start = ticks();
    compiler_fence(Ordering::SeqCst);
    // SAFETY: a thousand `nop`.
    unsafe {
        asm!(
            ".rept 1000",
            "nop",
            ".endr",
            options(nomem, nostack, preserves_flags)
        );
    }
    compiler_fence(Ordering::SeqCst);
    ticks().wrapping_sub(start)
}

#[inline(always)]
#[allow(unsafe_code)]
fn stack_pointer() -> usize {
    let pointer: usize;
    // SAFETY: copies a register.
    unsafe { asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Writes over the stack below this function's own frame, as far down as is painted under `base`.
///
/// The first words below the frame are left out, and count as taken: the compiler may read the stack
/// pointer before it has saved its registers.
#[inline(never)]
#[allow(unsafe_code)]
fn paint(base: usize) {
    let end = base.saturating_sub(PAINTED);
    let mut at = stack_pointer().saturating_sub(FRAME);
    while at > end {
        at = at.saturating_sub(WORD);
        let word: *mut u32 = core::ptr::with_exposed_provenance_mut(at);
        // SAFETY: `at` is aligned, for the stack pointer is, and lies below it, where nothing lives: no
        // interrupt is on, and this loop calls nothing. All boards have more stack than is painted.
        unsafe { word.write_volatile(PAINT) };
    }
}

/// Bytes from `base` down to the deepest word that is not as [`paint`] has left it.
#[inline(never)]
#[allow(unsafe_code)]
fn deepest(base: usize) -> u32 {
    let mut at = base.saturating_sub(PAINTED);
    while at < base {
        let word: *const u32 = core::ptr::with_exposed_provenance(at);
        // SAFETY: aligned, and inside the stack's memory, whose words may hold anything.
        if unsafe { word.read_volatile() } != PAINT {
            break;
        }
        at = at.saturating_add(WORD);
    }
    u32::try_from(base.saturating_sub(at)).unwrap_or(u32::MAX)
}
