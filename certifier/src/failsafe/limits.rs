//! What the fail-safe logic is set to.

use core::fmt;
use core::num::NonZeroU8;
use core::time::Duration;

/// Cycles that the logic can look back on.
const MAX_WINDOW: u8 = 32;
/// Classes that a message can name.
const MAX_CLASSES: usize = u16::MAX as usize;

/// Limits of the fail-safe logic, to be derived from the fault tolerant time interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// Number of classes, from 2 to 65,535.
    pub classes: usize,
    /// The oldest that a frame may be at its step.
    pub max_age: Duration,
    /// The most frames that may be lost between two that are used. Whatever it is, a counter that stands
    /// still, or goes back by less than half of its range, is out of order.
    pub max_lost: u32,
    /// Good cycles in a row that end `Init`, and that heal `Degraded`.
    pub good_cycles: NonZeroU8,
    /// Strikes within the window that lead to `SafeState`: 1 or more, at most the window.
    pub strikes: u8,
    /// Cycles that the strikes are counted over, this one included: from 1 to 32.
    pub window: u8,
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), LimitsError> {
        if self.classes < 2 || self.classes > MAX_CLASSES {
            return Err(LimitsError::Classes {
                classes: self.classes,
            });
        }
        if self.window == 0 || self.window > MAX_WINDOW {
            return Err(LimitsError::Window {
                window: self.window,
            });
        }
        if self.strikes == 0 || self.strikes > self.window {
            return Err(LimitsError::Strikes {
                strikes: self.strikes,
                window: self.window,
            });
        }
        if self.max_age.is_zero() {
            return Err(LimitsError::NoTime);
        }
        Ok(())
    }
}

/// Limits that cannot be kept to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LimitsError {
    /// Fewer than two classes, or more than a message can name.
    Classes {
        /// Number of classes asked for.
        classes: usize,
    },
    /// Faults cannot be counted over so many cycles.
    Window {
        /// Cycles asked for.
        window: u8,
    },
    /// So many strikes never come together within the window, or none is needed.
    Strikes {
        /// Strikes asked for.
        strikes: u8,
        /// Cycles that they are counted over.
        window: u8,
    },
    /// No frame is younger than zero.
    NoTime,
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Classes { classes } => write!(
                f,
                "{classes} classes: there must be from 2 to {MAX_CLASSES} of them"
            ),
            Self::Window { window } => write!(
                f,
                "strikes cannot be counted over {window} cycles, but over 1 to {MAX_WINDOW}"
            ),
            Self::Strikes { strikes, window } => write!(
                f,
                "{strikes} strikes within {window} cycles: at least 1, and at most one a cycle"
            ),
            Self::NoTime => f.write_str("a frame cannot have an age of zero or less"),
        }
    }
}

impl core::error::Error for LimitsError {}
