//! A running target, and the harness that talks to it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bagcert_firmware_sim::wire::{self, Inbox, REPLY_LEN, Reply, Request};

use super::line::harness;

/// The shipped model.
pub(crate) fn model() -> PathBuf {
    root().join("models/cifar10-rf8.onnx")
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Score maps of the sample frames.
pub(crate) fn maps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maps/cifar10-rf8.maps")
}

/// The command that starts a target, on whatever processor.
pub(crate) fn command() -> Command {
    let words = std::env::var("BAGCERT_HIL_TARGET").unwrap_or_default();
    let mut words = words.lines();
    match words.next() {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(words);
            command
        }
        None => Command::new(env!("CARGO_BIN_EXE_bagcert-hil")),
    }
}

/// A target, ended with the test.
pub(crate) struct Target {
    child: Child,
    said: Arc<Mutex<String>>,
    /// As `--port` of the harness takes it.
    pub(crate) port: String,
}

impl Drop for Target {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        // Whatever came over the line, it must not have panicked.
        let said = self.said();
        if !thread::panicking() {
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

impl Target {
    /// On a free TCP port, with the shipped model and a patch of 5x5 pixels.
    pub(crate) fn shipped(arguments: &[&str]) -> Target {
        Target::tcp(&model(), &[&["--patch", "5x5"], arguments].concat())
    }

    pub(crate) fn tcp(model: &Path, arguments: &[&str]) -> Target {
        Target::on("tcp:127.0.0.1:0", model, arguments)
    }

    pub(crate) fn on(port: &str, model: &Path, arguments: &[&str]) -> Target {
        let mut command = command();
        command
            .args(["target", "--port", port, "--model"])
            .arg(model);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let port = first.split("target on ").nth(1);
        let port = port.and_then(|rest| rest.split(": ").next());
        let port = port.unwrap_or_else(|| panic!("{first}")).to_owned();
        let said = Arc::new(Mutex::new(first));
        let into = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                into.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Target { child, said, port }
    }

    /// The processor that it runs on, as it says.
    pub(crate) fn processor(&self) -> String {
        let said = self.said();
        let after = format!("target on {}: ", self.port);
        let rest = said.split(&after).nth(1).unwrap();
        rest.split(',').next().unwrap().to_owned()
    }

    /// All that it has said so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said this.
    #[track_caller]
    pub(crate) fn says(&self, words: &str) {
        let started = Instant::now();
        while !self.said().contains(words) {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "{words:?} is missing in: {}",
                self.said()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: u64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        kib * 1024
    }

    /// Sends the maps of the sample frames.
    pub(crate) fn maps(&self, arguments: &[&str]) -> Output {
        let maps = maps();
        self.harness(&["--maps".as_ref(), maps.as_os_str()], arguments)
    }

    /// Sends the sample frames, for the shipped model.
    pub(crate) fn frames(&self, arguments: &[&str]) -> Output {
        let (model, frames) = (model(), root().join("models/frames"));
        let frames = [
            "--model".as_ref(),
            model.as_ref(),
            "--frames".as_ref(),
            frames.as_ref(),
        ];
        self.harness(&frames, &[&["--patch", "5x5"], arguments].concat())
    }

    pub(crate) fn harness(&self, first: &[&OsStr], arguments: &[&str]) -> Output {
        let mut all = first.to_vec();
        all.extend(["--patience-ms", "20000", "--format", "jsonl"].map(OsStr::new));
        all.extend(arguments.iter().map(OsStr::new));
        harness(&self.port, &all)
    }

    pub(crate) fn connect(&self) -> Connection {
        let stream = TcpStream::connect(self.port.strip_prefix("tcp:").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            stream,
            inbox: Inbox::new([0; REPLY_LEN]),
        }
    }
}

/// A harness that sends whatever a test likes.
pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Inbox<[u8; REPLY_LEN]>,
}

impl Connection {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The next answer; `None` where the target has closed the connection.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        loop {
            let mut byte = [0];
            if self.stream.read(&mut byte).unwrap() == 0 {
                return None;
            }
            if let Some(message) = self.inbox.push(byte[0]) {
                let fields = wire::read(message.unwrap()).unwrap();
                return Some(postcard::from_bytes(fields).unwrap());
            }
        }
    }

    /// Sends a request and gives the answer to it.
    #[track_caller]
    pub(crate) fn ask(&mut self, request: &Request<'_>) -> Reply {
        self.send(&message(request));
        self.reply().expect("closed")
    }
}

/// A request as it goes over the line.
pub(crate) fn message(request: &Request<'_>) -> Vec<u8> {
    let (mut scratch, mut wire) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    wire::write(request, &mut scratch, &mut wire)
        .unwrap()
        .to_vec()
}
