//! A run in which all classes have become alike.
//!
//! Equal votes for every class are a margin of 0 on every image, more than a bad start has, and no gradient leads away
//! from there: wide networks with random path weights fell into it at a learning rate that narrower ones stood.

use super::TrainError;

/// A mean loss this near to 0 is one of equal votes.
const NEAR: f64 = 1e-4;
/// How many such epochs in a row are no accident: a loss that falls past 0 is near it in one.
const EPOCHS: usize = 3;

/// Counts the epochs without a margin.
#[derive(Debug, Default)]
pub(super) struct Collapse {
    epochs: usize,
}

impl Collapse {
    /// Takes in the mean loss of `epoch` (from 1), whose only part is the margin.
    ///
    /// # Errors
    /// After the last of so many epochs at 0.
    pub(super) fn note(&mut self, epoch: usize, loss: f64) -> Result<(), TrainError> {
        self.epochs = if loss.abs() < NEAR {
            self.epochs + 1
        } else {
            0
        };
        if self.epochs < EPOCHS {
            return Ok(());
        }
        let before = EPOCHS - 1;
        Err(TrainError::Collapsed { epoch, before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_epochs_at_zero_in_a_row_end_the_run() {
        let mut collapse = Collapse::default();
        let losses = [0.3, 5e-5, -5e-5, -0.01, 0.0, 0.0];
        for (epoch, loss) in losses.into_iter().enumerate() {
            assert!(collapse.note(epoch + 1, loss).is_ok(), "{epoch}");
        }
        let end = collapse.note(7, 9e-5);
        let expected = matches!(
            end,
            Err(TrainError::Collapsed {
                epoch: 7,
                before: 2
            })
        );
        assert!(expected, "{end:?}");
    }
}
