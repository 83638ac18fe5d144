//! A step on some cells of the score map works out these cells and no others, and they are those of the whole map.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use bagcert_trainer::{
    config::NetworkConfig,
    network::{Compute, Mode, Network, Plan, Sampling},
};
use common::{train, write_config_with, write_dataset};
use tch::{Device, Kind, Tensor, no_grad};

/// Networks whose last spatial layer is a block after a strided stem, one after a strided block, one with a stride and
/// a shortcut and hidden channels of other widths, one that only skips cells, and the stem; two with position embeddings
/// before, at and after the layer where cells are picked; four where dilated kernels let earlier layers leave cells out;
/// three where undilated ones do; and three wide enough for strided 1x1 convolutions to be left to libtorch.
const NETWORKS: [&str; 17] = [
    "width = 6\nstem_kernel = 2\nstem_stride = 2\nkernels = [3, 1, 1]\npaths = 1",
    "width = 6\nkernels = [3, 1, 3, 1]\nstrides = [1, 2, 1, 1]",
    "width = 6\nkernels = [1, 3, 1]\nstrides = [1, 2, 1]\nwidths = [4, 6, 8]\nhidden_widths = [5, 9, 3]",
    "width = 6\nkernels = [3, 1]\nstrides = [1, 2]",
    "width = 6\nstem_kernel = 4\nstem_stride = 3\nkernels = [1, 1]",
    "width = 6\nstem_kernel = 2\nstem_stride = 2\nkernels = [1, 3, 1]\nstrides = [1, 2, 1]\nposition_embedding = true",
    "width = 6\nstem_kernel = 4\nstem_stride = 3\nkernels = [1]\nposition_embedding = true",
    "width = 6\nstem_kernel = 2\nkernels = [1, 3, 1]\ndilations = [1, 2, 1]\nposition_embedding = true",
    "width = 6\nkernels = [3, 1, 3]\nstrides = [1, 1, 2]\ndilations = [3, 1, 4]\nwidths = [4, 6, 8]\nposition_embedding = true",
    "width = 6\nkernels = [1, 3, 3]\ndilations = [1, 2, 4]\npaths = 1",
    "width = 6\nkernels = [3, 3]\nstrides = [1, 2]\ndilations = [1, 4]\npaths = 1",
    "width = 6\nstem_kernel = 2\nkernels = [1, 3, 1]\nposition_embedding = true\npaths = 1",
    "width = 6\nkernels = [1, 5, 1]\nwidths = [4, 6, 8]\nposition_embedding = true",
    "width = 6\nkernels = [1, 1, 3]\nstrides = [1, 2, 1]\npaths = 1",
    "width = 12\nkernels = [3, 1, 3, 1]\nstrides = [1, 2, 1, 1]",
    "width = 12\nkernels = [1, 3, 1]\nstrides = [1, 2, 1]\nwidths = [9, 12, 8]\nhidden_widths = [10, 9, 8]\npaths = 1",
    "width = 12\nkernels = [1, 1, 3]\nstrides = [1, 2, 1]\npaths = 1",
];

fn plan(text: &str) -> Plan {
    plan_of(text, 32)
}

fn plan_of(text: &str, image_size: u32) -> Plan {
    let config: NetworkConfig = toml::from_str(text).unwrap();
    Plan::new(&config, image_size, 3, 10)
}

/// Random numbers in place of the zeros that new position embeddings are.
fn scatter(mut network: Network) -> Network {
    for (name, tensor) in network.parameters.named() {
        if name.ends_with(".place.value") {
            assert!(network.parameters.set(&name, &tensor.randn_like()));
        }
    }
    network
}

fn offsets(stride: i64) -> impl Iterator<Item = [i64; 2]> {
    (0..stride).flat_map(move |y| (0..stride).map(move |x| [y, x]))
}

