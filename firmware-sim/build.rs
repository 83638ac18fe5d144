//! Memory map and linker scripts of the firmware, for bare metal with the feature `mps2` only.

use std::path::PathBuf;

/// ZBT SRAM of the mps2 boards, as QEMU maps it: code at 0, data at 0x2000_0000.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 4M
  RAM : ORIGIN = 0x20000000, LENGTH = 4M
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let bare = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if bare && std::env::var_os("CARGO_FEATURE_MPS2").is_some() {
        let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
        std::fs::write(out.join("memory.x"), MEMORY)?;
        println!("cargo:rustc-link-search={}", out.display());
        println!("cargo:rustc-link-arg-bin=bagcert-firmware=-Tlink.x");
        println!("cargo:rustc-link-arg-bin=bagcert-firmware=-Tdefmt.x");
    }
    Ok(())
}
