//! Arm MPS3 with a Cortex-M55 (FPGA image AN547, Corstone SSE-300), in the secure state.

use super::cmsdk::Uart;
use super::registers::Register;

// For its critical sections.
use cortex_m as _;
pub(crate) use cortex_m_rt::entry;

/// The system counter.
pub(crate) const TICKS_PER_SECOND: u32 = 32_000_000;

const CONTROL: Register = Register::at(0x5810_0000);
const VALUE: Register = Register::at(0x5810_0008);
const ENABLE: u32 = 1;

const LINE: Uart = Uart::at(0x5930_3000);
/// 115,200 bits per second.
const DIVISOR: u32 = 278;

pub(crate) fn start_counter() {
    CONTROL.write(ENABLE);
}

#[inline(always)]
pub(crate) fn ticks() -> u32 {
    VALUE.read()
}

pub(crate) fn open_line() {
    LINE.open(DIVISOR);
}

pub(crate) fn receive() -> u8 {
    LINE.receive()
}

pub(crate) fn send(byte: u8) {
    LINE.send(byte);
}
