//! Variations beyond flips and crops, worked out for a whole batch at once on the device that holds it.

use tch::{Kind, Tensor};

use super::warp::warp;
use crate::config::AugmentationConfig;

/// Brightness, contrast, saturation, solarisation, translation.
const OPERATIONS: i64 = 5;
/// What a translation may reach at magnitude 1, as a share of the image's side.
const TRANSLATION: f64 = 0.25;
/// What cutout and translation leave: the middle of the range, and near every channel's mean.
const GREY: f64 = 0.5;

/// Varies each of `images` (N x C x H x W in [0, 1]) on its own; the results are in [0, 1] too. Uses libtorch's
/// generator of that device, and only for what the configuration asks for.
pub fn vary(images: &Tensor, config: &AugmentationConfig) -> Tensor {
    let mut images = images.shallow_clone();
    if config.rotation > 0.0 || config.zoom > 0.0 {
        images = warp(&images, config.rotation, config.zoom);
    }
    for _ in 0..config.operations {
        images = operation(&images, config.magnitude);
    }
    if config.cutout > 0 {
        images = cutout(&images, config.cutout);
    }
    images
}

/// One number for each image, N x 1 x 1 x 1, uniform in [-1, 1].
fn draw(images: &Tensor) -> Tensor {
    let count = images.size().first().copied().unwrap_or(0);
    Tensor::rand([count, 1, 1, 1], (Kind::Float, images.device())) * 2.0 - 1.0
}

/// One operation for each image, drawn for each.
fn operation(images: &Tensor, magnitude: f64) -> Tensor {
    let count = images.size().first().copied().unwrap_or(0);
    let kind = Tensor::randint(OPERATIONS, [count, 1, 1, 1], (Kind::Int64, images.device()));
    let strength = draw(images) * magnitude;
    let mut result = images.shallow_clone();
    for (number, varied) in (0..).zip(all(images, &strength)) {
        result = varied.where_self(&kind.eq(number), &result);
    }
    result
}

/// `images` after every operation, in their order, by `strength` (N x 1 x 1 x 1 in [-1, 1]).
fn all(images: &Tensor, strength: &Tensor) -> [Tensor; OPERATIONS as usize] {
    let grey = images.mean_dim([1i64].as_slice(), true, Kind::Float);
    let mean = grey.mean_dim([2i64, 3].as_slice(), true, Kind::Float);
    // Away from a base or towards it: black, the mean grey, each pixel's own grey.
    let factor = strength + 1.0;
    let blend = |base: &Tensor| (base + (images - base) * &factor).clamp(0.0, 1.0);
    // Bright pixels are inverted: from 1 (none) down to those above 1 - strength.
    let threshold: Tensor = strength.abs() * -1.0 + 1.0;
    let inverted: Tensor = images * -1.0 + 1.0;
    let solarised = inverted.where_self(&images.gt_tensor(&threshold), images);
    [
        blend(&mean.zeros_like()),
        blend(&mean),
        blend(&grey),
        solarised,
        translate(images, strength),
    ]
}

/// Moves each image by whole pixels, to a side given by the strength's sign and along an axis that is drawn.
fn translate(images: &Tensor, strength: &Tensor) -> Tensor {
    let size = images.size();
    let &[count, _, height, width] = size.as_slice() else {
        return images.shallow_clone();
    };
    let options = (Kind::Int64, images.device());
    let reach = TRANSLATION * height.min(width) as f64;
    let by = (strength.view([count, 1]) * reach)
        .round()
        .to_kind(Kind::Int64);
    let vertical = Tensor::randint(2, [count, 1], options);
    let at = |len: i64, moved: &Tensor| Tensor::arange(len, options).unsqueeze(0) + moved;
    let rows = at(height, &(&by * &vertical));
    let columns = at(width, &(&by * vertical.logical_not()));
    let inside = |index: &Tensor, len: i64| index.ge(0).logical_and(&index.lt(len));
    let visible = inside(&rows, height)
        .unsqueeze(2)
        .logical_and(&inside(&columns, width).unsqueeze(1))
        .unsqueeze(1);
    let image = Tensor::arange(count, options).view([-1, 1, 1]);
    let moved = images
        .permute([0, 2, 3, 1])
        .index(&[
            Some(image),
            Some(rows.clamp(0, height - 1).unsqueeze(2)),
            Some(columns.clamp(0, width - 1).unsqueeze(1)),
        ])
        .permute([0, 3, 1, 2]);
    moved.where_scalarother(&visible, GREY)
}

