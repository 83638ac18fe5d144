//! A network of one layer in place of the real one: as local as that, and a thousand times faster.

use super::{CLASSES, Random, SIDE};

/// Values of one picture: a channel for each class.
pub(crate) const PIXELS: usize = CLASSES * SIDE * SIDE;

/// A 3x3 kernel and a bias for each class: cell (y, x) sees the pixels around (y, x), which is the
/// geometry of the settings.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) weights: [f32; CLASSES * 10],
}

impl Engine {
    pub(crate) fn new() -> Engine {
        let weights = std::array::from_fn(|at| match at % 10 {
            4 => 0.62,
            9 => -0.5,
            other => 0.03 + 0.004 * other as f32,
        });
        Engine { weights }
    }

    pub(crate) fn logits(&self, picture: &[f32; PIXELS]) -> [f32; PIXELS] {
        std::array::from_fn(|at| {
            let (class, y, x) = (at / (SIDE * SIDE), at / SIDE % SIDE, at % SIDE);
            let weights = &self.weights[class * 10..class * 10 + 10];
            let mut sum = weights[9];
            for (tap, weight) in weights[..9].iter().enumerate() {
                // One row and column of padding in front.
                let (y, x) = (y + tap / 3, x + tap % 3);
                if (1..=SIDE).contains(&y) && (1..=SIDE).contains(&x) {
                    sum += weight * picture[class * SIDE * SIDE + (y - 1) * SIDE + x - 1];
                }
            }
            sum
        })
    }
}

/// A picture with a leading class, by more or less, and a sensor's noise.
pub(crate) fn picture(random: &mut Random) -> [f32; PIXELS] {
    let lead = random.below(CLASSES);
    let strength = 40 + random.below(60);
    std::array::from_fn(|at| {
        let share = if at / (SIDE * SIDE) == lead {
            strength
        } else {
            8
        };
        let bright = if random.below(100) < share { 0.8 } else { 0.1 };
        bright + random.below(100) as f32 / 1000.0
    })
}

/// Anything in [0, 1] in a square of 2x2 pixels, anywhere.
pub(crate) fn patched(picture: &[f32; PIXELS], random: &mut Random) -> [f32; PIXELS] {
    let (top, left) = (random.below(SIDE - 1), random.below(SIDE - 1));
    let mut picture = *picture;
    for class in 0..CLASSES {
        for pixel in 0..4 {
            let (y, x) = (top + pixel / 2, left + pixel % 2);
            picture[class * SIDE * SIDE + y * SIDE + x] = random.below(256) as f32 / 255.0;
        }
    }
    picture
}
