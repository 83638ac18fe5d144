//! Soundness of the masking predictors on the engine as shipped: a search without gradients turns no
//! certified sample frame, and where `BAGCERT_DATA` names the folder of CIFAR-10, none of 1,000 certified test
//! images.
//!
//! Every patch that the search tries, and not only its best one, is put to the very predictor. The
//! search aims at the plain vote, which goes with the masked one: it turns frames that are not
//! certified. Of a model that takes long, every second frame is attacked, by fewer searches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert::admission::{self, AdmittedModel};
use bagcert::engine::{Engine, EngineError, ForwardPass};
use bagcert::frames::{Input, Part};
use bagcert_certifier::{
    MaskCertifier, MaskSet, Masking, PatchSize, ScoreMap, ScoreWord, TableWord, Verdict,
};
use bagcert_tests::images::{images, planes};
use bagcert_tests::oracle::Model;
use bagcert_tests::repository::{self, Random};
use bagcert_tests::search::{Target, search, thrift};
use std::panic::resume_unwind;
use std::thread;

/// Patches tried in each search, which ends early where it turns the plain vote.
const QUERIES: usize = 60;
/// Searches for each frame.
const SEARCHES: usize = 4;
/// Certified test images of CIFAR-10 attacked where the set is there.
const CERTIFIED: usize = 1_000;

/// An engine whose every answer a masking predictor looks at.
struct Watched<'m> {
    engine: Engine,
    model: &'m AdmittedModel,
    patches: &'m [PatchSize],
    masking: Masking,
    scores: Vec<ScoreWord>,
    memory: Vec<TableWord>,
    logits: Vec<f32>,
    /// The class that should stay.
    expected: usize,
    turned: usize,
    seen: usize,
}

impl<'m> Watched<'m> {
    fn new(model: &'m AdmittedModel, patches: &'m [PatchSize], masking: Masking) -> Self {
        let shape = model.shape();
        Self {
            engine: Engine::new(model).unwrap(),
            model,
            patches,
            masking,
            scores: vec![0; shape.score_len()],
            memory: vec![0; shape.masks_len(patches.len())],
            logits: vec![],
            expected: 0,
            turned: 0,
            seen: 0,
        }
    }

    fn verdicts(&mut self, image: &[f32]) -> Vec<Verdict> {
        self.logits = self.engine.forward(image).unwrap().to_vec();
        let shape = self.model.shape();
        let map = ScoreMap::from_logits(shape, &self.logits, &mut self.scores).unwrap();
        let set = MaskSet::new(&self.model.geometry(), self.patches).unwrap();
        let mut masks = MaskCertifier::new(&map, set, self.masking, &mut self.memory).unwrap();
        masks.verdicts().map(Result::unwrap).collect()
    }
}

impl Watched<'_> {
    /// Searches against a verdict on `image`; gives how many patches turned the predictor.
    fn attack(
        &mut self,
        image: &[f32],
        verdict: &Verdict,
        others: &[&[f32]],
        random: &mut Random,
    ) -> usize {
        let geometry = Model::of(self.model);
        let logits = self.engine.forward(image).unwrap().to_vec();
        let target = Target {
            model: &geometry,
            image,
            logits: &logits,
            patch: (
                verdict.patch.width() as usize,
                verdict.patch.height() as usize,
            ),
            worst: (verdict.worst.x as usize, verdict.worst.y as usize),
            others,
        };
        (self.expected, self.turned, self.seen) = (verdict.predicted, 0, 0);
        let searches = if verdict.certified {
            (SEARCHES / thrift(self.model.macs())).max(1)
        } else {
            1
        };
        for _ in 0..searches {
            let found = search(self, &target, QUERIES, random).unwrap();
            assert_eq!(found.leak, None, "a logit outside the region has changed");
        }
        self.turned
    }
}

impl ForwardPass for Watched<'_> {
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        let verdicts = self.verdicts(image);
        self.seen += 1;
        self.turned += usize::from(verdicts[0].predicted != self.expected);
        Ok(&self.logits)
    }
}

