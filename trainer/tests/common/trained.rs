//! A network that learnt something of the made-up data set, made once for all tests of a file.

use std::{path::PathBuf, sync::LazyLock};

use bagcert_certifier::{Condition, Geometry, PatchSize};
use bagcert_trainer::{
    attack::Attack,
    checkpoint::Header,
    config::NetworkConfig,
    data::{self, Dataset, Part},
    network::{Network, Plan},
    run::load,
};
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;

use super::{run, text, train, write_config, write_dataset};

/// Images and a trained network.
pub(crate) static TRAINED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 160);
    let config = write_config(folder.path(), 30, "");
    let output = folder.path().join("run");
    let (result, errors) = train(&config, folder.path(), &output, &[]);
    assert!(result.status.success(), "{errors}");
    folder
});

/// An attack of ten steps on the first test images by `network` (`--checkpoint` or `--model` and its path): the
/// exit status, and what it wrote to standard output and standard error.
pub(crate) fn attack(network: [&str; 2], more: &[&str]) -> (Option<i32>, String, String) {
    let mut arguments = vec!["attack"];
    arguments.extend(network);
    arguments.extend(["--data", text(TRAINED.path())]);
    arguments.extend(["--steps", "10", "--step-size", "0.1", "--batch", "20"]);
    arguments.extend(more);
    // What a failing test leaves must not lie among the sources.
    let broken = TRAINED.path().join("broken");
    if !more.contains(&"--broken") {
        arguments.extend(["--broken", text(&broken)]);
    }
    let (result, errors) = run(&arguments);
    let output = String::from_utf8(result.stdout).unwrap();
    (result.status.code(), output, errors)
}

pub(crate) fn checkpoint() -> PathBuf {
    TRAINED.path().join("run/checkpoint.safetensors")
}

/// The trained network. On one thread: two would mostly wait for each other on maps so small.
pub(crate) fn trained() -> (Header, Network, Geometry) {
    tch::set_num_threads(1);
    load(&checkpoint(), Device::Cpu).unwrap()
}

pub(crate) fn test_images() -> Dataset {
    data::read(TRAINED.path(), Part::Test).unwrap()
}

pub(crate) fn square(side: u32) -> PatchSize {
    PatchSize::new(side, side).unwrap()
}

pub(crate) fn options(patch: u32, certified: u32) -> Attack {
    Attack {
        patch: square(patch),
        certified: square(certified),
        condition: Condition::SumWindow32,
        lead: 0,
        steps: 10,
        step_size: 0.1,
        seed: 1,
    }
}

/// A network and images of zeros, which give zeros all the way; any patch drives the huge weights past the
/// largest number.
pub(crate) fn overflowing() -> (Network, Geometry, Dataset) {
    tch::manual_seed(5);
    let config = NetworkConfig {
        width: 8,
        stem_kernel: 3,
        stem_stride: 1,
        kernels: vec![3, 1],
        strides: None,
        widths: None,
        hidden_widths: None,
        dilations: None,
        paths: 1,
        shake: false,
        position_embedding: false,
    };
    let plan = Plan::new(&config, 32, 3, 10);
    let geometry = plan.geometry().unwrap();
    let mut network = Network::new(plan, vec![(0.0, 1.0); 3], Device::Cpu);
    for (name, tensor) in network.parameters.named() {
        if name.ends_with(".weight") {
            assert!(network.parameters.set(&name, &(tensor * 1e30)));
        }
    }
    let images = Dataset {
        images: Tensor::zeros([4, 3, 32, 32], (Kind::Uint8, Device::Cpu)),
        labels: Tensor::zeros([4], (Kind::Int64, Device::Cpu)),
    };
    (network, geometry, images)
}
