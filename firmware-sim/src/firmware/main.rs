//! The loop as a firmware, over the built-in frames.
//!
//! Each answer goes to the host's standard error as a line `NUMBER ANSWER CLASS SLACK MESSAGE`, over
//! semihosting, where MESSAGE is what the fail-safe logic sends, protected end to end, in hexadecimal
//! digits; the defmt log goes to the standard output. Each certificate is worked out twice, in two
//! memories. Time is simulated.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board;

#[cfg(target_os = "none")]
mod bare {
    use core::cell::Cell;
    use core::fmt;
    use core::time::Duration;

    use bagcert_certifier::Shape;
    use bagcert_firmware_sim::{Clock, Cycle, Frame, Header, Memory, Outcome, built_in, stages};
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

    type Scores = [u8; SHAPE.score_len()];
    type Table = [i16; SHAPE.table_len()];

    static SCORES: ConstStaticCell<[Scores; 2]> = ConstStaticCell::new([[0; SHAPE.score_len()]; 2]);
    static TABLES: ConstStaticCell<[Table; 2]> = ConstStaticCell::new([[0; SHAPE.table_len()]; 2]);
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
        let [first, second] = SCORES.take();
        let [first_table, second_table] = TABLES.take();
        let memory =
            |scores: &'static mut Scores, table: &'static mut Table| Memory { scores, table };
        let mut slot: Slot = LOGITS.take();
        let queue = QUEUE.init(Queue::new());
        let (mut capture, mut intake) = stages(queue);
        let settings = built_in::settings().ok()?;
        let (first, second) = (memory(first, first_table), memory(second, second_table));
        let mut cycle = Cycle::redundant(settings, first, second).ok()?;
        let mut output = built_in::Output::new().ok()?;
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
            let message = Hexadecimal(output.message(number, &report, clock.now()));
            match report.outcome {
                Outcome::Certified { class, slack } => {
                    eprintln!("{number} certified {class} {slack} {message}");
                }
                Outcome::NotCertified { class, slack } => {
                    eprintln!("{number} not-certified {class} {slack} {message}");
                }
                Outcome::Fault { reason } => {
                    eprintln!("{number} fault {} 0 {message}", reason.name());
                }
            }
            slot = frame.into_payload();
            clock.0.set(captured + Duration::from_millis(33));
        }
        Some(())
    }

    struct Hexadecimal<const N: usize>([u8; N]);

    impl<const N: usize> fmt::Display for Hexadecimal<N> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
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
