//! Registers of peripherals: the only memory that is reached by its address.

/// A register of 32 bits.
pub(crate) struct Register(*mut u32);

impl Register {
    /// The register at `address`, which must be one that the board's manual names.
    pub(super) const fn at(address: usize) -> Self {
        Self(core::ptr::without_provenance_mut(address))
    }

    /// Reads it.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) fn read(&self) -> u32 {
        // SAFETY: `at` is only called in this folder, with aligned addresses of peripherals' registers
        // that the board's manual names; no Rust object lies there. Reading has no effect on memory.
        unsafe { self.0.read_volatile() }
    }

    /// Writes it.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(crate) fn write(&self, value: u32) {
        // SAFETY: as in `read`; none of the registers written here lets a peripheral write to memory.
        unsafe { self.0.write_volatile(value) }
    }
}
