//! Images of which a rectangle is another's, as in CutMix (Yun et al., ICCV 2019).

use tch::{Kind, Tensor};

/// Puts into each of the first `count` of `images` (N x C x H x W) a rectangle of the one before it, at the same place. Uses
/// libtorch's generator.
///
/// The rectangle has the image's proportions and a share of its area that is uniform in [0, 1]; its centre lies anywhere, and what
/// is beyond the edge is left out. Images of all classes follow one another, in the order in which they were drawn.
pub fn cut_mix(images: &Tensor, count: i64) -> Tensor {
    let size = images.size();
    let &[total, _, height, width] = size.as_slice() else {
        return images.shallow_clone();
    };
    if count == 0 {
        return images.shallow_clone();
    }
    let options = (Kind::Float, images.device());
    let random = || Tensor::rand([count, 1], options);
    // Half the sides, in sides of the image.
    let half = random().sqrt() / 2.0;
    let inside = |length: i64| {
        let places = (Tensor::arange(length, options) + 0.5) / length as f64;
        (places.unsqueeze(0) - random()).abs().le_tensor(&half)
    };
    let rows = inside(height).view([count, 1, height, 1]);
    let columns = inside(width).view([count, 1, 1, width]);
    let [mixed, whole] =
        [(0, count), (count, total - count)].map(|(start, length)| images.narrow(0, start, length));
    let others = images.roll([1i64].as_slice(), [0i64].as_slice());
    let mixed = others
        .narrow(0, 0, count)
        .where_self(&rows.logical_and(&columns), &mixed);
    Tensor::cat(&[mixed, whole], 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tch::Device;

    /// Image n is n everywhere, so that each pixel says whose it is.
    #[test]
    fn each_has_one_rectangle_of_the_image_before() {
        tch::manual_seed(5);
        let (images, count, side) = (400, 300, 20);
        let whole = Tensor::arange(images, (Kind::Float, Device::Cpu)).view([-1, 1, 1, 1]);
        let whole = whole.expand([images, 3, side, side], false).contiguous();
        let mixed = cut_mix(&whole, count);
        let mut shares = vec![];
        for at in 0..images {
            let image = mixed.get(at);
            let other = image.not_equal(at as f64);
            if at >= count {
                assert!(!other.any().is_nonzero());
                continue;
            }
            let before = (at + images - 1) % images;
            let of_both = image.eq(before as f64).logical_or(&image.eq(at as f64));
            assert!(of_both.all().is_nonzero(), "{at}");
            // A rectangle, the same in all channels: rows and columns that have any of it meet in it everywhere.
            let plane = other.get(0);
            assert_eq!(other, plane.expand_as(&other));
            let rows = plane.any_dim(1, true);
            let columns = plane.any_dim(0, true);
            assert_eq!(plane, rows.logical_and(&columns).expand_as(&plane));
            shares.push(f64::try_from(plane.to_kind(Kind::Double).mean(Kind::Double)).unwrap());
        }
        // Of an area of 1/2 on average some lies beyond the edge; the edges are met as often as the middle's.
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!((0.2..0.4).contains(&mean), "{mean}");
        assert!(
            shares.iter().any(|share| *share > 0.8) && shares.iter().any(|share| *share < 0.05)
        );
    }

    #[test]
    fn none_are_mixed_where_none_shall_be() {
        let images = Tensor::rand([3, 3, 4, 4], (Kind::Float, Device::Cpu));
        assert_eq!(cut_mix(&images, 0), images);
        assert_ne!(cut_mix(&images, 3), images);
    }
}
