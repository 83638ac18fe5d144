//! `bagcert-train check`: what is wrong with a configuration is told without images.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;

use common::{run, text, write_config};

#[test]
fn a_configuration_is_described_without_its_images() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), 3, "position_embedding = true");
    let imagenet = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/configs/paper-imagenet-rf17.toml"
    );
    let arguments = ["check", "--config", text(&config), "--config", imagenet];
    let (result, errors) = run(&arguments);
    assert!(result.status.success(), "{errors}");
    let said = String::from_utf8(result.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2);
    // 3 pixels of the stem, and 3 more cells of which each is 1 pixel from the next.
    let words = [
        text(&config),
        "3 epochs",
        "receptive field 5x5, 16x16 cells",
    ];
    for part in words {
        assert!(lines[0].contains(part), "{part:?} is not in {said}");
    }
    for part in [
        imagenet,
        "60 epochs",
        "two classes",
        "receptive field 17x17",
    ] {
        assert!(lines[1].contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn what_no_run_could_begin_with_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path(), 3, "");
    let given = fs::read_to_string(&config).unwrap();
    for (from, to, words) in [
        ("margin = 0.5", "margin = 5", "loss.margin = 5"),
        (
            "epochs = 3",
            "epochs = 3\nvalidation_patches = [\"40x40\"]",
            "40x40",
        ),
        (
            "margin = 0.5",
            "margin = 0.5\nmargin_kind = \"worst-window\"\npatches = [\"40x40\"]",
            "40x40",
        ),
        (
            "[network]",
            "[augmentation]\ncutout = 40\n[network]",
            "cutout = 40",
        ),
        (
            "epochs = 3",
            "epochs = 3\ncell_stride = 3",
            "cell_stride = 3",
        ),
        ("width = 8", "widht = 8", "widht"),
        ("one_hot = 0.1", "one_hot = 1e30", "loss.one_hot = 1e30"),
        (
            "width = 8\nkernels = [3, 1]\nstrides = [2, 1]",
            "width = 8192\nkernels = [3, 3, 3, 3]",
            "network.width",
        ),
    ] {
        fs::write(&config, given.replace(from, to)).unwrap();
        let (result, errors) = run(&["check", "--config", text(&config)]);
        assert_eq!(result.status.code(), Some(1), "{errors}");
        assert!(errors.contains(words), "{words:?} is not in {errors}");
        assert!(errors.contains("config.toml"), "{errors}");
        assert!(errors.contains("1 of 1 configurations"), "{errors}");
    }
}
