//! The line to the target, and messages on it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bagcert_firmware_sim::wire::{self, DELIMITER, Inbox, REPLY_LEN, Reply};
use serde::Serialize;

/// How long one reading waits; the caller's patience is longer.
const POLL: Duration = Duration::from_millis(20);
/// How long a target may take to start.
const STARTING: Duration = Duration::from_secs(10);

/// Bytes in and out.
pub(crate) trait Line: Read + Write {}
impl<T: Read + Write> Line for T {}

/// An open line.
pub(crate) struct Port {
    line: Box<dyn Line>,
    serial: bool,
    inbox: Inbox<[u8; REPLY_LEN]>,
    /// Bytes that were read beyond the last message.
    unread: Vec<u8>,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Received {
    Reply(Reply),
    /// Bytes that are no reply.
    Damaged,
    /// Nothing, for as long as was waited.
    Nothing,
}

impl Port {
    /// Opens `tcp:HOST:PORT` or a serial port.
    pub(crate) fn open(name: &str, baud: u32) -> Result<Port> {
        let line: Box<dyn Line> = if let Some(address) = name.strip_prefix("tcp:") {
            let stream = connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(POLL))?;
            Box::new(stream)
        } else {
            Box::new(serial(name, baud)?)
        };
        Ok(Port {
            line,
            serial: !name.starts_with("tcp:"),
            inbox: Inbox::new([0; REPLY_LEN]),
            unread: Vec::new(),
        })
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.line
            .write_all(bytes)
            .and_then(|()| self.line.flush())
            .context("the target's line is closed")
    }

    /// The next message, or what came in its place.
    pub(crate) fn receive(&mut self, patience: Duration) -> Result<Received> {
        let started = Instant::now();
        loop {
            let mut taken = 0;
            let mut message = None;
            for byte in &self.unread {
                taken += 1;
                if let Some(found) = self.inbox.push(*byte) {
                    message = Some(reply(found.ok()));
                    break;
                }
            }
            self.unread.drain(..taken);
            if let Some(message) = message {
                return Ok(message);
            }
            if started.elapsed() >= patience {
                return Ok(Received::Nothing);
            }
            let mut buffer = [0; 256];
            match self.line.read(&mut buffer) {
                // A serial port says so where nothing has come for a while.
                Ok(0) if self.serial => {}
                Ok(0) => bail!("the target's line was closed"),
                Ok(read) => self.unread.extend(buffer.iter().take(read)),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::TimedOut | ErrorKind::WouldBlock | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error).context("the target's line failed"),
            }
        }
    }
}

/// Connects to a target that may still be starting.
fn connect(address: &str) -> Result<TcpStream> {
    let started = Instant::now();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && started.elapsed() < STARTING =>
            {
                std::thread::sleep(POLL);
            }
            Err(error) => {
                return Err(error).with_context(|| format!("could not connect to {address}"));
            }
        }
    }
}

/// A serial port: raw bytes, no echo, and a reading that waits a tenth of a second at most.
///
/// `stty` sets it, which every system with such ports has; the standard library has no call for it.
pub(crate) fn serial(name: &str, baud: u32) -> Result<File> {
    let set = Command::new("stty")
        .args(["-F", name, &baud.to_string()])
        .args(["raw", "-echo", "-crtscts", "min", "0", "time", "1"])
        .output()
        .context("could not start stty, which sets up a serial port")?;
    if !set.status.success() {
        let reason = String::from_utf8_lossy(&set.stderr);
        bail!("could not set up the serial port {name}: {}", reason.trim());
    }
    let mut options = OpenOptions::new();
    let port = options.read(true).write(true).open(name);
    port.with_context(|| format!("could not open the serial port {name}"))
}

fn reply(message: Option<&mut [u8]>) -> Received {
    let reply = message.and_then(|message| {
        let fields = wire::read(message)?;
        postcard::from_bytes(fields).ok()
    });
    reply.map_or(Received::Damaged, Received::Reply)
}

/// A message as it goes over the line.
pub(crate) fn message(message: &impl Serialize, payload: usize) -> Result<Vec<u8>> {
    let len = wire::message_len(payload);
    let (mut scratch, mut line) = (vec![0; len], vec![0; len]);
    let written = wire::write(message, &mut scratch, &mut line).context("a message is too long")?;
    debug_assert_eq!(written.last(), Some(&DELIMITER));
    Ok(written.to_vec())
}
