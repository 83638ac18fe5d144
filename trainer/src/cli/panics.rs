//! Panics as errors: libtorch's bindings have no other way to say of most calls that they failed, for example for want of
//! memory.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use anyhow::{Result, bail};
use bagcert_images::panic_message;

thread_local! {
    /// Whether this thread's panics end in [`contained`]; those of others would be heard of by nobody else.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
    /// Where libtorch failed last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Does `work`; a panic in it is an error. `advice`: what may help where libtorch failed.
///
/// # Errors
/// Those of `work`; or what a panic said, and where.
pub(super) fn contained<T>(advice: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    note_places();
    let before = CONTAINED.replace(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CONTAINED.set(before);
    let payload = match outcome {
        Ok(done) => return done,
        Err(payload) => payload,
    };
    let said = panic_message(payload.as_ref());
    let Some(reason) = of_libtorch(said) else {
        // The hook has said where.
        bail!("this program failed in itself: {said}; please report it with what stands above");
    };
    let place = PLACE.take().unwrap_or_else(|| "an unknown place".into());
    bail!("libtorch failed: {reason} (called in {place}). {advice}")
}

/// From now on what libtorch says is not printed where it is said, only its place noted. Other panics are bugs, and printed.
fn note_places() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let quiet = CONTAINED.try_with(Cell::get).unwrap_or(false);
            if !quiet || of_libtorch(panic_message(info.payload())).is_none() {
                return previous(info);
            }
            let place = info.location().map(ToString::to_string);
            let _ = PLACE.try_with(|noted| noted.replace(place));
        }));
    });
}

/// The first line of what libtorch reported, where a panic is that a call of it was taken to succeed.
fn of_libtorch(message: &str) -> Option<&str> {
    // As `unwrap` writes it, with `\n` for the end of a line; the other lines say where in its own code it was.
    let (_, report) = message.split_once("Torch(\"")?;
    let end = ["\\n", "\")"].iter().filter_map(|end| report.find(end));
    report.get(..end.min()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor};

    #[test]
    fn what_libtorch_reports_is_an_error_with_its_place() {
        let advice = "Add less.";
        let error = contained(advice, || {
            let zeros = |len| Tensor::zeros([len], (Kind::Float, Device::Cpu));
            Ok(zeros(2) + zeros(3))
        });
        let said = error.map(|_| ()).unwrap_err().to_string();
        for part in ["libtorch failed: The size of tensor a (2)", ".rs:", advice] {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
        assert!(!said.contains("frame"), "{said}");
        // Anything else is a bug, and called so.
        let error = contained(advice, || -> Result<()> { panic!("one {}", "less") });
        let said = error.unwrap_err().to_string();
        assert!(said.contains("in itself: one less"), "{said}");
        assert!(!said.contains("libtorch"), "{said}");
        assert_eq!(contained(advice, || Ok(3)).unwrap(), 3);
    }
}
