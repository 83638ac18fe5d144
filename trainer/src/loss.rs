//! The end-to-end loss of Section 3.3 and its scores (Section A.3), and margins beside the paper's.

mod distil;
mod windows;
mod worst;

use tch::Tensor;

use crate::config::{LossConfig, Scores};

pub use distil::{Lesson, distil};
pub use windows::{Margin, Margins, WindowError, Windows};

/// `value` with the gradient of `smooth`, of the same shape.
fn straight_through(value: &Tensor, smooth: &Tensor) -> Tensor {
    // smooth - smooth is exactly zero.
    value.detach() + (smooth - smooth.detach())
}

/// Region scores N x C x h x w from logits of the same shape, differentiable.
///
/// `Heaviside` is H(z) forward, H(0) = 1, and the sigmoid's derivative backward.
pub fn scores(logits: &Tensor, kind: Scores) -> Tensor {
    match kind {
        Scores::Heaviside => {
            let step = logits.ge(0.0).to_kind(logits.kind());
            straight_through(&step, &logits.sigmoid())
        }
        Scores::Sigmoid => logits.sigmoid(),
        Scores::Softmax => logits.softmax(1, logits.kind()),
    }
}

/// Mean class scores N x C: the votes divided by the number of cells.
pub fn mean_scores(scores: &Tensor) -> Tensor {
    scores.mean_dim([2i64, 3].as_slice(), false, scores.kind())
}

/// The largest mean score less the smallest, averaged over the images of `mean` (N x C); waits for the device.
pub fn spread(mean: &Tensor) -> f64 {
    let (most, least) = (
        mean.amax([1i64].as_slice(), false),
        mean.amin([1i64].as_slice(), false),
    );
    (most - least).mean(mean.kind()).double_value(&[])
}

/// The lead of class `target` (N) over its strongest rival in mean scores (N x C): a tensor N in [-1, 1].
fn lead(mean: &Tensor, target: &Tensor) -> Tensor {
    let (own, rivals) = own_and_rivals(mean, target);
    own - rivals.amax([1i64].as_slice(), false)
}

/// Mean scores of class `target` (N) and of its rivals: N, and N x C with -infinity in the target's place.
fn own_and_rivals(mean: &Tensor, target: &Tensor) -> (Tensor, Tensor) {
    let target = target.unsqueeze(1);
    let own = mean.gather(1, &target, false).squeeze_dim(1);
    (own, mean.scatter_value(1, &target, f64::NEG_INFINITY))
}

/// The lead, with a gradient that all rivals share: each has the weight exp(S / softness) among them, S its mean score.
fn shared_lead(mean: &Tensor, target: &Tensor, softness: f64) -> Tensor {
    let (own, rivals) = own_and_rivals(mean, target);
    let smooth = own - (rivals / softness).logsumexp([1i64].as_slice(), false) * softness;
    straight_through(&lead(&mean.detach(), target), &smooth)
}

/// L_oh for each image: how far the strongest rival is from the predicted class; -1 where scores are one-hot.
pub fn one_hot_penalty(mean: &Tensor) -> Tensor {
    -lead(mean, &mean.argmax(1, false))
}

/// The total loss over a batch: mean of L_R + sigma * L_oh.
///
/// L_R is -min(margin, M) for each image: only the upper side is clipped. `logits`: N x C x h x w; `labels`: N
/// class indices; `margin` says which cells L_R is taken over.
pub fn total(logits: &Tensor, labels: &Tensor, config: &LossConfig, margin: &Margin) -> Tensor {
    let scores = scores(&(logits / config.temperature), config.scores);
    let mean = mean_scores(&scores);
    let least = match margin {
        Margin::Paper if config.rival_softness > 0.0 => {
            shared_lead(&mean, labels, config.rival_softness)
        }
        Margin::Paper => lead(&mean, labels),
        Margin::WorstWindow(windows) => worst::window_margin(&scores, labels, windows),
        Margin::WorstPair(windows, rivals) => worst::pair_margin(&scores, labels, windows, *rivals),
    };
    let loss = -least.clamp_max(config.margin).mean(least.kind());
    if config.one_hot == 0.0 {
        return loss;
    }
    loss + one_hot_penalty(&mean).mean(mean.kind()) * config.one_hot
}
