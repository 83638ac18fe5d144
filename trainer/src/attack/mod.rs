//! The heuristic patch attack of Section A.2: an upper bound on robustness, and a check of the certificate.
//!
//! [`Attacker`] attacks images batch by batch; [`Journal`] keeps a line per image in a file, so that a run
//! can be stopped and resumed; [`Summary`] counts; [`figure`] draws what happened, as in the paper's Figure 6.

pub mod figure;
mod journal;
mod masks;
mod pgd;
mod record;
mod weakest;

use bagcert_certifier::{Condition, Fault, Geometry, PatchSize, Pixel, ShapeError, Verdict};
use tch::{Device, Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    data::{Dataset, to_unit},
    evaluate::{Judge, floats},
    network::{Mode, Network},
};

pub use journal::{Journal, JournalError, Settings};
pub use record::{Attempt, Flip, FoundPatch, Record, Summary};

/// How hard the attack tries, and what it is held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attack {
    /// The patch.
    pub patch: PatchSize,
    /// The patch that images are certified against. The same as `patch`; a smaller one makes certificates
    /// that the attack must be able to break, which is how it is put to the test.
    pub certified: PatchSize,
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
    at: Pixel,
    logits: Vec<f32>,
}

impl<'n> Attacker<'n> {
    /// For `network`, whose cells read the pixels that `geometry` says.
    ///
    /// # Errors
    /// Where its output cannot be a score map.
    pub fn new(
        network: &'n Network,
        geometry: &'n Geometry,
        attack: Attack,
    ) -> Result<Self, AttackError> {
        Ok(Self {
            network,
            geometry,
            judge: Judge::new(network, geometry)?,
            attack,
        })
    }

    /// Attacks those images of `data` at `indices` that are classified rightly or certified, all at once; one
    /// result for each index, in order.
    ///
    /// The patch lies where Section A.2 says, and goes for the rival that it says: both are those of the least
    /// lead outside the affected region. From a random patch, `steps` steps of projected gradient ascent go
    /// against the lead over that rival (L_R with M = 1, which never clips). An image counts as flipped if any
    /// step changed its class, to whatever other; its attack then ends.
    ///
    /// # Errors
    /// Where a logit is NaN or infinite, with a patch or without, or the patch does not fit the images.
    pub fn images(
        &mut self,
        data: &Dataset,
        indices: &[i64],
    ) -> Result<Vec<Attacked>, AttackError> {
        let device = data.images.device();
        let chosen = Tensor::from_slice(indices).to_device(device);
        let images = to_unit(&data.images.index_select(0, &chosen));
        let labels = data.labels.index_select(0, &chosen);
        let labels = Vec::<i64>::try_from(labels.to_device(Device::Cpu))?;
        let logits = floats(&no_grad(|| self.network.forward(&images, Mode::Evaluate)))?;

        let mut attacked = Vec::with_capacity(indices.len());
        let mut candidates = Vec::new();
        for (((place, &image), &label), logits) in (0i64..)
            .zip(indices)
            .zip(&labels)
            .zip(self.judge.images(&logits))
        {
            let clean = |fault| AttackError::Clean { image, fault };
            let asked = [(self.attack.certified, Condition::SumWindow32)];
            let (predicted, verdicts) = self.judge.verdicts(logits, &asked).map_err(clean)?;
            let verdict = verdicts.first().copied();
            let certified = verdict.filter(|verdict| verdict.certified);
            attacked.push(Attacked {
                record: Record {
                    image,
                    label,
                    predicted,
                    certified: certified.is_some(),
                    slack: verdict.map_or(0, |verdict| verdict.slack),
                    attack: None,
                },
                pictures: None,
            });
            let right = usize::try_from(label) == Ok(predicted);
            if let Some(verdict) = verdict.filter(|verdict| right || verdict.certified) {
                let (rival, at) =
                    weakest::weakest(logits, self.geometry, predicted, self.attack.patch)
                        .map_err(clean)?;
                candidates.push(Candidate {
                    place,
                    image,
                    label,
                    verdict,
                    rival,
                    at,
                    logits: logits.to_vec(),
                });
            }
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

    /// The attacks on `candidates`, each with its place in the batch.
    fn attack(
        &self,
        images: &Tensor,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(usize, Attacked)>, AttackError> {
        let places: Vec<i64> = candidates.iter().map(|candidate| candidate.place).collect();
        let images =
            images.index_select(0, &Tensor::from_slice(&places).to_device(images.device()));
        let targets: Vec<pgd::Target> = candidates
            .iter()
            .map(|candidate| pgd::Target {
                image: candidate.image,
                own: candidate.verdict.predicted,
                rival: candidate.rival,
                at: candidate.at,
                region: self.geometry.affected(self.attack.patch, candidate.at),
            })
            .collect();
        let ascent = pgd::ascend(self.network, &images, &targets, &self.attack)?;
        let logits = no_grad(|| self.network.forward(&ascent.best, Mode::Evaluate));
        let (logits, clean, best) = (
            floats(&logits)?,
            floats(&images)?,
            floats(&ascent.best.to_kind(Kind::Float))?,
        );
        let pixels = clean.len() / candidates.len().max(1);
        Ok(candidates
            .into_iter()
            .zip(ascent.ends)
            .zip(clean.chunks(pixels).zip(best.chunks(pixels)))
            .zip(self.judge.images(&logits))
            .map(|(((candidate, end), (clean, best)), logits)| {
                let record = Record {
                    image: candidate.image,
                    label: candidate.label,
                    predicted: candidate.verdict.predicted,
                    certified: candidate.verdict.certified,
                    slack: candidate.verdict.slack,
                    attack: Some(Attempt {
                        x: candidate.at.x,
                        y: candidate.at.y,
                        rival: candidate.rival,
                        least_lead: end.least_lead,
                        flipped: end.flipped,
                        outside_changed: end.outside_changed,
                    }),
                };
                let pictures = Some(Pictures {
                    clean: clean.to_vec(),
                    attacked: best.to_vec(),
                    clean_logits: candidate.logits,
                    attacked_logits: logits.to_vec(),
                });
                (
                    usize::try_from(candidate.place).unwrap_or(usize::MAX),
                    Attacked { record, pictures },
                )
            })
            .collect())
    }
}
