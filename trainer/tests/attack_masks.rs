//! The gradient attack against the masking predictors: it succeeds where it may, never where certified, and
//! what it says of the predictor is what the certifier says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::fs;

use bagcert_certifier::{Condition, Geometry, MaskCertifier, MaskSet, ScoreMap, Shape};
use bagcert_trainer::attack::{Attack, AttackError, Attacked, Attacker, Summary};
use common::{
    run, text,
    trained::{self, checkpoint, options, overflowing, test_images, trained},
};

/// The predictors under attack, and the lead that each asks for.
const MASKING: [(Condition, u32); 3] = [
    (Condition::Mask, 0),
    (Condition::DoubleMask, 0),
    (Condition::DoubleMask, 5),
];

fn attack(attack: Attack, images: i64) -> Vec<Attacked> {
    let (_, network, geometry) = trained();
    let mut attacker = Attacker::new(&network, &geometry, attack).unwrap();
    let indices: Vec<i64> = (0..images).collect();
    let data = test_images();
    let parts = indices.chunks(20);
    parts
        .flat_map(|part| attacker.images(&data, part).unwrap())
        .collect()
}

/// What the certifier's own predictor makes of logits.
fn predicted(logits: &[f32], geometry: &Geometry, attack: &Attack) -> usize {
    let shape = Shape::new(10, 16, 16).unwrap();
    let mut scores = vec![0; shape.score_len()];
    let mut memory = vec![0; shape.masks_len(1)];
    let map = ScoreMap::from_logits(shape, logits, &mut scores).unwrap();
    let patches = [attack.certified];
    let set = MaskSet::new(geometry, &patches)
        .unwrap()
        .with_lead(attack.lead);
    let masking = attack.condition.masking().unwrap();
    MaskCertifier::new(&map, set, masking, &mut memory)
        .unwrap()
        .predicted()
}

#[test]
fn certified_images_hold_and_others_are_turned() {
    let (_, _, geometry) = trained();
    for (condition, lead) in MASKING {
        let mut turned = 0;
        for side in [3, 24] {
            let options = Attack {
                condition,
                lead,
                ..options(side, side)
            };
            let attacked = attack(options, 60);
            let summary: Summary = attacked.iter().map(|one| &one.record).collect();
            println!("{condition} {lead} {side}: {summary:?}");
            assert_eq!(summary.broken, Vec::<i64>::new(), "{condition}");
            if side == 3 {
                assert!(summary.certified_attacked > 12, "too few: {summary:?}");
            }
            for one in &attacked {
                let Some(attempt) = one.record.attack else {
                    assert!(!one.record.right() && !one.record.certified);
                    continue;
                };
                // The flip is the predictor's, on the very picture that is shown.
                let pictures = one.pictures.as_ref().unwrap();
                let answer = |logits: &[f32]| predicted(logits, &geometry, &options);
                assert_eq!(answer(&pictures.clean_logits), one.record.predicted);
                let expected = attempt
                    .flipped
                    .map_or(one.record.predicted, |flip| flip.class);
                assert_eq!(
                    answer(&pictures.attacked_logits),
                    expected,
                    "{:?}",
                    one.record
                );
                assert!(!attempt.outside_changed);
                turned += usize::from(attempt.flipped.is_some());
            }
        }
        assert!(turned > 3, "{condition}: only {turned} images were turned");
    }
}

/// Broken on purpose: the windows are those of a smaller patch than the one that comes.
#[test]
fn certificates_for_a_smaller_patch_break() {
    for (condition, lead) in MASKING {
        let attacked = attack(
            Attack {
                condition,
                lead,
                ..options(20, 1)
            },
            60,
        );
        let summary: Summary = attacked.iter().map(|one| &one.record).collect();
        assert!(summary.certified_attacked > 12, "{condition}: {summary:?}");
        let turned = |one: &&Attacked| one.record.certified && one.record.flipped();
        assert!(
            attacked.iter().find(turned).is_some(),
            "{condition}: {summary:?}"
        );
    }
}