#[test]
fn no_patch_turns_a_certified_frame() {
    let frames = repository::frames().unwrap();
    let frames: Vec<Vec<f32>> = frames
        .iter()
        .map(|path| repository::pixels(path).unwrap().0)
        .collect();
    let others: Vec<&[f32]> = frames.iter().map(Vec::as_slice).collect();
    let sizes = [(5, 5), (2, 7)].map(|(w, h)| PatchSize::new(w, h).unwrap());
    // One size, and two that share a predictor.
    let predictors = [
        (&sizes[..1], Masking::Single),
        (&sizes[..1], Masking::Double),
        (&sizes, Masking::Single),
        (&sizes, Masking::Double),
    ];
    let mut totals = [(0, 0); 4];
    for path in repository::models().unwrap() {
        let model = admission::admit(&path).unwrap();
        let attack = |patches: &[PatchSize], masking| {
            let mut random = Random::new(2023);
            let mut watched = Watched::new(&model, patches, masking);
            let (mut attacked, mut open, mut open_turned, mut seen) = (0, 0, 0, 0);
            let frames = frames.iter().enumerate();
            for (number, frame) in frames.step_by(thrift(model.macs()).min(2)) {
                let verdicts = watched.verdicts(frame);
                for verdict in verdicts {
                    let turned = watched.attack(frame, &verdict, &others, &mut random);
                    if verdict.certified {
                        assert_eq!(
                            turned, 0,
                            "frame {number} was certified at {} with slack {} by {masking:?}",
                            verdict.patch, verdict.slack
                        );
                        attacked += 1;
                        seen += watched.seen;
                    } else {
                        open += 1;
                        open_turned += usize::from(turned > 0);
                    }
                }
            }
            assert!(attacked >= 4, "{attacked} certificates");
            let told = format!(
                "{}, {masking:?}, {} sizes: {seen} patches on {attacked} certificates; \
                 {open_turned} of {open} frames without one turned",
                path.display(),
                patches.len()
            );
            (told, open_turned, open)
        };
        // Each on a core of its own, where there are so many.
        let found = thread::scope(|scope| {
            let attack = &attack;
            predictors
                .map(|(patches, masking)| scope.spawn(move || attack(patches, masking)))
                .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        for ((told, turned, open), total) in found.into_iter().zip(&mut totals) {
            println!("{told}");
            total.0 += turned;
            total.1 += open;
        }
    }
    // A search that turned nothing would prove nothing. Of each predictor with all models: the better ones leave a frame or two open.
    for ((patches, masking), (turned, open)) in predictors.into_iter().zip(totals) {
        assert!(
            open > 0 && 4 * turned >= open,
            "{masking:?}, {} sizes: {turned} of {open}",
            patches.len()
        );
    }
}

#[test]
fn no_patch_turns_a_certified_test_image() {
    let Some(folder) = std::env::var_os("BAGCERT_DATA") else {
        println!("skipped: BAGCERT_DATA does not name the folder of CIFAR-10");
        return;
    };
    let patches = [PatchSize::new(5, 5).unwrap()];
    for path in repository::models().unwrap() {
        let model = admission::admit(&path).unwrap();
        let input = Input::Cifar10 {
            path: folder.clone().into(),
            part: Part::Test,
        };
        let images = images(&model, &[input]).unwrap();
        let others = planes(&images);
        for masking in [Masking::Single, Masking::Double] {
            let mut random = Random::new(2024);
            let mut watched = Watched::new(&model, &patches, masking);
            let (mut attacked, mut seen, mut looked_at) = (0, 0, 0);
            for image in &images {
                looked_at += 1;
                let verdict = watched.verdicts(&image.planes)[0];
                if !verdict.certified {
                    continue;
                }
                let turned = watched.attack(&image.planes, &verdict, &others, &mut random);
                assert_eq!(
                    turned, 0,
                    "test image {} was certified with slack {} by {masking:?}",
                    image.id, verdict.slack
                );
                (attacked, seen) = (attacked + 1, seen + watched.seen);
                if attacked == CERTIFIED {
                    break;
                }
            }
            println!(
                "{}, {masking:?}: {seen} patches on {attacked} certified images of the first \
                 {looked_at}: none turned",
                path.display()
            );
            assert_eq!(attacked, CERTIFIED, "{}", path.display());
        }
    }
}
