//! Image folders and record files: what is read, what is refused, and a run on each of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{fs, path::Path};

use bagcert_trainer::{
    config::{Config, DataKind, PaddingMode},
    data::{Augmentation, DataError, Folder, Images, Sizes, Source, Variation, facts},
};
use common::{
    run, text,
    trees::{CLASSES, picture, write_folder},
};
use image::{GrayImage, Luma};
use tch::{Kind, Tensor};

fn classes() -> Vec<String> {
    CLASSES.map(String::from).to_vec()
}

fn open(root: &Path, sizes: Sizes) -> Result<Folder, DataError> {
    Folder::open(root, "train", &classes(), sizes)
}

#[test]
fn images_become_squares_of_one_size() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), 8);
    let train = folder.path().join("train/ash");
    // Grey, and already of the size.
    let grey = GrayImage::from_fn(16, 16, |x, y| Luma([(x * 16 + y) as u8]));
    grey.save(train.join("0-grey.png")).unwrap();
    // Much longer than wide.
    picture(0, 600, 3, 1)
        .save(train.join("1-strip.png"))
        .unwrap();
    let images = open(folder.path(), Sizes::square(16, 12)).unwrap();
    assert_eq!(images.len(), 3 * 8 + 2);
    let all = images.part(0, 1000).unwrap();
    assert_eq!(all.images.size(), [26, 3, 12, 12]);
    assert_eq!(all.images.kind(), Kind::Uint8);
    // The middle of the grey one, in all three channels, pixel by pixel.
    for channel in 0..3 {
        for (y, x) in [(0, 0), (3, 7), (11, 11)] {
            let found = all.images.int64_value(&[0, channel, y, x]);
            assert_eq!(found, (x + 2) * 16 + y + 2);
        }
    }
    // Each shows the colour of its class.
    let brightest =
        all.images
            .to_kind(Kind::Float)
            .mean_dim([2i64, 3].as_slice(), false, Kind::Float);
    let brightest = Vec::<i64>::try_from(brightest.argmax(1, false)).unwrap();
    let labels = Vec::<i64>::try_from(&all.labels).unwrap();
    assert_eq!(labels[0..4], [0, 1, 2, 0]);
    assert_eq!(brightest[1..], labels[1..]);
    // Part by part is the same.
    let parts: Vec<Tensor> = [(0, 10), (10, 10), (20, 10)]
        .map(|(start, count)| images.part(start, count).unwrap().images)
        .into();
    assert_eq!(Tensor::cat(&parts, 0), all.images);
}

#[test]
fn training_images_are_varied_by_seed_and_index_alone() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), 6);
    let images = open(folder.path(), Sizes::square(24, 16)).unwrap();
    let draw = |indices: &[i64], seed, flip| {
        images
            .decode(indices, Some(Variation { seed, flip }))
            .unwrap()
            .0
    };
    let len = 3 * 16 * 16;
    let together = draw(&[3, 8, 3], 5, true);
    assert_eq!(draw(&[8], 5, true), together[len..2 * len]);
    assert_eq!(together[..len], together[2 * len..]);
    let mut kinds = std::collections::BTreeSet::new();
    for seed in 0..40 {
        kinds.insert(draw(&[4], seed, true));
    }
    assert!(kinds.len() > 20, "only {} variations", kinds.len());
    // The same image under twenty indices is cut in other places.
    let same = tempfile::tempdir().unwrap();
    write_folder(same.path(), 6);
    for at in 0..20 {
        let path = same.path().join(format!("train/ash/same-{at}.png"));
        picture(0, 40, 40, 0).save(path).unwrap();
    }
    let copies = open(same.path(), Sizes::square(40, 16)).unwrap();
    // Behind the six of each class.
    let indices: Vec<i64> = (18..38).collect();
    let variation = Some(Variation {
        seed: 1,
        flip: true,
    });
    let (bytes, _) = copies.decode(&indices, variation).unwrap();
    let kinds: std::collections::BTreeSet<&[u8]> = bytes.chunks(len).collect();
    assert!(kinds.len() > 10, "only {} variations of 20", kinds.len());
    // The dark quarter is at the left unless flipped.
    let left_is_darker = |bytes: &[u8], class: usize| {
        let plane = &bytes[class * 256..(class + 1) * 256];
        let half = |right: bool| -> u32 {
            let inside = |at: &usize| (at % 16 >= 8) == right && at / 16 < 6;
            (0..256).filter(inside).map(|at| u32::from(plane[at])).sum()
        };
        half(false) < half(true)
    };
    let flips = (0..40)
        .filter(|&seed| !left_is_darker(&draw(&[0], seed, true), 0))
        .count();
    assert!((8..=32).contains(&flips), "{flips} of 40 are flipped");
    assert!((0..40).all(|seed| left_is_darker(&draw(&[0], seed, false), 0)));
}

