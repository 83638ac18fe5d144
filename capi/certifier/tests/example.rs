//! The example in C says what the Rust interface says: on this host, under valgrind, with sanitizers,
//! and on a Cortex-M4 in QEMU.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../../support/c.rs"]
mod c;

use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bagcert_certifier::{
    Axis, Certifier, Condition, Geometry, MaskCertifier, MaskSet, PatchSize, ScoreMap, Shape,
    Verdict,
};

const FRAMES: u32 = 12;
const CLASSES: u32 = 10;
const CELLS: u32 = 32 * 32;
const LEAD: u32 = 150;

/// The rule by which the example makes its frames.
fn logits(frame: u32) -> Vec<f32> {
    let mut state = frame;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut logits = Vec::new();
    for class in 0..CLASSES {
        let share = match class {
            class if class == frame % CLASSES => 180,
            class if class == (frame + 3) % CLASSES => 15 + 15 * frame,
            _ => 20,
        };
        logits.extend((0..CELLS).map(|_| if draw() % 256 < share { 0.5 } else { -0.5 }));
    }
    logits
}

fn line(frame: u32, condition: usize, lead: u32, verdict: &Verdict, square: u32) -> String {
    let certified = if verdict.certified {
        "certified"
    } else {
        "not-certified"
    };
    let mut line = format!(
        "{frame} patch {} condition {condition} lead {lead} {certified} {} slack {} rival {} worst {},{}",
        verdict.patch,
        verdict.predicted,
        verdict.slack,
        verdict.rival,
        verdict.worst.x,
        verdict.worst.y
    );
    if let Some(second) = verdict.second {
        let (x, y) = (second.x, second.y);
        write!(
            line,
            " second {}-{},{}-{}",
            x.first, x.last, y.first, y.last
        )
        .unwrap();
    }
    writeln!(line, " square {square}").unwrap();
    line
}

/// What the example must write, by the Rust interface.
fn expected() -> String {
    let shape = Shape::new(10, 32, 32).unwrap();
    let axis = Axis::new(32, 32, 1, -3, 4).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    let patches = [PatchSize::new(5, 5).unwrap(), PatchSize::new(3, 8).unwrap()];
    let conditions = [
        (1, Condition::WorstCase31, 0),
        (2, Condition::SumWindow32, 0),
        (3, Condition::SumGlobal33, 0),
        (4, Condition::Mask, 0),
        (5, Condition::DoubleMask, 0),
        (5, Condition::DoubleMask, LEAD),
    ];
    let mut scores = vec![0; shape.score_len()];
    let mut table = vec![0; shape.masks_len(patches.len())];
    let mut text = String::new();
    for (number, condition, lead) in conditions {
        for frame in 0..FRAMES {
            let map = ScoreMap::from_logits(shape, &logits(frame), &mut scores).unwrap();
            let (verdicts, square): (Vec<Verdict>, u32) = match condition.masking() {
                None => {
                    let certifier = Certifier::new(&map, &geometry, &mut table).unwrap();
                    let verdicts = certifier.sweep(patches, condition).map(Result::unwrap);
                    (verdicts.collect(), certifier.largest_square())
                }
                Some(masking) => {
                    let set = MaskSet::new(&geometry, &patches)
                        .unwrap()
                        .with_step(NonZeroU32::MIN)
                        .with_lead(lead);
                    let mut certifier = MaskCertifier::new(&map, set, masking, &mut table).unwrap();
                    (certifier.verdicts().map(Result::unwrap).collect(), 0)
                }
            };
            for verdict in &verdicts {
                text += &line(frame, number, lead, verdict, square);
            }
        }
        writeln!(
            text,
            "{FRAMES} no verdict: logits: a logit is NaN or infinite; this frame has no verdict"
        )
        .unwrap();
    }
    text
}

/// Both kinds of verdict are there for every condition, or the comparison would say little.
#[test]
fn the_examples_frames_are_of_both_kinds() {
    let text = expected();
    let count = |condition, lead, kind| {
        let words = format!("condition {condition} lead {lead} {kind} ");
        text.matches(&words).count()
    };
    for (condition, lead) in (1..=5).map(|condition| (condition, 0)).chain([(5, LEAD)]) {
        for (kind, least) in [("certified", 6), ("not-certified", 2)] {
            let count = count(condition, lead, kind);
            assert!(
                count >= least,
                "{count} {kind} under {condition}, lead {lead}"
            );
        }
    }
    assert!(count(5, LEAD, "certified") < count(5, 0, "certified"));
}

