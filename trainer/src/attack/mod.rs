//! The heuristic patch attack of Section A.2: an upper bound on robustness, and a check of the certificate.
//! It goes against the plain vote, or against a masking predictor by that predictor's own answers.
//!
//! [`Attacker`] attacks images batch by batch; [`Journal`] keeps a line per image in a file, so that a run
//! can be stopped and resumed; [`Summary`] counts; [`figure`] draws what happened, as in the paper's Figure 6.

mod areas;
pub mod figure;
mod journal;
mod objective;
mod pgd;
mod predictor;
mod record;
mod weakest;

use bagcert_certifier::{
    Condition, Fault, Geometry, GeometryError, PatchSize, ShapeError, Verdict,
};
use tch::{Device, Tensor, no_grad};
use thiserror::Error;

use crate::{
    data::{DataError, Images, to_unit},
    evaluate::{Judge, floats},
    network::{Mode, Network},
};

pub use journal::{Journal, JournalError, Settings};
pub use record::{Attempt, Flip, FoundPatch, Record, Summary};

use predictor::{Masks, Place};

/// How hard the attack tries, and what it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// The patch.
    pub patch: PatchSize,
    /// The patch that images are certified against. The same as `patch`; a smaller one makes certificates
    /// that the attack must be able to break, which is how it is put to the test.
    pub certified: PatchSize,
    /// What certifies, and by that which predictor answers: one of the plain vote or of a masking predictor,
    /// whose windows are those of `certified`.
    pub condition: Condition,
    /// The votes that double masking asks for beyond a majority; under another condition there is no such lead.
    pub lead: u32,
    /// Steps of projected gradient ascent; 100 in the paper.
    pub steps: usize,
    /// Size of a step in pixel values; 0.025 in the paper.
    pub step_size: f64,
    /// With the index of an image, the seed of the patch that its attack starts from.
    pub seed: i64,
}

/// Why an attack stopped.
#[derive(Debug, Error)]
pub enum AttackError {
    /// The network's output is no score map.
    #[error("the network's output cannot be a score map: {0}")]
    Shape(#[from] ShapeError),
    /// A patch that no image has room for.
    #[error(transparent)]
    Patch(#[from] GeometryError),
    /// No predictor can answer, or none for these patches.
    #[error("nothing can be certified here: {0}")]
    Predictor(#[from] Fault),
    /// An image without a patch has no verdict.
    #[error("image {image}: {fault}")]
    Clean {
        /// The image's index.
        image: i64,
        /// What was wrong.
        fault: Fault,
    },
    /// A patch drove the network out of the numbers. Such a frame has no verdict, so it counts neither as
    /// flipped nor as held.
    #[error(
        "image {image}: under attack {what} became NaN or infinite; a fault of the network, not a verdict"
    )]
    NotFinite {
        /// The image's index.
        image: i64,
        /// What it was: a logit, or the gradient.
        what: &'static str,
    },
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// The pictures and score maps of one attack.
#[derive(Clone, Debug, PartialEq)]
pub struct Pictures {
    /// The image, 3 x H x W in [0, 1].
    pub clean: Vec<f32>,
    /// The same with the strongest patch that was found.
    pub attacked: Vec<f32>,
    /// Logits of the image, C x h x w.
    pub clean_logits: Vec<f32>,
    /// Logits of the attacked image.
    pub attacked_logits: Vec<f32>,
}

/// One image after its attack.
#[derive(Clone, Debug, PartialEq)]
pub struct Attacked {
    /// What came of it.
    pub record: Record,
    /// How it looked; nothing where the image was not attacked.
    pub pictures: Option<Pictures>,
}

impl Attacked {
    /// The patch by itself, of size `patch`, out of an image of `width` pixels a row; nothing where the image was
    /// not attacked.
    pub fn patch(&self, patch: PatchSize, width: u32) -> Option<FoundPatch> {
        let (attempt, pictures) = (self.record.attack?, self.pictures.as_ref()?);
        let plane = pictures.attacked.len() / 3;
        let rows = attempt.y..attempt.y + patch.height();
        let starts = (0..3).flat_map(|channel| {
            let first = channel * plane;
            rows.clone()
                .map(move |y| first + (y * width + attempt.x) as usize)
        });
        let pixels = starts
            .filter_map(|start| pictures.attacked.get(start..start + patch.width() as usize))
            .flatten()
            .copied()
            .collect();
        Some(FoundPatch {
            record: self.record.clone(),
            patch: [patch.width(), patch.height()],
            pixels,
        })
    }
}

/// Attacks the images of a network.
pub struct Attacker<'n> {
    network: &'n Network,
    geometry: &'n Geometry,
    judge: Judge<'n>,
    /// Nothing where the plain vote answers.
    masks: Option<Masks<'n>>,
    attack: Attack,
}

/// An image worth attacking, with what is known of it.
struct Candidate {
    /// Where it is in the batch.
    place: i64,
    /// Its index in the data set.
    image: i64,
    label: i64,
    verdict: Verdict,
    rival: usize,
    /// Where the patch is tried, one place after the other.
    places: Vec<Place>,
    logits: Vec<f32>,
}

impl<'n> Attacker<'n> {
    /// For `network`, whose cells read the pixels that `geometry` says.
    ///
    /// # Errors
    /// Where its output cannot be a score map, a patch does not fit the images, or the certified one is such that no
    /// masking predictor can answer.
    pub fn new(
        network: &'n Network,
        geometry: &'n Geometry,
        attack: Attack,
    ) -> Result<Self, AttackError> {
        let judge = Judge::new(network, geometry)?;
        for patch in [attack.patch, attack.certified] {
            geometry.max_affected_cells(patch)?;
        }
        let masking = attack.condition.masking();
        let (shape, lead) = (judge.shape(), attack.lead);
        let masks =
            masking.map(|masking| Masks::new(shape, geometry, masking, attack.certified, lead));
        Ok(Self {
            network,
            geometry,
            judge,
            masks: masks.transpose()?,
            attack,
        })
    }

