//! Wrong usage: exit status 2, nothing on the standard output, and words that help.

use crate::model::{RED, colour_model, plain};
use crate::{run, sample, text};

#[test]
fn patches_that_make_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let data = format!("cifar10:{}", text(&sample()));
    for (patch, words) in [
        ("0x5", "0x5"),
        ("5x0", "5x0"),
        ("0x0", "0x0"),
        ("5", "'5'"),
        ("x", "'x'"),
        ("5x", "'5x'"),
        ("x5", "'x5'"),
        ("5x5x5", "'5x5x5'"),
        ("+5x5", "'+5x5'"),
        ("5 x 5", "'5 x 5'"),
        ("-1x5", "'-1x5'"),
        ("99999999999x1", "99999999999x1"),
        ("", "--patch"),
    ] {
        let option = format!("--patch={patch}");
        let commands: [&[&str]; 4] = [
            &["certify", "--model", &model, &option, &frame],
            &["eval", "--model", &model, "--data", &data, &option],
            &["inspect", &model, &option],
            &["bench", &model, &option],
        ];
        for command in commands {
            let ran = run(command).ended(2);
            ran.says(&[words]);
            assert_eq!(ran.stdout, "");
        }
    }
    for patch in ["33x1", "1x33", "4294967295x4294967295"] {
        let commands: [&[&str]; 4] = [
            &["certify", "--model", &model, "--patch", patch, &frame],
            &["eval", "--model", &model, "--data", &data, "--patch", patch],
            &["inspect", &model, "--patch", patch],
            &["bench", &model, "--patch", patch],
        ];
        for command in commands {
            let ran = run(command).ended(2);
            ran.says(&[patch, "32x32"]);
            assert_eq!(ran.stdout, "");
        }
    }
    // One as large as the image is a question with the answer no.
    let whole = run([
        "certify", "--model", &model, "--patch", "32x32", "--format", "jsonl", &frame,
    ]);
    assert_eq!(whole.ended(0).json()[0]["certified"], false);
}

#[test]
fn areas_without_a_rectangle() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    for area in ["37", "0", "1025", "4294967295"] {
        let ran = run(["certify", "--model", &model, "--area", area, &frame]).ended(2);
        ran.says(&[area, "32x32"]);
        assert_eq!(ran.stdout, "");
    }
    run(["certify", "--model", &model, "--area", "many", &frame]).ended(2);
}

#[test]
fn other_arguments() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    for condition in ["masks", "double mask", "3.4", "", "3.20"] {
        let ran = run([
            "certify",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--condition",
            condition,
            &frame,
        ])
        .ended(2);
        ran.says(&["--condition"]);
        assert_eq!(ran.stdout, "");
    }
    let cases: [&[&str]; 16] = [
        &[],
        &["certify"],
        &["certify", "--model", &model, "--patch", "5x5"],
        &["certify", "--model", &model, &frame],
        &["certify", "--patch", "5x5", &frame],
        &[
            "certify", "--model", &model, "--patch", "5x5", "--format", "xml", &frame,
        ],
        &[
            "certify",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--no-such-option",
            &frame,
        ],
        &[
            "eval", "--model", &model, "--patch", "5x5", "--data", &frame,
        ],
        &[
            "eval",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--data",
            "cifar10:x",
            "--limit",
            "0",
        ],
        &["inspect", &model, "--format", "csv"],
        &["bench", &model, "--frames", "0"],
        &["bench", &model, "--threads", "0"],
        &["bench", &model, "--frames", "18446744073709551615"],
        &["bench", &model, "--mask-step", "2"],
        &["bench", &model, "--lead", "1"],
        &["bench", &model, "--condition", "mask", "--lead", "1"],
    ];
    for case in cases {
        let ran = run(case).ended(2);
        assert_eq!(ran.stdout, "", "{case:?}");
        assert!(!ran.stderr.is_empty(), "{case:?}");
    }
}

#[test]
fn a_model_of_other_classes_is_not_evaluated_on_cifar() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let data = format!("cifar10:{}", text(&sample()));
    let ran = run(["eval", "--model", &model, "--patch", "5x5", "--data", &data]).ended(2);
    ran.says(&["10 classes", "has 3"]);
    // Nor are its frames certified beside labels that mean something else.
    let ran = run(["certify", "--model", &model, "--patch", "5x5", &data]).ended(2);
    ran.says(&["10 classes", "has 3"]);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_slip_in_a_data_set_is_no_file_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let certify = |input: &str| run(["certify", "--model", &model, "--patch", "5x5", input]);
    for input in [
        "records:10/0:a",
        "records:10:a",
        "records:300/1:a",
        "folder:0:a",
    ] {
        certify(input)
            .ended(2)
            .says(&[input, "CLASSES/BYTES", "65536"]);
    }
    certify("record:10/1:a").ended(4).says(&["No such file"]);
}

#[test]
fn help_and_version_are_no_errors() {
    for args in [&["--help"][..], &["certify", "--help"], &["--version"]] {
        let ran = run(args).ended(0);
        assert!(ran.stdout.contains("bagcert"));
        assert_eq!(ran.stderr, "");
    }
}
