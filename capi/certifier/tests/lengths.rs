//! The macros of the header size memory as the library does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../support/c.rs"]
mod c;

use std::fmt::Write as _;
use std::process::Command;

use bagcert_certifier::Shape;

#[test]
fn macros_and_functions_agree() {
    if !c::have("cc", "the macros of the header") {
        return;
    }
    let (mut source, mut expected) = (String::new(), String::new());
    source += "#include <stdio.h>\n#include \"bagcert_certifier.h\"\nint main(void) {\n";
    let sides = [1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 56, 255, 256, 1000];
    for (at, classes) in [2, 7, 8, 9, 10, 16, 17, 1000].into_iter().enumerate() {
        for (height, width) in sides.iter().flat_map(|y| sides.map(|x| (*y, x))) {
            let patches = 1 + (at + height) % 32;
            let shape = Shape::new(classes, height, width).unwrap();
            let of = format!("{classes}, {height}, {width}");
            // As constant expressions, which is what they are for.
            writeln!(
                source,
                "{{ static char s[BAGCERT_SCORES_LEN({of})]; enum {{ T = BAGCERT_TABLE_LEN({of}), \
                 M = BAGCERT_MASKS_LEN({of}, {patches}) }}; \
                 printf(\"%lu %d %d\\n\", (unsigned long)sizeof s, T, M); }}"
            )
            .unwrap();
            writeln!(
                expected,
                "{} {} {}",
                shape.score_len(),
                shape.table_len(),
                shape.masks_len(patches)
            )
            .unwrap();
        }
    }
    source += "return 0;\n}\n";
    let folder = tempfile::tempdir().unwrap();
    let (file, program) = (
        folder.path().join("lengths.c"),
        folder.path().join("lengths"),
    );
    std::fs::write(&file, source).unwrap();
    c::successful(c::compiler("cc", "c99").arg(&file).arg("-o").arg(&program));
    let output = c::successful(&mut Command::new(&program));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}
