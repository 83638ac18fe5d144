//! Lists of SHA-256 beside data, as `sha256sum` writes them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::FileError;

/// The name of a list.
pub const CHECKSUMS: &str = "SHA256SUMS";
/// Bytes of a list: some 16 million files.
const MAX_LIST: u64 = 1 << 31;

/// What files of a folder should be, by their path in it with `/` between its parts.
#[derive(Clone, Debug, Default)]
pub struct Checksums {
    folder: PathBuf,
    known: HashMap<String, String>,
}

impl Checksums {
    /// The list in `folder`; an empty one where there is none.
    ///
    /// # Errors
    /// A list that cannot be read, or has a line that is none.
    pub fn read(folder: &Path) -> Result<Checksums, FileError> {
        let path = folder.join(CHECKSUMS);
        let mut text = String::new();
        match regular(&path).and_then(|file| file.take(MAX_LIST).read_to_string(&mut text)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(FileError::Unreadable { path, source }),
        }
        let mut known = HashMap::new();
        for (at, line) in text.lines().enumerate() {
            let entry = line.split_once("  ").or_else(|| line.split_once(" *"));
            let valid =
                |hash: &str| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
            match entry.filter(|(hash, name)| valid(hash) && !name.is_empty()) {
                Some((hash, name)) => {
                    let name = name.strip_prefix("./").unwrap_or(name);
                    known.insert(name.to_owned(), hash.to_ascii_lowercase());
                }
                None if line.is_empty() => {}
                None => return Err(FileError::BadChecksums { path, line: at + 1 }),
            }
        }
        let folder = folder.to_owned();
        Ok(Checksums { folder, known })
    }

    /// Whether nothing is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Checks that whatever is listed under `part/` is there, but for the files in `found`, of which that is known.
    ///
    /// # Errors
    /// [`FileError::Listed`], of the first by its name.
    pub(crate) fn all_there(&self, part: &str, found: &HashSet<&str>) -> Result<(), FileError> {
        let of_part = |name: &&String| {
            let rest = name.strip_prefix(part);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let gone = self
            .known
            .keys()
            .filter(of_part)
            .filter(|name| !found.contains(name.as_str()) && !self.folder.join(name).exists())
            .min();
        match gone {
            None => Ok(()),
            Some(name) => Err(FileError::Listed {
                path: self.folder.join(name),
            }),
        }
    }

    /// Checks the bytes of the file `name` of the folder. What is not listed passes.
    ///
    /// # Errors
    /// [`FileError::OtherChecksum`].
    pub fn check(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        if !self.known.contains_key(name) {
            return Ok(());
        }
        let mut hash = Sha256::new();
        hash.update(bytes);
        self.compare(name, hash)
    }

    fn compare(&self, name: &str, hash: Sha256) -> Result<(), FileError> {
        let found = hexadecimal(hash);
        match self.known.get(name) {
            Some(expected) if *expected != found => Err(FileError::OtherChecksum {
                path: self.folder.join(name),
                expected: expected.clone(),
                found,
            }),
            _ => Ok(()),
        }
    }
}

/// The SHA-256 of `bytes`, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks a file of at most `limit` bytes against the list in its folder; says whether it is listed there.
pub(crate) fn check_beside(path: &Path, limit: u64) -> Result<bool, FileError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Ok(false);
    };
    let sums = Checksums::read(folder)?;
    if !sums.known.contains_key(name) {
        return Ok(false);
    }
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = regular(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > limit {
        // It will not be read, and that is what there is to say of it.
        return Ok(false);
    }
    let mut file = file.take(limit);
    let mut hash = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut part).map_err(unreadable)?;
        match part.get(..count) {
            Some(bytes) if count > 0 => hash.update(bytes),
            _ => return sums.compare(name, hash).map(|()| true),
        }
    }
}

/// A file to read; a pipe would be waited for without end.
fn regular(path: &Path) -> std::io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    File::open(path)
}
