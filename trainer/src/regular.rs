//! Regular files: a pipe would be waited for, a device never ends.

use std::{fs, io, path::Path};

/// Fails where there is something at `path` that is no regular file; links are followed.
pub(crate) fn expect(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The bytes of a regular file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    expect(path)?;
    fs::read(path)
}

/// The text of a regular file.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    expect(path)?;
    fs::read_to_string(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_regular_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let missing = read(&path).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::write(&path, "text").unwrap();
        assert_eq!(read(&path).unwrap(), b"text");
        assert_eq!(read_text(&path).unwrap(), "text");
        for other in [folder.path(), Path::new("/dev/null")] {
            let refused = read(other).unwrap_err().to_string();
            assert!(refused.contains("not a regular file"), "{refused}");
            assert!(read_text(other).is_err());
        }
    }
}
