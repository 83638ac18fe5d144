//! Random flips and crops, as one gather on the device that holds the images.

use tch::{Kind, Tensor};

use crate::config::{DataConfig, PaddingMode};

/// How training images are varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augmentation {
    /// Horizontal flips, half of the time.
    pub flip: bool,
    /// Crops after padding by this many pixels.
    pub crop_padding: i64,
    /// What lies in the padding.
    pub padding_mode: PaddingMode,
}

impl From<&DataConfig> for Augmentation {
    fn from(config: &DataConfig) -> Self {
        Self {
            flip: config.flip,
            crop_padding: config.crop_padding,
            padding_mode: config.padding_mode,
        }
    }
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
        let pads = [pad, pad, pad, pad];
        let padded = match self.padding_mode {
            _ if pad == 0 => images.shallow_clone(),
            PaddingMode::Zeros => images.constant_pad_nd(pads),
            // Of bytes there is none in libtorch; f32 holds every byte.
            PaddingMode::Reflect => images
                .to_kind(Kind::Float)
                .reflection_pad2d(pads)
                .to_kind(images.kind()),
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

    /// Every varied image is the original, flipped or not, moved by at most the padding, which holds what was asked for.
    #[test]
    fn each_result_is_a_flip_and_a_crop_of_its_original() {
        for padding_mode in [PaddingMode::Zeros, PaddingMode::Reflect] {
            tch::manual_seed(3);
            let images = Tensor::randint(256, [40, 3, 8, 8], (Kind::Uint8, Device::Cpu));
            let varied = Augmentation {
                flip: true,
                crop_padding: 2,
                padding_mode,
            }
            .apply(&images);
            assert_eq!((varied.size(), varied.kind()), (images.size(), Kind::Uint8));
            let kinds: std::collections::BTreeSet<_> = (0..40)
                .map(|index| origin(&images.get(index), &varied.get(index), padding_mode))
                .collect();
            assert!(kinds.len() > 20, "only {} variations of 50", kinds.len());
        }
    }

    /// Whether `found` is `image` (3 x 8 x 8) flipped, and by how much it is moved down and right.
    fn origin(image: &Tensor, found: &Tensor, padding_mode: PaddingMode) -> (bool, i64, i64) {
        let byte = |y: i64, x: i64| {
            let inside = (0..8).contains(&y) && (0..8).contains(&x);
            let mirrored = |at: i64| 7 - (7 - at.abs()).abs();
            match padding_mode {
                PaddingMode::Zeros if !inside => Tensor::zeros([3], (Kind::Uint8, Device::Cpu)),
                _ => image.select(2, mirrored(x)).select(1, mirrored(y)),
            }
        };
        let matches = |&(flip, down, right): &(bool, i64, i64)| {
            (0..8).all(|y| {
                (0..8).all(|x| {
                    let column = x - right;
                    let source = byte(y - down, if flip { 7 - column } else { column });
                    found.select(2, x).select(1, y) == source
                })
            })
        };
        [false, true]
            .into_iter()
            .flat_map(|flip| (-2..3).flat_map(move |y| (-2..3).map(move |x| (flip, y, x))))
            .find(matches)
            .unwrap_or_else(|| panic!("an image came from nowhere"))
    }
}
