//! Frames as the library reads them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use bagcert::frames::{Frames, Input, Part, Picture, RECORD_LEN, Size, label_of_file_name};

const SIZE: Size = Size {
    width: 32,
    height: 32,
};
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

fn class_names() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cifar10-sample.bin")
}

/// A record's pixels by the format's definition.
fn planes(record: &[u8]) -> Vec<f32> {
    record[1..].iter().map(|&v| f32::from(v) / 255.0).collect()
}

#[test]
fn inputs_are_told_apart() {
    let parse = |text: &str| Input::parse(OsStr::new(text));
    let cifar = |path: &str, part| Input::Cifar10 {
        path: path.into(),
        part,
    };
    assert_eq!(parse("a/b.png"), Input::Path("a/b.png".into()));
    assert_eq!(parse("./cifar10:x"), Input::Path("./cifar10:x".into()));
    assert_eq!(parse("cifar10:d"), cifar("d", Part::Test));
    assert_eq!(parse("cifar10:d:test"), cifar("d", Part::Test));
    assert_eq!(parse("cifar10:d:train"), cifar("d", Part::Train));
    assert_eq!(parse("cifar10:d:e/f.bin"), cifar("d:e/f.bin", Part::Test));
    let folder = |path: &str, resize| Input::Folder {
        path: path.into(),
        resize,
    };
    assert_eq!(parse("folder:d"), folder("d", None));
    assert_eq!(parse("folder:256:d"), folder("d", Some(256)));
    assert_eq!(parse("folder:c:d"), folder("c:d", None));
    assert_eq!(parse("folder:8192:d"), folder("d", Some(8192)));
    for text in ["folder:0:d", "folder:8193:d", "./folder:d"] {
        assert_eq!(parse(text), Input::Path(text.into()));
    }
}

#[test]
fn labels_in_file_names() {
    let label = |name: &str| label_of_file_name(Path::new(name), &class_names());
    assert_eq!(label("0003-cat.png"), Some(3));
    assert_eq!(label("some/folder-dog/a-b-ship.jpeg"), Some(8));
    for unlabelled in [
        "cat.png",
        "0003_cat.png",
        "0003-Cat.png",
        "0003-catfish.png",
        "cat-1.png",
        "-",
        "",
    ] {
        assert_eq!(label(unlabelled), None, "{unlabelled}");
    }
    let nested = ["fly", "butter-fly", ""].map(str::to_owned);
    assert_eq!(
        label_of_file_name(Path::new("1-butter-fly.png"), &nested),
        Some(1)
    );
    assert_eq!(label_of_file_name(Path::new("1-fly.png"), &nested), Some(0));
    assert_eq!(label_of_file_name(Path::new("1-.png"), &nested), None);
}

#[test]
fn records_become_planes() {
    let input = Input::Cifar10 {
        path: sample(),
        part: Part::Test,
    };
    let (frames, failures) = Frames::open(&[input], SIZE);
    assert!(failures.is_empty());
    let bytes = fs::read(sample()).unwrap();
    assert_eq!(frames.len(), 100);
    let mut per_class = [0; 10];
    for (at, record) in bytes.chunks(RECORD_LEN).enumerate() {
        let frame = frames.load(at, SIZE, &[]).unwrap();
        assert_eq!(frame.id, at.to_string());
        assert_eq!(frame.label, Some(usize::from(record[0])));
        assert_eq!(frame.picture.planes(), planes(record));
        assert_eq!(frame.picture.size(), SIZE);
        per_class[usize::from(record[0])] += 1;
    }
    assert_eq!(per_class, [10; 10]);
    assert!(frames.load(100, SIZE, &[]).is_err());
}

/// All 256 values, three channels that differ, and the way back to bytes.
#[test]
fn pixels_are_exact() {
    let folder = tempfile::tempdir().unwrap();
    let image = image::RgbImage::from_fn(32, 32, |x, y| {
        let v = (y * 32 + x) as u8;
        image::Rgb([v, 255 - v, v.rotate_left(3)])
    });
    for name in ["a.png", "a.ppm"] {
        let path = folder.path().join(name);
        image.save(&path).unwrap();
        let picture = Picture::read(&path, SIZE).unwrap();
        assert_eq!(picture.to_rgb8(), image.as_raw().as_slice());
        assert_eq!(
            Picture::from_rgb8(SIZE, image.as_raw()),
            Some(picture.clone())
        );
        for cut in [0, 3, 3071] {
            assert_eq!(Picture::from_rgb8(SIZE, &image.as_raw()[..cut]), None);
        }
        for (x, y, pixel) in image.enumerate_pixels() {
            for channel in 0..3 {
                let at = channel * 1024 + (y * 32 + x) as usize;
                assert_eq!(picture.planes()[at], f32::from(pixel.0[channel]) / 255.0);
            }
        }
    }
    let deep = image::ImageBuffer::<image::Rgb<u16>, _>::from_fn(32, 32, |x, y| {
        image::Rgb([(y * 2048 + x * 7) as u16, 0, u16::MAX])
    });
    let path = folder.path().join("deep.png");
    deep.save(&path).unwrap();
    let planes = Picture::read(&path, SIZE).unwrap().planes().to_vec();
    for (x, y, pixel) in deep.enumerate_pixels() {
        assert_eq!(
            planes[(y * 32 + x) as usize],
            f32::from(pixel.0[0]) / 65535.0
        );
    }
    assert_eq!((planes[1024], planes[2048]), (0.0, 1.0));
}

/// The frames shipped beside the model are unchanged images of the test set, two of each class.
#[test]
fn shipped_frames_are_real() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/frames");
    if !folder.is_dir() {
        eprintln!("skipped: this copy of the crate stands without the repository's models");
        return;
    }
    let bytes = fs::read(sample()).unwrap();
    let (frames, failures) = Frames::open(&[Input::Path(folder)], SIZE);
    assert!(failures.is_empty());
    assert_eq!(frames.len(), 20);
    let mut per_class = [0; 10];
    for at in 0..frames.len() {
        let frame = frames.load(at, SIZE, &class_names()).unwrap();
        let label = frame.label.unwrap();
        per_class[label] += 1;
        let same = bytes
            .chunks(RECORD_LEN)
            .filter(|record| planes(record) == frame.picture.planes())
            .collect::<Vec<_>>();
        assert_eq!(same.len(), 1, "{}", frame.id);
        assert_eq!(usize::from(same[0][0]), label, "{}", frame.id);
    }
    assert_eq!(per_class, [2; 10]);
}

/// The whole set, where it is at hand.
#[test]
fn the_whole_set_is_balanced() {
    let Ok(data) = std::env::var("BAGCERT_DATA") else {
        eprintln!("skipped: BAGCERT_DATA names no folder with the CIFAR-10 binary files");
        return;
    };
    for (part, per_class) in [(Part::Test, 1_000), (Part::Train, 5_000)] {
        let input = Input::Cifar10 {
            path: PathBuf::from(&data),
            part,
        };
        let (frames, failures) = Frames::open(&[input], SIZE);
        assert!(failures.is_empty(), "{failures:?}");
        let mut counts = [0; 10];
        for at in 0..frames.len() {
            counts[frames.load(at, SIZE, &[]).unwrap().label.unwrap()] += 1;
        }
        assert_eq!(counts, [per_class; 10]);
    }
}
