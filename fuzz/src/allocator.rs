//! A limit on memory, to the byte. libFuzzer's own looks once a second only.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// All inputs are small; nothing that reads one may hold more than this at any time.
const LIMIT: usize = 512 << 20;

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Limited;

#[global_allocator]
static ALLOCATOR: Limited = Limited;

// SAFETY: passes every call on to the system's allocator unchanged, or ends the process.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise is ours.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is ours.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        take(size);
        // SAFETY: the caller's promise is ours.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

fn take(size: usize) {
    let held = HELD.fetch_add(size, Ordering::Relaxed).saturating_add(size);
    if held > LIMIT {
        // Nothing that allocates may be done here.
        std::process::abort();
    }
}