#[test]
fn batches_are_decoded_ahead_in_order() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), 6);
    let images = open(folder.path(), Sizes::square(16, 16)).unwrap();
    let order = [7i64, 0, 17, 3, 9, 12, 1, 2, 11, 5];
    let augmentation = Augmentation {
        flip: true,
        crop_padding: 4,
        padding_mode: PaddingMode::Zeros,
    };
    let source = Source::Folder(images.clone());
    let mut batches = source
        .batches(&Tensor::from_slice(&order), 4, augmentation, 3)
        .unwrap();
    for part in order.chunks_exact(4) {
        let batch = batches.next_batch().unwrap();
        let expected = images
            .decode(
                part,
                Some(Variation {
                    seed: 3,
                    flip: true,
                }),
            )
            .unwrap();
        let found = Vec::<u8>::try_from(batch.images.contiguous().flatten(0, -1)).unwrap();
        assert_eq!(found, expected.0);
        assert_eq!(Vec::<i64>::try_from(&batch.labels).unwrap(), expected.1);
    }
    assert!(batches.next_batch().is_err(), "two are left over");
    // Dropped with work undone: the thread ends.
    let order = Tensor::arange(18, (Kind::Int64, tch::Device::Cpu));
    drop(source.batches(&order, 1, augmentation, 3).unwrap());
}

#[test]
fn what_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let told = |result: Result<Folder, DataError>, words: &[&str]| {
        let error = result.err().unwrap().to_string();
        for word in words {
            assert!(error.contains(word), "{word} is not in {error}");
        }
    };
    told(
        open(root, Sizes::square(8, 8)),
        &["train", "cannot be read"],
    );
    fs::create_dir(root.join("train")).unwrap();
    told(
        open(root, Sizes::square(8, 8)),
        &["train", "no folder", "CLASS/IMAGE"],
    );
    write_folder(root, 4);
    fs::create_dir(root.join("val/oak")).unwrap();
    let val = Folder::open(root, "val", &classes(), Sizes::square(8, 8));
    told(val, &["oak", "no such class"]);
    fs::create_dir(root.join("train/empty")).unwrap();
    let more = [classes(), vec!["empty".into()]].concat();
    told(
        Folder::open(root, "train", &more, Sizes::square(8, 8)),
        &["empty", "no image"],
    );
    fs::remove_dir(root.join("train/empty")).unwrap();

    let bad = root.join("train/birch/001.JPEG");
    let whole = fs::read(&bad).unwrap();
    let png = root.join("train/birch/002.png");
    let png_bytes = fs::read(&png).unwrap();
    let images = open(root, Sizes::square(8, 8)).unwrap();
    let indices: Vec<i64> = (0..images.len()).collect();
    let decode = || {
        images
            .decode(&indices, None)
            .err()
            .map(|error| error.to_string())
    };
    assert_eq!(decode(), None);
    for (path, bytes) in [
        (&bad, vec![]),
        (&bad, b"JFIF".to_vec()),
        (&png, png_bytes[..png_bytes.len() / 2].to_vec()),
        (
            &png,
            [&png_bytes[..60], &[0xAA; 8], &png_bytes[68..]].concat(),
        ),
    ] {
        let before = fs::read(path).unwrap();
        fs::write(path, &bytes).unwrap();
        let said = decode().unwrap_or_else(|| panic!("{} bytes passed", bytes.len()));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(said.contains(name) && said.contains("birch"), "{said}");
        fs::write(path, before).unwrap();
    }
    fs::remove_file(&bad).unwrap();
    assert!(decode().unwrap().contains("001.JPEG"));
    fs::write(&bad, &whole).unwrap();

    // A list of checksums, right and wrong.
    let zeros = "0".repeat(64);
    fs::write(
        root.join("SHA256SUMS"),
        format!("{zeros}  ./train/birch/001.JPEG\n"),
    )
    .unwrap();
    let listed = open(root, Sizes::square(8, 8)).unwrap();
    let error = listed.decode(&indices, None).err().unwrap().to_string();
    assert!(
        error.contains("001.JPEG") && error.contains(&zeros),
        "{error}"
    );
    // What it names of this part is there; of another part that is no matter here, nor is what it does not name.
    let list = |name: &str| fs::write(root.join("SHA256SUMS"), format!("{zeros}  {name}\n"));
    list("train/birch/099.JPEG").unwrap();
    told(
        open(root, Sizes::square(8, 8)),
        &["train/birch/099.JPEG", "SHA256SUMS names it"],
    );
    list("train/yew/001.JPEG").unwrap();
    told(open(root, Sizes::square(8, 8)), &["train/yew/001.JPEG"]);
    for elsewhere in ["val/birch/099.JPEG", "trains/001.JPEG", "001.JPEG"] {
        list(elsewhere).unwrap();
        open(root, Sizes::square(8, 8)).unwrap();
    }
    fs::write(root.join("SHA256SUMS"), "nonsense\n").unwrap();
    told(open(root, Sizes::square(8, 8)), &["SHA256SUMS, line 1"]);
}

