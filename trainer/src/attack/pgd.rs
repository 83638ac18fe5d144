//! Projected gradient ascent on patches, many images at once.

use bagcert_certifier::{CellRect, Fault, Pixel};
use tch::{Device, Kind, Tensor, no_grad};

use super::{
    Attack, AttackError, Flip,
    areas::{patches, regions},
    objective::Objective,
    predictor::Masks,
};
use crate::{
    evaluate::floats,
    network::{Mode, Network},
    random::Random,
};

/// Steps between two looks at which images have flipped; those are then left out. Against a masking predictor
/// the objective changes from round to round.
const ROUND: usize = 10;

/// What to attack in one image.
pub(super) struct Target {
    /// Index of the image in the data set.
    pub(super) image: i64,
    /// The class predicted without a patch.
    pub(super) own: usize,
    /// The class to lift.
    pub(super) rival: usize,
    /// Top-left pixel of the patch.
    pub(super) at: Pixel,
    /// The cells it affects.
    pub(super) region: Option<CellRect>,
    /// Cells that the predictor leaves out beside those, where it is double masking.
    pub(super) other: Option<CellRect>,
}

/// How one attack ended.
pub(super) struct End {
    pub(super) least_lead: i64,
    pub(super) flipped: Option<Flip>,
    pub(super) outside_changed: bool,
}

/// How all of them ended.
pub(super) struct Ascent {
    /// N x 3 x H x W: the images with the patch of the least lead.
    pub(super) best: Tensor,
    /// In the order of the targets.
    pub(super) ends: Vec<End>,
}

/// Attacks each of `images` (N x 3 x H x W) as the target of the same place says. Who answers is `masks`, or
/// the plain vote where there is none.
pub(super) fn ascend(
    network: &Network,
    images: &Tensor,
    targets: &[Target],
    attack: &Attack,
    mut masks: Option<&mut Masks<'_>>,
) -> Result<Ascent, AttackError> {
    let mut state = State::new(network, images, targets, attack)?;
    let mut step = 0;
    while step <= attack.steps {
        let last = (step + ROUND).min(attack.steps + 1);
        let open = state.flip_step.lt(0).nonzero().squeeze_dim(1);
        if open.size() == [0] {
            break;
        }
        let mut part = state.select(&open);
        let objective = Objective::of(masks.as_deref(), step / ROUND);
        for step in step..last {
            part.step(network, step, attack, &objective, masks.as_deref_mut())?;
        }
        state.put_back(&open, &part);
        state.check_finite(targets)?;
        step = last;
    }
    state.ends()
}

/// One row for each image; every tensor has as many.
struct State {
    /// Clean, N x 3 x H x W.
    images: Tensor,
    /// N x 1 x H x W: true inside the patch.
    inside: Tensor,
    /// N x 1 x h x w: true outside the affected region.
    outside: Tensor,
    /// N x 1 x h x w: true outside the other window of the weakest pair.
    counted: Tensor,
    /// N x C x h x w: the votes without a patch.
    votes: Tensor,
    /// N classes each.
    own: Tensor,
    rival: Tensor,
    /// N x 3 x H x W; only what is inside counts.
    patch: Tensor,
    /// The attacked image of the least lead, and that lead in votes.
    best: Tensor,
    least_lead: Tensor,
    /// The step at which the class changed, and to which; -1 before.
    flip_step: Tensor,
    flip_class: Tensor,
    outside_changed: Tensor,
    finite_logits: Tensor,
    finite_gradient: Tensor,
}

impl State {
    fn new(
        network: &Network,
        images: &Tensor,
        targets: &[Target],
        attack: &Attack,
    ) -> Result<Self, AttackError> {
        let device = images.device();
        let column = |pick: &dyn Fn(&Target) -> i64| {
            Tensor::from_slice(&targets.iter().map(pick).collect::<Vec<i64>>()).to_device(device)
        };
        let filled =
            |value: i64| Tensor::full([targets.len() as i64], value, (Kind::Int64, device));
        let yes = || filled(1).to_kind(Kind::Bool);
        let pixels = images.get(0).numel();
        let starts: Vec<f32> = targets
            .iter()
            .flat_map(|target| noise(attack.seed, target.image).take(pixels))
            .collect();
        let clean = no_grad(|| network.forward(images, Mode::Evaluate));
        Ok(Self {
            images: images.copy(),
            inside: patches(images, targets, attack.patch),
            outside: regions(&clean, targets, |target| target.region).logical_not(),
            counted: regions(&clean, targets, |target| target.other).logical_not(),
            votes: clean.ge(0.0),
            own: column(&|target| target.own as i64),
            rival: column(&|target| target.rival as i64),
            patch: Tensor::from_slice(&starts)
                .f_view_as(images)?
                .to_device(device),
            best: images.copy(),
            least_lead: filled(i64::MAX),
            flip_step: filled(-1),
            flip_class: filled(-1),
            outside_changed: yes().logical_not(),
            finite_logits: yes(),
            finite_gradient: yes(),
        })
    }

