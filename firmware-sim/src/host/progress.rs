//! How far a run is, for whoever waits for it.

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

/// A progress bar on the standard error where that is a terminal, else nothing at all. `what` is counted.
/// Gone when it is dropped, however the run ends.
pub(crate) fn bar(len: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(len).with_finish(ProgressFinish::AndClear);
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{per_sec}}, {{eta}} left");
    match ProgressStyle::with_template(&template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
