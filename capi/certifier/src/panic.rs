//! The panic handler where there is no `std`.

use core::panic::PanicInfo;

unsafe extern "C" {
    /// Not defined anywhere: a link that keeps the handler fails, which shows that a panic could be
    /// reached. Whoever links a build with debug assertions defines it.
    fn bagcert_certifier_panicked() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: takes nothing and does not return; whoever defines it answers for the rest.
    unsafe { bagcert_certifier_panicked() }
}
