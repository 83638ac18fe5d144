//! The last defence against panics of the libraries that read images, and read and run models.
//!
//! They are large and meet files that anyone may have written. Where they panic, we report an
//! error instead, and nothing is printed: the message goes into the error.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panic hook from printing, on this thread, until dropped.
struct Quiet {
    before: bool,
}

impl Quiet {
    fn new() -> Quiet {
        static HOOK: Once = Once::new();
        // Changing the hook while this very thread unwinds is not allowed.
        if !std::thread::panicking() {
            HOOK.call_once(|| {
                let previous = panic::take_hook();
                panic::set_hook(Box::new(move |info| {
                    if !QUIET.try_with(Cell::get).unwrap_or(false) {
                        previous(info);
                    }
                }));
            });
        }
        Quiet {
            before: QUIET.try_with(|quiet| quiet.replace(true)).unwrap_or(false),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let before = self.before;
        let _ = QUIET.try_with(|quiet| quiet.set(before));
    }
}

/// Runs `work`; a panic inside it becomes `Err` with the panic's message. What `work` changed
/// must not be trusted after an `Err`.
///
/// # Errors
/// What the panic said.
pub fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let quiet = Quiet::new();
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    drop(quiet);
    outcome.map_err(|payload| panic_message(payload.as_ref()).to_owned())
}

/// What a panic said.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let said = payload.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

    use super::contained;

    #[test]
    fn a_panic_becomes_its_message() {
        assert_eq!(contained(|| 3), Ok(3));
        let empty: Vec<u8> = Vec::new();
        let message = contained(|| empty[0]).unwrap_err();
        assert!(message.contains("index out of bounds"), "{message}");
        assert_eq!(
            contained(|| -> u8 { panic!("said {}", "so") }),
            Err("said so".to_string())
        );
    }
}
