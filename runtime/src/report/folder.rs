//! A folder that appears whole or not at all.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::ReportError;

const INDEX: &str = "index.html";
/// Tells a report apart from any other folder with an `index.html`; part of every page's head.
pub(super) const MARK: &str = "bagcert report";

/// Whether a report can be put there: nothing there yet, an empty folder, or an earlier report.
///
/// # Errors
/// [`ReportError::Taken`], [`ReportError::NotAFolder`], or the folder cannot be read.
pub fn check_target(folder: &Path) -> Result<(), ReportError> {
    let not_written = |source| ReportError::NotWritten {
        folder: folder.to_owned(),
        source,
    };
    match fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(not_written(error)),
        Ok(found) if !found.is_dir() => Err(ReportError::NotAFolder {
            folder: folder.to_owned(),
        }),
        Ok(_) => {
            let names = fs::read_dir(folder)
                .and_then(Iterator::collect::<io::Result<Vec<_>>>)
                .map_err(not_written)?;
            let only_index = names.iter().all(|entry| entry.file_name() == INDEX);
            if names.is_empty() || (only_index && is_report(&folder.join(INDEX))) {
                Ok(())
            } else {
                Err(ReportError::Taken {
                    folder: folder.to_owned(),
                })
            }
        }
    }
}

fn is_report(index: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(index).and_then(|file| file.take(2048).read_to_end(&mut start));
    read.is_ok() && String::from_utf8_lossy(&start).contains(MARK)
}

/// Writes the page beside its place and renames the folder at the end.
pub(super) fn place(folder: &Path, page: &str) -> Result<PathBuf, ReportError> {
    write_beside(folder, page).map_err(|source| ReportError::NotWritten {
        folder: folder.to_owned(),
        source,
    })?;
    Ok(folder.join(INDEX))
}

fn write_beside(folder: &Path, page: &str) -> io::Result<()> {
    // Through a link to the folder itself; a folder that is not there yet keeps its name.
    let place = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let parent = match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // On any error below, dropping these removes what they hold.
    let work = temporary(parent)?;
    let fresh = work.path().join("report");
    fs::create_dir(&fresh)?;
    let mut file = File::create(fresh.join(INDEX))?;
    file.write_all(page.as_bytes())?;
    file.sync_all()?;
    if !place.exists() {
        return fs::rename(&fresh, &place);
    }
    let earlier = work.path().join("earlier");
    fs::rename(&place, &earlier)?;
    fs::rename(&fresh, &place).inspect_err(|_| {
        // Best effort: put back what was there.
        drop(fs::rename(&earlier, &place));
    })
}

fn temporary(parent: &Path) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(".bagcert-")
        .suffix(".part")
        .tempdir_in(parent)
}
