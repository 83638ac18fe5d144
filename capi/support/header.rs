//! Whether a committed header is the one that cbindgen makes now.

use std::path::Path;

use crate::c;

/// Compares `capi/include/NAME` with what cbindgen makes of the crate in `package`; with
/// `BAGCERT_RECORD` set, writes it anew.
pub(crate) fn is_current(package: &Path, name: &str) {
    let config = cbindgen::Config::from_file(package.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(package)
        .with_config(config)
        .generate()
        .unwrap()
        .write(&mut made);
    let path = package.join("../include").join(name);
    if std::env::var_os("BAGCERT_RECORD").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == String::from_utf8(made).unwrap(),
        "capi/include/{name} is not what cbindgen makes of the crate; make it anew: \
         BAGCERT_RECORD=1 cargo test --release -p {} --test header",
        env!("CARGO_PKG_NAME")
    );
}

/// Compiles a file that includes nothing but the header, in C and C++ of several ages.
pub(crate) fn compiles(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let languages = [
        ("cc", "c", &["c99", "c11", "c17"]),
        ("c++", "cpp", &["c++11", "c++17", "c++20"]),
    ];
    for (program, ending, standards) in languages {
        if !c::have(program, "compiling the header") {
            continue;
        }
        let source = folder.path().join("only").with_extension(ending);
        let text =
            format!("#include \"{name}\"\n#include \"{name}\"\nint main() {{ return 0; }}\n");
        // In C an empty list of parameters is an old form.
        let text = text.replace(
            "main()",
            if ending == "c" {
                "main(void)"
            } else {
                "main()"
            },
        );
        std::fs::write(&source, text).unwrap();
        for standard in standards {
            let mut compile = c::compiler(program, standard);
            c::successful(compile.arg("-fsyntax-only").arg(&source));
        }
    }
}