    /// Attacks those images of `data` at `indices` that are classified rightly or certified, all at once; one
    /// result for each index, in order.
    ///
    /// Against the plain vote, the patch lies where Section A.2 says, and goes for the rival that it says: both
    /// are those of the least lead outside the affected region. From a random patch, `steps` steps of projected
    /// gradient ascent go against the lead over that rival (L_R with M = 1, which never clips).
    ///
    /// Against a masking predictor, rival and place are those of the certificate's worst case. For double
    /// masking that is a pair of windows: the patch is put into one, then into the other. Ten steps go against
    /// the predictor's own lead (that outside the other window of the pair, or the aggregator's), ten against
    /// the plain one, and so on in turn.
    ///
    /// An image counts as flipped if any step changed its class, to whatever other; its attack then ends.
    ///
    /// # Errors
    /// Where a logit is NaN or infinite, with a patch or without, or one of the images cannot be used.
    pub fn images(
        &mut self,
        data: &dyn Images,
        indices: &[i64],
    ) -> Result<Vec<Attacked>, AttackError> {
        let chosen = data.chosen(indices)?;
        let device = self.network.parameters.flat.device();
        let images = to_unit(&chosen.images.to_device(device));
        let labels = Vec::<i64>::try_from(chosen.labels.to_device(Device::Cpu))?;
        let logits = floats(&no_grad(|| self.network.forward(&images, Mode::Evaluate)))?;

        let mut attacked = Vec::with_capacity(indices.len());
        let mut candidates = Vec::new();
        let each: Vec<&[f32]> = self.judge.images(&logits).collect();
        for (((place, &image), &label), logits) in (0i64..).zip(indices).zip(&labels).zip(each) {
            let clean = |fault| AttackError::Clean { image, fault };
            let verdict = self.verdict(logits).map_err(clean)?;
            let record = Record {
                image,
                label,
                predicted: verdict.predicted,
                certified: verdict.certified,
                slack: verdict.slack,
                attack: None,
            };
            if record.right() || record.certified {
                let (rival, places) = self.places(logits, &verdict).map_err(clean)?;
                candidates.push(Candidate {
                    place,
                    image,
                    label,
                    verdict,
                    rival,
                    places,
                    logits: logits.to_vec(),
                });
            }
            attacked.push(Attacked {
                record,
                pictures: None,
            });
        }
        if !candidates.is_empty() {
            for (place, found) in self.attack(&images, candidates)? {
                if let Some(slot) = attacked.get_mut(place) {
                    *slot = found;
                }
            }
        }
        Ok(attacked)
    }

    fn verdict(&mut self, logits: &[f32]) -> Result<Verdict, Fault> {
        if let Some(masks) = &mut self.masks {
            return masks.verdict(logits);
        }
        let asked = [(self.attack.certified, self.attack.condition)];
        let (_, verdicts) = self.judge.verdicts(logits, &asked)?;
        verdicts.first().copied().ok_or(Fault::NoPatch)
    }

    /// The rival to lift, and where to put the patch.
    fn places(&self, logits: &[f32], verdict: &Verdict) -> Result<(usize, Vec<Place>), Fault> {
        let patch = self.attack.patch;
        // The patch that comes must fit, whatever is certified.
        let (rival, at) = weakest::weakest(logits, self.geometry, verdict.predicted, patch)?;
        Ok(match &self.masks {
            Some(masks) => (verdict.rival, masks.places(verdict, patch)),
            None => (rival, vec![Place { at, other: None }]),
        })
    }