/// The patch lies in a window of the weakest pair, and ascent takes more of the predictor's lead than the noise
/// that it starts from.
#[test]
fn steps_take_the_lead_of_the_predictor() {
    for (condition, lead) in MASKING {
        let [noise, ascent] = [0, 20].map(|steps| {
            let attacked = attack(
                Attack {
                    condition,
                    lead,
                    steps,
                    ..options(9, 9)
                },
                40,
            );
            let leads = attacked
                .iter()
                .filter_map(|one| Some(one.record.attack?.least_lead));
            leads.sum::<i64>()
        });
        println!("{condition}: lead of all images {noise} after noise, {ascent} after ascent");
        assert!(ascent < noise, "{condition}: {noise} and {ascent}");
    }
}

#[test]
fn a_certified_patch_that_does_not_fit_is_an_error() {
    let (_, network, geometry) = trained();
    for (condition, lead) in MASKING {
        let attack = Attack {
            condition,
            lead,
            ..options(3, 33)
        };
        let error = Attacker::new(&network, &geometry, attack).err().unwrap();
        assert!(matches!(error, AttackError::Patch(_)), "{error}");
        assert!(error.to_string().contains("33x33"), "{error}");
    }
}

/// A logit that is no number under attack is told with its image, not taken for an answer.
#[test]
fn a_patch_that_makes_logits_nan_is_a_fault() {
    let (network, geometry, images) = overflowing();
    for (condition, lead) in MASKING {
        let attack = Attack {
            condition,
            lead,
            ..options(5, 5)
        };
        let mut attacker = Attacker::new(&network, &geometry, attack).unwrap();
        match attacker.images(&images, &[2, 3]) {
            Err(AttackError::NotFinite { image: 2, .. }) => {}
            Err(error) => panic!("{error}"),
            Ok(attacked) => panic!("{:?}", attacked[0].record),
        }
    }
}

#[test]
fn the_command_attacks_an_exported_model_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let [model, whole, parts] =
        ["m.onnx", "whole.jsonl", "parts.jsonl"].map(|name| folder.path().join(name));
    let checkpoint = checkpoint();
    let (result, errors) = run(&[
        "export",
        "--checkpoint",
        text(&checkpoint),
        "--output",
        text(&model),
    ]);
    assert!(result.status.success(), "{errors}");
    let attack = |more: &[&str]| {
        trained::attack(
            ["--model", text(&model)],
            &[&["--patch", "3x3"], more].concat(),
        )
    };
    let masked = ["--condition", "double-mask", "--output"];
    let (status, expected, errors) =
        attack(&[&masked[..], &[text(&whole), "--limit", "40"]].concat());
    assert_eq!(status, Some(0), "{errors}");
    assert!(expected.contains("double masking at 3x3"), "{expected}");
    assert!(expected.contains("certificates broken: 0"), "{expected}");
    let (status, ..) = attack(&[&masked[..], &[text(&parts), "--limit", "20"]].concat());
    assert_eq!(status, Some(0));
    let resumed = [&masked[..], &[text(&parts), "--limit", "40", "--resume"]].concat();
    let (status, output, errors) = attack(&resumed);
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(output, expected);
    assert_eq!(fs::read(&parts).unwrap(), fs::read(&whole).unwrap());

    let other = ["--condition", "mask", "--output", text(&parts), "--resume"];
    let (status, _, errors) = attack(&other);
    assert_eq!(status, Some(1));
    let named = "another attack: its --condition is double-mask, not mask";
    assert!(errors.contains(named), "{errors}");
    let other = [&resumed[..], &["--lead", "7"]].concat();
    let (status, _, errors) = attack(&other);
    assert_eq!(status, Some(1));
    assert!(errors.contains("its --lead is 0, not 7"), "{errors}");
    let (status, _, errors) = attack(&["--condition", "mask", "--lead", "7"]);
    assert_eq!(status, Some(1));
    assert!(
        errors.contains("--lead 7: condition mask asks for none"),
        "{errors}"
    );
    let led = ["--condition", "double-mask", "--lead", "7", "--limit", "5"];
    let (status, output, errors) = attack(&led);
    assert_eq!(status, Some(0), "{errors}");
    let named = "double masking with a lead of 7 at 3x3";
    assert!(output.contains(named), "{output}");
    let (status, _, errors) = attack(&["--condition", "4.1"]);
    assert_eq!(status, Some(2));
    assert!(errors.contains("unknown condition"), "{errors}");
    let (status, ..) = attack(&["--checkpoint", text(&checkpoint)]);
    assert_eq!(status, Some(2), "both a checkpoint and a model");
}
