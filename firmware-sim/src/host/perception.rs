//! The stage of the forward pass: looks at the picture, runs the model, seals its logits.

use std::path::Path;

use bagcert::admission::{self, AdmittedModel};
use bagcert::engine::Engine;
use bagcert::with_causes;
use bagcert_certifier::ScoreMap;
use bagcert_firmware_sim::{DataId, Frame, KnownAnswer, PictureGuard, Reason, Scores};

use super::camera::PICTURES;
use super::damage::{Random, Values};
use super::scenario::Kind;
use super::stop::Stop;

/// The stream of the sealed logits.
pub(crate) const LOGITS: DataId = DataId(0x0BA6_CE27);
/// Models with a flipped bit that are tried, until one is still a model.
const TRIES: u32 = 200;

/// Why a picture has no logits.
pub(crate) enum Refusal {
    /// A check found a fault.
    Fault(Reason),
    /// The engine does not take it, for this reason.
    Unusable(String),
}

/// The stage.
pub(crate) struct Perception {
    engine: Engine,
    /// The same model with a flipped bit, and whether it runs in place of the sound one.
    damaged: Option<Engine>,
    is_damaged: bool,
    guard: PictureGuard,
    /// A picture whose answer is known.
    known: Option<(Vec<f32>, KnownAnswer)>,
    /// Cycles from one look at it to the next; 0 for never.
    every: u32,
    seed: u64,
}

impl Perception {
    pub(crate) fn new(
        engine: Engine,
        damaged: Option<Engine>,
        every: u32,
        seed: u64,
    ) -> Perception {
        Perception {
            engine,
            damaged,
            is_damaged: false,
            guard: PictureGuard::new(PICTURES),
            known: None,
            every,
            seed,
        }
    }

    /// Remembers the answer to a picture: the engine has just been made and checked.
    pub(crate) fn learn(&mut self, pixels: Vec<f32>) -> Result<(), String> {
        let logits = self
            .engine
            .logits(&pixels)
            .map_err(|error| with_causes(&error))?;
        let answer = KnownAnswer::new(Scores::Logits(logits));
        self.known = Some((pixels, answer));
        Ok(())
    }

    /// The model in memory is the damaged one from now on.
    pub(crate) fn damage(&mut self) {
        self.is_damaged = self.damaged.is_some();
    }

    /// Whether it is.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Loads the model anew, as a reset does.
    pub(crate) fn reload(&mut self) {
        self.is_damaged = false;
    }

    /// Whether the picture whose answer is known is to be looked at in this cycle.
    fn is_due(&self, cycle: u32) -> bool {
        cycle > 0 && cycle.checked_rem(self.every) == Some(0)
    }

    fn logits(&mut self, damaged: bool, pixels: &[f32]) -> Result<&[f32], String> {
        let engine = match &mut self.damaged {
            Some(engine) if damaged => engine,
            _ => &mut self.engine,
        };
        engine.logits(pixels).map_err(|error| with_causes(&error))
    }

    /// Whether the model still gives the answer that is known.
    pub(crate) fn check_model(&mut self) -> Result<(), Reason> {
        let Some((pixels, answer)) = self.known.take() else {
            return Ok(());
        };
        let outcome = match self.logits(self.is_damaged, &pixels) {
            Ok(logits) => answer.check(Scores::Logits(logits)),
            Err(_) => Err(Reason::Model),
        };
        self.known = Some((pixels, answer));
        outcome
    }

    /// A picture for which it is too late: only its being there is taken note of.
    pub(crate) fn pass_over(&mut self, picture: &Frame<Values>) {
        // Whether it was sound matters to nobody any more.
        let _ = self.guard.check(picture);
    }

    /// A picture's sealed logits.
    pub(crate) fn process(
        &mut self,
        cycle: u32,
        picture: &Frame<Values>,
        faults: &[Kind],
    ) -> Result<Frame<Values>, Refusal> {
        self.guard.check(picture).map_err(Refusal::Fault)?;
        if self.is_due(cycle) {
            self.check_model().map_err(Refusal::Fault)?;
        }
        let Scores::Logits(pixels) = picture.scores() else {
            return Err(Refusal::Unusable("a picture has numbers".to_owned()));
        };
        let seed = self.seed;
        let logits = self
            .logits(self.is_damaged, pixels)
            .map_err(Refusal::Unusable)?;
        let mut logits = Values(logits.to_vec());
        for kind in faults {
            if let Kind::Nan = kind {
                Random::of(seed, cycle, *kind).not_a_number(&mut logits.0);
            }
        }
        Ok(Frame::seal(LOGITS, picture.header(), logits))
    }

    /// What the model, damaged or not, predicts for pixels; `None` where that is a fault.
    pub(crate) fn predicted(
        &mut self,
        model: &AdmittedModel,
        damaged: bool,
        pixels: &[f32],
    ) -> Option<usize> {
        let shape = model.shape();
        let logits = self.logits(damaged, pixels).ok()?;
        let mut scores = vec![0; shape.score_len()];
        let map = ScoreMap::from_logits(shape, logits, &mut scores).ok()?;
        Some(map.predicted())
    }
}

/// An engine of the model with one bit of a weight flipped: what is left of it after such a fault of
/// memory. The bit is looked for until the file is still a model whose answer to `pixels` differs.
pub(crate) fn damaged(
    path: &Path,
    sound: &mut Engine,
    pixels: &[f32],
    seed: u64,
) -> Result<Engine, Stop> {
    let refused = |reason: String| Stop::Refused(format!("{}: {reason}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    let expected = sound
        .logits(pixels)
        .map_err(|error| refused(with_causes(&error)))?
        .to_vec();
    let mut random = Random::new(seed ^ 0xF11B);
    for _ in 0..TRIES {
        let mut bytes = bytes.clone();
        random.flip_bytes(&mut bytes, 1);
        let Ok(model) = admission::admit_bytes(&bytes, path) else {
            continue;
        };
        let Ok(mut engine) = Engine::new(&model) else {
            continue;
        };
        let differs = match engine.logits(pixels) {
            Ok(logits) => {
                logits.len() == expected.len()
                    && logits
                        .iter()
                        .zip(&expected)
                        .any(|(a, b)| a.to_bits() != b.to_bits())
            }
            Err(_) => false,
        };
        if differs {
            return Ok(engine);
        }
    }
    Err(refused(format!(
        "no bit could be flipped in {TRIES} tries that leaves a model with another answer"
    )))
}