fn config(folder: &Path, data: &str, more: &str) -> std::path::PathBuf {
    let path = folder.join("config.toml");
    let text = format!(
        "seed = 3\n[data]\n{data}\n[network]\nwidth = 8\nkernels = [3, 1]\nstrides = [2, 1]\n\
         [loss]\nmargin = 0.5\n[training]\nepochs = 6\nbatch = 8\nlearning_rate = 0.01\n{more}"
    );
    fs::write(&path, text).unwrap();
    path
}

/// Trains, resumes a second run in the middle, evaluates and exports.
fn train(config: &Path, data: &Path, folder: &Path) -> (String, std::path::PathBuf) {
    let output = folder.join("run");
    let arguments = [
        "train",
        "--config",
        text(config),
        "--data",
        text(data),
        "--output",
        text(&output),
    ];
    let (result, errors) = run(&arguments);
    assert!(result.status.success(), "{errors}");
    let checkpoint = output.join("checkpoint.safetensors");
    let arguments = [
        "eval",
        "--config",
        text(config),
        "--data",
        text(data),
        "--patch",
        "3x3",
        "--checkpoint",
        text(&checkpoint),
    ];
    let (result, errors) = run(&arguments);
    assert!(result.status.success(), "{errors}");
    let printed = String::from_utf8(result.stdout).unwrap();
    let model = folder.join("model.onnx");
    let (result, errors) = run(&[
        "export",
        "--checkpoint",
        text(&checkpoint),
        "--output",
        text(&model),
    ]);
    assert!(result.status.success(), "{errors}");
    (printed, model)
}

fn clean(printed: &str) -> f64 {
    let rest = printed.split("clean accuracy ").nth(1).unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_run_on_a_folder_learns_and_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("trees");
    write_folder(&data, 24);
    let config = config(
        folder.path(),
        "kind = \"folder\"\nresize = 26\ncrop = 24",
        "",
    );
    let (printed, model) = train(&config, &data, folder.path());
    assert!(printed.contains("36 test images of trees"), "{printed}");
    assert!(clean(&printed) > 60.0, "{printed}");
    let (header, network, geometry) =
        bagcert_trainer::import::import(&model, tch::Device::Cpu).unwrap();
    assert_eq!(header.classes, CLASSES);
    assert_eq!((geometry.x.inputs(), geometry.x.outputs()), (24, 12));
    assert_eq!(network.plan.head.output, 3);
    // The same run again gives the same network: what threads do does not matter.
    let again = folder.path().join("again");
    fs::create_dir(&again).unwrap();
    let (_, second) = train(&config, &data, &again);
    assert!(fs::read(&model).unwrap() == fs::read(&second).unwrap());
}

