//! Pointers from C, checked as far as they can be, before anything is borrowed through them.

use core::ffi::CStr;

use crate::status::{BagcertStatus, Failure};

/// An array of C: not null unless empty, aligned, and inside the address space.
#[derive(Clone, Copy, Debug)]
pub struct Array<T> {
    pointer: *mut T,
    len: usize,
    name: &'static CStr,
}

/// The bytes that an array covers.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    start: usize,
    bytes: usize,
    name: &'static CStr,
}

impl Region {
    pub(super) const EMPTY: Self = Self {
        start: 0,
        bytes: 0,
        name: c"",
    };

    /// What the one item behind a pointer covers, which need not lead anywhere. It is only read.
    #[must_use]
    pub fn of<T>(pointer: *const T) -> Self {
        Self {
            start: pointer.addr(),
            bytes: size_of::<T>(),
            name: c"",
        }
    }

    fn meets(&self, other: &Region) -> bool {
        // No region reaches past the end of the address space: nothing here overflows.
        self.start < other.start.saturating_add(other.bytes)
            && other.start < self.start.saturating_add(self.bytes)
    }
}

impl<T: Copy> Array<T> {
    /// Checks an array of `len` items; `name` is the argument's in failures. Nothing is read.
    ///
    /// # Errors
    /// A null pointer to more than nothing, one that is not aligned, an array too long to be.
    pub fn new(pointer: *const T, len: usize, name: &'static CStr) -> Result<Self, Failure> {
        let failure = |status| Err(Failure::new(status, name));
        let bytes = len.checked_mul(size_of::<T>());
        let fits = bytes.is_some_and(|bytes| {
            bytes <= isize::MAX.unsigned_abs() && pointer.addr().checked_add(bytes).is_some()
        });
        if len > 0 && pointer.is_null() {
            return failure(BagcertStatus::NullPointer);
        }
        if len > 0 && !pointer.is_aligned() {
            return failure(BagcertStatus::Misaligned);
        }
        if !fits {
            return failure(BagcertStatus::ArrayTooLong);
        }
        Ok(Self {
            pointer: pointer.cast_mut(),
            len,
            name,
        })
    }

    /// One item, or none where the pointer is null.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub fn optional(pointer: *const T, name: &'static CStr) -> Result<Self, Failure> {
        Self::new(pointer, usize::from(!pointer.is_null()), name)
    }

    /// Its items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it covers.
    #[must_use]
    pub fn region(&self) -> Region {
        Region {
            start: self.pointer.addr(),
            bytes: self.len.saturating_mul(size_of::<T>()),
            name: self.name,
        }
    }

    /// The items, to read.
    ///
    /// # Safety
    /// The memory is one object of C that can be read, all bit patterns are items of `T`, and nobody
    /// writes to it during `'a`.
    #[must_use]
    pub unsafe fn as_slice<'a>(&self) -> &'a [T] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: not null, aligned and of a length that can be, see `new`; the rest is the caller's.
        unsafe { core::slice::from_raw_parts(self.pointer, self.len) }
    }

    /// The items, to write.
    ///
    /// # Safety
    /// As of [`as_slice`](Self::as_slice), the memory can be written, and nobody else reads or writes
    /// it during `'a`: see [`check_disjoint`].
    #[must_use]
    pub unsafe fn as_mut_slice<'a>(&self) -> &'a mut [T] {
        if self.len == 0 {
            return &mut [];
        }
        // SAFETY: as in `as_slice`; nothing else leads there while the slice lives.
        unsafe { core::slice::from_raw_parts_mut(self.pointer, self.len) }
    }

    /// Writes `value` everywhere, whatever was there.
    ///
    /// # Safety
    /// The memory is one object of C that can be written, and nothing is borrowed of it.
    pub unsafe fn fill(&self, value: T) {
        for at in 0..self.len {
            // SAFETY: `at` lies in the array, whose pointer is aligned and not null.
            unsafe { self.pointer.add(at).write(value) }
        }
    }
}

/// A copy of the one item behind a pointer.
///
/// # Errors
/// As of [`Array::new`].
///
/// # Safety
/// If the pointer is not null, a `T` can be read there, of which all bit patterns are one.
pub unsafe fn read<T: Copy>(pointer: *const T, name: &'static CStr) -> Result<T, Failure> {
    Array::new(pointer, 1, name)?;
    // SAFETY: not null and aligned, as just checked; readable, says the caller.
    Ok(unsafe { pointer.read() })
}

/// Whether nothing that is written overlaps anything else, read or written.
///
/// # Errors
/// The first overlap, with the name of what is written.
pub fn check_disjoint(written: &[Region], read: &[Region]) -> Result<(), Failure> {
    let mut later = written.iter();
    while let Some(region) = later.next() {
        // An empty region meets another only where it lies inside: nothing is written there.
        let mut others = later.clone().chain(read);
        if region.bytes > 0 && others.any(|other| other.bytes > 0 && region.meets(other)) {
            return Err(Failure::new(BagcertStatus::Overlap, region.name));
        }
    }
    Ok(())
}
