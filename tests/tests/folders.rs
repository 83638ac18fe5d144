//! A class folder means the same to the trainer and to the runtime.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use bagcert_images::{CLASS_NAMES, IMAGE_LEN, Records};
use bagcert_tests::programs::{bagcert, beside_tests, successful};
use bagcert_tests::repository;
use image::{Rgb, RgbImage};

const CLASSES: [&str; 4] = ["oak", "elm", "yew", "fir"];

/// Noise around a colour of the class, in a frame of another's: what is cut off matters.
fn picture(class: usize, at: u32) -> RgbImage {
    let (width, height) = (24 + at * 7 % 61, 22 + at * 11 % 47);
    let mut state = at * 31 + class as u32 + 1;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as u8
    };
    let colours = [[150, 60, 60], [60, 150, 60], [60, 60, 150], [120, 120, 60]];
    let border = |at: u32, len: u32| at < len / 7 || at >= len - len / 7;
    RgbImage::from_fn(width, height, |x, y| {
        let framed = border(x, width) || border(y, height);
        let shown = if framed || at % 6 == 5 {
            class + 1
        } else {
            class
        };
        Rgb(colours[shown % 4].map(|value| value - 40 + noise()))
    })
}

fn write(root: &Path) {
    for (part, from, count) in [("train", 0, 30), ("val", 100, 15)] {
        for (class, name) in CLASSES.iter().enumerate() {
            let folder = root.join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for at in from..from + count {
                let ending = if at % 2 == 0 { "png" } else { "jpg" };
                let path = folder.join(format!("{at}.{ending}"));
                picture(class, at).save(path).unwrap();
            }
        }
    }
}

/// Shares in percent, as the trainer prints them: clean, then for each patch certified and right by Conditions
/// 3.2 and 3.3, certified and wrong.
fn trainers(printed: &str) -> Vec<f64> {
    let lines = printed
        .lines()
        .filter(|line| !line.contains("double masking"));
    let shown = lines.filter(|line| line.starts_with("clean") || line.contains("certified"));
    let percent = |line: &str| -> Vec<f64> {
        let words: Vec<&str> = line.split(' ').collect();
        let before = words.windows(2).filter(|pair| pair[1].starts_with('%'));
        before.map(|pair| pair[0].parse().unwrap()).collect()
    };
    shown.flat_map(percent).collect()
}

/// The same of `bagcert eval`.
fn runtimes(model: &Path, data: &str) -> Vec<f64> {
    let ask = |condition: &str| -> serde_json::Value {
        let mut command = Command::new(bagcert().unwrap());
        command.args(["eval", "--no-card", "--format", "json"]);
        command.args(["--condition", condition, "--data", data, "--model"]);
        command.arg(model);
        command.args(["--patch", "2x2", "--patch", "3x1", "--patch", "6x6"]);
        let output = successful(&mut command).unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let (exact, cheap) = (ask("3.2"), ask("3.3"));
    let frames = exact["frames"].as_f64().unwrap();
    let share = |count: &serde_json::Value| 100.0 * count.as_f64().unwrap() / frames;
    let mut shares = vec![share(&exact["right"])];
    for at in 0..3 {
        let [exact, cheap] = [&exact, &cheap].map(|summary| &summary["patches"][at]);
        shares.push(share(&exact["certified_right"]));
        shares.push(share(&cheap["certified_right"]));
        shares.push(share(&exact["certified_wrong"]));
    }
    shares
}

#[test]
fn both_measure_the_same_on_a_class_folder() {
    let trainer = beside_tests("bagcert-train").unwrap();
    if !trainer.exists() {
        println!("skipped: bagcert-train is not built");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, output) = (folder.path().join("trees"), folder.path().join("run"));
    write(&data);
    let config = folder.path().join("config.toml");
    let text = "seed = 4\n[data]\nkind = \"folder\"\nresize = 30\ncrop = 20\n[network]\nwidth = 6\n\
                kernels = [3, 1]\nstrides = [2, 1]\npaths = 1\n[loss]\nmargin = 0.4\n[training]\n\
                epochs = 3\nbatch = 8\nlearning_rate = 0.004\n";
    fs::write(&config, text).unwrap();
    let train = |command: &str, options: &[(&str, &Path)]| {
        let mut started = Command::new(&trainer);
        started.arg(command).env("OMP_NUM_THREADS", "1");
        for (option, value) in options {
            started.arg(option).arg(value);
        }
        String::from_utf8(successful(&mut started).unwrap().stdout).unwrap()
    };
    let common = [("--config", &*config), ("--data", &*data)];
    let run = [&common[..], &[("--output", &output)]].concat();
    train("train", &run);
    let checkpoint = output.join("checkpoint.safetensors");
    let patches = ["2x2", "3x1", "6x6"].map(|patch| ("--patch", Path::new(patch)));
    let measure = [&common[..], &[("--checkpoint", &checkpoint)], &patches].concat();
    let expected = trainers(&train("eval", &measure));
    let model = folder.path().join("trees.onnx");
    train(
        "export",
        &[("--checkpoint", &checkpoint), ("--output", &model)],
    );

    let spec = |resize: &str| format!("folder:{resize}{}", data.display());
    let found = runtimes(&model, &spec(""));
    assert_eq!(found.len(), 10);
    assert_eq!(expected.len(), found.len(), "{expected:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 0.005, "{found} and {expected}");
    }
    // It says something: neither all nor nothing, and another scale gives other figures.
    assert!(found[0] > 30.0 && found[0] < 100.0, "{found:?}");
    assert!(found[1] > 0.0 && found[1] < found[0], "{found:?}");
    assert_ne!(found, runtimes(&model, &spec("20:")));
}

/// The shipped model on records, and on the same images in folders.
#[test]
fn records_and_folders_of_the_same_images_measure_the_same() {
    let root = repository::root();
    let sample = root.join("runtime/tests/data/cifar10-sample.bin");
    let folder = tempfile::tempdir().unwrap();
    for (at, (label, planes)) in Records::read(&sample).unwrap().iter().enumerate() {
        let class = folder.path().join("val").join(CLASS_NAMES[label]);
        fs::create_dir_all(&class).unwrap();
        let plane = IMAGE_LEN / 3;
        let image = RgbImage::from_fn(32, 32, |x, y| {
            let pixel = (y * 32 + x) as usize;
            Rgb([0, 1, 2].map(|channel| planes[channel * plane + pixel]))
        });
        image.save(class.join(format!("{at}.png"))).unwrap();
    }
    let ask = |data: &str| -> serde_json::Value {
        let mut command = Command::new(bagcert().unwrap());
        command.args([
            "eval", "--format", "json", "--patch", "2x2", "--patch", "5x5",
        ]);
        command.args(["--data", data, "--model"]);
        command.arg(root.join("models/cifar10-rf8.onnx"));
        let output = successful(&mut command).unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let records = ask(&format!("cifar10:{}", sample.display()));
    let folders = ask(&format!("folder:32:{}", folder.path().display()));
    for key in ["frames", "failures", "right", "patches"] {
        assert_eq!(records[key], folders[key], "{key}");
    }
    assert_eq!(records["frames"], 100);
    let right = records["right"].as_u64().unwrap();
    assert!((30..100).contains(&right), "{right}");
}
