//! Images that an engine is tried on before it serves.

use crate::network::ImageShape;

/// Samples of a camera are these parts of 1.
const STEPS: f32 = 255.0;

/// What an engine is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Like a frame of a camera: samples of 8 bits, smooth on the left, ever noisier to the right.
    /// Noise alone would not do: a model can tell it from camera frames pixel by pixel (by values
    /// between the samples, by contrast nowhere low), and could hide there what it does elsewhere.
    Scene,
    /// Every value all the way up or down.
    Extreme,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::Scene, Kind::Extreme];

    /// Channels x height x width values in `[0,1]`, row-major, channel slowest.
    pub(super) fn image(self, input: ImageShape, random: &mut SplitMix) -> Vec<f32> {
        let ImageShape {
            channels,
            height,
            width,
        } = input;
        let part = |at: usize, length: usize| at as f32 / length.saturating_sub(1).max(1) as f32;
        let mut values = Vec::with_capacity(input.volume().unwrap_or(0));
        for _ in 0..channels {
            let (level, slope) = (random.unit(), random.unit() - 0.5);
            for y in 0..height {
                for x in 0..width {
                    let smooth = level + slope * (part(y, height) - 0.5);
                    let noise = random.unit();
                    values.push(match self {
                        Kind::Scene => {
                            let strength = part(x, width);
                            let mixed = smooth + strength * (noise - smooth);
                            (mixed.clamp(0.0, 1.0) * STEPS).round() / STEPS
                        }
                        Kind::Extreme => noise.round(),
                    });
                }
            }
        }
        values
    }
}

/// A small random generator (Steele, Lea and Flood 2014): the same numbers for the same seed.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0,1), on a grid of 2^-16.
    pub(super) fn unit(&mut self) -> f32 {
        let bits = u16::try_from(self.next() >> 48).unwrap_or(0);
        f32::from(bits) / 65536.0
    }

    /// In 0..=most.
    pub(super) fn below(&mut self, most: u32) -> u32 {
        u32::try_from(self.next() % (u64::from(most) + 1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, STEPS, SplitMix};
    use crate::network::ImageShape;

    const INPUT: ImageShape = ImageShape {
        channels: 3,
        height: 20,
        width: 30,
    };

    /// A model must not be able to tell the scene from a camera frame by its samples or by
    /// contrast that is high all over.
    #[test]
    fn a_scene_has_samples_of_8_bits_and_smooth_parts() {
        for seed in 0..20 {
            let scene = Kind::Scene.image(INPUT, &mut SplitMix(seed));
            assert_eq!(Some(scene.len()), INPUT.volume());
            for value in &scene {
                let sample = value * STEPS;
                assert!((0.0..=1.0).contains(value), "{value}");
                assert_eq!(*value, sample.round() / STEPS, "{value}");
            }
            let step = |from: usize, to: usize| {
                let steps = scene
                    .chunks_exact(INPUT.width)
                    .flat_map(|row| row.windows(2).skip(from).take(to - from))
                    .map(|pair| match pair {
                        [a, b] => (a - b).abs(),
                        _ => 0.0,
                    });
                steps.clone().sum::<f32>() / steps.count() as f32
            };
            assert!(step(0, 3) < 0.1, "the left is smooth: {}", step(0, 3));
            assert!(step(24, 29) > 0.2, "the right is noise: {}", step(24, 29));
        }
    }

    #[test]
    fn extremes_are_all_the_way_up_or_down() {
        let image = Kind::Extreme.image(INPUT, &mut SplitMix(1));
        assert!(image.iter().all(|value| [0.0, 1.0].contains(value)));
        let ones = image.iter().filter(|value| **value == 1.0).count();
        assert!((800..1000).contains(&ones), "{ones} of {}", image.len());
    }

    #[test]
    fn another_seed_is_another_image() {
        for kind in Kind::ALL {
            let image = |seed| kind.image(INPUT, &mut SplitMix(seed));
            assert_eq!(image(7), image(7));
            assert_ne!(image(7), image(8));
        }
    }
}
