//! The firmware in QEMU against the same library here: every answer must be the same.
//!
//! Needs `qemu-system-arm` and the firmware's ELF file, named by BAGCERT_FIRMWARE (see
//! docs/firmware-sim.md); without the latter nothing is compared, and that is said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::cell::Cell;
use std::process::{Command, Stdio};
use std::time::Duration;

use bagcert_firmware_sim::{Clock, Cycle, Frame, Header, Outcome, built_in};

struct Simulated(Cell<Duration>);

impl Clock for Simulated {
    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// The answers of this machine, as the firmware writes them.
fn answers(frames: u32) -> Vec<String> {
    let settings = built_in::settings().unwrap();
    let mut scores = vec![0; settings.shape.score_len()];
    let mut table = vec![0; settings.shape.table_len()];
    let mut cycle = Cycle::new(settings, &mut scores, &mut table).unwrap();
    let clock = Simulated(Cell::new(Duration::ZERO));
    let mut logits = [0.0; built_in::LOGITS];
    let answer = |number: u32| {
        built_in::fill(number, &mut logits);
        let captured = Duration::from_millis(33) * number;
        let header = Header {
            counter: number,
            captured,
        };
        let mut frame = Frame::seal(settings.data_id, header, logits);
        if number % 10 == 9 {
            frame.payload_mut()[0] *= -1.0;
        }
        clock.0.set(captured + Duration::from_millis(10));
        match cycle.run(&clock, Some(&frame)).outcome {
            Outcome::Certified { class, slack } => format!("{number} certified {class} {slack}"),
            Outcome::NotCertified { class, slack } => {
                format!("{number} not-certified {class} {slack}")
            }
            Outcome::Fault { reason } => format!("{number} fault {} 0", reason.name()),
        }
    };
    (0..frames).map(answer).collect()
}

#[test]
fn the_built_in_frames_are_of_every_kind() {
    let answers = answers(100);
    for (kind, least) in [(" certified", 30), (" not-certified", 20), (" fault", 10)] {
        let count = answers.iter().filter(|line| line.contains(kind)).count();
        assert!(count >= least, "{count}{kind}");
    }
}

#[test]
fn the_firmware_answers_as_this_machine_does() {
    let Some(firmware) = std::env::var_os("BAGCERT_FIRMWARE") else {
        println!("skipped: BAGCERT_FIRMWARE does not name the firmware's ELF file");
        return;
    };
    let output = Command::new("qemu-system-arm")
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(firmware)
        .stdin(Stdio::null())
        .output()
        .expect("qemu-system-arm must be installed");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    let found: Vec<&str> = text.lines().collect();
    assert_eq!(found, answers(100));
    // The log went where it should.
    assert!(!output.stdout.is_empty());
}
