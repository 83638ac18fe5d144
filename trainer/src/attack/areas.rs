//! Which pixels and cells an attack is about, as tensors.

use bagcert_certifier::{CellRect, PatchSize};
use tch::{Kind, Tensor};

use super::pgd::Target;

/// N x 1 x H x W: true inside the patch of each image.
pub(super) fn patches(images: &Tensor, targets: &[Target], patch: PatchSize) -> Tensor {
    rectangles(images, targets, |target| {
        Some([
            (target.at.x, target.at.x + patch.width()),
            (target.at.y, target.at.y + patch.height()),
        ])
    })
}

/// N x 1 x h x w: true inside the cells that `region` names for each.
pub(super) fn regions(
    logits: &Tensor,
    targets: &[Target],
    region: impl Fn(&Target) -> Option<CellRect>,
) -> Tensor {
    rectangles(logits, targets, |target| {
        let region = region(target)?;
        Some([
            (region.x.first, region.x.last + 1),
            (region.y.first, region.y.last + 1),
        ])
    })
}

/// True inside the columns and rows (first, end) that `place` gives each target.
fn rectangles(
    like: &Tensor,
    targets: &[Target],
    place: impl Fn(&Target) -> Option<[(u32, u32); 2]>,
) -> Tensor {
    let size = like.size();
    let (height, width) = match size.as_slice() {
        &[_, _, height, width] => (height, width),
        _ => (0, 0),
    };
    let places: Vec<[(u32, u32); 2]> = targets
        .iter()
        .map(|target| place(target).unwrap_or_default())
        .collect();
    // Axis 0 is x.
    let along = |len: i64, axis: usize| {
        let (first, end): (Vec<i64>, Vec<i64>) = places
            .iter()
            .map(|place| place.get(axis).copied().unwrap_or_default())
            .map(|(first, end)| (i64::from(first), i64::from(end)))
            .unzip();
        let at = |values: &[i64]| {
            Tensor::from_slice(values)
                .to_device(like.device())
                .unsqueeze(1)
        };
        let positions = Tensor::arange(len, (Kind::Int64, like.device())).unsqueeze(0);
        positions
            .ge_tensor(&at(&first))
            .logical_and(&positions.lt_tensor(&at(&end)))
    };
    let columns = along(width, 0).view([-1, 1, 1, width]);
    columns.logical_and(&along(height, 1).view([-1, 1, height, 1]))
}
