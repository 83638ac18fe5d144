//! Whether a frame is new: its counter and its time of capture against those before.

use core::time::Duration;

use crate::frame::Header;
use crate::outcome::Reason;

/// Steps of the wrapping counter that count as forward: half of its range.
const FORWARD: u32 = u32::MAX / 2;

/// The last counter and the latest time of capture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    last: Option<Header>,
    max_lost: u32,
}

impl Sequence {
    pub(crate) const fn new(max_lost: u32) -> Self {
        Self {
            last: None,
            max_lost,
        }
    }

    /// Judges a frame whose seal fits; gives the number of frames lost before it.
    ///
    /// The counter is taken over also from a frame that is refused, so that a restarted camera
    /// costs one cycle and not all of them. The time of capture never goes back, so that no replay
    /// gains from that.
    pub(crate) fn admit(&mut self, header: Header, now: Duration) -> Result<u32, Reason> {
        let Header { counter, captured } = header;
        if captured > now {
            // Nothing is taken over: a time in the future would lock out every frame until then.
            return Err(Reason::FromTheFuture { captured, now });
        }
        let Some(last) = self.last.replace(header) else {
            return Ok(0);
        };
        self.last = Some(Header {
            counter,
            captured: captured.max(last.captured),
        });
        let step = counter.wrapping_sub(last.counter);
        if step == 0 {
            return Err(Reason::Repeated { counter });
        }
        if step > FORWARD {
            return Err(Reason::Backwards {
                counter,
                last: last.counter,
            });
        }
        if captured <= last.captured {
            return Err(Reason::NotNewer {
                captured,
                last: last.captured,
            });
        }
        let lost = step.saturating_sub(1);
        if lost > self.max_lost {
            return Err(Reason::Jump { lost });
        }
        Ok(lost)
    }
}
