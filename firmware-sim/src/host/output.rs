//! The standard output, whose reader may go away.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use anyhow::Context as _;

use super::stop::Stop;

pub(crate) struct Output {
    target: BufWriter<Stdout>,
}

impl Output {
    pub(crate) fn new() -> Output {
        Output {
            target: BufWriter::new(std::io::stdout()),
        }
    }

    pub(crate) fn write(&mut self, text: &str) -> Result<(), Stop> {
        check(self.target.write_all(text.as_bytes()))
    }

    /// Everything must have arrived before the command says that it is done.
    pub(crate) fn finish(mut self) -> Result<(), Stop> {
        check(self.target.flush())
    }
}

fn check(done: std::io::Result<()>) -> Result<(), Stop> {
    match done {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Stop::ReaderGone),
        other => Ok(other.context("the results could not be written to the standard output")?),
    }
}
