//! The receptive field worked out from a configuration is the one that admission finds in the export.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use bagcert::admission::admit_bytes;
use bagcert_certifier::{PatchSize, Pixel};
use bagcert_trainer::{
    checkpoint::Header, config::Config, export::onnx_bytes, network::Plan, run::build,
};
use common::untrained::header;
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
            "kernels = [3, 1, 3, 1, 3, 1, 1, 1]\nstrides = [2, 1, 2, 1, 1, 1, 1, 1]\nwidths = [4, 4, 6, 6, 8, 8, 9, 9]\nhidden_widths = [3, 4, 8, 6, 9, 8, 9, 7]",
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
        (
            "kernels = [3, 1]\nstem_kernel = 2\nstem_stride = 2\nposition_embedding = true",
            32,
            6,
        ),
        // Dilated: an even stem that keeps the size, and a stride between two dilations.
        (
            "kernels = [1, 3, 1]\nstem_kernel = 2\ndilations = [1, 2, 1]\nposition_embedding = true",
            32,
            6,
        ),
        (
            "kernels = [3, 3]\nstrides = [2, 1]\ndilations = [3, 2]",
            37,
            17,
        ),
        // Maps of odd sizes: 37, 19 and 10 cells.
        (
            "kernels = [3, 1, 3]\nstrides = [2, 1, 2]\nposition_embedding = true",
            37,
            9,
        ),
    ];
    for (text, size, receptive_field) in networks {
        let header = Header {
            image_size: size,
            ..header(toml::from_str(&format!("width = 4\n{text}")).unwrap())
        };
        tch::manual_seed(1);
        let (network, geometry) = build(&header, Device::Cpu).unwrap();
        let bytes = onnx_bytes(&header, &network).unwrap();
        let admitted = admit_bytes(&bytes, Path::new("network.onnx")).unwrap();
        assert_eq!(admitted.geometry(), geometry, "{text}");
        assert_eq!(geometry.x.receptive_field(), receptive_field, "{text}");
        let plan = Plan::new(&header.network, size, 3, 10);
        assert_eq!(admitted.macs(), plan.multiply_adds() as u64, "{text}");
    }
}

/// Section A.1.2: receptive field and cells that a patch of 32x32 pixels affects along one axis.
#[test]
fn the_papers_imagenet_networks_are_those_of_their_configurations() {
    let table = [("17", 12, 2.28), ("25", 14, 3.33), ("29", 15, 3.36)];
    for (receptive_field, cells, millions) in table {
        let name = format!("configs/paper-imagenet-rf{receptive_field}.toml");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        let config = Config::read(&path).unwrap();
        let header = Header {
            classes: (0..1000).map(|class| format!("n{class:08}")).collect(),
            normalisation: vec![(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)],
            image_size: config.data.crop,
            resize: Some(config.data.resize),
            ..header(config.network)
        };
        tch::manual_seed(1);
        let (network, geometry) = build(&header, Device::Cpu).unwrap();
        for axis in [geometry.x, geometry.y] {
            assert_eq!(axis.receptive_field().to_string(), receptive_field);
            assert_eq!((axis.inputs(), axis.outputs(), axis.stride()), (224, 56, 4));
        }
        let most = (0..=224 - 32)
            .filter_map(|x| geometry.affected(PatchSize::new(32, 32).unwrap(), Pixel { x, y: 100 }))
            .map(|affected| affected.x.last - affected.x.first + 1);
        assert_eq!(most.max(), Some(cells), "{name}");

        let bytes = onnx_bytes(&header, &network).unwrap();
        let admitted = admit_bytes(&bytes, &path).unwrap();
        assert_eq!(admitted.geometry(), geometry, "{name}");
        assert_eq!(admitted.class_names(), header.classes, "{name}");
        let resize = admitted.metadata().get("bagcert.resize");
        assert_eq!(resize.map(String::as_str), Some("256"), "{name}");
        let plan = Plan::new(&header.network, 224, 3, 1000);
        assert_eq!(admitted.macs(), plan.multiply_adds() as u64, "{name}");
        let trained = plan.parameter_count() as f64 / 1e6;
        assert!((trained - millions).abs() < 0.005, "{name}: {trained} M");
        // In the file each normalisation is folded into a bias; mean and deviation of three channels come to it.
        let held = plan.folded().parameter_count() + 6;
        assert_eq!(admitted.parameters(), held as u64, "{name}");
    }
}
