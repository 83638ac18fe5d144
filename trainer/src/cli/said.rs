//! What the program says: a stream that nobody reads any more, or on a full disk, stops no work.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};

/// Says `line` on the standard error, where notes and progress go.
pub(crate) fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes results, whole lines, to the standard output. A reader that has gone has read what it wanted.
///
/// # Errors
/// Where they cannot be written, for example on a full disk.
pub(super) fn results(lines: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout
        .write_all(lines.as_bytes())
        .and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context(
            "the results cannot be written to the standard output; where it is a file, free some space",
        ),
        _ => Ok(()),
    }
}