/// A grey square around a random pixel, cut off by the border.
fn cutout(images: &Tensor, side: i64) -> Tensor {
    let size = images.size();
    let &[count, _, height, width] = size.as_slice() else {
        return images.shallow_clone();
    };
    let options = (Kind::Int64, images.device());
    let along = |len: i64| {
        let first = Tensor::randint(len, [count, 1], options) - side / 2;
        let at = Tensor::arange(len, options).unsqueeze(0);
        at.ge_tensor(&first)
            .logical_and(&at.lt_tensor(&(&first + side)))
    };
    let (rows, columns) = (along(height).unsqueeze(2), along(width).unsqueeze(1));
    let outside = rows.logical_and(&columns).logical_not().unsqueeze(1);
    images.where_scalarother(&outside, GREY)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tch::Device;

    fn images() -> Tensor {
        tch::manual_seed(6);
        Tensor::rand([64, 3, 16, 12], (Kind::Float, Device::Cpu))
    }

    fn config(cutout: i64, operations: i64, magnitude: f64) -> AugmentationConfig {
        AugmentationConfig {
            cutout,
            operations,
            magnitude,
            ..AugmentationConfig::default()
        }
    }

    fn mean(tensor: &Tensor) -> f64 {
        tensor.mean(Kind::Double).double_value(&[])
    }

    #[test]
    fn nothing_asked_for_is_nothing_done() {
        let images = images();
        assert_eq!(vary(&images, &config(0, 0, 0.0)), images);
    }

    #[test]
    fn each_cutout_is_one_grey_rectangle_and_all_else_is_left() {
        let images = images();
        let cut = vary(&images, &config(6, 0, 0.0));
        let mut places = std::collections::BTreeSet::new();
        for index in 0..64 {
            let (before, after) = (images.get(index), cut.get(index));
            let changed = after.ne_tensor(&before).any_dim(0, false);
            let bounds = |dim: i64| {
                let hit = changed.any_dim(dim, false).nonzero();
                (hit.min().int64_value(&[]), hit.max().int64_value(&[]) + 1)
            };
            let ((top, bottom), (left, right)) = (bounds(1), bounds(0));
            let square = after
                .narrow(1, top, bottom - top)
                .narrow(2, left, right - left);
            assert!((1..=6).contains(&(bottom - top)) && (1..=6).contains(&(right - left)));
            assert!(square.eq(GREY).all().int64_value(&[]) == 1, "image {index}");
            let whole = changed.sum(Kind::Int64).int64_value(&[]);
            assert_eq!(whole, (bottom - top) * (right - left), "image {index}");
            places.insert((top, left));
        }
        assert!(places.len() > 30, "{} places", places.len());
    }

    #[test]
    fn every_operation_does_what_its_name_says() {
        let images = images() * 0.8 + 0.1;
        let count = images.size()[0];
        let strength =
            |value: f64| Tensor::full([count, 1, 1, 1], value, (Kind::Float, Device::Cpu));
        for (number, same) in all(&images, &strength(0.0)).iter().enumerate() {
            assert!(
                same.allclose(&images, 1e-6, 1e-6, false),
                "operation {number} at 0"
            );
        }
        let spread = |tensor: &Tensor| tensor.std(false).double_value(&[]);
        let colour = |tensor: &Tensor| mean(&tensor.std_dim([1i64].as_slice(), false, false));
        let [darker, flat, pale, solarised, moved] = all(&images, &strength(-0.5));
        assert!((mean(&darker) - 0.5 * mean(&images)).abs() < 1e-3);
        assert!(
            (mean(&flat) - mean(&images)).abs() < 1e-3 && spread(&flat) < 0.6 * spread(&images)
        );
        assert!(
            (mean(&pale) - mean(&images)).abs() < 1e-3 && colour(&pale) < 0.6 * colour(&images)
        );
        let bright = images.gt(0.5);
        let inverted: Tensor = &images * -1.0 + 1.0;
        assert_eq!(solarised, inverted.where_self(&bright, &images));
        // By a half of a quarter of 12 pixels, up or to the left: each image is there again, moved.
        for index in 0..count {
            let (before, after) = (images.get(index), moved.get(index));
            let matches = |dim: i64| {
                let len = before.size()[dim as usize];
                after.narrow(dim, 2, len - 2) == before.narrow(dim, 0, len - 2)
            };
            assert!(matches(1) || matches(2), "image {index}");
        }
        assert!(moved.eq(GREY).any().int64_value(&[]) == 1);
        let [lighter, ..] = all(&images, &strength(0.5));
        assert!(mean(&lighter) > 1.2 * mean(&images) && lighter.max().double_value(&[]) <= 1.0);
    }

    #[test]
    fn operations_are_drawn_for_each_image_and_more_magnitude_changes_more() {
        let images = images();
        let change = |magnitude: f64| {
            tch::manual_seed(8);
            let varied = vary(&images, &config(0, 2, magnitude));
            assert!(varied.min().double_value(&[]) >= 0.0 && varied.max().double_value(&[]) <= 1.0);
            (varied - &images)
                .abs()
                .mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float)
        };
        let (weak, strong) = (change(0.1), change(0.9));
        assert!(mean(&weak) > 0.0 && mean(&strong) > 2.0 * mean(&weak));
        let different = Vec::<f32>::try_from(&strong).unwrap();
        let different: std::collections::BTreeSet<_> =
            different.iter().map(|v| v.to_bits()).collect();
        assert!(
            different.len() > 50,
            "every image has its own: {}",
            different.len()
        );
    }
}
