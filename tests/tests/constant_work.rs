//! Masks with constant work take as many instructions for every map of a shape, counted by valgrind;
//! with the least work they do not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_tests::programs::{beside_tests, cargo, successful};
use std::process::Command;

/// Instructions of one job of the certifier's example `count` on a map.
fn instructions(job: &str, map: u32) -> u64 {
    let program = beside_tests("examples/count").unwrap();
    // Maps are named by as many digits: a longer command line would move the stack, and with it the
    // steps that the system's copying of memory takes.
    assert!(map < 10);
    let output = successful(
        Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--toggle-collect=count::{job}"))
            .arg(program)
            .args([job, "1", &map.to_string()]),
    )
    .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, count) = text.split_once("Collected : ").expect("a count");
    count.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn every_map_takes_as_many_instructions() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("skipped: valgrind, which counts instructions, is not installed");
        return;
    }
    // `cargo test --workspace` has built the example; a test by itself may find none, or an old one.
    let mut build = cargo();
    build.args([
        "build",
        "--package",
        "bagcert-certifier",
        "--example",
        "count",
    ]);
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    successful(&mut build).unwrap();

    for job in ["constant_cifar", "constant_mask_cifar"] {
        let counts: Vec<u64> = (0..8).map(|map| instructions(job, map)).collect();
        println!("{job}: {counts:?}");
        assert!(counts[0] > 1_000_000, "{job}: {counts:?}");
        assert!(counts.iter().all(|n| *n == counts[0]), "{job}: {counts:?}");
    }
    // That the test can tell: with the least work maps differ.
    let counts: Vec<u64> = (0..8)
        .map(|map| instructions("double_cifar", map))
        .collect();
    println!("double_cifar: {counts:?}");
    assert!(counts.iter().any(|n| *n != counts[0]), "{counts:?}");
}