#[test]
fn sampled_cells_are_those_of_the_whole_map() {
    tch::manual_seed(3);
    // An odd map too: the last column is there for some offsets only.
    for size in [32, 29] {
        let images = Tensor::rand([2, 3, size, size], (Kind::Float, Device::Cpu));
        for text in NETWORKS {
            let normalisation = vec![(0.5, 0.25); 3];
            let plan = plan_of(text, size as u32);
            let network = scatter(Network::new(plan, normalisation, Device::Cpu));
            let whole = no_grad(|| network.forward(&images, Mode::Evaluate));
            for stride in 1..=7 {
                // Of large strides each row and each column in one pair: there are many.
                let pairs = offsets(stride).filter(|[y, x]| stride <= 4 || y + x == stride - 1);
                for offset in pairs {
                    let sampling = Sampling::new(stride, offset);
                    let found =
                        no_grad(|| network.forward_sampled(&images, Mode::Evaluate, &sampling));
                    let expected = sampling.of(&whole);
                    assert_eq!(found.size(), expected.size(), "{text}, {sampling:?}");
                    let apart = (&found - &expected).abs().max().double_value(&[]);
                    assert!(apart < 1e-4, "{text}, {sampling:?}: {apart}");
                }
            }
        }
    }
}

#[test]
fn so_they_are_in_every_arithmetic_and_layout() {
    tch::manual_seed(4);
    let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    for text in NETWORKS {
        let normalisation = vec![(0.5, 0.25); 3];
        let mut network = scatter(Network::new(plan(text), normalisation, Device::Cpu));
        for (kind, near) in [(Kind::Float, 1e-4), (Kind::BFloat16, 0.1)] {
            network.compute = Compute {
                kind,
                channels_last: true,
            };
            let whole = no_grad(|| network.forward(&images, Mode::Evaluate));
            for sampling in [Sampling::new(2, [1, 0]), Sampling::new(8, [0, 7])] {
                let found = no_grad(|| network.forward_sampled(&images, Mode::Evaluate, &sampling));
                assert_eq!(found.stride()[1], 1, "{text}: the layout is lost");
                let apart = (&found - sampling.of(&whole)).abs().max().double_value(&[]);
                assert!(apart < near, "{text}, {kind:?}, {sampling:?}: {apart}");
            }
        }
    }
}

/// What is left out has no gradient, and what is not has that of the whole map, in either layout.
#[test]
fn so_are_their_gradients() {
    tch::manual_seed(5);
    let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    for text in NETWORKS {
        let normalisation = vec![(0.5, 0.25); 3];
        let mut network = scatter(Network::new(plan(text), normalisation, Device::Cpu));
        for sampling in [Sampling::new(2, [1, 0]), Sampling::new(4, [3, 2])] {
            network.compute.channels_last = false;
            let whole = sampling.of(&network.forward(&images, Mode::Evaluate));
            let weights = whole.randn_like();
            let gradient = |logits: Tensor, flat: &Tensor| {
                let sum = (logits * &weights).sum(Kind::Float);
                Tensor::run_backward(&[&sum], &[flat], false, false).remove(0)
            };
            let expected = gradient(whole, &network.parameters.flat);
            let size = expected.abs().max().double_value(&[]);
            assert!(size > 0.0, "{text}: no gradient");
            for channels_last in [false, true] {
                network.compute.channels_last = channels_last;
                let found = network.forward_sampled(&images, Mode::Evaluate, &sampling);
                let found = gradient(found, &network.parameters.flat);
                let apart = (found - &expected).abs().max().double_value(&[]);
                assert!(
                    apart < 1e-4 * size,
                    "{text}, {sampling:?}, channels last: {channels_last}: {apart} of {size}"
                );
            }
        }
    }
}

/// Every cell is seen: the offsets that are drawn are all there are, and each about as often.
#[test]
fn offsets_are_drawn_evenly() {
    tch::manual_seed(5);
    let draws: Vec<Sampling> = (0..1600).map(|_| Sampling::draw(4)).collect();
    for offset in offsets(4) {
        let wanted = Sampling::new(4, offset);
        let count = draws.iter().filter(|drawn| **drawn == wanted).count();
        // Six standard deviations: other tests draw from the same generator.
        assert!((40..=160).contains(&count), "{wanted:?}: {count} of 1600");
    }
    assert_eq!(Sampling::draw(1), Sampling::ALL);
}

