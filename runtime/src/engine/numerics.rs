//! The numerics check: outside R(l), not one bit may change.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use bagcert_certifier::{CellRect, Geometry, PatchSize, Pixel, Shape};

use super::images::{Kind, SplitMix};
use super::{EngineError, ForwardPass};
use crate::network::ImageShape;

/// Forward passes of one check: two images, fifteen patches on each, and each image once more.
pub const FORWARD_PASSES: usize = 2 * (1 + PATCHES + 1);
/// Patches tried on each image.
const PATCHES: usize = PLACED + 4;
/// Of these, the ones that go to fixed and random places.
const PLACED: usize = 11;
/// Checks on `pass` itself that patches leave every logit outside their affected region R(l)
/// (Section 3) bit-identical, and that the same image gives the same logits again.
///
/// Patches of several sizes, from one pixel to a third of the image, go to the corners, the
/// middle of the edges, the centre and random places of two random images, one like a frame of a
/// camera and one of pixels all the way up or down. Four more cover all pixels
/// above, below, left and right of what one cell reads, to the very edge of it: a cell that reads one
/// pixel more than was proved shows, whatever the stride. Patches are filled with the opposite of the
/// image, with 0, 1, a checkerboard of both, or noise. A sum of Winograd or FFT kind, a scale taken
/// over the map or a state that carries over from frame to frame shows as a change of some far bit.
/// It is a check, not a proof: what it can miss is a leak too rare to show in [`FORWARD_PASSES`]
/// passes.
///
/// All that is random follows from `seed`. An engine takes a new one each time ([`fresh_seed`]), so
/// that no model can be made for images that are known beforehand; for a sound engine it makes no
/// difference.
///
/// # Errors
/// The first changed logit, or what `pass` itself failed with.
pub fn check_numerics<P: ForwardPass + ?Sized>(
    pass: &mut P,
    input: ImageShape,
    shape: Shape,
    geometry: &Geometry,
    seed: u64,
) -> Result<(), EngineError> {
    let mut random = SplitMix(seed);
    if input.volume().is_none() {
        return Err(placement("the image is too large"));
    }
    let logits_len = shape
        .cells()
        .checked_mul(shape.classes())
        .ok_or_else(|| placement("the score map is too large"))?;
    for kind in Kind::ALL {
        let base = kind.image(input, &mut random);
        let clean = whole(pass.forward(&base)?, logits_len)?.to_vec();
        let mut image = base.clone();
        for trial in 0..PATCHES {
            let (patch, at) = placed(trial, input, geometry, &mut random)?;
            paint(&mut image, input, patch, at, fill(trial, kind), &mut random);
            let logits = whole(pass.forward(&image)?, logits_len)?;
            compare(&clean, logits, shape, geometry.affected(patch, at)).map_err(|change| {
                let Change {
                    class,
                    y,
                    x,
                    before,
                    after,
                } = change;
                EngineError::Leak {
                    patch,
                    at,
                    class,
                    y,
                    x,
                    before,
                    after,
                }
            })?;
            image.copy_from_slice(&base);
        }
        compare(
            &clean,
            whole(pass.forward(&base)?, logits_len)?,
            shape,
            None,
        )
        .map_err(
            |Change {
                 class,
                 y,
                 x,
                 before,
                 after,
             }| EngineError::NotRepeatable {
                class,
                y,
                x,
                before,
                after,
            },
        )?;
    }
    Ok(())
}

/// A seed of the operating system's, for [`check_numerics`].
#[must_use]
pub fn fresh_seed() -> u64 {
    // What keeps hash tables from attack is random enough for this.
    RandomState::new().hash_one(0u8)
}

fn placement(reason: impl ToString) -> EngineError {
    EngineError::Placement(reason.to_string())
}

fn whole(logits: &[f32], expected: usize) -> Result<&[f32], EngineError> {
    if logits.len() == expected {
        Ok(logits)
    } else {
        Err(EngineError::OutputLength {
            expected,
            found: logits.len(),
        })
    }
}

struct Change {
    class: usize,
    y: usize,
    x: usize,
    before: f32,
    after: f32,
}

/// The first logit outside `affected` whose bits differ.
fn compare(
    clean: &[f32],
    patched: &[f32],
    shape: Shape,
    affected: Option<CellRect>,
) -> Result<(), Change> {
    let inside = |y: usize, x: usize| {
        affected.is_some_and(|cells| {
            (cells.y.first as usize..=cells.y.last as usize).contains(&y)
                && (cells.x.first as usize..=cells.x.last as usize).contains(&x)
        })
    };
    for (index, (before, after)) in clean.iter().zip(patched).enumerate() {
        if before.to_bits() == after.to_bits() {
            continue;
        }
        let (class, cell) = (index / shape.cells(), index % shape.cells());
        let (y, x) = (cell / shape.width(), cell % shape.width());
        if !inside(y, x) {
            return Err(Change {
                class,
                y,
                x,
                before: *before,
                after: *after,
            });
        }
    }
    Ok(())
}

