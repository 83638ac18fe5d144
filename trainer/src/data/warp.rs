//! Random rotations and changes of scale, resampled on the device that holds the images.

use tch::{Kind, Tensor};

/// How libtorch's `grid_sampler` numbers its kinds of interpolation and of padding.
const BILINEAR: i64 = 0;
const REFLECTION: i64 = 2;

/// Rotates and scales half of `images` (N x C x H x W), each about its middle: by up to `rotation` degrees to either side,
/// and by a factor between 1 / (1 + `zoom`) and 1 + `zoom`, uniform in its logarithm. Bilinear; beyond the edge the image is
/// mirrored. Uses libtorch's generator.
pub(super) fn warp(images: &Tensor, rotation: f64, zoom: f64) -> Tensor {
    let count = images.size().first().copied().unwrap_or(0);
    let options = (Kind::Float, images.device());
    let draw = |reach: f64| (Tensor::rand([count], options) * 2.0 - 1.0) * reach;
    let angle = draw(rotation.to_radians());
    let scale = draw(zoom.ln_1p()).exp();
    let chosen = Tensor::randint(2, [count, 1, 1, 1], (Kind::Bool, images.device()));
    transform(images, &angle, &scale).where_self(&chosen, images)
}

/// Each image turned by its `angle` (radians, from the x axis down to the y axis) and made `scale` times as large.
fn transform(images: &Tensor, angle: &Tensor, scale: &Tensor) -> Tensor {
    let size = images.size();
    let &[_, _, height, width] = size.as_slice() else {
        return images.shallow_clone();
    };
    // From where each pixel of the result comes, in coordinates from -1 to 1 along both sides.
    let (cosine, sine) = (angle.cos() / scale, angle.sin() / scale);
    let aspect = height as f64 / width as f64;
    let none = angle.zeros_like();
    let rows = [
        Tensor::stack(&[&cosine, &(&sine * aspect), &none], 1),
        Tensor::stack(&[&(&sine * (-1.0 / aspect)), &cosine, &none], 1),
    ];
    let grid = Tensor::affine_grid_generator(&Tensor::stack(&rows, 1), size.as_slice(), false);
    images.grid_sampler(&grid, BILINEAR, REFLECTION, false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tch::Device;

    const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn images(height: i64, width: i64) -> Tensor {
        tch::manual_seed(6);
        Tensor::rand([64, 3, height, width], F32)
    }

    fn each(value: f64) -> Tensor {
        Tensor::full([64], value, F32)
    }

    #[test]
    fn a_quarter_turn_and_twice_the_size_are_what_they_say() {
        let square = images(12, 12);
        let turned = transform(&square, &each(std::f64::consts::FRAC_PI_2), &each(1.0));
        // What lay along the x axis lies along the y axis.
        let expected = square.rot90(-1, [2, 3]);
        assert!(turned.allclose(&expected, 1e-4, 1e-4, false));
        // Ramps from edge to edge, in an image that is no square.
        let ramp = Tensor::arange(16, F32)
            .view([1, 1, 1, 16])
            .expand([64, 3, 8, 16], true);
        let larger = transform(&ramp, &each(0.0), &each(2.0));
        let expected = (Tensor::arange(16, F32) - 7.5) / 2.0 + 7.5;
        assert!((&larger - expected).abs().max().double_value(&[]) < 1e-4);
        // A turn keeps angles there too: a ramp along x becomes one along y, as steep.
        let turned = transform(&ramp, &each(std::f64::consts::FRAC_PI_2), &each(1.0));
        let expected = (Tensor::arange(8, F32) - 3.5 + 7.5).view([1, 1, 8, 1]);
        assert!((turned - expected).abs().max().double_value(&[]) < 1e-4);
    }

    #[test]
    fn half_of_the_images_are_varied_each_on_its_own_and_within_what_was_asked_for() {
        let images = images(16, 12);
        let warped = warp(&images, 10.0, 0.2);
        let change = (&warped - &images)
            .abs()
            .amax([1i64, 2, 3].as_slice(), false);
        let changed = change.gt(1e-3).sum(Kind::Int64).int64_value(&[]);
        assert!((16..=48).contains(&changed), "{changed} of 64");
        assert!(warped.min().double_value(&[]) >= 0.0 && warped.max().double_value(&[]) <= 1.0);
        // The middle stays: of a disc, no pixel's distance to it changes by more than the zoom.
        let (rows, columns) = (
            Tensor::arange(33, F32) - 16.0,
            Tensor::arange(33, F32) - 16.0,
        );
        let distance = (rows.square().unsqueeze(1) + columns.square().unsqueeze(0)).sqrt();
        let cone = distance.expand([64, 1, 33, 33], true);
        let inside = cone.le(12.0).logical_and(&cone.ge(4.0));
        let ratio = (warp(&cone, 45.0, 0.25) / &cone).masked_select(&inside);
        assert!(ratio.max().double_value(&[]) < 1.27 && ratio.min().double_value(&[]) > 0.78);
        let turned = warp(&cone, 45.0, 0.0);
        let moved = (turned - &cone).abs().masked_select(&inside);
        assert!(
            moved.max().double_value(&[]) < 0.1,
            "turned about another point"
        );
    }
}