#[test]
fn a_broken_image_ends_a_run_with_its_name_and_keeps_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("trees");
    write_folder(&data, 12);
    let config = config(
        folder.path(),
        "kind = \"folder\"\nresize = 24\ncrop = 24",
        "",
    );
    let (_, _) = train(&config, &data, folder.path());
    let checkpoint = folder.path().join("run/checkpoint.safetensors");
    let before = fs::read(&checkpoint).unwrap();
    fs::write(data.join("train/cedar/003.JPEG"), "broken").unwrap();
    let longer = fs::read_to_string(&config).unwrap();
    let output = folder.path().join("other");
    fs::write(&config, &longer).unwrap();
    let (result, errors) = run(&[
        "train",
        "--config",
        text(&config),
        "--data",
        text(&data),
        "--output",
        text(&output),
    ]);
    assert_eq!(result.status.code(), Some(1));
    assert!(errors.contains("cedar/003.JPEG"), "{errors}");
    assert!(fs::read(&checkpoint).unwrap() == before);
}

/// Records of 32x32 images: two label bytes, of which the second is one of 20 classes.
fn records(count: usize, seed: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|at| {
            let fine = at % 20;
            let mut record = vec![(fine % 5) as u8, fine as u8];
            let pixel = move |i: usize| (fine * 12 + (i * 7 + at * 13 + seed) % 9) as u8;
            record.extend((0..3072).map(pixel));
            record
        })
        .collect()
}

#[test]
fn a_run_on_records_with_more_classes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("twenty");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("train.bin"), records(260, 1)).unwrap();
    fs::write(data.join("test.bin"), records(60, 2)).unwrap();
    let kind = "kind = \"records\"\nlabels = 20\nlabel_bytes = 2\nvalidation = 20";
    let config_path = config(folder.path(), kind, "");
    let config = Config::read(&config_path).unwrap();
    assert_eq!(config.data.kind, DataKind::Records);
    assert_eq!(facts(&config.data, &data).unwrap().classes.len(), 20);
    let (printed, model) = train(&config_path, &data, folder.path());
    assert!(printed.contains("60 test images of twenty"), "{printed}");
    let (header, ..) = bagcert_trainer::import::import(&model, tch::Device::Cpu).unwrap();
    assert_eq!(header.classes.len(), 20);
    assert_eq!(header.classes[19], "19");

    // As CIFAR-10 they are damaged; a file that is not there is named.
    let output = folder.path().join("other");
    let refused = |kind: &str, words: &[&str]| {
        let path = self::config(folder.path(), kind, "");
        let (result, errors) = run(&[
            "train",
            "--config",
            text(&path),
            "--data",
            text(&data),
            "--output",
            text(&output),
        ]);
        assert_eq!(result.status.code(), Some(1));
        for word in words {
            assert!(errors.contains(word), "{word} is not in {errors}");
        }
    };
    refused("", &["data_batch_1.bin"]);
    refused(
        "kind = \"records\"\nlabels = 20",
        &["train.bin", "whole number of records"],
    );
    refused(
        "kind = \"records\"\nlabels = 19\nlabel_bytes = 2",
        &["train.bin", "record 19 has label 19"],
    );
    refused(
        "kind = \"records\"\nlabels = 20\nlabel_bytes = 2\ntrain = [\"none.bin\"]",
        &["none.bin"],
    );
    refused("kind = \"tape\"", &["tape"]);
    refused("kind = \"folder\"\ncrop = 300", &["data.resize"]);
    refused(
        "normalisation = [[0.5, 0.0], [0.5, 1.0], [0.5, 1.0]]",
        &["data.normalisation"],
    );
}
