//! Just enough of the Thumb and ARM encodings to find calls, and what moves the stack pointer.

/// An instruction, as far as the call graph and the stack are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Goes on at another address, there to come back or not.
    Branch(u32),
    /// Goes on at an address that a register holds (not the return address).
    Indirect,
    /// Takes so many bytes of stack.
    Takes(u32),
    None,
}

const fn sign_extend(value: u32, bits: u32) -> u32 {
    let shift = 32 - bits;
    (((value << shift) as i32) >> shift) as u32
}

/// The Thumb instruction at `address` in `code`, and its bytes.
pub(crate) fn thumb(code: &[u8], address: u32) -> (Effect, usize) {
    let half = |at: usize| u32::from(u16::from_le_bytes([code[at], code[at + 1]]));
    let first = half(0);
    let here = address.wrapping_add(4);
    if first < 0xE800 {
        let effect = match first {
            // push {...}, sub sp, #imm7
            _ if first & 0xFE00 == 0xB400 => Effect::Takes((first & 0x1FF).count_ones() * 4),
            _ if first & 0xFF80 == 0xB080 => Effect::Takes((first & 0x7F) * 4),
            // b, b<cond>, cbz and cbnz
            _ if first & 0xF800 == 0xE000 => {
                Effect::Branch(here.wrapping_add(sign_extend(first & 0x7FF, 11) << 1))
            }
            _ if first & 0xF000 == 0xD000 && first & 0xF00 < 0xE00 => {
                Effect::Branch(here.wrapping_add(sign_extend(first & 0xFF, 8) << 1))
            }
            // blx, and bx unless to the return address
            _ if first & 0xFF80 == 0x4780 => Effect::Indirect,
            _ if first & 0xFF80 == 0x4700 && first & 0x78 != 0x70 => Effect::Indirect,
            // mov sp, rX
            _ if first & 0xFF87 == 0x4685 => Effect::Indirect,
            _ => Effect::None,
        };
        return (effect, 2);
    }
    let second = half(2);
    let effect = if first & 0xF800 == 0xF000 && second & 0x8000 != 0 {
        let (s, j1, j2) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1);
        if second & 0x5000 == 0 {
            // b<cond>.w; conditions from 14 on are other instructions.
            if first >> 6 & 0xF < 14 {
                let offset =
                    s << 20 | j2 << 19 | j1 << 18 | (first & 0x3F) << 12 | (second & 0x7FF) << 1;
                Effect::Branch(here.wrapping_add(sign_extend(offset, 21)))
            } else {
                Effect::None
            }
        } else {
            // b.w, bl
            let (i1, i2) = (!(j1 ^ s) & 1, !(j2 ^ s) & 1);
            let offset =
                s << 24 | i1 << 23 | i2 << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1;
            Effect::Branch(here.wrapping_add(sign_extend(offset, 25)))
        }
    } else {
        match first {
            // push.w, vpush, sub.w sp, subw sp, str rX, [sp, #-4]!
            0xE92D => Effect::Takes(second.count_ones() * 4),
            _ if first & 0xFFBF == 0xED2D => Effect::Takes((second & 0xFF) * 4),
            _ if first & 0xFBEF == 0xF1AD && second & 0x0F00 == 0x0D00 => {
                Effect::Takes(expanded(first >> 10 & 1, second))
            }
            _ if first & 0xFBFF == 0xF2AD && second & 0x0F00 == 0x0D00 => {
                Effect::Takes((first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF)
            }
            0xF84D if second & 0x0F00 == 0x0D00 => Effect::Takes(second & 0xFF),
            _ => Effect::None,
        }
    };
    (effect, 4)
}

/// A modified immediate constant.
fn expanded(i: u32, second: u32) -> u32 {
    let (imm3, imm8) = (second >> 12 & 7, second & 0xFF);
    let rotation = i << 4 | imm3 << 1 | imm8 >> 7;
    match i << 3 | imm3 {
        0 => imm8,
        1 => imm8 << 16 | imm8,
        2 => imm8 << 24 | imm8 << 8,
        3 => imm8 * 0x0101_0101,
        _ => (0x80 | imm8 & 0x7F).rotate_right(rotation),
    }
}

/// The ARM instruction at `address` in `code`.
pub(crate) fn arm(code: &[u8], address: u32) -> (Effect, usize) {
    let word = u32::from_le_bytes([code[0], code[1], code[2], code[3]]);
    let here = address.wrapping_add(8);
    let effect = if word >> 28 == 0xF {
        Effect::None
    } else {
        match word & 0x0FFF_FFFF {
            // b, bl
            rest if rest & 0x0E00_0000 == 0x0A00_0000 => {
                Effect::Branch(here.wrapping_add(sign_extend(rest & 0x00FF_FFFF, 24) << 2))
            }
            // blx, and bx unless to the return address
            rest if rest & 0x0FFF_FFF0 == 0x012F_FF30 => Effect::Indirect,
            rest if rest & 0x0FFF_FFF0 == 0x012F_FF10 && rest & 0xF != 0xE => Effect::Indirect,
            // push {...}, push {rX}, vpush, sub sp, sp, #
            rest if rest & 0x0FFF_0000 == 0x092D_0000 => {
                Effect::Takes((rest & 0xFFFF).count_ones() * 4)
            }
            rest if rest & 0x0FFF_0000 == 0x052D_0000 => Effect::Takes(rest & 0xFFF),
            rest if rest & 0x0FBF_0E00 == 0x0D2D_0A00 => Effect::Takes((rest & 0xFF) * 4),
            rest if rest & 0x0FFF_F000 == 0x024D_D000 => {
                Effect::Takes((rest & 0xFF).rotate_right((rest >> 8 & 0xF) * 2))
            }
            _ => Effect::None,
        }
    };
    (effect, 4)
}

#[test]
fn encodings_are_read() {
    // As the assembler writes them; addresses are those after each instruction's label.
    for (code, effect) in [
        (&[0x10, 0xB5][..], Effect::Takes(8)),
        (&[0x84, 0xB0], Effect::Takes(16)),
        (&[0xFE, 0xE7], Effect::Branch(0x1000)),
        (&[0x88, 0x47], Effect::Indirect),
        (&[0x70, 0x47], Effect::None),
        (&[0x2D, 0xE9, 0xF0, 0x4F], Effect::Takes(36)),
        (&[0xAD, 0xF5, 0x00, 0x7D], Effect::Takes(512)),
        (&[0xFF, 0xF7, 0xFE, 0xFF], Effect::Branch(0x1000)),
        (&[0x00, 0xF0, 0x00, 0xF8], Effect::Branch(0x1004)),
    ] {
        assert_eq!(thumb(code, 0x1000).0, effect, "{code:02x?}");
    }
    for (word, effect) in [
        (0xE92D_4FF0u32, Effect::Takes(36)),
        (0xE24D_D010, Effect::Takes(16)),
        (0xEBFF_FFFE, Effect::Branch(0x1000)),
        (0xE12F_FF33, Effect::Indirect),
        (0xE12F_FF1E, Effect::None),
    ] {
        assert_eq!(arm(&word.to_le_bytes(), 0x1000).0, effect, "{word:08x}");
    }
}
