//! Lets the binaries find libtorch where it was linked from; LD_LIBRARY_PATH still wins.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Some(folder) = std::env::var_os("DEP_TCH_LIBTORCH_LIB") {
        println!(
            "cargo:rustc-link-arg=-Wl,--enable-new-dtags,-rpath,{}",
            folder.to_string_lossy()
        );
    }
}