/// Size and top-left pixel of the patch of one trial.
fn placed(
    trial: usize,
    input: ImageShape,
    geometry: &Geometry,
    random: &mut SplitMix,
) -> Result<(PatchSize, Pixel), EngineError> {
    if let Some(side) = trial.checked_sub(PLACED)
        && let Some(band) = band(side, input, geometry, random)
    {
        return Ok(band);
    }
    let patch = size(trial, input)?;
    Ok((patch, position(trial, patch, input, random)?))
}

/// All pixels on one side of what a random cell reads: above, below, left, right. `None` where there
/// are none.
fn band(
    side: usize,
    input: ImageShape,
    geometry: &Geometry,
    random: &mut SplitMix,
) -> Option<(PatchSize, Pixel)> {
    let (axis, length) = if side < 2 {
        (&geometry.y, input.height)
    } else {
        (&geometry.x, input.width)
    };
    let cell = i64::from(random.below(axis.outputs().checked_sub(1)?));
    let start = i64::from(axis.stride()) * cell;
    let length = i64::try_from(length).ok()?;
    let (from, to) = if side.is_multiple_of(2) {
        (0, start + i64::from(axis.lo()))
    } else {
        (start + i64::from(axis.hi()) + 1, length)
    };
    let (from, to) = (from.clamp(0, length), to.clamp(0, length));
    let thick = u32::try_from(to.checked_sub(from)?).ok()?;
    let from = u32::try_from(from).ok()?;
    let (patch, at) = if side < 2 {
        let width = u32::try_from(input.width).ok()?;
        (PatchSize::new(width, thick), Pixel { x: 0, y: from })
    } else {
        let height = u32::try_from(input.height).ok()?;
        (PatchSize::new(thick, height), Pixel { x: from, y: 0 })
    };
    // No pixels, no patch.
    patch.ok().map(|patch| (patch, at))
}

/// The size of the patch of one trial, at most the image's.
fn size(trial: usize, input: ImageShape) -> Result<PatchSize, EngineError> {
    let part = |length: usize, divisor: usize| (length / divisor).max(1);
    let (width, height) = match trial {
        0 | 3 | 9 => (part(input.width, 6), part(input.height, 6)),
        2 => (1, 1),
        4 => (part(input.width, 2), 1),
        6 | 10 => (1, part(input.height, 2)),
        _ => (part(input.width, 3), part(input.height, 3)),
    };
    let (Ok(width), Ok(height)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(placement("the image is too large"));
    };
    PatchSize::new(width, height).map_err(placement)
}

/// The top-left pixel of the patch of one trial.
fn position(
    trial: usize,
    patch: PatchSize,
    input: ImageShape,
    random: &mut SplitMix,
) -> Result<Pixel, EngineError> {
    let last = |length: usize, patch: u32| {
        u32::try_from(length)
            .ok()
            .and_then(|length| length.checked_sub(patch))
    };
    let (Some(right), Some(bottom)) = (
        last(input.width, patch.width()),
        last(input.height, patch.height()),
    ) else {
        return Err(placement("a patch is larger than the image"));
    };
    let (x, y) = match trial {
        0 => (0, 0),
        1 => (right, 0),
        2 => (0, bottom),
        3 => (right, bottom),
        4 => (right / 2, 0),
        5 => (right / 2, bottom),
        6 => (0, bottom / 2),
        7 => (right, bottom / 2),
        8 => (right / 2, bottom / 2),
        _ => (random.below(right), random.below(bottom)),
    };
    Ok(Pixel { x, y })
}

/// What a patch is filled with, in every channel.
#[derive(Clone, Copy)]
enum Fill {
    /// 1 where the image is dark, 0 where it is bright: each value crosses the middle.
    Opposite,
    Ones,
    Zeros,
    Checkerboard,
    Noise,
}

/// The scene is always opposed; the image of extremes takes each other filling in turn.
fn fill(trial: usize, kind: Kind) -> Fill {
    match trial % 4 {
        _ if kind == Kind::Scene => Fill::Opposite,
        0 => Fill::Ones,
        1 => Fill::Zeros,
        2 => Fill::Noise,
        _ => Fill::Checkerboard,
    }
}

fn paint(
    image: &mut [f32],
    input: ImageShape,
    patch: PatchSize,
    at: Pixel,
    fill: Fill,
    random: &mut SplitMix,
) {
    let columns = at.x as usize..at.x as usize + patch.width() as usize;
    let rows = at.y as usize..at.y as usize + patch.height() as usize;
    for (line, values) in image.chunks_exact_mut(input.width).enumerate() {
        let y = line % input.height;
        if !rows.contains(&y) {
            continue;
        }
        for (x, value) in values.iter_mut().enumerate() {
            if columns.contains(&x) {
                *value = match fill {
                    Fill::Opposite => f32::from(u8::from(*value < 0.5)),
                    Fill::Ones => 1.0,
                    Fill::Zeros => 0.0,
                    Fill::Checkerboard => f32::from(u8::from((x + y).is_multiple_of(2))),
                    Fill::Noise => random.unit(),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
