//! Where to put the patch, and for which rival: l*, c* of Section A.2.

use bagcert_certifier::{Fault, Geometry, GeometryError, PatchSize, Pixel};

use crate::table::Table;

/// The rival and the top-left pixel at which the votes of `predicted` outside the affected region lead least:
/// the arguments of the minimum, over c and l, of the sum of D_c outside R(l). Of equals the lowest class,
/// then the topmost, then the leftmost.
///
/// It need not be the worst case of Condition 3.2, which also counts how many cells R(l) has.
/// `logits`: C x h x w, as `geometry` says.
///
/// # Errors
/// Where the patch does not fit the image.
pub(super) fn weakest(
    logits: &[f32],
    geometry: &Geometry,
    predicted: usize,
    patch: PatchSize,
) -> Result<(usize, Pixel), Fault> {
    let (width, height) = (geometry.x.inputs(), geometry.y.inputs());
    let too_large = GeometryError::PatchTooLarge {
        patch,
        image_width: width,
        image_height: height,
    };
    let (Some(last_x), Some(last_y)) = (
        width.checked_sub(patch.width()),
        height.checked_sub(patch.height()),
    ) else {
        return Err(too_large.into());
    };
    let columns = geometry.x.outputs() as usize;
    let cells = columns * geometry.y.outputs() as usize;
    let own = logits.chunks(cells).nth(predicted).unwrap_or_default();
    let mut least: Option<(i64, usize, Pixel)> = None;
    for (rival, theirs) in logits.chunks(cells).enumerate() {
        if rival == predicted {
            continue;
        }
        let lead = own
            .iter()
            .zip(theirs)
            .map(|(own, theirs)| i64::from(*own >= 0.0) - i64::from(*theirs >= 0.0));
        let table = Table::new(lead, columns);
        for y in 0..=last_y {
            for x in 0..=last_x {
                let at = Pixel { x, y };
                let inside = geometry
                    .affected(patch, at)
                    .map_or(0, |region| table.sum(&region));
                let outside = table.total() - inside;
                if least.is_none_or(|(so_far, ..)| outside < so_far) {
                    least = Some((outside, rival, at));
                }
            }
        }
    }
    least.map_or(Err(too_large.into()), |(_, rival, at)| Ok((rival, at)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use bagcert_certifier::Axis;

    /// The same from the definition: every cell asked for itself.
    fn slowly(logits: &[f32], geometry: &Geometry, own: usize, patch: PatchSize) -> (usize, Pixel) {
        let (w, h) = (geometry.x.outputs(), geometry.y.outputs());
        let cells = (w * h) as usize;
        let meets = |stride: u32, lo: i32, hi: i32, cell: u32, first: u32, count: u32| {
            let reads = i64::from(stride) * i64::from(cell);
            reads + i64::from(lo) <= i64::from(first + count - 1)
                && reads + i64::from(hi) >= i64::from(first)
        };
        let mut all = vec![];
        for rival in (0..logits.len() / cells).filter(|rival| *rival != own) {
            for y in 0..=geometry.y.inputs() - patch.height() {
                for x in 0..=geometry.x.inputs() - patch.width() {
                    let mut outside = 0;
                    for row in 0..h {
                        for column in 0..w {
                            let (a, b) = (&geometry.x, &geometry.y);
                            if meets(a.stride(), a.lo(), a.hi(), column, x, patch.width())
                                && meets(b.stride(), b.lo(), b.hi(), row, y, patch.height())
                            {
                                continue;
                            }
                            let cell = (row * w + column) as usize;
                            let vote =
                                |class: usize| i64::from(logits[class * cells + cell] >= 0.0);
                            outside += vote(own) - vote(rival);
                        }
                    }
                    all.push((outside, rival, y, x));
                }
            }
        }
        let (_, rival, y, x) = *all.iter().min().unwrap();
        (rival, Pixel { x, y })
    }

    #[test]
    fn agrees_with_the_definition() {
        let geometry = Geometry {
            x: Axis::new(12, 6, 2, -1, 3).unwrap(),
            y: Axis::new(9, 9, 1, -2, 2).unwrap(),
        };
        let mut state = 1u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        for (width, height) in [(1, 1), (3, 2), (5, 5), (12, 1), (12, 9)] {
            let patch = PatchSize::new(width, height).unwrap();
            for _ in 0..10 {
                let logits: Vec<f32> = (0..4 * 54).map(|_| noise()).collect();
                let found = weakest(&logits, &geometry, 2, patch).unwrap();
                assert_eq!(found, slowly(&logits, &geometry, 2, patch), "{patch}");
            }
        }
    }

    #[test]
    fn a_patch_larger_than_the_image_is_refused() {
        let axis = Axis::new(4, 4, 1, 0, 0).unwrap();
        let geometry = Geometry { x: axis, y: axis };
        let patch = PatchSize::new(5, 1).unwrap();
        assert!(weakest(&[0.0; 32], &geometry, 0, patch).is_err());
    }
}
