//! `bagcert-hil` against the firmware on its serial line.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use bagcert_firmware_sim::packed::Job;

use super::boards::{self, Board};
use super::maps;

/// QEMU, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn hil(board: &Board, maps: &Path, arguments: &[&str]) -> Output {
    // A port that nobody has, for as long as nobody else asks.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let mut qemu = board.qemu("bagcert-firmware-link");
    let serial = format!("tcp:127.0.0.1:{port},server=on,wait=on");
    let qemu = qemu.args(["-serial", &serial]).stdout(Stdio::null());
    let _running = Running(qemu.spawn().expect("qemu-system-arm must be installed"));
    Command::new(env!("CARGO_BIN_EXE_bagcert-hil"))
        .args(["run", "--port", &format!("tcp:127.0.0.1:{port}"), "--maps"])
        .arg(maps)
        .args(["--patience-ms", "20000"])
        .args(arguments)
        .output()
        .unwrap()
}

/// The answers to each message of a run, as JSON lines name them.
fn events(output: &Output) -> Vec<(Option<String>, Vec<String>)> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let event = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let answers = event["answers"].as_array().unwrap();
        let answers = answers
            .iter()
            .map(|answer| answer.as_str().unwrap().to_owned());
        (
            event["injected"].as_str().map(str::to_owned),
            answers.collect(),
        )
    };
    text.lines().map(event).collect()
}

#[test]
fn a_sound_line_gives_every_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maps");
    for board in boards::built() {
        maps::real().write(&path);
        for job in Job::ALL.map(Job::name) {
            let picture = folder.path().join("times.svg");
            let output = hil(
                board,
                &path,
                &[
                    "--job",
                    job,
                    "--count",
                    "20",
                    "--format",
                    "jsonl",
                    "--picture",
                    picture.to_str().unwrap(),
                ],
            );
            let events = events(&output);
            assert_eq!(events.len(), 20);
            for (_, answers) in events {
                assert!(answers == ["certified"] || answers == ["not-certified"]);
            }
            let svg = std::fs::read_to_string(picture).unwrap();
            assert!(svg.contains("p99.9"), "{svg}");
        }
        println!(
            "measured: {}: {} verdicts over the serial line as here",
            board.core,
            20 * Job::ALL.len()
        );
    }
}

#[test]
fn no_damaged_message_is_certified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("maps");
    for board in boards::built() {
        maps::real().write(&path);
        let output = hil(
            board,
            &path,
            &[
                "--inject", "flip", "--inject", "cut", "--inject", "repeat", "--inject", "swap",
                "--inject", "drop", "--every", "4", "--count", "120", "--format", "jsonl",
            ],
        );
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        let (mut verdicts, mut sound) = (0, 0);
        for (injected, answers) in events(&output) {
            let certain = |answer: &String| answer == "certified" || answer == "not-certified";
            let of_verdicts = answers.iter().filter(|answer| certain(answer)).count();
            match injected.as_deref() {
                None => {
                    sound += 1;
                    verdicts += of_verdicts;
                    // After damage one message may be refused; none is answered twice or not at all.
                    assert_eq!(answers.len(), 1, "{answers:?}");
                }
                Some("repeat") => {
                    // Its first copy may follow on nothing: never after damage.
                    assert_eq!(answers.len(), 2, "{answers:?}");
                    assert!(
                        certain(&answers[0]) && answers[1] == "repeated",
                        "{answers:?}"
                    );
                }
                Some("swap") => assert_eq!(answers, ["jump", "backwards"]),
                Some("drop") => assert!(answers.is_empty(), "{answers:?}"),
                Some(_) => {
                    assert_eq!(of_verdicts, 0, "{answers:?}");
                    assert!(
                        answers.iter().all(|answer| answer == "damaged"),
                        "{answers:?}"
                    );
                }
            }
            if let Some(kind) = injected {
                *seen.entry(kind).or_default() += 1;
            }
        }
        assert_eq!(seen.len(), 5, "{seen:?}");
        assert!(seen.values().all(|count| *count >= 4), "{seen:?}");
        assert!(verdicts * 2 > sound, "{verdicts} of {sound}");
        println!(
            "measured: {}: of {sound} sound messages {verdicts} got their verdict, the others were \
             refused after damage; damaged ones: {seen:?}, none certified",
            board.core
        );
    }
}
