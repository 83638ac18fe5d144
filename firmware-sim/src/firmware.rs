//! The loop as a firmware for Cortex-M4F (the board mps2-an386), over the built-in frames.
//!
//! Each answer goes to the host's standard error as a line `NUMBER ANSWER CLASS SLACK`, over
//! semihosting; the defmt log goes to its standard output. Time is simulated.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod bare {
    use core::cell::Cell;
    use core::time::Duration;

    use bagcert_certifier::Shape;
    use bagcert_firmware_sim::{Clock, Cycle, Frame, Header, Outcome, built_in, stages};
    use cortex_m::singleton;
    use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
    use cortex_m_semihosting::heprintln;
    use defmt_semihosting as _;
    use heapless::spsc::Queue;

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

    #[cortex_m_rt::entry]
    fn main() -> ! {
        debug::exit(match run() {
            Some(()) => EXIT_SUCCESS,
            None => EXIT_FAILURE,
        });
        loop {
            cortex_m::asm::wfi();
        }
    }

    fn run() -> Option<()> {
        let scores = singleton!(: [u8; SHAPE.score_len()] = [0; SHAPE.score_len()])?;
        let table = singleton!(: [i16; SHAPE.table_len()] = [0; SHAPE.table_len()])?;
        let mut slot: Slot = singleton!(: [f32; built_in::LOGITS] = [0.0; built_in::LOGITS])?;
        let queue = singleton!(: Queue<Frame<Slot>, 2> = Queue::new())?;
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
                    heprintln!("{} certified {} {}", number, class, slack);
                }
                Outcome::NotCertified { class, slack } => {
                    heprintln!("{} not-certified {} {}", number, class, slack);
                }
                Outcome::Fault { reason } => heprintln!("{} fault {} 0", number, reason.name()),
            }
            slot = frame.into_payload();
            clock.0.set(captured + Duration::from_millis(33));
        }
        Some(())
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {
            debug::exit(EXIT_FAILURE);
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bagcert-firmware runs on bare metal only; build it for thumbv7em-none-eabihf");
    std::process::exit(2);
}
