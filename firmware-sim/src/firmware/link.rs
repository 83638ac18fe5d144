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
    use bagcert_firmware_sim::wire::{
        self, Accepted, Answer, Inbox, REPLY_LEN, Refusal, Reply, Session, message_len,
    };
    // Linked, though nothing is logged: the library's log needs a place to go.
    use defmt_semihosting as _;
    use static_cell::ConstStaticCell;

    use crate::{board, jobs};

    /// Bytes of the longest request, with a map of the largest shape.
    const REQUEST_LEN: usize = message_len(16 * 32 * 32 / 8);

    static MEMORY: ConstStaticCell<jobs::Memory> = ConstStaticCell::new(jobs::Memory::NEW);
    static INBOX: ConstStaticCell<[u8; REQUEST_LEN]> = ConstStaticCell::new([0; REQUEST_LEN]);

    #[board::entry]
    fn main() -> ! {
        board::start_counter();
        board::open_line();
        let memory = MEMORY.take();
        let mut inbox = Inbox::new(INBOX.take());
        let mut session = Session::default();
        loop {
            let Some(message) = inbox.push(board::receive()) else {
                continue;
            };
            let start = board::ticks();
            send(&match message {
                Ok(message) => answer(&mut session, memory, message, start),
                Err(reason) => Reply::Refused {
                    number: None,
                    reason,
                },
            });
        }
    }

    fn answer(
        session: &mut Session,
        memory: &mut jobs::Memory,
        message: &mut [u8],
        start: u32,
    ) -> Reply {
        match session.accept(message, |layout| memory.fits(layout)) {
            Ok(Accepted::Begin { number }) => Reply::Ready {
                number,
                ticks_per_second: board::TICKS_PER_SECOND,
            },
            Ok(Accepted::Certify {
                number,
                job,
                layout,
                map,
            }) => match memory.certify(&layout, map, job) {
                Ok(verdict) => Reply::Verdict {
                    number,
                    ticks: board::ticks().wrapping_sub(start),
                    verdict: Answer::new(&verdict),
                },
                Err(fault) => Reply::Refused {
                    number: Some(number),
                    reason: Refusal::from(fault),
                },
            },
            Err((number, reason)) => Reply::Refused { number, reason },
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
