//! One network from several: what its weights are, and whose have no mean.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_trainer::{
    checkpoint::{Header, save},
    config::Scores,
    export::{export, fold, onnx_bytes},
    import::import,
    mean::mean_of_files,
    network::Network,
};
use common::{
    run, text,
    untrained::{header, unsettled},
};
use tch::{Device, Tensor};

const LAYERS: &str =
    "width = 8\nkernels = [1, 3]\nstem_kernel = 2\npaths = 2\nposition_embedding = true";

fn of_layers(layers: &str) -> Header {
    header(toml::from_str(layers).unwrap())
}

fn folded(network: &Network) -> Tensor {
    fold(network).unwrap().parameters.flat.detach()
}

fn off(one: &Tensor, other: &Tensor) -> f64 {
    (one - other).abs().max().double_value(&[])
}

/// A checkpoint and an exported model of the same layers, and both networks.
fn pair(folder: &Path) -> ([PathBuf; 2], [Network; 2]) {
    let header = of_layers(LAYERS);
    let paths = ["first.safetensors", "second.onnx"].map(|name| folder.join(name));
    let networks = [1, 2].map(|seed| unsettled(&header, seed).0);
    save(&paths[0], &header, &networks[0], None).unwrap();
    export(&paths[1], &header, &networks[1]).unwrap();
    (paths, networks)
}

#[test]
fn each_network_has_the_part_in_the_mean_that_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, networks) = pair(folder.path());
    let output = folder.path().join("mean.onnx");
    let [first, second] = paths.each_ref().map(|path| text(path));
    for (weights, share) in [(&[][..], 0.5), (&["--weight", "3", "--weight", "1"], 0.75)] {
        let files = [
            "mean",
            "--of",
            first,
            "--of",
            second,
            "--output",
            text(&output),
        ];
        let (found, errors) = run(&[&files[..], weights].concat());
        assert!(found.status.success(), "{errors}");
        assert!(
            errors.contains(&format!("{:6.2} % of {first}", 100.0 * share)),
            "{errors}"
        );
        let (_, mean, _) = import(&output, Device::Cpu).unwrap();
        let expected = folded(&networks[0]) * share + folded(&networks[1]) * (1.0 - share);
        let distance = off(&mean.parameters.flat, &expected);
        assert!(distance < 1e-6, "{weights:?}: {distance}");
    }
    assert!(off(&folded(&networks[0]), &folded(&networks[1])) > 1e-2);
}

#[test]
fn the_mean_of_a_network_and_itself_is_that_network() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, _) = pair(folder.path());
    let same = (paths[1].clone(), 1.0);
    let (header, mean) = mean_of_files(&[same.clone(), same]).unwrap();
    assert_eq!(
        onnx_bytes(&header, &mean).unwrap(),
        fs::read(&paths[1]).unwrap()
    );
}

#[test]
fn networks_of_other_layers_or_images_have_no_mean() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first.onnx");
    let ours = of_layers(LAYERS);
    export(&first, &ours, &unsettled(&ours, 1).0).unwrap();
    let wider = of_layers(&LAYERS.replace("width = 8", "width = 9"));
    let other = [
        ("the network", wider),
        (
            "the classes",
            Header {
                classes: ours.classes.iter().rev().cloned().collect(),
                ..ours.clone()
            },
        ),
        (
            "the data set",
            Header {
                dataset: "another".into(),
                ..ours.clone()
            },
        ),
        (
            "scaled to",
            Header {
                resize: Some(36),
                ..ours.clone()
            },
        ),
        (
            "inverse deviation",
            Header {
                normalisation: vec![(0.5, 0.25); 3],
                ..ours.clone()
            },
        ),
    ];
    for (what, theirs) in other {
        let second = folder.path().join("second.onnx");
        export(&second, &theirs, &unsettled(&theirs, 2).0).unwrap();
        let refused = mean_of_files(&[(first.clone(), 1.0), (second, 1.0)]);
        let said = refused.unwrap_err().to_string();
        for part in ["first.onnx", "second.onnx", what] {
            assert!(said.contains(part), "{part} is not in: {said}");
        }
    }
}

#[test]
fn what_is_no_mean_is_refused_and_leaves_every_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, _) = pair(folder.path());
    let before = paths.each_ref().map(|path| fs::read(path).unwrap());
    let output = folder.path().join("mean.onnx");
    let (output, [first, second]) = (text(&output), paths.each_ref().map(|path| text(path)));
    for (arguments, reason) in [
        (
            &["--of", first, "--output", output][..],
            "two files at least",
        ),
        (
            &[
                "--of", first, "--of", second, "--weight", "1", "--output", output,
            ],
            "one for each",
        ),
        (
            &[
                "--of", first, "--of", second, "--weight", "1", "--weight", "-1", "--output",
                output,
            ],
            "from 1e-6 to 1e6",
        ),
        (
            &[
                "--of", first, "--of", second, "--weight", "1", "--weight", "inf", "--output",
                output,
            ],
            "from 1e-6 to 1e6",
        ),
        // Their sum is no number, and each share 0.
        (
            &[
                "--of", first, "--of", second, "--weight", "1e308", "--weight", "1e308",
                "--output", output,
            ],
            "from 1e-6 to 1e6",
        ),
        (
            &["--of", first, "--of", second, "--output", second],
            "give another file",
        ),
        (
            &["--of", first, "--of", "nowhere.onnx", "--output", output],
            "nowhere.onnx",
        ),
        (
            &["--of", first, "--of", second, "--output", "m.safetensors"],
            "ends in .onnx",
        ),
    ] {
        let (found, errors) = run(&[&["mean"], arguments].concat());
        assert_eq!(found.status.code(), Some(1), "{errors}");
        assert!(errors.contains(reason), "{reason} is not in: {errors}");
    }
    assert!(!Path::new(output).exists());
    assert_eq!(paths.each_ref().map(|path| fs::read(path).unwrap()), before);
    // Its scores are no votes.
    let softmax = Header {
        scores: Scores::Softmax,
        ..of_layers(LAYERS)
    };
    save(&paths[0], &softmax, &unsettled(&softmax, 1).0, None).unwrap();
    let parts = paths.map(|path| (path, 1.0));
    let said = mean_of_files(&parts).unwrap_err().to_string();
    assert!(
        said.contains("first.safetensors") && said.contains("softmax"),
        "{said}"
    );
}