#[test]
fn the_work_that_is_left_is_counted() {
    for text in NETWORKS {
        let plan = plan(text);
        assert_eq!(plan.sampled_multiply_adds(1), plan.multiply_adds());
    }
    // Stem 2x2 on 16x16 cells, then 8x8 of them: 3x3, three 1x1 blocks' worth, head.
    let expected = 256 * 6 * 12 + 64 * (36 * 9 + 36 + 4 * 36 + 60);
    assert_eq!(plan(NETWORKS[0]).sampled_multiply_adds(2), expected);
    // The stem itself: 11 cells, 6 of them.
    let expected = 36 * (6 * 48 + 8 * 36 + 60);
    assert_eq!(plan(NETWORKS[4]).sampled_multiply_adds(2), expected);
    // Every second cell of stem and first block (two paths of two 1x1), on which alone the taps of the second fall; 16
    // cells each way of that one's two 3x3, and of all 1x1 but those before a 3x3.
    let expected = 256 * (6 * 12 + 4 * 36) + 256 * 36 + 256 * (2 * 36 * 9 + 36 + 4 * 36 + 60);
    assert_eq!(plan(NETWORKS[7]).sampled_multiply_adds(2), expected);
    // No more of them are left out than fall between the taps.
    let expected = 256 * (6 * 12 + 4 * 36) + 256 * 36 + 64 * (2 * 36 * 9 + 36 + 4 * 36 + 60);
    assert_eq!(plan(NETWORKS[7]).sampled_multiply_adds(4), expected);
    // Taps of four apart leave every fourth cell, and of these the taps of two apart every second of all.
    let (stem, pair) = (6 * 27, 36 * 9 + 36);
    let expected = 256 * (stem + 2 * 36) + 64 * (pair + pair + 60);
    assert_eq!(plan(NETWORKS[9]).sampled_multiply_adds(4), expected);
    // Every sixth cell and taps of four apart: every second cell of all before. 6 cells each way.
    let expected = 256 * (stem + 2 * 36 + pair) + 36 * (pair + 60);
    assert_eq!(plan(NETWORKS[9]).sampled_multiply_adds(6), expected);
    // Cells of the second block lie two apart, so of every second one the taps fall on every fourth, the shortcut too.
    let expected = 1024 * stem + 64 * pair + 64 * (pair + 36 + 60);
    assert_eq!(plan(NETWORKS[10]).sampled_multiply_adds(2), expected);
    // Windows of three that touch leave nothing out; of every eight cells three, but none before
    // the first, and the last begins a window that is not wanted: 12 of 32.
    let (stem, late) = (6 * 12, 36 * 9 + 36 + 2 * 36 + 60);
    let expected = 1024 * (stem + 2 * 36) + 121 * late;
    assert_eq!(plan(NETWORKS[11]).sampled_multiply_adds(3), expected);
    let expected = 1024 * stem + 144 * 2 * 36 + 16 * late;
    assert_eq!(plan(NETWORKS[11]).sampled_multiply_adds(8), expected);
    // Of a map of 16 cells 12 too. The strided convolutions before them work out all.
    let expected = 1024 * (6 * 27 + 2 * 36) + 256 * 2 * 36 + 144 * 36 + 16 * (36 * 9 + 36 + 60);
    assert_eq!(plan(NETWORKS[13]).sampled_multiply_adds(4), expected);
}

#[test]
fn a_stride_that_does_not_divide_the_map_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 20);
    for stride in [3, 5, 12] {
        let keys = format!("cell_stride = {stride}");
        let config = write_config_with(data, 2, &[("training", &keys)]);
        let (output, errors) = train(&config, data, &data.join("run"), &[]);
        assert!(!output.status.success());
        for part in [&keys, "training.cell_stride", "16x16 cells"] {
            assert!(errors.contains(part), "{part} is not in: {errors}");
        }
    }
    // As many as there are: one cell a step.
    let config = write_config_with(data, 2, &[("training", "cell_stride = 16")]);
    let (output, errors) = train(&config, data, &data.join("run"), &[]);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn a_run_on_sampled_cells_learns() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    write_dataset(data, 40);
    let losses = |name: &str, keys: &str| -> Vec<f64> {
        let config = write_config_with(data, 8, &[("training", keys)]);
        let (output, errors) = train(&config, data, &data.join(name), &[]);
        assert!(output.status.success(), "{errors}");
        let log = std::fs::read_to_string(data.join(name).join("log.jsonl")).unwrap();
        let loss = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["loss"].as_f64().unwrap()
        };
        log.lines().map(loss).collect()
    };
    let (all, sampled) = (losses("all", ""), losses("sampled", "cell_stride = 4"));
    assert!(sampled.last() < sampled.first(), "{sampled:?}");
    assert_ne!(all, sampled);
}
