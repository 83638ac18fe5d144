//! Whether a libtorch folder holds exactly what was pinned.
//!
//! Hashing 490 MB takes a second or more, so a folder once found right gets a
//! stamp: the pinned hashes with the size and time of each file as they were
//! then. While sizes and times are the same, the stamp is believed; a file that
//! was cut short, replaced or removed sends the check back to the hashes.

use super::pins;
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The file in the libtorch folder that says what was found right.
pub(super) const STAMP: &str = "verified-by-xtask.txt";

/// Whether the stamp is there and fits the files as they are now.
pub(super) fn by_stamp(dir: &Path) -> bool {
    match (fs::read_to_string(dir.join(STAMP)), stamp_of(dir)) {
        (Ok(written), Ok(now)) => written == now,
        _ => false,
    }
}

/// Writes the stamp; to be called only after [`by_hash`] found no fault.
pub(super) fn write_stamp(dir: &Path) -> Result<()> {
    let path = dir.join(STAMP);
    let partial = dir.join(format!("{STAMP}.partial"));
    fs::write(&partial, stamp_of(dir)?)
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("could not write {}", path.display()))
}

/// Checks every kept file against its pinned hash.
///
/// # Errors
/// Names the first file that is missing, unreadable or different.
pub(super) fn by_hash(dir: &Path) -> Result<()> {
    for kept in &pins::FILES {
        let path = dir.join(kept.path);
        let found = sha256_of(&path)?;
        if found != kept.sha256 {
            bail!("{} is not the file that was pinned", path.display());
        }
    }
    let mut listing = Sha256::new();
    for path in files_below(&dir.join(pins::HEADERS))? {
        let name = path.strip_prefix(dir).unwrap_or(&path);
        listing.update(format!("{}  {}\n", sha256_of(&path)?, name.display()));
    }
    if hex(&listing.finalize()) != pins::HEADERS_SHA256 {
        bail!(
            "the headers in {} are not those that were pinned",
            dir.join(pins::HEADERS).display()
        );
    }
    Ok(())
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> Result<String> {
    let hash = || -> io::Result<String> {
        let mut digest = Sha256::new();
        io::copy(&mut File::open(path)?, &mut digest)?;
        Ok(hex(&digest.finalize()))
    };
    hash().with_context(|| format!("could not read {}", path.display()))
}

/// What the stamp says of the folder as it is now, without reading the files' content.
fn stamp_of(dir: &Path) -> Result<String> {
    let mut text = format!("libtorch {}\n", pins::VERSION);
    for kept in &pins::FILES {
        let (bytes, time) = size_and_time(&dir.join(kept.path))?;
        writeln!(text, "{} {bytes} {time} {}", kept.sha256, kept.path)?;
    }
    let mut count = 0_u64;
    let mut total = 0_u64;
    let mut newest = 0_u128;
    for path in files_below(&dir.join(pins::HEADERS))? {
        let (bytes, time) = size_and_time(&path)?;
        count += 1;
        total += bytes;
        newest = newest.max(time);
    }
    writeln!(
        text,
        "{} {count} files {total} {newest} {}",
        pins::HEADERS_SHA256,
        pins::HEADERS
    )?;
    Ok(text)
}

/// Size in bytes, and time of the last change in nanoseconds since 1970.
fn size_and_time(path: &Path) -> Result<(u64, u128)> {
    let meta = fs::metadata(path).with_context(|| format!("could not read {}", path.display()))?;
    let time = meta.modified()?.duration_since(UNIX_EPOCH)?.as_nanos();
    Ok((meta.len(), time))
}

/// Every file below a folder, in the order of the bytes of their paths.
fn files_below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder)
            .with_context(|| format!("could not read the folder {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    // By bytes as `LC_ALL=C sort` does; Path's own order goes by components.
    files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(files)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A folder with a file at each kept path, and two headers.
    fn look_alike() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let headers = [
            "torch/include/a.h".to_owned(),
            "torch/include/b/c.h".to_owned(),
        ];
        let kept = pins::FILES.iter().map(|kept| kept.path.to_owned());
        for name in kept.chain(headers) {
            let path = dir.path().join(&name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &name).unwrap();
        }
        dir
    }

    #[test]
    fn the_stamp_is_believed_only_while_nothing_changes() {
        let changes: [fn(&Path); 4] = [
            |dir| fs::write(dir.join("torch/lib/libtorch_cpu.so"), "cut").unwrap(),
            |dir| fs::remove_file(dir.join("nvidia/cu13/lib/libcudart.so.13")).unwrap(),
            |dir| fs::remove_file(dir.join("torch/include/b/c.h")).unwrap(),
            |dir| fs::write(dir.join("torch/include/new.h"), "").unwrap(),
        ];
        for change in changes {
            let dir = look_alike();
            assert!(!by_stamp(dir.path()), "believed without a stamp");
            write_stamp(dir.path()).unwrap();
            assert!(by_stamp(dir.path()));
            change(dir.path());
            assert!(!by_stamp(dir.path()), "believed after a change");
        }
    }

    #[test]
    fn wrong_content_is_named() {
        let dir = look_alike();
        let fault = by_hash(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("libtorch_cpu.so"), "{fault}");
    }

    #[test]
    fn a_known_hash() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256_of(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
