//! Score maps to certify: real ones, and others made to be hard.

use std::path::{Path, PathBuf};
use std::process::Command;

use bagcert_certifier::{Axis, Geometry, PatchSize, Shape};
use bagcert_firmware_sim::packed::{CRC, Layout, checked};

/// Maps of one layout.
#[derive(Clone)]
pub(crate) struct Maps {
    pub(crate) layout: Layout,
    pub(crate) maps: Vec<Vec<u8>>,
}

impl Maps {
    pub(crate) fn read(path: &Path) -> Maps {
        let bytes = std::fs::read(path).unwrap();
        let layout = Layout::from_bytes(&bytes).unwrap();
        let records = bytes[Layout::LEN..].chunks(layout.record_len());
        let maps = records.map(|record| checked(record).unwrap().to_vec());
        Maps {
            layout,
            maps: maps.collect(),
        }
    }

    pub(crate) fn write(&self, path: &Path) {
        let mut bytes = self.layout.to_bytes().to_vec();
        for map in &self.maps {
            bytes.extend(map);
            bytes.extend(CRC.checksum(map).to_le_bytes());
        }
        std::fs::write(path, bytes).unwrap();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the maps of the sample frames are kept.
fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/maps/cifar10-rf8.maps")
}

fn export(output: &Path, limit: usize, input: &str) {
    let status = Command::new(env!("CARGO_BIN_EXE_bagcert-hil"))
        .arg("maps")
        .arg("--model")
        .arg(root().join("models/cifar10-rf8.onnx"))
        .args(["--patch", "5x5", "--limit", &limit.to_string(), "--output"])
        .arg(output)
        .arg(input)
        .status()
        .unwrap();
    assert!(status.success());
}

/// Maps of the shipped model: 1,000 test images where BAGCERT_DATA names the data set, else those
/// of the sample frames.
pub(crate) fn real() -> Maps {
    let Some(data) = std::env::var_os("BAGCERT_DATA") else {
        println!("skipped: 1,000 test images (no BAGCERT_DATA); the 20 sample frames are used");
        return Maps::read(&sample());
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("real.maps");
    export(
        &path,
        1000,
        &format!("cifar10:{}:test", data.to_str().unwrap()),
    );
    let maps = Maps::read(&path);
    assert_eq!(maps.maps.len(), 1000);
    maps
}

#[test]
fn the_sample_is_what_the_shipped_model_says_of_the_sample_frames() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.maps");
    let frames = root().join("models/frames");
    export(&path, 20, frames.to_str().unwrap());
    let (found, kept) = (Maps::read(&path), Maps::read(&sample()));
    assert_eq!(found.layout, kept.layout);
    assert_eq!(found.maps.len(), 20);
    // Another processor may round a logit near zero otherwise.
    let differ = |(a, b): (&Vec<u8>, &Vec<u8>)| -> u32 {
        a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
    };
    let bits: u32 = found.maps.iter().zip(&kept.maps).map(differ).sum();
    println!("{bits} of {} scores differ", 20 * 10 * 16 * 16);
    assert!(bits <= 20, "{bits} scores differ");
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// A layout of maps with one cell for each `stride` pixels.
pub(crate) fn layout(
    classes: usize,
    (height, width): (u32, u32),
    (stride, field): (u32, i32),
    (patch_width, patch_height): (u32, u32),
) -> Layout {
    let axis = |cells: u32| Axis::new(cells * stride, cells, stride, 1 - field / 2, field / 2);
    let geometry = Geometry {
        x: axis(width).unwrap(),
        y: axis(height).unwrap(),
    };
    let shape = Shape::new(classes, height as usize, width as usize).unwrap();
    let patch = PatchSize::new(patch_width, patch_height).unwrap();
    Layout::new(shape, geometry, patch).unwrap()
}

/// Maps that certifiers find hard: none, all, ties, noise of every share, a class that leads by
/// little, cells that classes share out among them (where windows disagree on the winner).
pub(crate) fn hard(layout: Layout, random: &mut Random) -> Maps {
    let classes = layout.shape().classes();
    let mut maps = Vec::new();
    let mut add = |score: &mut dyn FnMut(usize, usize, usize) -> bool| {
        let mut map = vec![0; layout.map_len()];
        layout.pack(score, &mut map).unwrap();
        maps.push(map);
    };
    add(&mut |_, _, _| false);
    add(&mut |_, _, _| true);
    for leader in [0, classes - 1] {
        add(&mut |class, _, _| class == leader);
        // Every other class ties behind it.
        add(&mut |class, _, x| class == leader || x % 2 == 0);
    }
    for modulus in [2, 3, 5, 7] {
        add(&mut |class, y, x| (y / modulus + x / modulus) % classes == class);
        add(&mut |class, y, x| (y / modulus * 5 + x / modulus * 3) % classes == class);
        add(&mut |class, y, x| class < 2 && (y + x) % modulus == class);
        add(&mut |class, y, _| (y / modulus + class) % 2 == 0);
    }
    for share in [5, 20, 40, 60, 80, 95] {
        add(&mut |_, _, _| random.below(100) < share);
        for lead in [5, 20, 40] {
            let leader = random.below(classes as u64) as usize;
            add(&mut |class, _, _| {
                random.below(100) < share + if class == leader { lead } else { 0 }
            });
        }
    }
    Maps { layout, maps }
}
