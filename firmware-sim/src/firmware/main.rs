//! The loop as a firmware, over the built-in frames.
//!
//! Each answer goes to the host's standard error as a line `NUMBER ANSWER CLASS SLACK`, over
//! semihosting; the defmt log goes to its standard output. Time is simulated.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board;

#[cfg(target_os = "none")]
mod bare {
    use core::cell::Cell;
    use core::time::Duration;

    use bagcert_certifier::Shape;
    use bagcert_firmware_sim::{Clock, Cycle, Frame, Header, Outcome, built_in, stages};
    use defmt_semihosting as _;
    use heapless::spsc::Queue;
    use semihosting::{eprintln, process};
    use static_cell::{ConstStaticCell, StaticCell};

    use crate::board;

    /// Frames that are certified.
    const FRAMES: u32 = 100;
    /// One is damaged on the way every so often.
    const DAMAGED: u32 = 10;

    const SHAPE: Shape = match built_in::SHAPE {
        Ok(shape) => shape,
        // Only at compile time.
        Err(_) => unreachable!(),
    };

    type Slot = &'static mut [f32; built_in::LOGITS];

    struct Simulated(Cell<Duration>);

    impl Clock for Simulated {
        fn now(&self) -> Duration {
            self.0.get()
        }
    }

    static SCORES: ConstStaticCell<[u8; SHAPE.score_len()]> =
        ConstStaticCell::new([0; SHAPE.score_len()]);
    static TABLE: ConstStaticCell<[i16; SHAPE.table_len()]> =
        ConstStaticCell::new([0; SHAPE.table_len()]);
    static LOGITS: ConstStaticCell<[f32; built_in::LOGITS]> =
        ConstStaticCell::new([0.0; built_in::LOGITS]);
    static QUEUE: StaticCell<Queue<Frame<Slot>, 2>> = StaticCell::new();

    #[board::entry]
    fn main() -> ! {
        process::exit(match run() {
            Some(()) => 0,
            None => 1,
        })
    }

    fn run() -> Option<()> {
        let (scores, table) = (SCORES.take(), TABLE.take());
        let mut slot: Slot = LOGITS.take();
        let queue = QUEUE.init(Queue::new());
        let (mut capture, mut intake) = stages(queue);
        let settings = built_in::settings().ok()?;
        let mut cycle = Cycle::new(settings, scores, table).ok()?;
        let clock = Simulated(Cell::new(Duration::ZERO));
        for number in 0..FRAMES {
            let captured = clock.now();
            built_in::fill(number, slot);
            let header = Header {
                counter: number,
                captured,
            };
            let mut frame = Frame::seal(settings.data_id, header, slot);
            if number % DAMAGED == DAMAGED - 1
                && let Some(logit) = frame.payload_mut().first_mut()
            {
                *logit = -*logit;
            }
            capture.offer(frame).ok()?;
            clock.0.set(captured + Duration::from_millis(10));
            let frame = intake.newest()?;
            let report = cycle.run(&clock, Some(&frame));
            match report.outcome {
                Outcome::Certified { class, slack } => {
                    eprintln!("{} certified {} {}", number, class, slack);
                }
                Outcome::NotCertified { class, slack } => {
                    eprintln!("{} not-certified {} {}", number, class, slack);
                }
                Outcome::Fault { reason } => eprintln!("{} fault {} 0", number, reason.name()),
            }
            slot = frame.into_payload();
            clock.0.set(captured + Duration::from_millis(33));
        }
        Some(())
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        process::exit(101)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bagcert-firmware runs on bare metal only; see docs/arm.md");
    std::process::exit(2);
}
