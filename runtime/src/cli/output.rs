//! Where results are written: the standard output, or a file that appears only once it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::stop::Stop;

/// The destination of results.
pub(crate) struct Output {
    sink: Sink,
    /// Written before anything else.
    head: String,
}

enum Sink {
    Stdout(io::Stdout),
    /// A pipe or device: written in place, since nothing can be renamed over it.
    Device(File, PathBuf),
    /// A file, written beside its place and renamed at the end.
    File(BufWriter<NamedTempFile>, PathBuf),
}

impl Output {
    /// The standard output.
    pub(crate) fn stdout() -> Output {
        Output {
            sink: Sink::Stdout(io::stdout()),
            head: String::new(),
        }
    }

    /// The file, pipe or device at `path`.
    pub(crate) fn to(path: &Path) -> Result<Output, Stop> {
        let context = || {
            format!(
                "{}: cannot be written; choose another --output",
                path.display()
            )
        };
        // A link is followed, so that the file it names is replaced and not the link.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let sink = match fs::metadata(&place) {
            Ok(found) if found.is_dir() => {
                return Err(Stop::Usage(format!(
                    "--output {}: this is a folder; name a file",
                    path.display()
                )));
            }
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&place);
                Sink::Device(file.with_context(context)?, place)
            }
            _ => Sink::File(
                BufWriter::new(temporary_beside(&place).with_context(context)?),
                place,
            ),
        };
        Ok(Output {
            sink,
            head: String::new(),
        })
    }

    /// Has `head` stand before the first results, or alone where there are none. Where the command
    /// ends before that, it is not written.
    pub(crate) fn begin_with(&mut self, head: &str) {
        self.head.push_str(head);
    }

    /// Writes all of `text`.
    pub(crate) fn write(&mut self, text: &str) -> Result<(), Stop> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes all of `bytes`.
    pub(crate) fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let head = std::mem::take(&mut self.head);
        if !head.is_empty() {
            self.put(head.as_bytes())?;
        }
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        match &mut self.sink {
            Sink::Stdout(stdout) => stdout.write_all(bytes).map_err(on_stdout),
            Sink::Device(file, path) => file.write_all(bytes).map_err(|e| on_device(path, e)),
            Sink::File(file, path) => file.write_all(bytes).map_err(|e| on_file(path, e)),
        }
    }

    /// Makes the results visible: only now does a file take its name.
    pub(crate) fn finish(mut self) -> Result<(), Stop> {
        self.write_bytes(&[])?;
        match self.sink {
            Sink::Stdout(mut stdout) => stdout.flush().map_err(on_stdout),
            Sink::Device(mut file, path) => file.flush().map_err(|e| on_device(&path, e)),
            Sink::File(buffer, path) => {
                let failed = |e| on_file(&path, e);
                let temporary = buffer.into_inner().map_err(|e| failed(e.into_error()))?;
                temporary.as_file().sync_all().map_err(failed)?;
                temporary.persist(&path).map_err(|e| failed(e.error))?;
                Ok(())
            }
        }
    }
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".bagcert-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // What any new file gets; the user's umask takes its part off.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn on_stdout(error: io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop::ReaderGone;
    }
    Stop::Failed(anyhow::Error::new(error).context(
        "the results cannot be written to the standard output; where it is a file, free some space",
    ))
}

fn on_device(path: &Path, error: io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe {
        return Stop::ReaderGone;
    }
    Stop::Failed(anyhow::Error::new(error).context(format!(
        "{}: the results could not be written whole; choose another --output",
        path.display()
    )))
}

fn on_file(path: &Path, error: io::Error) -> Stop {
    Stop::Failed(anyhow::Error::new(error).context(format!(
        "{}: the results could not be written whole, so nothing was put there; \
         free some space or choose another --output",
        path.display()
    )))
}
