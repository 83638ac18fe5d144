//! What a configuration may not say, and that those in the repository are in order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use bagcert_trainer::{
    config::{AugmentationConfig, Config, DataKind, MarginKind, PaddingMode, Precision, Scores},
    network::Plan,
};
use common::write_config_with;

/// The error for these keys of one table.
fn refused(table: &str, lines: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = write_config_with(folder.path(), 3, &[(table, lines)]);
    Config::read(&path).unwrap_err().to_string()
}

#[test]
fn a_margin_outside_windows_takes_no_sampled_cells() {
    let folder = tempfile::tempdir().unwrap();
    let window = "margin_kind = \"worst-window\"\npatches = [\"2x2\"]";
    let tables = [("loss", window), ("training", "cell_stride = 2")];
    let path = write_config_with(folder.path(), 3, &tables);
    let error = Config::read(&path).unwrap_err().to_string();
    for part in ["training.cell_stride = 2", "every cell", "loss.margin_kind"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn values_out_of_range_and_keys_without_effect_are_named() {
    let pair = "margin_kind = \"worst-pair\"";
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "loss",
            "margin_kind = \"best\"",
            &["margin_kind", "best", "worst-pair"],
        ),
        ("loss", pair, &["loss.margin_kind", "loss.patches"]),
        (
            "loss",
            "patches = [\"5x5\"]",
            &["loss.margin_kind", "paper"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"5by5\"]"),
            &["5by5", "5x5"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"0x5\"]"),
            &["0x5", "empty"],
        ),
        ("data", "labels = 100", &["data.labels = 100", "records"]),
        ("data", "label_bytes = 2", &["data.label_bytes", "records"]),
        (
            "data",
            "kind = \"folder\"\ntrain = [\"a.bin\"]",
            &["data.train", "a.bin", "records"],
        ),
        ("data", "test = [\"a.bin\"]", &["data.test", "records"]),
        (
            "data",
            "resize = 32\ncrop = 32",
            &["data.resize = 32", "folder"],
        ),
        (
            "data",
            "kind = \"records\"\ncrop = 32",
            &["data.crop = 32", "folder"],
        ),
        (
            "data",
            "crop_padding = 0\npadding_mode = \"reflect\"",
            &["data.padding_mode = reflect", "crop_padding"],
        ),
        (
            "loss",
            &format!("{pair}\npatch_areas = [9, 4]"),
            &["loss.patch_areas", "9, 4"],
        ),
        (
            "loss",
            &format!("{pair}\npatch_areas = [2, 3]"),
            &["hold a patch"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\npatch_areas = [4, 9]"),
            &["use one"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\nmask_step = 0"),
            &["loss.mask_step"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\npair_rivals = -1"),
            &["loss.pair_rivals"],
        ),
        (
            "loss",
            "margin_kind = \"worst-window\"\npatches = [\"2x2\"]\npair_rivals = 1",
            &["loss.pair_rivals", "worst-pair"],
        ),
        (
            "loss",
            "paper_epochs = 2",
            &["loss.paper_epochs", "already"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\npatch_shape = \"rectangle\""),
            &["loss.patch_shape", "loss.patch_areas"],
        ),
        (
            "loss",
            "patch_shape = \"rectangle\"",
            &["loss.patch_shape", "loss.patch_areas"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\npaper_epochs = 3"),
            &["loss.paper_epochs", "training.epochs"],
        ),
        ("loss", "temperature = 0.0", &["loss.temperature", "0.01"]),
        ("loss", "temperature = 1e39", &["loss.temperature", "1000"]),
        (
            "loss",
            "temperature = 2.0\nscores = \"sigmoid\"",
            &["loss.temperature", "loss.scores"],
        ),
        (
            "loss",
            "rival_softness = 1e39",
            &["loss.rival_softness", "1000"],
        ),
        (
            "loss",
            "rival_softness = 1e-4",
            &["loss.rival_softness", "0.001"],
        ),
        (
            "loss",
            &format!("{pair}\npatches = [\"2x2\"]\nrival_softness = 0.1"),
            &["loss.rival_softness", "paper's margin"],
        ),
        (
            "network",
            "hidden_widths = [8]",
            &["network.hidden_widths", "[8]", "each block"],
        ),
        (
            "network",
            "hidden_widths = []",
            &["network.hidden_widths", "each block"],
        ),
        (
            "network",
            "hidden_widths = [8, 0]",
            &["network.hidden_widths", "from 1 to 8192"],
        ),
        (
            "network",
            "dilations = [2]",
            &["network.dilations", "[2]", "each block"],
        ),
        (
            "network",
            "dilations = [1, 9]",
            &["network.dilations", "from 1 to 8"],
        ),
        (
            "network",
            "dilations = [1, 2]",
            &["network.dilations", "[1, 2]", "kernel 1"],
        ),
        (
            "training",
            "initial = [\"a.onnx\", \"b.onnx\"]\ninitial_blocks = [1, 2]",
            &["training.initial_blocks", "a single file"],
        ),
        (
            "training",
            "initial_dilations = [1, 2]",
            &["training.initial_dilations", "training.initial"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_dilations = [1, 0]",
            &["training.initial_dilations", "1 or more"],
        ),
        (
            "training",
            "initial_blocks = [1]",
            &["training.initial_blocks", "a single file, become"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_blocks = [2, 1]",
            &["training.initial_blocks", "rising order"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_blocks = [1, 1]",
            &["training.initial_blocks", "rising order"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_blocks = [0]",
            &["training.initial_blocks", "rising order"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_blocks = [3]",
            &["training.initial_blocks", "rising order"],
        ),
        (
            "training",
            "initial = \"first.safetensors\"\ninitial_blocks = []",
            &["training.initial_blocks", "rising order"],
        ),
        ("training", "clip_norm = 0.0", &["training.clip_norm"]),
        (
            "training",
            "clip_norm = nan",
            &["training.clip_norm", "NaN"],
        ),
        (
            "training",
            "weight_decay = 0.0",
            &["training.weight_decay", "leave it out"],
        ),
        (
            "training",
            "weight_decay = 1e5",
            &["training.weight_decay", "100000", "learning_rate"],
        ),
        (
            "training",
            "weight_decay = nan",
            &["training.weight_decay", "NaN"],
        ),
        (
            "training",
            "clip_norm = 1e-320",
            &["training.clip_norm", "1e-320"],
        ),
        (
            "data",
            "normalisation = [[0.5, 1e-20], [0.5, 0.2], [0.5, 0.2]]",
            &["data.normalisation", "[0.5, 1e-20]"],
        ),
        (
            "data",
            "normalisation = [[1e20, 0.2], [0.5, 0.2], [0.5, 0.2]]",
            &["data.normalisation", "[1e20, 0.2]"],
        ),
        (
            "loss",
            "margin_kind = \"worst-pair\"",
            &["loss.margin_kind = \"worst-pair\""],
        ),
        (
            "training",
            "initial = \"\"",
            &["initial", "an empty path names no file"],
        ),
        ("training", "ema = 1.0", &["training.ema", "0.999"]),
        (
            "training",
            "precision = \"f16\"",
            &["precision", "f16", "bf16"],
        ),
        ("training", "peak_tflops = -1.0", &["training.peak_tflops"]),
        (
            "training",
            "checkpoint_every = 0",
            &["training.checkpoint_every", "1 or more"],
        ),
        (
            "training",
            "cell_stride = 0",
            &["training.cell_stride", "16"],
        ),
        ("", "[augmentation]\ncutout = -1", &["augmentation.cutout"]),
        (
            "",
            "[augmentation]\noperations = 2",
            &["augmentation.magnitude", "together"],
        ),
        (
            "",
            "[augmentation]\nmagnitude = 2.0",
            &["augmentation.magnitude"],
        ),
        (
            "",
            "[augmentation]\nrotation = -1.0",
            &["augmentation.rotation"],
        ),
        ("", "[augmentation]\nzoom = nan", &["augmentation.zoom"]),
        (
            "",
            "[augmentation]\ncutout = 2\nepochs = 0",
            &["augmentation.epochs", "at least 1"],
        ),
        (
            "",
            "[augmentation]\nepochs = 3",
            &["augmentation.epochs", "something else"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 0.0",
            &["distillation.weight"],
        ),
        ("", "[distillation]\nweight = 0.5", &["teacher"]),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 0.5\nepochs = 0",
            &["distillation.epochs", "at least 1"],
        ),
        (
            "",
            "[distillation]\nteacher = []\nweight = 0.5",
            &["distillation.teacher", "at least one"],
        ),
        (
            "",
            "[distillation]\nteacher = 3\nweight = 0.5",
            &["teacher = 3", "a path or a list of paths"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nkind = \"logits\"",
            &["logits", "score-maps"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nkind = \"classes\"",
            &["distillation.kind", "distillation.softness", "0.07"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nkind = \"classes\"\nsoftness = nan",
            &["distillation.softness"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nkind = \"classes\"\nsoftness = 0.1\ntemperature = 0.0",
            &["distillation.temperature"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nsoftness = 0.1",
            &["distillation.softness", "\"classes\""],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\nmixed = 1.0",
            &["distillation.mixed", "0.9"],
        ),
        (
            "",
            "[distillation]\nteacher = \"a\"\nweight = 1\ntemperature = 2.0",
            &["distillation.temperature", "\"classes\""],
        ),
    ];
    for (table, lines, parts) in cases {
        let error = refused(table, lines);
        for part in *parts {
            assert!(
                error.contains(part),
                "{lines:?}: {part:?} is not in: {error}"
            );
        }
    }
}

/// Fuzzing begins with whole configurations: what is refused at its first key reaches nothing behind it.
#[test]
fn what_fuzzing_begins_with_is_in_order() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/trainer_config");
    for name in ["whole", "grown"] {
        Config::read(&Path::new(folder).join(name)).unwrap();
    }
}

/// Every configuration in the repository can be used; those named after the paper turn nothing else on.
#[test]
fn the_configurations_that_are_shipped_are_in_order() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let config = Config::read(&path).unwrap();
        found += 1;
        // What is saved with a run is the same configuration.
        let saved = toml::to_string(&config).unwrap();
        assert_eq!(
            toml::from_str::<Config>(&saved).unwrap(),
            config,
            "{}",
            path.display()
        );
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("paper-") {
            let training = &config.training;
            assert_eq!(config.loss.margin_kind, MarginKind::Paper, "{name}");
            assert_eq!(config.loss.scores, Scores::Heaviside, "{name}");
            assert!(training.initial.is_empty(), "{name}");
            assert_eq!(training.precision, Precision::F32, "{name}");
            assert!(
                training.ema.is_none() && training.clip_norm.is_none(),
                "{name}"
            );
            assert!(training.weight_decay.is_none(), "{name}");
            assert!(
                config.distillation.is_none() && !training.channels_last,
                "{name}"
            );
            assert_eq!(training.cell_stride, 1, "{name}");
            assert!(!config.network.position_embedding, "{name}");
            let network = &config.network;
            assert!(network.hidden_widths.is_none(), "{name}");
            assert!(network.dilations.is_none(), "{name}");
            assert_eq!(config.data.padding_mode, PaddingMode::Zeros, "{name}");
            let loss = (config.loss.rival_softness, config.loss.temperature);
            assert_eq!(loss, (0.0, 1.0), "{name}");
            let varied = config.augmentation;
            assert_eq!(varied, AugmentationConfig::default(), "{name}");
            // Sections A.1.1 and A.1.2.
            let imagenet = name.starts_with("paper-imagenet-");
            let expected = if imagenet { (1, 64) } else { (2, 768) };
            assert_eq!((network.paths, network.width), expected, "{name}");
            assert_eq!(network.shake, !imagenet, "{name}");
            let recipe = (training.epochs, training.batch, training.learning_rate);
            let expected = if imagenet {
                (60, 64, 3.3e-4)
            } else {
                (350, 96, 1e-3)
            };
            assert_eq!(recipe, expected, "{name}");
            assert_eq!(training.warmup_epochs, 10.0, "{name}");
            assert_eq!(
                config.loss.one_hot,
                if imagenet { 1.0 } else { 0.0 },
                "{name}"
            );
            assert!(config.data.flip, "{name}");
            if imagenet {
                assert_eq!(config.data.kind, DataKind::Folder, "{name}");
                assert_eq!((config.data.resize, config.data.crop), (256, 224), "{name}");
                assert_eq!(config.loss.margin, 0.25, "{name}");
            }
        }
    }
    assert!(found > 10, "{found} configurations");
}

/// Receptive fields and parameters (in millions, as the paper rounds them) are those of Table 1, margins those of the
/// file's name.
#[test]
fn the_paper_s_cifar_10_networks_are_those_of_table_1() {
    let read = |name: &str| {
        let name = format!("configs/paper-cifar10-{name}.toml");
        let config = Config::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let data = &config.data;
        let data = (data.kind, data.crop_padding, data.flip);
        assert_eq!(data, (DataKind::Cifar10, 4, true));
        config
    };
    for (receptive_field, millions) in [(5, 28), (7, 38), (9, 47), (11, 57), (13, 66)] {
        let config = read(&format!("rf{receptive_field}"));
        assert_eq!(config.loss.margin, 0.5);
        let plan = Plan::new(&config.network, 32, 3, 10);
        let axis = plan.geometry().unwrap().x;
        assert_eq!(
            (axis.receptive_field(), axis.outputs()),
            (receptive_field, 32)
        );
        let found = (plan.parameter_count() as f64 / 1e6).round();
        assert_eq!(found, f64::from(millions), "rf {receptive_field}");
    }
    for (margin, name) in [(0.25, "m025"), (0.75, "m075"), (1.0, "m100")] {
        let (other, main) = (read(&format!("rf7-{name}")), read("rf7"));
        assert_eq!(other.loss.margin, margin);
        let same = Config {
            loss: main.loss.clone(),
            ..other
        };
        assert_eq!(same, main, "{name}");
    }
}
