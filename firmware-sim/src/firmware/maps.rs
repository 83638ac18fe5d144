//! Certificates for score maps in a file of the host's, over semihosting; its name and that of the
//! file for the answers are the arguments.
//!
//! Answers are lines. The first says of the counter `ticks-per-second N nothing N thousand N`; then
//! for each map and step `NUMBER STEP TICKS STACK VERDICT`, in bytes of stack, where the step `unpack`
//! has no verdict and a fault is `fault`. What is wrong with the file is said on the standard error.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
mod jobs;
#[cfg(target_os = "none")]
mod measure;

#[cfg(target_os = "none")]
mod bare {
    use core::ffi::CStr;
    use core::fmt::{self, Write as _};

    use bagcert_firmware_sim::packed::{self, Job, Layout};
    use defmt_semihosting as _;
    use semihosting::experimental::env;
    use semihosting::fs::File;
    use semihosting::io::{Read as _, Write as _};
    use semihosting::{eprintln, process};
    use static_cell::ConstStaticCell;

    use crate::{board, jobs, measure};

    /// Bytes of the longest record: that of the largest maps.
    const RECORD: usize = 16 * 32 * 32 / 8 + packed::CHECKSUM_LEN;
    /// Bytes of the longest lines of one map.
    const LINES: usize = 1024;

    static MEMORY: ConstStaticCell<jobs::Memory> = ConstStaticCell::new(jobs::Memory::NEW);
    static RECORDS: ConstStaticCell<[u8; RECORD]> = ConstStaticCell::new([0; RECORD]);

    #[board::entry]
    fn main() -> ! {
        board::start_counter();
        process::exit(match run() {
            Ok(maps) => {
                defmt::info!("{} maps certified", maps);
                0
            }
            Err(reason) => {
                eprintln!("{}", reason);
                1
            }
        })
    }

    fn run() -> Result<u32, &'static str> {
        let usage = "the arguments are a file of maps and a file for the answers";
        let arguments = env::args::<512>().map_err(|_| usage)?;
        let mut arguments = (&arguments).into_iter().skip(1).map(Result::ok);
        let [Some(Some(input)), Some(Some(output))] = [arguments.next(), arguments.next()] else {
            return Err(usage);
        };
        let mut input = open(input, |name| File::open(name))?;
        let mut output = open(output, |name| File::create(name))?;

        let mut layout = [0; Layout::LEN];
        input
            .read_exact(&mut layout)
            .map_err(|_| "the file of maps has no layout")?;
        let layout = Layout::from_bytes(&layout).map_err(|_| "the file of maps has no layout")?;
        let memory = MEMORY.take();
        if !memory.fits(&layout) {
            return Err("there is not enough memory for maps of this shape");
        }
        let record = RECORDS
            .take()
            .get_mut(..layout.record_len())
            .ok_or("there is not enough memory for maps of this shape")?;

        let mut lines = Lines(heapless::String::new());
        let _ = writeln!(
            lines,
            "ticks-per-second {} nothing {} thousand {}",
            board::TICKS_PER_SECOND,
            measure::nothing(),
            measure::thousand()
        );
        lines.flush(&mut output)?;
        for number in 0.. {
            match input.read(record) {
                Ok(0) => return Ok(number),
                Ok(read) => {
                    let rest = record.get_mut(read..).unwrap_or_default();
                    input.read_exact(rest).map_err(|_| "a map was cut short")?;
                }
                Err(_) => return Err("the file of maps could not be read"),
            }
            let map = packed::checked(record).ok_or("a map is damaged")?;
            let tell = |job: Option<Job>, verdict, taken: measure::Taken| {
                let name = job.map_or("unpack", Job::name);
                let _ = write!(lines, "{number} {name} {} {}", taken.ticks, taken.stack);
                if let Some(verdict) = verdict {
                    let _ = lines.write_char(' ');
                    let _ = match verdict {
                        Ok(verdict) => packed::write_verdict(&mut lines, &verdict),
                        Err(_) => lines.write_str("fault"),
                    };
                }
                let _ = lines.write_char('\n');
            };
            memory
                .each(&layout, map, &Job::ALL, tell)
                .map_err(|_| "a map is of another shape than the layout")?;
            lines.flush(&mut output)?;
        }
        Err("there are more maps than 32 bits can count")
    }

    fn open(
        name: &str,
        how: impl FnOnce(&CStr) -> semihosting::io::Result<File>,
    ) -> Result<File, &'static str> {
        let mut terminated = [0; 256];
        let room = terminated
            .get_mut(..name.len())
            .ok_or("the name of a file is too long")?;
        room.copy_from_slice(name.as_bytes());
        let name = CStr::from_bytes_until_nul(&terminated)
            .map_err(|_| "the name of a file is too long")?;
        how(name).map_err(|_| "a file could not be opened")
    }

    /// Text for the answers.
    struct Lines(heapless::String<LINES>);

    impl Lines {
        fn flush(&mut self, file: &mut File) -> Result<(), &'static str> {
            if self.0.len() == self.0.capacity() {
                return Err("an answer is too long");
            }
            file.write_all(self.0.as_bytes())
                .map_err(|_| "the answers could not be written")?;
            self.0.clear();
            Ok(())
        }
    }

    impl fmt::Write for Lines {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(text).map_err(|_| fmt::Error)
        }
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        process::exit(101)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bagcert-firmware-maps runs on bare metal only; see docs/arm.md");
    std::process::exit(2);
}
