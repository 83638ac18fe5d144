//! A program that is linked only where nothing it calls can panic: its panic handler calls a function
//! that exists nowhere. It holds the certifier and the loop, with every argument unknown to the
//! compiler; it is never run.
//!
//! The optimiser must drop every panic, so it is linked with the profile `firmware` (optimised, all
//! crates at once). With the feature `reachable-panic` one is left in, to see that the link then fails.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[allow(unsafe_code)]
mod bare {
    use core::hint::black_box;

    unsafe extern "C" {
        safe fn a_panic_can_be_reached() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        a_panic_can_be_reached()
    }

    // SAFETY: no other item has this name.
    #[unsafe(no_mangle)]
    extern "C" fn gate() {
        crate::calls::all();
        #[cfg(feature = "reachable-panic")]
        {
            let cells = [1u8, 2, 3];
            let _ = black_box(cells[black_box(3usize)]);
        }
        black_box(());
    }
}

#[cfg(target_os = "none")]
mod calls;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("bagcert-firmware-gate is only ever linked, for bare metal; see docs/arm.md");
    std::process::exit(2);
}
