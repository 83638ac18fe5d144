//! The loop over the built-in frames.

use std::cell::Cell;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use bagcert_firmware_sim::{Clock, Cycle, Frame, Header, Outcome, built_in};

use super::boards;

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
    let mut output = built_in::Output::new().unwrap();
    let clock = Simulated(Cell::new(Duration::ZERO));
    let mut logits = [0.0; built_in::LOGITS];
    let mut answer = |number: u32| {
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
        let report = cycle.run(&clock, Some(&frame));
        let message = output.message(number, &report, clock.now());
        let message: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        match report.outcome {
            Outcome::Certified { class, slack } => {
                format!("{number} certified {class} {slack} {message}")
            }
            Outcome::NotCertified { class, slack } => {
                format!("{number} not-certified {class} {slack} {message}")
            }
            Outcome::Fault { reason } => format!("{number} fault {} 0 {message}", reason.name()),
        }
    };
    (0..frames).map(&mut answer).collect()
}

#[test]
fn the_built_in_frames_are_of_every_kind() {
    let answers = answers(100);
    for (kind, least) in [(" certified", 30), (" not-certified", 20), (" fault", 10)] {
        let count = answers.iter().filter(|line| line.contains(kind)).count();
        assert!(count >= least, "{count}{kind}");
    }
}

/// The log as text; `None` without a decoder, which is said.
fn decoded(board: &boards::Board, log: &[u8]) -> Option<String> {
    let Some(print) = std::env::var_os("BAGCERT_DEFMT_PRINT") else {
        println!("skipped: the log is not decoded (BAGCERT_DEFMT_PRINT names no defmt-print)");
        return None;
    };
    let mut child = Command::new(print)
        .arg("-e")
        .arg(board.elf("bagcert-firmware"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(log).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn the_firmware_answers_as_this_machine_does() {
    for board in boards::built() {
        let output = board.run("bagcert-firmware", &[]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{}: {text}", board.core);
        let found: Vec<&str> = text.lines().collect();
        assert_eq!(found, answers(100), "{}", board.core);
        println!("measured: {}: 100 cycles of the loop as here", board.core);
        assert!(!output.stdout.is_empty());
        if let Some(log) = decoded(board, &output.stdout) {
            assert!(log.lines().count() >= 100, "{log}");
            println!(
                "measured: {}: {} lines of log, the first: {}",
                board.core,
                log.lines().count(),
                log.lines().next().unwrap_or_default()
            );
        }
    }
}
