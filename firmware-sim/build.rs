//! Board, memory map and linker scripts of the firmware, for bare metal only.

use std::path::PathBuf;

/// A board, named as its module in `src/firmware/board` is.
struct Board {
    name: &'static str,
    /// For the linker script of the core's start-up crate.
    memory: &'static str,
}

/// Cortex-M4F (an386) and M7 (an500): ZBT SRAM, code at 0, data at 0x2000_0000.
const MPS2: Board = Board {
    name: "mps2",
    memory: "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 4M
  RAM : ORIGIN = 0x20000000, LENGTH = 4M
}
",
};

/// Cortex-M55 (an547): the secure aliases of the tightly coupled memories.
const MPS3: Board = Board {
    name: "mps3",
    memory: "\
MEMORY
{
  FLASH : ORIGIN = 0x10000000, LENGTH = 512K
  RAM : ORIGIN = 0x30000000, LENGTH = 512K
}
",
};

/// The ARM Versatile baseboard, which QEMU lets run a Cortex-R5F.
const VERSATILE: Board = Board {
    name: "versatile",
    memory: "\
MEMORY
{
  SDRAM : ORIGIN = 0x00000000, LENGTH = 16M
}
REGION_ALIAS(\"VECTORS\", SDRAM);
REGION_ALIAS(\"CODE\", SDRAM);
REGION_ALIAS(\"DATA\", SDRAM);
REGION_ALIAS(\"STACKS\", SDRAM);
PROVIDE(_sys_stack_size = 65536);
",
};

/// Programs that start up by themselves and use a board.
const PROGRAMS: [&str; 3] = [
    "bagcert-firmware",
    "bagcert-firmware-maps",
    "bagcert-firmware-link",
];
/// A program that is only ever linked.
const GATE: &str = "bagcert-firmware-gate";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(board, values(\"mps2\", \"mps3\", \"versatile\"))");
    let bare = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    let has = |feature| bare && std::env::var_os(feature).is_some();
    if has("CARGO_FEATURE_GATE") {
        println!("cargo:rustc-link-arg-bin={GATE}=--entry=gate");
    }
    if !has("CARGO_FEATURE_FIRMWARE") {
        return Ok(());
    }
    let target = std::env::var("TARGET")?;
    let board = match target.split('-').next() {
        Some("thumbv7em") => MPS2,
        Some("thumbv8m.main") => MPS3,
        Some("armv7r") => VERSATILE,
        _ => return Err(format!("the firmware has no board for the target {target}").into()),
    };
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("memory.x"), board.memory)?;
    println!("cargo:rustc-cfg=board=\"{}\"", board.name);
    println!("cargo:rustc-link-search={}", out.display());
    for program in PROGRAMS {
        println!("cargo:rustc-link-arg-bin={program}=-Tlink.x");
        println!("cargo:rustc-link-arg-bin={program}=-Tdefmt.x");
    }
    Ok(())
}
