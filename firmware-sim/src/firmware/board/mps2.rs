//! Arm MPS2+ with a Cortex-M4F (FPGA image AN386) or a Cortex-M7 (AN500).

use super::cmsdk::Uart;
use super::registers::Register;

// For its critical sections.
use cortex_m as _;
pub(crate) use cortex_m_rt::entry;

/// The system clock, which the timer counts.
pub(crate) const TICKS_PER_SECOND: u32 = 25_000_000;

// CMSDK APB timer 0, which counts down.
const CONTROL: Register = Register::at(0x4000_0000);
const VALUE: Register = Register::at(0x4000_0004);
const RELOAD: Register = Register::at(0x4000_0008);
const ENABLE: u32 = 1;

const LINE: Uart = Uart::at(0x4000_4000);
/// 115,200 bits per second.
const DIVISOR: u32 = 217;

pub(crate) fn start_counter() {
    RELOAD.write(u32::MAX);
    VALUE.write(u32::MAX);
    CONTROL.write(ENABLE);
}

#[inline(always)]
pub(crate) fn ticks() -> u32 {
    !VALUE.read()
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
