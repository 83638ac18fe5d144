//! The ARM Versatile baseboard as QEMU has it, with a Cortex-R5F.

use super::registers::Register;

// For its critical sections.
use aarch32_cpu as _;
pub(crate) use aarch32_rt::entry;

/// The system registers' counter, which always runs.
pub(crate) const TICKS_PER_SECOND: u32 = 24_000_000;

const VALUE: Register = Register::at(0x1000_005C);

// PL011 UART 0.
const DATA: Register = Register::at(0x101F_1000);
const FLAGS: Register = Register::at(0x101F_1018);
const RX_EMPTY: u32 = 1 << 4;
const TX_FULL: u32 = 1 << 5;
const INTEGER_DIVISOR: Register = Register::at(0x101F_1024);
const FRACTION: Register = Register::at(0x101F_1028);
const LINE_CONTROL: Register = Register::at(0x101F_102C);
const CONTROL: Register = Register::at(0x101F_1030);

pub(crate) fn start_counter() {}

#[inline(always)]
pub(crate) fn ticks() -> u32 {
    VALUE.read()
}

pub(crate) fn open_line() {
    // 115,200 bits per second from 24 MHz; eight bits, FIFOs on.
    INTEGER_DIVISOR.write(13);
    FRACTION.write(1);
    LINE_CONTROL.write(0x70);
    // UART, transmitter and receiver on.
    CONTROL.write(0x301);
}

pub(crate) fn receive() -> u8 {
    while FLAGS.read() & RX_EMPTY != 0 {}
    DATA.read().to_le_bytes()[0]
}

pub(crate) fn send(byte: u8) {
    while FLAGS.read() & TX_FULL != 0 {}
    DATA.write(byte.into());
}