/// Compiles the example for this host.
fn host(folder: &Path, name: &str, extra: &[&str], library: &str) -> PathBuf {
    let program = folder.join(name);
    let examples = c::folder().join("examples");
    let library = c::library(library);
    let mut compile = c::compiler("cc", "c99");
    compile
        .args(extra)
        .args([examples.join("certifier.c"), examples.join("host.c")])
        .arg(&library)
        .arg(format!(
            "-Wl,-rpath,{}",
            library.parent().unwrap().display()
        ))
        .arg("-o")
        .arg(&program);
    c::successful(&mut compile);
    program
}

fn said(command: &mut Command) -> String {
    String::from_utf8(c::successful(command).stdout).unwrap()
}

#[test]
fn the_example_says_what_rust_says() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for library in ["libbagcert_certifier_c.a", "libbagcert_certifier_c.so"] {
        let program = host(folder.path(), "plain", &[], library);
        assert_eq!(said(&mut Command::new(program)), expected(), "{library}");
    }
}

#[test]
fn the_example_runs_clean_under_valgrind() {
    if !c::have("cc", "the example in C") || !c::have("valgrind", "the example under valgrind") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = host(folder.path(), "plain", &[], "libbagcert_certifier_c.a");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9", "--leak-check=full"]);
    assert_eq!(said(valgrind.arg(program)), expected());
}

#[test]
fn the_example_runs_clean_with_sanitizers() {
    if !c::have("cc", "the example in C") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let Some(flags) = c::sanitizers(folder.path()) else {
        return;
    };
    let program = host(
        folder.path(),
        "sanitized",
        &flags,
        "libbagcert_certifier_c.a",
    );
    assert_eq!(said(&mut Command::new(program)), expected());
}

const ARM: &str = "thumbv7em-none-eabihf";

/// The library for a Cortex-M4F, or nothing where the compiler has no such target.
fn arm_library() -> Option<PathBuf> {
    let target = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", ARM])
        .output()
        .unwrap();
    let there = String::from_utf8_lossy(&target.stdout);
    if !Path::new(there.trim()).is_dir() {
        println!("skipped: the example on a Cortex-M4: rustup target add {ARM}");
        return None;
    }
    let deps = c::library("libbagcert_certifier_c.a");
    // .../release/deps/LIBRARY: the target folder is three up.
    let target = deps.ancestors().nth(3).unwrap();
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--release", "--target", ARM, "--target-dir"])
        .arg(target)
        .args(["--package", "bagcert-certifier-c"]);
    c::successful(&mut build);
    Some(
        target
            .join(ARM)
            .join("release")
            .join("libbagcert_certifier_c.a"),
    )
}

fn link_for_arm(program: &Path, library: &Path) -> Command {
    let examples = c::folder().join("examples");
    let mut compile = c::compiler("arm-none-eabi-gcc", "c99");
    compile
        .args([
            "-mcpu=cortex-m4",
            "-mthumb",
            "-mfloat-abi=hard",
            "-mfpu=fpv4-sp-d16",
        ])
        .args(["-ffreestanding", "-ffunction-sections", "-fdata-sections"])
        .args(["-nostdlib", "-Wl,--gc-sections", "-T"])
        .args(["cortex_m.ld", "certifier.c", "cortex_m.c"].map(|name| examples.join(name)))
        .arg(library)
        .args(["-lgcc", "-o"])
        .arg(program);
    compile
}

/// No C library, no heap, and no panic: were one reachable, `bagcert_certifier_panicked` would be
/// missing and the link would fail.
#[test]
fn the_example_on_a_cortex_m4_says_what_rust_says() {
    if !c::have("arm-none-eabi-gcc", "the example on a Cortex-M4") {
        return;
    }
    let Some(library) = arm_library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("certifier.elf");
    c::successful(&mut link_for_arm(&program, &library));
    let names = said(Command::new("arm-none-eabi-nm").arg(&program));
    for absent in ["panic", "malloc", "alloc", "sbrk"] {
        assert!(!names.contains(absent), "{absent} is linked: {names}");
    }
    assert!(names.contains(" bagcert_certify_logits"), "{names}");
    if !c::have("qemu-system-arm", "running the example on a Cortex-M4") {
        return;
    }
    let mut board = Command::new("qemu-system-arm");
    board
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-serial", "none", "-kernel"])
        .arg(&program)
        .args(["-semihosting-config", "enable=on,target=native"])
        .stdin(Stdio::null());
    // QEMU writes what comes over semihosting to its standard error.
    let text = String::from_utf8(c::successful(&mut board).stderr).unwrap();
    assert_eq!(text, expected());
}
