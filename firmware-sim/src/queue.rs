//! The queue between the capture stage and the certifying stage: single producer, single
//! consumer, lock-free, of fixed capacity.

use heapless::spsc::{Consumer, Producer, Queue};

use crate::frame::Frame;

/// Splits a queue of capacity `N - 1` into its two ends.
pub fn stages<P, const N: usize>(
    queue: &mut Queue<Frame<P>, N>,
) -> (Capture<'_, P>, Intake<'_, P>) {
    let (producer, consumer) = queue.split();
    let capture = Capture {
        producer,
        refused: 0,
    };
    let intake = Intake {
        consumer,
        superseded: 0,
    };
    (capture, intake)
}

/// The end of the capture stage, for example in the interrupt that ends a forward pass.
pub struct Capture<'q, P> {
    producer: Producer<'q, Frame<P>>,
    refused: u32,
}

impl<P> Capture<'_, P> {
    /// Queues a frame.
    ///
    /// # Errors
    /// Where the queue is full the frame comes back, and is counted.
    pub fn offer(&mut self, frame: Frame<P>) -> Result<(), Frame<P>> {
        self.producer.enqueue(frame).inspect_err(|_| {
            self.refused = self.refused.saturating_add(1);
        })
    }

    /// Frames handed back so far.
    pub fn refused(&self) -> u32 {
        self.refused
    }
}

/// The end of the certifying stage.
pub struct Intake<'q, P> {
    consumer: Consumer<'q, Frame<P>>,
    superseded: u32,
}

impl<P> Intake<'_, P> {
    /// Empties the queue and gives the frame that was queued last. Those before it are dropped and
    /// counted: a verdict on an older frame would only delay the one that matters.
    pub fn newest(&mut self) -> Option<Frame<P>> {
        let mut newest = self.consumer.dequeue()?;
        // Bounded, however fast the other end fills.
        for _ in 0..self.consumer.capacity() {
            let Some(frame) = self.consumer.dequeue() else {
                break;
            };
            newest = frame;
            self.superseded = self.superseded.saturating_add(1);
        }
        Some(newest)
    }

    /// Frames dropped so far for a newer one.
    pub fn superseded(&self) -> u32 {
        self.superseded
    }
}
