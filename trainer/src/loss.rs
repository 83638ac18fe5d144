//! The end-to-end loss of Section 3.3 and its scores (Section A.3).

use tch::{Kind, Tensor};

use crate::config::{LossConfig, Scores};

/// Region scores N x C x h x w from logits of the same shape, differentiable.
///
/// `Heaviside` is H(z) forward, H(0) = 1, and the sigmoid's derivative backward.
pub fn scores(logits: &Tensor, kind: Scores) -> Tensor {
    match kind {
        Scores::Heaviside => {
            let smooth = logits.sigmoid();
            let step = logits.ge(0.0).to_kind(logits.kind());
            // smooth - smooth is exactly zero: the value is the step's, the gradient the sigmoid's.
            step + (&smooth - smooth.detach())
        }
        Scores::Sigmoid => logits.sigmoid(),
        Scores::Softmax => logits.softmax(1, logits.kind()),
    }
}

/// Mean class scores N x C: the votes divided by the number of cells.
pub fn mean_scores(scores: &Tensor) -> Tensor {
    scores.mean_dim([2i64, 3].as_slice(), false, Kind::Float)
}

/// The lead of class `target` (N) over its strongest rival in mean scores (N x C): a tensor N in [-1, 1].
fn lead(mean: &Tensor, target: &Tensor) -> Tensor {
    let target = target.unsqueeze(1);
    let own = mean.gather(1, &target, false).squeeze_dim(1);
    let rival = mean
        .scatter_value(1, &target, f64::NEG_INFINITY)
        .amax([1i64].as_slice(), false);
    own - rival
}

/// L_R for each image: -min(min over rivals of the mean of D_c, M). Only the upper side is clipped.
///
/// `mean`: N x C mean scores; `labels`: N class indices.
pub fn margin_loss(mean: &Tensor, labels: &Tensor, margin: f64) -> Tensor {
    -lead(mean, labels).clamp_max(margin)
}

/// L_oh for each image: how far the strongest rival is from the predicted class; -1 where scores are one-hot.
pub fn one_hot_penalty(mean: &Tensor) -> Tensor {
    -lead(mean, &mean.argmax(1, false))
}

/// The total loss over a batch: mean of L_R + sigma * L_oh.
pub fn total(logits: &Tensor, labels: &Tensor, config: &LossConfig) -> Tensor {
    let mean = mean_scores(&scores(logits, config.scores));
    let margin = margin_loss(&mean, labels, config.margin).mean(Kind::Float);
    if config.one_hot == 0.0 {
        return margin;
    }
    margin + one_hot_penalty(&mean).mean(Kind::Float) * config.one_hot
}