    fn fields(&self) -> [&Tensor; 15] {
        [
            &self.images,
            &self.inside,
            &self.outside,
            &self.counted,
            &self.votes,
            &self.own,
            &self.rival,
            &self.patch,
            &self.best,
            &self.least_lead,
            &self.flip_step,
            &self.flip_class,
            &self.outside_changed,
            &self.finite_logits,
            &self.finite_gradient,
        ]
    }

    /// The rows at `places`.
    fn select(&self, places: &Tensor) -> Self {
        let [
            images,
            inside,
            outside,
            counted,
            votes,
            own,
            rival,
            patch,
            best,
            least_lead,
            flip_step,
            flip_class,
            outside_changed,
            finite_logits,
            finite_gradient,
        ] = self.fields().map(|field| field.index_select(0, places));
        Self {
            images,
            inside,
            outside,
            counted,
            votes,
            own,
            rival,
            patch,
            best,
            least_lead,
            flip_step,
            flip_class,
            outside_changed,
            finite_logits,
            finite_gradient,
        }
    }

    /// Writes the rows of `part` to `places`.
    fn put_back(&mut self, places: &Tensor, part: &Self) {
        for (whole, part) in self.fields().into_iter().zip(part.fields()) {
            let _ = no_grad(|| whole.shallow_clone().index_copy_(0, places, part));
        }
    }

    /// Looks at the patches as they are and, but for the last time, moves them one step.
    fn step(
        &mut self,
        network: &Network,
        step: usize,
        attack: &Attack,
        objective: &Objective,
        masks: Option<&mut Masks<'_>>,
    ) -> Result<(), AttackError> {
        let moves = step < attack.steps;
        let leaf = self.patch.detach().set_requires_grad(moves);
        let attacked = leaf.where_self(&self.inside, &self.images);
        let logits = if moves {
            network.forward(&attacked, Mode::Evaluate)
        } else {
            no_grad(|| network.forward(&attacked, Mode::Evaluate))
        };
        let (class, lead) = match masks {
            Some(masks) => self.masked_answers(&logits, masks)?,
            None => no_grad(|| self.answers(&logits.detach())),
        };
        no_grad(|| self.look(&attacked.detach(), &logits.detach(), step, &class, &lead));
        if !moves {
            return Ok(());
        }
        let gain = objective.gain(&logits, &self.own, &self.rival, &self.counted);
        let gradients = Tensor::f_run_backward(&[&gain], &[&leaf], false, false)?;
        let gradient = gradients.first().map_or_else(Tensor::new, Tensor::detach);
        self.finite_gradient = self.finite_gradient.logical_and(&all_finite(&gradient));
        self.patch = (leaf.detach() + gradient.sign() * attack.step_size).clamp(0.0, 1.0);
        Ok(())
    }

