//! `bagcert-hil` against the firmware on its serial line.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Output, Stdio};

use bagcert_firmware_sim::packed::Job;

use super::boards::{self, Board};
use super::line;
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
    let mut all = vec!["--maps".as_ref(), maps.as_os_str()];
    all.extend(["--patience-ms", "20000", "--format", "jsonl"].map(OsStr::new));
    all.extend(arguments.iter().map(OsStr::new));
    line::harness(&format!("tcp:127.0.0.1:{port}"), &all)
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
                    "--picture",
                    picture.to_str().unwrap(),
                ],
            );
            let events = line::events(&output);
            assert_eq!(events.len(), 20);
            line::all_sound(&events);
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
        let arguments = [line::INJECT.as_slice(), &["--every", "4", "--count", "120"]].concat();
        let output = hil(board, &path, &arguments);
        let seen = line::none_certified(&line::events(&output));
        println!("measured: {}: {seen}", board.core);
    }
}
