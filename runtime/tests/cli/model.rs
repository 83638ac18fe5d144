//! A model whose answers can be counted by hand, and frames for it.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

use crate::common::manifest::with_manifest;
use crate::common::onnx::{Builder, small_classifier};

pub(crate) const RED: Rgb<u8> = Rgb([255, 0, 0]);
pub(crate) const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
pub(crate) const BLUE: Rgb<u8> = Rgb([0, 0, 255]);

/// A 1x1 convolution: a cell votes for `red` where the red channel is above one half, and so for
/// `green` and `blue`; all further classes never get a vote. Receptive field 1, stride 1.
pub(crate) fn colour_model(folder: &Path, side: usize, classes: usize) -> PathBuf {
    let mut names = vec!["red".to_owned(), "green".to_owned(), "blue".to_owned()];
    names.extend((3..classes).map(|class| format!("other {class}")));
    let names = serde_json::to_string(&names).unwrap();
    let metadata = [("bagcert.class_names", names.as_str())];
    named_model(folder, "colours.onnx", side, classes, &metadata)
}

/// The same with such metadata, in a file of this name.
pub(crate) fn named_model(
    folder: &Path,
    name: &str,
    side: usize,
    classes: usize,
    metadata: &[(&str, &str)],
) -> PathBuf {
    let mut weights = vec![0.0; classes * 3];
    let mut bias = vec![-1.0; classes];
    for channel in 0..3 {
        weights[channel * 3 + channel] = 2.0;
        bias[channel] = -1.0;
    }
    let mut b = Builder::new(side, side);
    let weights = b.constant("w", &[classes, 3, 1, 1], &weights);
    let bias = b.constant("b", &[classes], &bias);
    let logits = b.op("Conv", "logits", &["image", &weights, &bias], &[]);
    b.output(&logits);
    for (key, value) in metadata {
        b.metadata(key, value);
    }
    with_manifest(b.write(folder, name))
}

/// Every cell votes for class 1; on bright pixels the logit of class 0 overflows, which is a fault.
pub(crate) fn overflowing_model(folder: &Path) -> PathBuf {
    let mut weights = vec![0.0; 30];
    weights[..3].fill(3e38);
    let mut bias = vec![-1.0; 10];
    bias[1] = 1.0;
    let mut b = Builder::new(32, 32);
    let weights = b.constant("w", &[10, 3, 1, 1], &weights);
    let bias = b.constant("b", &[10], &bias);
    let logits = b.op("Conv", "logits", &["image", &weights, &bias], &[]);
    b.output(&logits);
    with_manifest(b.write(folder, "overflowing.onnx"))
}

/// A small network with its manifest.
pub(crate) fn small_model(folder: &Path) -> PathBuf {
    with_manifest(small_classifier(32, 32).write(folder, "small.onnx"))
}

/// A model that no certificate can hold for.
pub(crate) fn pooling_model(folder: &Path) -> PathBuf {
    let mut b = Builder::new(32, 32);
    let features = b.conv("head", "image", (3, 4), (1, 1), &[]);
    let pooled = b.op("GlobalAveragePool", "squeeze", &[&features], &[]);
    b.output(&pooled);
    with_manifest(b.write(folder, "pooling.onnx"))
}

/// A frame of one colour.
pub(crate) fn plain(folder: &Path, name: &str, colour: Rgb<u8>) -> PathBuf {
    let path = folder.join(name);
    RgbImage::from_pixel(32, 32, colour).save(&path).unwrap();
    path
}

/// A frame of red, green and blue pixels without a pattern; red is the most frequent.
pub(crate) fn confetti(seed: u64) -> RgbImage {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    RgbImage::from_fn(32, 32, |_, _| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        match (state >> 40) % 8 {
            0..=4 => RED,
            5 | 6 => GREEN,
            _ => BLUE,
        }
    })
}

/// Votes of red, green and blue.
pub(crate) fn votes(image: &RgbImage) -> [i64; 3] {
    let mut votes = [0; 3];
    for pixel in image.pixels() {
        for (vote, value) in votes.iter_mut().zip(pixel.0) {
            *vote += i64::from(value > 127);
        }
    }
    votes
}

/// Condition 3.2 by its definition, straight from the pixels: slack, rival, worst x and y.
pub(crate) fn slack_by_definition(
    image: &RgbImage,
    classes: usize,
    patch: (u32, u32),
) -> (i64, usize, u32, u32) {
    let on =
        |x: u32, y: u32, class: usize| i64::from(class < 3 && image.get_pixel(x, y).0[class] > 127);
    let all = votes(image);
    let vote = |class: usize| all.get(class).copied().unwrap_or(0);
    let predicted = (0..classes).rev().max_by_key(|&class| vote(class)).unwrap();
    let mut least: Option<(i64, usize, u32, u32)> = None;
    for y in 0..=32 - patch.1 {
        for x in 0..=32 - patch.0 {
            for rival in (0..classes).filter(|&class| class != predicted) {
                let mut outside = vote(predicted) - vote(rival);
                for v in y..y + patch.1 {
                    for u in x..x + patch.0 {
                        outside -= on(u, v, predicted) - on(u, v, rival);
                    }
                }
                let slack = outside - i64::from(patch.0 * patch.1);
                if least.is_none_or(|(best, ..)| slack < best) {
                    least = Some((slack, rival, x, y));
                }
            }
        }
    }
    least.unwrap()
}