    /// The class with most votes of each image, and the lead of `own` over its strongest rival. `logits` are
    /// N x C x h x w.
    fn answers(&self, logits: &Tensor) -> (Tensor, Tensor) {
        let votes = logits.ge(0.0);
        let counts = votes.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Int64);
        let own = self.own.unsqueeze(1);
        let strongest = counts
            .scatter_value(1, &own, -1)
            .amax([1i64].as_slice(), false);
        let lead = counts.gather(1, &own, false).squeeze_dim(1) - strongest;
        (winners(&counts), lead)
    }

    /// The same from a masking predictor.
    fn masked_answers(
        &self,
        logits: &Tensor,
        masks: &mut Masks<'_>,
    ) -> Result<(Tensor, Tensor), AttackError> {
        let own = Vec::<i64>::try_from(self.own.to_device(Device::Cpu))?;
        let logits = floats(logits)?;
        let each = logits.chunks((logits.len() / own.len().max(1)).max(1));
        let mut answers = (Vec::with_capacity(own.len()), Vec::with_capacity(own.len()));
        for (&own, logits) in own.iter().zip(each) {
            let found = masks.answer(logits, usize::try_from(own).unwrap_or(usize::MAX));
            let (class, lead) = match found {
                Ok((class, lead)) => (class as i64, lead),
                // Told with the index of its image, from the flags.
                Err(Fault::NonFinite { .. }) => (own, i64::MAX),
                Err(fault) => return Err(fault.into()),
            };
            answers.0.push(class);
            answers.1.push(lead);
        }
        let tensor = |values: &[i64]| Tensor::from_slice(values).to_device(self.own.device());
        Ok((tensor(&answers.0), tensor(&answers.1)))
    }

    /// Takes note of what the patches do. `attacked` has them in place, `logits` are N x C x h x w, `class` and
    /// `lead` what the predictor makes of them.
    fn look(
        &mut self,
        attacked: &Tensor,
        logits: &Tensor,
        step: usize,
        class: &Tensor,
        lead: &Tensor,
    ) {
        let votes = logits.ge(0.0);
        let open = self.flip_step.lt(0);
        let flips = class.ne_tensor(&self.own).logical_and(&open);
        // Where the lead is level, the step that flips counts.
        let better = lead
            .lt_tensor(&self.least_lead)
            .logical_and(&open)
            .logical_or(&flips);
        self.least_lead = lead.where_self(&better, &self.least_lead);
        self.best = attacked.where_self(&better.view([-1, 1, 1, 1]), &self.best);
        self.flip_step =
            Tensor::full_like(&self.flip_step, step as i64).where_self(&flips, &self.flip_step);
        self.flip_class = class.where_self(&flips, &self.flip_class);

        let changed = votes
            .not_equal_tensor(&self.votes)
            .logical_and(&self.outside);
        self.outside_changed = self
            .outside_changed
            .logical_or(&changed.flatten(1, -1).any_dim(1, false));
        self.finite_logits = self.finite_logits.logical_and(&all_finite(logits));
    }

    /// An error where a logit or gradient was NaN or infinite: what was counted then means nothing.
    fn check_finite(&self, targets: &[Target]) -> Result<(), AttackError> {
        for (finite, what) in [
            (&self.finite_logits, "a logit"),
            (&self.finite_gradient, "the gradient"),
        ] {
            let finite = Vec::<bool>::try_from(finite.to_device(Device::Cpu))?;
            if let Some((target, _)) = targets.iter().zip(finite).find(|(_, finite)| !finite) {
                return Err(AttackError::NotFinite {
                    image: target.image,
                    what,
                });
            }
        }
        Ok(())
    }

    fn ends(self) -> Result<Ascent, AttackError> {
        let numbers = |tensor: &Tensor| Vec::<i64>::try_from(tensor.to_device(Device::Cpu));
        let changed = Vec::<bool>::try_from(self.outside_changed.to_device(Device::Cpu))?;
        let ends = numbers(&self.least_lead)?
            .into_iter()
            .zip(numbers(&self.flip_step)?)
            .zip(numbers(&self.flip_class)?)
            .zip(changed)
            .map(|(((least_lead, step), class), outside_changed)| End {
                least_lead,
                flipped: usize::try_from(step)
                    .ok()
                    .zip(usize::try_from(class).ok())
                    .map(|(step, class)| Flip { step, class }),
                outside_changed,
            })
            .collect();
        Ok(Ascent {
            best: self.best,
            ends,
        })
    }
}

/// Values in [0, 1) that depend on the seed and the image alone: a resumed attack starts each image from the
/// same patch.
fn noise(seed: i64, image: i64) -> impl Iterator<Item = f32> {
    let mut random = Random::new(seed, image);
    std::iter::repeat_with(move || random.unit())
}

/// N: whether all numbers of a row are finite.
fn all_finite(tensor: &Tensor) -> Tensor {
    tensor.isfinite().flatten(1, -1).all_dim(1, false)
}

/// The class with most votes for each row of N x C counts, the lowest on a tie.
fn winners(counts: &Tensor) -> Tensor {
    let classes = counts.size().get(1).copied().unwrap_or(1);
    let earlier = Tensor::arange(classes, (Kind::Int64, counts.device()));
    // Unique keys: more votes first, then the lower index.
    (counts * classes - earlier).argmax(1, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_image_has_noise_of_its_own() {
        let draw = |seed, image| noise(seed, image).take(1000).collect::<Vec<f32>>();
        assert_eq!(draw(1, 5), draw(1, 5));
        for other in [draw(1, 6), draw(2, 5), draw(5, 1)] {
            assert_ne!(draw(1, 5), other);
        }
        let values = draw(3, 0);
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        let mean = values.iter().sum::<f32>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
    }

    #[test]
    fn the_lowest_class_wins_a_tie() {
        let counts = Tensor::from_slice(&[3i64, 5, 5, 0, 7, 7, 7, 7, 1, 2, 3, 4]).view([3, 4]);
        assert_eq!(winners(&counts), Tensor::from_slice(&[1i64, 0, 3]));
    }
}
