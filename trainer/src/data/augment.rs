//! Random flips and crops, as one gather on the device that holds the images.

use tch::{Kind, Tensor};

/// How training images are varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augmentation {
    /// Horizontal flips, half of the time.
    pub flip: bool,
    /// Crops after zero padding by this many pixels.
    pub crop_padding: i64,
}

impl Augmentation {
    /// Varies each of `images` (N x C x H x W bytes) on its own. Uses libtorch's generator.
    pub fn apply(self, images: &Tensor) -> Tensor {
        let size = images.size();
        let &[count, _, height, width] = size.as_slice() else {
            return images.shallow_clone();
        };
        let options = (Kind::Int64, images.device());
        let pad = self.crop_padding;
        let padded = if pad > 0 {
            images.constant_pad_nd([pad, pad, pad, pad])
        } else {
            images.shallow_clone()
        };
        let offset = || Tensor::randint(2 * pad + 1, [count, 1], options);
        let rows = Tensor::arange(height, options).unsqueeze(0) + offset();
        let mut columns = Tensor::arange(width, options).unsqueeze(0);
        if self.flip {
            let flip = Tensor::randint(2, [count, 1], options);
            // Column x, or width - 1 - x where flipped.
            columns = &columns + flip * ((width - 1) - &columns * 2);
        }
        let columns = columns + offset();
        let image = Tensor::arange(count, options).view([-1, 1, 1]);
        padded
            .permute([0, 2, 3, 1])
            .index(&[
                Some(image),
                Some(rows.unsqueeze(2)),
                Some(columns.unsqueeze(1)),
            ])
            .permute([0, 3, 1, 2])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use tch::Device;

    /// Every varied image is the original, flipped or not, moved by at most the padding.
    #[test]
    fn each_result_is_a_flip_and_a_crop_of_its_original() {
        tch::manual_seed(3);
        let images = Tensor::randint(256, [40, 3, 8, 8], (Kind::Uint8, Device::Cpu));
        let varied = Augmentation {
            flip: true,
            crop_padding: 2,
        }
        .apply(&images);
        assert_eq!(varied.size(), images.size());
        let mut kinds = std::collections::BTreeSet::new();
        for index in 0..40 {
            let found = varied.get(index);
            let matching = (0..2)
                .flat_map(|flip| (0..5).flat_map(move |y| (0..5).map(move |x| (flip, y, x))))
                .find(|&(flip, y, x)| {
                    let source = images.get(index);
                    let source = if flip == 1 { source.flip([2]) } else { source };
                    let padded = source.constant_pad_nd([2, 2, 2, 2]);
                    padded.narrow(1, y, 8).narrow(2, x, 8) == found
                });
            kinds.insert(matching.unwrap_or_else(|| panic!("image {index} came from nowhere")));
        }
        assert!(
            kinds.len() > 20,
            "only {} different variations of 50",
            kinds.len()
        );
    }
}
