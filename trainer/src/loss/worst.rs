//! The worst windows of each image, and the margin outside them.
//!
//! Which rival and which windows are the worst is searched without gradient, on the scores as they are; the
//! margin outside them then carries it. That is the gradient of the minimum itself, but for ties, of which
//! the first is taken.

use tch::{Device, Kind, Tensor, no_grad};

use super::windows::Windows;

/// Elements of the largest tensors that the search for pairs makes: on a processor what its caches hold.
fn search_elements(device: Device) -> i64 {
    if device == Device::Cpu {
        1 << 20
    } else {
        1 << 26
    }
}

/// For each image (N) the rival's class and which cells (N x cells, 0 or 1) its margin is taken over.
struct Worst {
    rival: Tensor,
    outside: Tensor,
}

/// For each image (N): the least, over rivals and windows, of (the sum of D_c outside the window - the window's
/// cells) / cells of the map, the slack of Condition 3.2 as a share of the map.
///
/// `scores`: N x C x h x w; `labels`: N class indices.
pub(super) fn window_margin(scores: &Tensor, labels: &Tensor, windows: &Windows) -> Tensor {
    let (height, width) = grid(scores);
    let (worst, affected) = no_grad(|| {
        let inside = windows.inside(height, width);
        let affected = inside.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        let margins = outside_one(&leads(scores, labels), &inside) - &affected;
        let (least, window) = margins.min_dim(2, false);
        let rival = least.argmin(1, false);
        let window = window.gather(1, &rival.unsqueeze(1), false).squeeze_dim(1);
        let outside = 1.0 - inside.index_select(0, &window);
        (Worst { rival, outside }, affected.index_select(0, &window))
    });
    (margin(scores, labels, &worst) - affected) / (height * width) as f64
}

/// For each image (N): the least, over rivals and pairs of windows, of the sum of D_c outside both / cells of
/// the map, the slack of double masking as a share of the map.
///
/// The pairs of the `rivals` rivals with the least sum outside one window are looked at, all of them: with fewer
/// than all rivals the result may be larger than the least, never smaller. 0 means all.
pub(super) fn pair_margin(
    scores: &Tensor,
    labels: &Tensor,
    windows: &Windows,
    rivals: i64,
) -> Tensor {
    let (height, width) = grid(scores);
    let worst = no_grad(|| {
        let inside = windows.inside(height, width);
        let leads = leads(scores, labels);
        let classes = leads.size().get(1).copied().unwrap_or(0);
        let all = (classes - 1).max(1);
        let kept = if rivals == 0 { all } else { rivals.min(all) };
        let one = outside_one(&leads, &inside).amin([2i64].as_slice(), false);
        // N x kept; the label itself would come last.
        let (_, candidates) = one.topk(kept, 1, false, true);
        let cells = height * width;
        let index = candidates.unsqueeze(2).expand([-1, -1, cells], false);
        let elements = search_elements(leads.device());
        let (which, pair) = worst_pair(&leads.gather(1, &index, false), &inside, elements);
        let rival = candidates
            .gather(1, &which.unsqueeze(1), false)
            .squeeze_dim(1);
        let outside = 1.0 - union(&inside, &pair);
        Worst { rival, outside }
    });
    margin(scores, labels, &worst) / (height * width) as f64
}

fn grid(scores: &Tensor) -> (i64, i64) {
    match scores.size().as_slice() {
        &[_, _, height, width] => (height, width),
        _ => (0, 0),
    }
}

/// D_c, N x C x cells. That of the label itself is a constant too large to be the least.
fn leads(scores: &Tensor, labels: &Tensor) -> Tensor {
    let flat = scores.flatten(2, 3).to_kind(Kind::Float);
    let cells = flat.size().get(2).copied().unwrap_or(0);
    let index = labels.view([-1, 1, 1]).expand([-1, -1, cells], false);
    let own = flat.gather(1, &index, false);
    (own - flat).scatter_value(1, &index, 2.0 * cells.max(1) as f64)
}