    /// The attacks on `candidates`, each with its place in the batch.
    fn attack(
        &mut self,
        images: &Tensor,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(usize, Attacked)>, AttackError> {
        let rows = |places: &[i64]| Tensor::from_slice(places).to_device(images.device());
        let places: Vec<i64> = candidates.iter().map(|candidate| candidate.place).collect();
        let images = images.index_select(0, &rows(&places));
        let mut best: Vec<Option<Found>> = candidates.iter().map(|_| None).collect();
        let tries = candidates.iter().map(|candidate| candidate.places.len());
        for attempt in 0..tries.max().unwrap_or(0) {
            let open: Vec<(i64, pgd::Target)> = (0i64..)
                .zip(&candidates)
                .zip(&best)
                .filter(|(_, found)| {
                    found
                        .as_ref()
                        .is_none_or(|found| found.attempt.flipped.is_none())
                })
                .filter_map(|((row, candidate), _)| {
                    let place = *candidate.places.get(attempt)?;
                    Some((row, self.target(candidate, place)))
                })
                .collect();
            let (places, targets): (Vec<i64>, Vec<pgd::Target>) = open.into_iter().unzip();
            if targets.is_empty() {
                break;
            }
            let attack = Attack {
                seed: self.attack.seed.wrapping_add(attempt as i64),
                ..self.attack
            };
            let images = images.index_select(0, &rows(&places));
            let ascent = pgd::ascend(
                self.network,
                &images,
                &targets,
                &attack,
                self.masks.as_mut(),
            )?;
            let pixels = floats(&ascent.best)?;
            let len = pixels.len() / targets.len();
            for (((row, target), end), attacked) in places
                .iter()
                .zip(&targets)
                .zip(ascent.ends)
                .zip(pixels.chunks(len.max(1)))
            {
                if let Some(best) = best.get_mut(*row as usize) {
                    Found::better(best, target, &end, attacked);
                }
            }
        }
        let clean = floats(&images)?;
        let pixels = clean.len() / candidates.len().max(1);
        let attacked = candidates.into_iter().zip(best).zip(clean.chunks(pixels));
        attacked
            .filter_map(|((candidate, best), clean)| Some((candidate, best?, clean)))
            .map(|(candidate, best, clean)| self.show(candidate, best, clean))
            .collect()
    }

    fn target(&self, candidate: &Candidate, place: Place) -> pgd::Target {
        pgd::Target {
            image: candidate.image,
            own: candidate.verdict.predicted,
            rival: candidate.rival,
            at: place.at,
            region: self.geometry.affected(self.attack.patch, place.at),
            other: place.other,
        }
    }

    /// One image with all that is told of it.
    fn show(
        &self,
        candidate: Candidate,
        best: Found,
        clean: &[f32],
    ) -> Result<(usize, Attacked), AttackError> {
        let Geometry { x, y } = self.geometry;
        let (height, width) = (i64::from(y.inputs()), i64::from(x.inputs()));
        let image = Tensor::from_slice(&best.pixels)
            .view([1, -1, height, width])
            .to_device(self.network.parameters.flat.device());
        let logits = floats(&no_grad(|| self.network.forward(&image, Mode::Evaluate)))?;
        let verdict = candidate.verdict;
        let record = Record {
            image: candidate.image,
            label: candidate.label,
            predicted: verdict.predicted,
            certified: verdict.certified,
            slack: verdict.slack,
            attack: Some(best.attempt),
        };
        let pictures = Pictures {
            clean: clean.to_vec(),
            attacked: best.pixels,
            clean_logits: candidate.logits,
            attacked_logits: logits,
        };
        let place = usize::try_from(candidate.place).unwrap_or(usize::MAX);
        let pictures = Some(pictures);
        Ok((place, Attacked { record, pictures }))
    }
}

/// The strongest patch so far.
struct Found {
    attempt: Attempt,
    /// The image with it, 3 x H x W.
    pixels: Vec<f32>,
}

impl Found {
    /// Keeps whichever leaves less lead; a flip above all.
    fn better(best: &mut Option<Self>, target: &pgd::Target, end: &pgd::End, pixels: &[f32]) {
        let earlier = best.as_ref().map(|found| found.attempt);
        let outside = earlier.is_some_and(|earlier| earlier.outside_changed);
        let least = earlier.map_or(i64::MAX, |earlier| earlier.least_lead);
        if end.flipped.is_some() || end.least_lead < least || earlier.is_none() {
            *best = Some(Self {
                attempt: Attempt {
                    x: target.at.x,
                    y: target.at.y,
                    rival: target.rival,
                    least_lead: end.least_lead,
                    flipped: end.flipped,
                    outside_changed: false,
                },
                pixels: pixels.to_vec(),
            });
        }
        if let Some(best) = best {
            best.attempt.least_lead = best.attempt.least_lead.min(least);
            best.attempt.outside_changed = outside || end.outside_changed;
        }
    }
}
