//! The serial line of the CMSDK peripherals, which both mps boards have.

use super::registers::Register;

/// Transmitter's buffer full.
const TX_FULL: u32 = 1;
/// Receiver's buffer full.
const RX_FULL: u32 = 1 << 1;
/// Transmitter and receiver on.
const ON: u32 = 0b11;

/// APB UART.
pub(super) struct Uart {
    data: Register,
    state: Register,
    control: Register,
    divisor: Register,
}

impl Uart {
    /// The one whose registers begin at `base`.
    pub(super) const fn at(base: usize) -> Self {
        Self {
            data: Register::at(base),
            state: Register::at(base + 4),
            control: Register::at(base + 8),
            divisor: Register::at(base + 16),
        }
    }

    /// Sets the rate, `clock / divisor` bits per second, and switches it on.
    pub(super) fn open(&self, divisor: u32) {
        self.divisor.write(divisor);
        self.control.write(ON);
    }

    pub(super) fn receive(&self) -> u8 {
        while self.state.read() & RX_FULL == 0 {}
        self.data.read().to_le_bytes()[0]
    }

    pub(super) fn send(&self, byte: u8) {
        while self.state.read() & TX_FULL != 0 {}
        self.data.write(byte.into());
    }
}
