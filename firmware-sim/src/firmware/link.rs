//! The target of a test with the hardware in the loop: certificates for score maps that a host sends
//! over the serial line, in messages of `bagcert_firmware_sim::wire`. Needs no semihosting.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
mod jobs;
#[cfg(target_os = "none")]
mod measure;

#[cfg(target_os = "none")]
mod bare {
    use bagcert_certifier::{Fault, Verdict};
    use bagcert_firmware_sim::packed::{Job, LARGEST, Layout};
    use bagcert_firmware_sim::session::{Session, Target};
    use bagcert_firmware_sim::wire::{self, Inbox, REPLY_LEN, Reply, message_len};
    // Linked, though nothing is logged: the library's log needs a place to go.
    use defmt_semihosting as _;
    use static_cell::ConstStaticCell;

    use crate::{board, jobs};

    /// Bytes of the longest request, with a map of the largest shape.
    const REQUEST_LEN: usize = message_len(LARGEST.classes() * LARGEST.cells() / 8);

    static MEMORY: ConstStaticCell<jobs::Memory> = ConstStaticCell::new(jobs::Memory::NEW);
    static INBOX: ConstStaticCell<[u8; REQUEST_LEN]> = ConstStaticCell::new([0; REQUEST_LEN]);

    #[board::entry]
    fn main() -> ! {
        board::start_counter();
        board::open_line();
        let mut target = Board(MEMORY.take());
        let mut inbox = Inbox::new(INBOX.take());
        let mut session = Session::default();
        loop {
            if let Some(message) = inbox.push(board::receive()) {
                let start = board::ticks();
                send(&session.answer(&mut target, message, start));
            }
        }
    }

    struct Board(&'static mut jobs::Memory);

    impl Target for Board {
        const TICKS_PER_SECOND: u32 = board::TICKS_PER_SECOND;

        fn ticks(&mut self) -> u32 {
            board::ticks()
        }

        fn fits(&self, layout: &Layout) -> bool {
            self.0.fits(layout)
        }

        fn certify(&mut self, layout: &Layout, map: &[u8], job: Job) -> Result<Verdict, Fault> {
            self.0.certify(layout, map, job)
        }
    }

    fn send(reply: &Reply) {
        let (mut scratch, mut line) = ([0; REPLY_LEN], [0; REPLY_LEN]);
        for byte in wire::write(reply, &mut scratch, &mut line).unwrap_or_default() {
            board::send(*byte);
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bagcert-firmware-link runs on bare metal only; see docs/arm.md");
    std::process::exit(2);
}
