//! A run in which all classes have become alike.
//!
//! Equal votes for every class are a margin of 0 on every image, more than a bad start has, and no gradient leads away
//! from there. A network of width 512 with random path weights had that margin after ten epochs, and kept it.

use super::{EpochLog, TrainError};

/// Classes whose mean scores are no further apart than this, over a batch, are alike.
const NEAR: f64 = 1e-3;
/// How many such epochs in a row are no accident.
const EPOCHS: usize = 3;

/// Counts the epochs in which all classes were alike.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    epochs: usize,
}

impl Collapse {
    /// As the lines of a run's log leave it; `taught` says which epochs (from 0) had teachers, who lead a network
    /// out of it again.
    pub(super) fn of(log: &str, taught: impl Fn(usize) -> bool) -> Self {
        let mut collapse = Self::default();
        for line in log.lines() {
            if let Ok(entry) = serde_json::from_str::<EpochLog>(line) {
                collapse.note(entry.spread, taught(entry.epoch.saturating_sub(1)));
            }
        }
        collapse
    }

    /// Takes in an epoch.
    pub(super) fn note(&mut self, spread: Option<f64>, taught: bool) {
        let alike = !taught && spread.is_some_and(|spread| spread < NEAR);
        self.epochs = if alike { self.epochs + 1 } else { 0 };
    }

    /// # Errors
    /// Where the epochs up to `epoch` (from 1) were too many.
    pub(super) fn check(&self, epoch: usize) -> Result<(), TrainError> {
        if self.epochs < EPOCHS {
            return Ok(());
        }
        let before = self.epochs - 1;
        Err(TrainError::Collapsed { epoch, before })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn three_untaught_epochs_in_a_row_end_the_run() {
        let mut collapse = Collapse::default();
        let alike = Some(5e-4);
        let epochs = [
            (alike, false),
            (alike, false),
            (Some(0.01), false),
            (alike, false),
            (alike, true),
            (alike, false),
            (alike, false),
            (None, false),
            (Some(0.0), false),
            (Some(0.0), false),
        ];
        for (epoch, (spread, taught)) in epochs.into_iter().enumerate() {
            collapse.note(spread, taught);
            assert!(collapse.check(epoch + 1).is_ok(), "{epoch}");
        }
        collapse.note(alike, false);
        let end = collapse.check(11);
        let expected = matches!(
            end,
            Err(TrainError::Collapsed {
                epoch: 11,
                before: 2
            })
        );
        assert!(expected, "{end:?}");
    }

    #[test]
    fn a_resumed_run_goes_on_counting() {
        let log = |spreads: &[f64]| -> String {
            let lines = spreads.iter().enumerate().map(|(at, spread)| {
                format!(
                    "{{\"epoch\":{},\"loss\":0.0,\"learning_rate\":0.1,\"images_per_second\":1.0,\"spread\":{spread},\"validation\":null}}\n",
                    at + 1
                )
            });
            lines.collect()
        };
        let none = |_| false;
        assert_eq!(Collapse::of(&log(&[0.2, 0.0, 0.0]), none).epochs, 2);
        assert_eq!(Collapse::of(&log(&[0.0, 0.0, 0.2]), none).epochs, 0);
        assert_eq!(Collapse::of(&log(&[0.0, 0.0, 0.0]), |at| at < 2).epochs, 1);
        assert_eq!(Collapse::of("", none).epochs, 0);
    }
}
