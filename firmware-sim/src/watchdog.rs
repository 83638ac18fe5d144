//! Notices a stage that hangs.

use core::time::Duration;

use crate::outcome::Reason;

/// Signs of life of one stage. It is asked by another one, which a timer calls.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    limit: Duration,
    last: Duration,
}

impl Watchdog {
    /// The stage may be silent for `limit`, from `now` on.
    pub const fn new(limit: Duration, now: Duration) -> Self {
        Self { limit, last: now }
    }

    /// Forgets all signs of life, for a reset: one that was far ahead would hide every hang until then. The stage may be silent from `now` on.
    pub const fn reset(&mut self, now: Duration) {
        self.last = now;
    }

    /// A sign of life. One of the past changes nothing.
    pub fn alive(&mut self, now: Duration) {
        self.last = self.last.max(now);
    }

    /// Whether the stage has been silent for too long.
    ///
    /// # Errors
    /// [`Reason::Hang`], as long as it is.
    pub fn check(&self, now: Duration) -> Result<(), Reason> {
        let silent = now.saturating_sub(self.last);
        if silent > self.limit {
            return Err(Reason::Hang { silent });
        }
        Ok(())
    }
}