/// N x C x K: the sums of `leads` (N x C x cells) outside each window of `inside` (K x cells).
fn outside_one(leads: &Tensor, inside: &Tensor) -> Tensor {
    let total = leads.sum_dim_intlist([2i64].as_slice(), true, Kind::Float);
    total - leads.matmul(&inside.tr())
}

/// For each image the candidate (of `leads`, N x R x cells) and the pair (2 x N window indices) whose sum outside
/// both windows is the least. No tensor made has many more than `elements` elements.
fn worst_pair(leads: &Tensor, inside: &Tensor, elements: i64) -> (Tensor, Tensor) {
    let count = inside.size().first().copied().unwrap_or(0);
    let (rows, cells) = match leads.size().as_slice() {
        &[images, rivals, cells] => (images * rivals, cells),
        _ => (0, 0),
    };
    let total = leads.sum_dim_intlist([2i64].as_slice(), true, Kind::Float);
    // Pairs W <= V; a window with itself is one too.
    let pairs = Tensor::triu_indices(count, count, 0, (Kind::Int64, leads.device()));
    let all = count * (count + 1) / 2;
    let part = (elements / rows.max(cells).max(1)).max(1);
    let mut best: Option<(Tensor, Tensor)> = None;
    let mut start = 0;
    while start < all {
        let these = pairs.narrow(1, start, part.min(all - start));
        // N x R x pairs.
        let outside = &total - leads.matmul(&union(inside, &these).tr());
        let (least, at) = outside.min_dim(2, false);
        let at = at + start;
        best = Some(match best {
            None => (least, at),
            Some((value, index)) => {
                let better = least.lt_tensor(&value);
                (
                    least.where_self(&better, &value),
                    at.where_self(&better, &index),
                )
            }
        });
        start += part;
    }
    let (value, index) = best.unwrap_or_default();
    let which = value.argmin(1, false);
    let pair = index.gather(1, &which.unsqueeze(1), false).squeeze_dim(1);
    (which, pairs.index_select(1, &pair))
}

/// P x cells: 1 inside either window of each pair (2 x P indices into `inside`).
fn union(inside: &Tensor, pairs: &Tensor) -> Tensor {
    let of = |at: i64| inside.index_select(0, &pairs.get(at));
    of(0).maximum(&of(1))
}

/// The sum of D_c of each image's rival over its cells, with gradient.
fn margin(scores: &Tensor, labels: &Tensor, worst: &Worst) -> Tensor {
    let flat = scores.flatten(2, 3);
    let cells = flat.size().get(2).copied().unwrap_or(0);
    let of = |class: &Tensor| {
        let index = class.view([-1, 1, 1]).expand([-1, -1, cells], false);
        flat.gather(1, &index, false).squeeze_dim(1)
    };
    let lead = of(labels) - of(&worst.rival);
    (lead * worst.outside.to_kind(flat.kind())).sum_dim_intlist(
        [1i64].as_slice(),
        false,
        flat.kind(),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_same_pair_in_parts_of_any_size() {
        tch::manual_seed(2);
        let options = (Kind::Float, Device::Cpu);
        // Values without ties, so that there is one worst pair.
        let leads = Tensor::randn([5, 3, 20], options);
        let inside = Tensor::rand([12, 20], options).lt(0.3).to_kind(Kind::Float);
        let whole = worst_pair(&leads, &inside, 1 << 20);
        for elements in [1, 20, 100, 390, 1000, 1559, 1560] {
            let parts = worst_pair(&leads, &inside, elements);
            assert_eq!((&parts.0, &parts.1), (&whole.0, &whole.1), "{elements}");
        }
        let last: i64 = whole.1.max().int64_value(&[]);
        assert!(last > 6, "a pair from beyond the first part is among them");
    }
}
