//! The receptive field worked out from a configuration is the one that admission finds in the export.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use bagcert::admission::admit_bytes;
use bagcert_trainer::{
    checkpoint::Header, data::CLASS_NAMES, export::onnx_bytes, network::Plan, run::build,
};
use tch::Device;

#[test]
fn admission_finds_the_geometry_of_the_configuration() {
    // Every receptive field of the paper's CIFAR-10 networks, its ImageNet networks (at 64 pixels; the layers do
    // not know the size), and what else can be set: widths, depth, strides, paths, the stem.
    let networks = [
        ("kernels = [3, 1, 1, 1, 1, 1, 1, 1]", 32, 5),
        ("kernels = [3, 1, 3, 1, 1, 1, 1, 1]", 32, 7),
        ("kernels = [3, 1, 3, 1, 3, 1, 1, 1]", 32, 9),
        ("kernels = [3, 1, 3, 1, 3, 1, 3, 1]", 32, 11),
        ("kernels = [3, 3, 3, 1, 3, 1, 3, 1]", 32, 13),
        (
            "kernels = [3, 1, 3, 1, 3, 1, 1, 1]\nstrides = [2, 1, 2, 1, 1, 1, 1, 1]\nwidths = [4, 4, 6, 6, 8, 8, 9, 9]",
            64,
            17,
        ),
        (
            "kernels = [3, 1, 3, 1, 3, 1, 3, 1]\nstrides = [2, 1, 2, 1, 1, 1, 1, 1]",
            64,
            25,
        ),
        (
            "kernels = [3, 3, 3, 1, 3, 1, 3, 1]\nstrides = [2, 1, 2, 1, 1, 1, 1, 1]",
            64,
            29,
        ),
        (
            "kernels = [3, 1, 1, 1]\npaths = 1\nstem_kernel = 4\nstem_stride = 2",
            32,
            8,
        ),
        (
            "kernels = [1, 3]\npaths = 1\nstem_kernel = 5\nstem_stride = 3\nstrides = [1, 2]",
            32,
            11,
        ),
        ("kernels = [1]\nstem_kernel = 1", 32, 1),
    ];
    for (text, size, receptive_field) in networks {
        let header = Header {
            version: 1,
            network: toml::from_str(&format!("width = 4\n{text}")).unwrap(),
            classes: CLASS_NAMES.map(String::from).to_vec(),
            dataset: "none".into(),
            normalisation: vec![(0.5, 0.25); 3],
            image_size: size,
            epoch: 0,
            steps: 0,
            seed: 0,
        };
        tch::manual_seed(1);
        let (network, geometry) = build(&header, Device::Cpu).unwrap();
        let bytes = onnx_bytes(&header, &network).unwrap();
        let admitted = admit_bytes(&bytes, Path::new("network.onnx")).unwrap();
        assert_eq!(admitted.geometry(), geometry, "{text}");
        assert_eq!(geometry.x.receptive_field(), receptive_field, "{text}");
        let plan = Plan::new(&header.network, 3, 10);
        assert_eq!(admitted.macs(), plan.multiply_adds(size) as u64, "{text}");
    }
}
