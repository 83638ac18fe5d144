//! The heuristic patch attack of Section A.2: an upper bound on robustness, and a check of the certificate.

use bagcert_certifier::{Condition, Geometry, PatchSize, Verdict};
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use crate::{
    config::Scores,
    data::{Dataset, to_unit},
    evaluate::{EvaluationError, Judge, floats},
    loss,
    network::{Mode, Network},
};

/// How hard the attack tries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// The patch.
    pub patch: PatchSize,
    /// Steps of projected gradient ascent; 100 in the paper.
    pub steps: usize,
    /// Size of a step in pixel values; 0.025 in the paper.
    pub step_size: f64,
}

/// What came of an attack. Shares of images, in [0, 1].
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AttackReport {
    /// Images seen.
    pub images: i64,
    /// Right without a patch.
    pub clean: f64,
    /// Right and certified by Condition 3.2.
    pub certified: f64,
    /// Right without a patch and after every step of the attack.
    pub attacked: f64,
    /// Indices of certified images that the attack changed. Not empty: the certificate is broken.
    pub broken: Vec<i64>,
}

/// Attacks every rightly classified image of `data` at the position and towards the rival that Condition 3.2
/// finds weakest: random start, then `steps` steps on the patch alone, against the lead over that rival
/// (L_R with M = 1, which never clips). An image counts as flipped if any step changed its class.
///
/// # Errors
/// Where a logit is NaN or infinite, or the patch does not fit the images.
pub fn attack(
    network: &Network,
    data: &Dataset,
    geometry: &Geometry,
    attack: &Attack,
    batch: i64,
    progress: &mut dyn FnMut(i64),
) -> Result<AttackReport, EvaluationError> {
    let mut judge = Judge::new(network, geometry)?;
    let asked = [(attack.patch, Condition::SumWindow32)];
    let (mut right, mut certified, mut held) = (0u64, 0u64, 0u64);
    let mut broken = vec![];
    let mut start = 0;
    while start < data.len() {
        let part = data.slice(start, batch);
        let images = to_unit(&part.images);
        let logits = floats(&no_grad(|| network.forward(&images, Mode::Evaluate)))?;
        let labels = Vec::<i64>::try_from(part.labels.to_device(Device::Cpu))?;
        let mut targets = Vec::new();
        for ((index, logits), label) in (0i64..).zip(judge.images(&logits)).zip(labels) {
            let (predicted, verdicts) =
                judge
                    .verdicts(logits, &asked)
                    .map_err(|fault| EvaluationError::Fault {
                        image: start + index,
                        fault,
                    })?;
            if usize::try_from(label) == Ok(predicted) {
                targets.extend(verdicts.into_iter().map(|verdict| (index, verdict)));
            }
        }
        let flipped = flips(network, &images, &targets, attack)?;
        for ((index, verdict), flipped) in targets.iter().zip(flipped) {
            right += 1;
            certified += u64::from(verdict.certified);
            held += u64::from(!flipped);
            if verdict.certified && flipped {
                broken.push(start + index);
            }
        }
        start += part.len();
        progress(start);
    }
    let share = |count: u64| count as f64 / data.len().max(1) as f64;
    Ok(AttackReport {
        images: data.len(),
        clean: share(right),
        certified: share(certified),
        attacked: share(held),
        broken,
    })
}

/// Which of `targets` (index into `images`, verdict without a patch) change class at some step.
fn flips(
    network: &Network,
    images: &Tensor,
    targets: &[(i64, Verdict)],
    attack: &Attack,
) -> Result<Vec<bool>, EvaluationError> {
    if targets.is_empty() {
        return Ok(vec![]);
    }
    let device = images.device();
    let column = |pick: &dyn Fn(&(i64, Verdict)) -> i64| {
        Tensor::from_slice(&targets.iter().map(pick).collect::<Vec<i64>>()).to_device(device)
    };
    let images = images.index_select(0, &column(&|(index, _)| *index));
    let own = column(&|(_, verdict)| verdict.predicted as i64);
    let rival = column(&|(_, verdict)| verdict.rival as i64);
    let inside = masks(
        &images,
        &column(&|(_, v)| i64::from(v.worst.x)),
        &column(&|(_, v)| i64::from(v.worst.y)),
        attack.patch,
    );
    let mut patch = images.rand_like();
    let mut flipped = Tensor::zeros([targets.len() as i64], (Kind::Bool, device));
    for step in 0..=attack.steps {
        let leaf = patch.detach().set_requires_grad(step < attack.steps);
        let attacked = leaf.where_self(&inside, &images);
        let logits = network.forward(&attacked, Mode::Evaluate);
        flipped = flipped.logical_or(&predictions(&logits).ne_tensor(&own));
        if step == attack.steps {
            break;
        }
        let mean = loss::mean_scores(&loss::scores(&logits, Scores::Heaviside));
        let of = |class: &Tensor| mean.gather(1, &class.unsqueeze(1), false);
        let gain = (of(&rival) - of(&own)).sum(Kind::Float);
        let gradient = Tensor::f_run_backward(&[&gain], &[&leaf], false, false)?;
        if let Some(gradient) = gradient.first() {
            patch =
                no_grad(|| (leaf.detach() + gradient.sign() * attack.step_size).clamp(0.0, 1.0));
        }
    }
    Ok(Vec::<bool>::try_from(flipped.to_device(Device::Cpu))?)
}

/// N x 1 x H x W: true inside the patch whose top left pixels are `x`, `y`.
fn masks(images: &Tensor, x: &Tensor, y: &Tensor, patch: PatchSize) -> Tensor {
    let size = images.size();
    let &[_, _, height, width] = size.as_slice() else {
        return Tensor::new();
    };
    let along = |len: i64, first: &Tensor, count: u32| {
        let place =
            Tensor::arange(len, (Kind::Int64, images.device())).unsqueeze(0) - first.unsqueeze(1);
        place.ge(0).logical_and(&place.lt(i64::from(count)))
    };
    let columns = along(width, x, patch.width()).view([-1, 1, 1, width]);
    columns.logical_and(&along(height, y, patch.height()).view([-1, 1, height, 1]))
}

/// The class with most votes in each of N x C x h x w logits, lowest index on a tie.
fn predictions(logits: &Tensor) -> Tensor {
    let votes = logits.ge(0.0).to_kind(Kind::Int64).sum_dim_intlist(
        [2i64, 3].as_slice(),
        false,
        Kind::Int64,
    );
    let classes = votes.size().get(1).copied().unwrap_or(1);
    let earlier = Tensor::arange(classes, (Kind::Int64, logits.device()));
    // Unique keys: more votes first, then the lower index.
    (votes * classes - earlier).argmax(1, false)
}
