//! Files that only one process may write at a time.

use std::{
    fs::{File, TryLockError},
    io,
};

/// Takes `file` until it is dropped; false where another process has it.
///
/// # Errors
/// Where the system cannot say.
pub(crate) fn take(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        // Better without a lock than not at all.
        Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => Ok(true),
        Err(TryLockError::Error(source)) => Err(source),
    }
}
