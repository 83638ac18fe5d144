//! The boards, as QEMU has them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// One instruction takes this many nanoseconds of QEMU's time (`-icount shift=8`), so that the boards'
/// counters, some six ticks an instruction, count them exactly.
const NANOSECONDS: f64 = 256.0;
/// No run takes this long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Board {
    pub(crate) name: &'static str,
    pub(crate) core: &'static str,
    target: &'static str,
    machine: &'static [&'static str],
}

const ALL: [Board; 4] = [
    Board {
        name: "m4f",
        core: "Cortex-M4F",
        target: "thumbv7em-none-eabihf",
        machine: &["-M", "mps2-an386"],
    },
    Board {
        name: "m7",
        core: "Cortex-M7",
        target: "thumbv7em-none-eabihf",
        machine: &["-M", "mps2-an500"],
    },
    Board {
        name: "m55",
        core: "Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        machine: &["-M", "mps3-an547"],
    },
    Board {
        name: "r5f",
        core: "Cortex-R5F",
        target: "armv7r-none-eabihf",
        machine: &["-M", "versatileab", "-cpu", "cortex-r5f"],
    },
];

/// The boards whose firmware is built. Says so where there is none.
pub(crate) fn built() -> Vec<&'static Board> {
    let (Some(_), Ok(names)) = (
        std::env::var_os("BAGCERT_ARM"),
        std::env::var("BAGCERT_ARM_BOARDS"),
    ) else {
        println!("skipped: no firmware; `cargo xtask arm` builds it and runs this test");
        return Vec::new();
    };
    let names: Vec<&str> = names.split(',').collect();
    let boards: Vec<_> = ALL.iter().filter(|b| names.contains(&b.name)).collect();
    assert_eq!(boards.len(), names.len(), "{names:?}");
    boards
}

impl Board {
    pub(crate) fn elf(&self, program: &str) -> PathBuf {
        let builds = PathBuf::from(std::env::var_os("BAGCERT_ARM").unwrap());
        builds.join(self.target).join("firmware").join(program)
    }

    pub(crate) fn is_thumb(&self) -> bool {
        self.target.starts_with("thumb")
    }

    /// QEMU with a program, without arguments for it.
    pub(crate) fn qemu(&self, program: &str) -> Command {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(self.machine)
            .args(["-display", "none", "-monitor", "none", "-icount", "shift=8"])
            // One of the boards has a sound card.
            .env("QEMU_AUDIO_DRV", "none")
            .arg("-kernel")
            .arg(self.elf(program))
            .stdin(Stdio::null());
        qemu
    }

    /// Runs a program that ends by itself, with arguments over semihosting.
    pub(crate) fn run(&self, program: &str, arguments: &[&Path]) -> Output {
        let mut semihosting = format!("enable=on,target=native,arg={program}");
        for argument in arguments {
            let argument = argument.to_str().unwrap();
            assert!(!argument.contains([',', ' ']), "{argument}");
            semihosting += &format!(",arg={argument}");
        }
        let folder = tempfile::tempdir().unwrap();
        let (out, err) = (folder.path().join("out"), folder.path().join("err"));
        let mut child = self
            .qemu(program)
            .args(["-serial", "none", "-semihosting-config", &semihosting])
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .expect("qemu-system-arm must be installed");
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{program} on {} did not end", self.core);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Output {
            status,
            stdout: fs::read(out).unwrap(),
            stderr: without_modules(&fs::read(err).unwrap()),
        }
    }
}

/// What the program said, without what some packages of QEMU say of modules for sound that they leave out, whatever
/// sound is asked for.
fn without_modules(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let kept = lines.filter(|line| !line.starts_with(b"qemu: module "));
    kept.flatten().copied().collect()
}

/// Instructions in a difference of ticks.
pub(crate) fn instructions(ticks: u64, per_second: u64) -> u64 {
    let nanoseconds = ticks as f64 * 1e9 / per_second as f64;
    (nanoseconds / NANOSECONDS).round() as u64
}
