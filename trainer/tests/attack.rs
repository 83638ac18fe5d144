//! The attack of Section A.2 on a network that learnt something: it succeeds where it may, never where certified.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{fs, path::Path};

use bagcert_certifier::Geometry;
use bagcert_trainer::{
    attack::{
        Attack, AttackError, Attacked, Attacker, FoundPatch, Record, Summary,
        figure::{Scene, figure},
    },
    checkpoint::{Header, save},
    config::Scores,
    network::{Mode, Network},
};
use common::{
    limited, run, text,
    trained::{self, TRAINED, checkpoint, options, overflowing, square, test_images, trained},
};
use safetensors::SafeTensors;
use tch::{Kind, Tensor, no_grad};

fn summary(attacked: &[Attacked]) -> Summary {
    attacked.iter().map(|one| &one.record).collect()
}

/// What the attack says of an image, seen on the image itself.
fn check(one: &Attacked, network: &Network, geometry: &Geometry, patch: u32) {
    let (Some(attempt), Some(pictures)) = (&one.record.attack, &one.pictures) else {
        panic!("{:?} was not attacked", one.record);
    };
    assert!(!attempt.outside_changed, "{:?}", one.record);
    let place = |at: usize| ((at % 32) as u32, (at / 32 % 32) as u32);
    let mut changed = 0;
    for (at, (before, after)) in pictures.clean.iter().zip(&pictures.attacked).enumerate() {
        let (x, y) = place(at);
        let inside = (attempt.x..attempt.x + patch).contains(&x)
            && (attempt.y..attempt.y + patch).contains(&y);
        assert!(inside || before == after, "pixel {x}, {y} is outside");
        assert!((0.0..=1.0).contains(after));
        changed += usize::from(before != after);
    }
    assert!(changed > 0, "the patch is not there");
    let alone = one.patch(square(patch), 32).unwrap();
    assert_eq!(alone.pixels.len(), 3 * (patch * patch) as usize);
    for (at, value) in (0u32..).zip(&alone.pixels) {
        let (channel, x, y) = (at / (patch * patch), at % patch, at / patch % patch);
        let place = (channel * 32 + attempt.y + y) * 32 + attempt.x + x;
        assert_eq!(*value, pictures.attacked[place as usize]);
    }

    let image = Tensor::from_slice(&pictures.attacked).view([1, 3, 32, 32]);
    let logits = no_grad(|| network.forward(&image, Mode::Evaluate));
    let votes = logits
        .ge(0.0)
        .sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Int64);
    let votes = Vec::<i64>::try_from(votes.flatten(0, -1)).unwrap();
    let most = *votes.iter().max().unwrap();
    let class = votes.iter().position(|count| *count == most).unwrap();
    let expected = attempt
        .flipped
        .map_or(one.record.predicted, |flip| flip.class);
    assert_eq!(class, expected, "{votes:?}, {:?}", one.record);
    let own = one.record.predicted;
    let others = votes.iter().enumerate().filter(|(class, _)| *class != own);
    let lead = votes[own] - others.map(|(_, count)| *count).max().unwrap();
    assert_eq!(lead, attempt.least_lead, "{votes:?}");
    assert_eq!(geometry.x.inputs(), 32);
}

#[test]
fn certified_images_hold_and_a_large_patch_flips_others() {
    let (_, network, geometry) = trained();
    let images = test_images();
    let indices: Vec<i64> = (0..60).collect();
    let mut summaries = vec![];
    for side in [3, 24] {
        let mut attacker = Attacker::new(&network, &geometry, options(side, side)).unwrap();
        let mut attacked = vec![];
        for chunk in indices.chunks(20) {
            attacked.extend(attacker.images(&images, chunk).unwrap());
        }
        let found: Vec<i64> = attacked.iter().map(|one| one.record.image).collect();
        assert_eq!(found, indices);
        for one in &attacked {
            let record = &one.record;
            assert_eq!(record.attack.is_some(), record.right() || record.certified);
            if record.attack.is_some() {
                check(one, &network, &geometry, side);
            }
        }
        let summary = summary(&attacked);
        assert_eq!(summary.broken, Vec::<i64>::new());
        assert!(
            summary.certified_right <= summary.held && summary.held <= summary.right,
            "{summary:?}"
        );
        summaries.push((summary, attacked));
    }
    let (small, _) = &summaries[0];
    assert!(small.certified_attacked > 12, "too few: {small:?}");
    let (large, _) = &summaries[1];
    assert!(large.held < large.right, "it never succeeds: {large:?}");
}

/// Ascent, not a walk: it takes many more votes than the noise that it starts from.
#[test]
fn steps_take_votes() {
    let (_, network, geometry) = trained();
    let images = test_images();
    let indices: Vec<i64> = (0..40).collect();
    let [noise, ascent] = [0, 10].map(|steps| {
        let attack = Attack {
            steps,
            ..options(9, 9)
        };
        let mut attacker = Attacker::new(&network, &geometry, attack).unwrap();
        let attacked = attacker.images(&images, &indices).unwrap();
        let leads = attacked
            .iter()
            .filter_map(|one| Some(one.record.attack?.least_lead));
        leads.sum::<i64>()
    });
    println!("lead of all images: {noise} after noise, {ascent} after ascent");
    assert!(20 * ascent < 19 * noise, "{noise} and {ascent}");
}

/// Each image starts from a patch of its own, so that a resumed attack repeats one that was not stopped.
#[test]
fn the_first_patch_does_not_depend_on_the_batch() {
    let (_, network, geometry) = trained();
    let images = test_images();
    let attack = Attack {
        steps: 0,
        ..options(3, 3)
    };
    let mut attacker = Attacker::new(&network, &geometry, attack).unwrap();
    let mut started = 0;
    let together = attacker.images(&images, &[3, 14, 15, 92]).unwrap();
    for one in together.into_iter().filter(|one| one.pictures.is_some()) {
        let alone = attacker.images(&images, &[one.record.image]).unwrap();
        assert_eq!(
            alone[0].pictures.as_ref().unwrap().attacked,
            one.pictures.unwrap().attacked
        );
        started += 1;
    }
    assert!(started > 1, "{started} images were attacked");
}

#[test]
fn a_patch_that_makes_logits_nan_is_a_fault() {
    let (network, geometry, images) = overflowing();
    let mut attacker = Attacker::new(&network, &geometry, options(5, 5)).unwrap();
    let result = attacker.images(&images, &[2, 3]);
    let error = result.map(|attacked| summary(&attacked)).unwrap_err();
    assert!(
        matches!(
            error,
            AttackError::NotFinite {
                image: 2,
                what: "a logit"
            }
        ),
        "{error}"
    );
}

fn attack(more: &[&str]) -> (Option<i32>, String, String) {
    trained::attack(["--checkpoint", text(&checkpoint())], more)
}

/// Without a zero there is no vote to take.
#[test]
fn what_has_no_votes_is_not_attacked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scored.safetensors");
    for (scores, attacked, said) in [
        (Scores::Heaviside, true, ""),
        (Scores::Sigmoid, true, "trained on sigmoid scores"),
        (Scores::Softmax, false, "trained on softmax scores"),
    ] {
        let (header, network, _) = trained();
        save(&path, &Header { scores, ..header }, &network, None).unwrap();
        let network = ["--checkpoint", text(&path)];
        let (status, _, errors) = trained::attack(network, &["--limit", "2"]);
        assert_eq!(status, Some(i32::from(!attacked)), "{errors}");
        assert!(errors.contains(said), "{errors}");
        assert_eq!(errors.contains("trained on"), !said.is_empty(), "{errors}");
        assert_eq!(errors.contains("scored.safetensors"), !attacked, "{errors}");
        // Double masking reads votes alone, so there is no lead to ask for either.
        let data = ["--data", text(TRAINED.path()), "--limit", "2"];
        let (output, errors) = run(&[&["eval", "--lead", "1"], &network[..], &data].concat());
        let votes = scores == Scores::Heaviside;
        assert_eq!(output.status.success(), votes, "{errors}");
        assert_eq!(errors.contains("--lead 1: the scores"), !votes, "{errors}");
    }
}

fn records(journal: &Path) -> Vec<Record> {
    let text = fs::read_to_string(journal).unwrap();
    text.lines()
        .skip(1)
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// An attack that breaks certificates on purpose: the certifier is told of a patch smaller than the one that comes.
fn certified_too_small(
    journal: &Path,
    broken: &Path,
    more: &[&str],
) -> (Option<i32>, String, String) {
    let patches = ["--patch", "20x20", "--certify-patch", "1x1"];
    let files = ["--output", text(journal), "--broken", text(broken)];
    attack(&[&patches[..], &["--limit", "60"], &files, more].concat())
}

#[test]
fn certificates_for_a_smaller_patch_break_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let [journal, broken, patches] =
        ["j.jsonl", "broken", "patches.jsonl"].map(|name| folder.path().join(name));
    let (status, output, errors) =
        certified_too_small(&journal, &broken, &["--patches", text(&patches)]);
    assert_eq!(status, Some(5), "{output}{errors}");
    let kept = fs::read_to_string(&patches).unwrap();
    let kept: Vec<FoundPatch> = kept
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let attacked: Vec<Record> = records(&journal)
        .into_iter()
        .filter(|record| record.attack.is_some())
        .collect();
    let found: Vec<Record> = kept.into_iter().map(|patch| patch.record).collect();
    assert_eq!(found, attacked);
    let found: Vec<Record> = records(&journal)
        .into_iter()
        .filter(Record::broken)
        .collect();
    let flipped = |record: &Record| record.certified && record.flipped();
    assert!(found.iter().any(flipped));
    let list: Vec<i64> = found.iter().map(|record| record.image).collect();
    for part in ["must never happen", &format!("{list:?}"), text(&broken)] {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
    assert!(output.contains(&format!("certificates broken: {}\n", list.len())));

    let (_, network, _) = trained();
    for record in &found {
        let name = format!("image-{}", record.image);
        let bytes = fs::read(broken.join(format!("{name}.safetensors"))).unwrap();
        let saved = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = saved.tensor("attacked").unwrap();
        assert_eq!(tensor.shape(), [3, 32, 32]);
        let image = Tensor::from_data_size(tensor.data(), &[1, 3, 32, 32], Kind::Float);
        let logits = no_grad(|| network.forward(&image, Mode::Evaluate));
        let votes = logits
            .ge(0.0)
            .sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Int64);
        let votes = Vec::<i64>::try_from(votes.flatten(0, -1)).unwrap();
        let attempt = record.attack.unwrap();
        match attempt.flipped {
            Some(flip) => assert!(votes[flip.class] >= votes[record.predicted], "{votes:?}"),
            None => assert!(attempt.least_lead < record.slack),
        }
        assert_eq!(saved.tensor("attacked_logits").unwrap().shape()[0], 10);
        let drawing = fs::read_to_string(broken.join(format!("{name}.svg"))).unwrap();
        assert!(drawing.contains("Broken certificate"));
    }
}

/// What must never happen is told even where nothing can be kept of it.
#[test]
fn a_broken_certificate_is_told_where_it_cannot_be_saved() {
    let folder = tempfile::tempdir().unwrap();
    let [journal, file] = ["j.jsonl", "file"].map(|name| folder.path().join(name));
    fs::write(&file, "in the way").unwrap();
    let (status, output, errors) = certified_too_small(&journal, &file.join("broken"), &[]);
    assert_eq!(status, Some(5), "{output}{errors}");
    for part in ["must never happen", "could be saved", text(&file)] {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
    let records = records(&journal);
    assert_eq!(records.len(), 60);
    let broken = records.iter().filter(|record| record.broken()).count();
    assert!(output.contains(&format!("certificates broken: {broken}\n")));
}

/// So is it where something else has ended the attack: here the journal cannot be written, as on a full disk.
#[test]
fn a_broken_certificate_is_told_before_what_ended_the_attack() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, broken) = (folder.path().join("j.jsonl"), folder.path().join("broken"));
    let checkpoint = trained::checkpoint();
    let network = [
        "--checkpoint",
        text(&checkpoint),
        "--data",
        text(TRAINED.path()),
    ];
    let patches = [
        "--patch",
        "20x20",
        "--certify-patch",
        "1x1",
        "--limit",
        "60",
    ];
    let files = ["--output", text(&journal), "--broken", text(&broken)];
    let steps = ["--steps", "10", "--step-size", "0.1"];
    let arguments = [&["attack"], &network[..], &patches, &files, &steps].concat();
    // Room for the first line of the journal.
    let result = limited("trap '' XFSZ; ulimit -f 1", &arguments);
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(5), "{errors}");
    for part in ["must never happen", "cannot write", "j.jsonl"] {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
}

/// And where the figures cannot be printed.
#[test]
fn a_broken_certificate_is_told_where_nothing_can_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (checkpoint, broken) = (trained::checkpoint(), folder.path().join("broken"));
    let mut attack = common::command(&[
        "attack",
        "--checkpoint",
        text(&checkpoint),
        "--data",
        text(TRAINED.path()),
        "--broken",
        text(&broken),
    ]);
    attack.args(["--patch", "20x20", "--certify-patch", "1x1"]);
    attack.args(["--limit", "60", "--steps", "10", "--step-size", "0.1"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let result = attack.stdout(full.unwrap()).output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(5), "{errors}");
    for part in ["must never happen", "the standard output"] {
        assert!(errors.contains(part), "{part:?} is not in {errors}");
    }
}

/// An attack that cannot be made leaves no journal, which would stand in the way of one that can.
#[test]
fn what_cannot_be_attacked_leaves_no_journal() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("j.jsonl");
    for (wrong, said) in [
        (["--patch", "40x4"], "40x4"),
        (["--certify-patch", "4x33"], "4x33"),
        (["--images", "3,160"], "160"),
    ] {
        let (status, _, errors) = attack(&[&wrong[..], &["--output", text(&journal)]].concat());
        assert_eq!(status, Some(1), "{errors}");
        assert!(
            errors.contains(said) && !errors.contains("image 0"),
            "{errors}"
        );
        assert!(!journal.exists(), "{wrong:?}");
    }
    let once = ["--images", "3,5,3", "--output", text(&journal)];
    let (status, output, errors) = attack(&once);
    assert_eq!(status, Some(0), "{errors}");
    assert!(output.starts_with("2 test images"), "{output}");
    let images: Vec<i64> = records(&journal).iter().map(|it| it.image).collect();
    assert_eq!(images, [3, 5]);
}

#[test]
fn no_file_takes_the_place_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.safetensors");
    let before = fs::read(trained::checkpoint()).unwrap();
    fs::write(&copy, &before).unwrap();
    for option in ["--figure", "--patches"] {
        let network = ["--checkpoint", text(&copy)];
        let more = [option, text(&copy), "--limit", "2"];
        let (status, _, errors) = trained::attack(network, &more);
        assert_eq!(status, Some(1), "{errors}");
        assert!(errors.contains("place of the network"), "{errors}");
        assert!(fs::read(&copy).unwrap() == before);
    }
}

#[test]
fn a_stopped_attack_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("w.jsonl"), folder.path().join("p.jsonl"));
    let (status, expected, errors) = attack(&["--limit", "60", "--output", text(&whole)]);
    assert_eq!(status, Some(0), "{errors}");
    let (status, ..) = attack(&["--limit", "40", "--output", text(&parts)]);
    assert_eq!(status, Some(0));

    // Without --resume nothing is overwritten.
    let before = fs::read(&parts).unwrap();
    let (status, _, errors) = attack(&["--limit", "60", "--output", text(&parts)]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("--resume"), "{errors}");
    assert_eq!(fs::read(&parts).unwrap(), before);

    // Killed in the middle of a line.
    fs::write(&parts, &before[..before.len() - 7]).unwrap();
    let (status, output, errors) = attack(&["--limit", "60", "--output", text(&parts), "--resume"]);
    assert_eq!(status, Some(0), "{errors}");
    assert_eq!(output, expected);
    assert_eq!(records(&parts).len(), 60);

    // Pictures and patches are of all of them, also of those that were done before.
    let shown = |journal: &Path, name: &str, resume: &[&str]| -> [String; 3] {
        let path = |ending: &str| folder.path().join(format!("{name}.{ending}"));
        let (svg, patches) = (path("svg"), path("patches"));
        let more = ["--limit", "60", "--output", text(journal)];
        let files = ["--figure", text(&svg), "--patches", text(&patches)];
        let (status, _, errors) = attack(&[&more[..], &files, resume].concat());
        assert_eq!(status, Some(0), "{errors}");
        [svg, path("csv"), patches].map(|path| fs::read_to_string(path).unwrap())
    };
    let anew = shown(&folder.path().join("anew.jsonl"), "anew", &[]);
    let again = shown(&parts, "again", &["--resume"]);
    let attacked = records(&parts);
    let attacked = attacked.iter().filter(|record| record.attack.is_some());
    let [svg, csv, patches] = &again;
    assert_eq!(patches.lines().count(), attacked.count());
    let rows = csv.lines().skip(1);
    assert!(rows.clone().count() >= 2, "{csv}");
    for row in rows {
        let image = row.split(',').next().unwrap();
        assert!(svg.contains(&format!("test image {image}: ")), "{row}");
    }
    assert!(again == anew, "{csv}{}", anew[1]);
    assert_eq!(records(&parts).len(), 60);

    // A figure alone is of the first of each kind, attacked in a batch of their own.
    let alone = folder.path().join("alone.svg");
    let more = ["--limit", "60", "--output", text(&parts), "--resume"];
    let (status, _, errors) = attack(&[&more[..], &["--figure", text(&alone)]].concat());
    assert_eq!(status, Some(0), "{errors}");
    let images = |csv: &str| -> Vec<String> {
        let rows = csv.lines().skip(1);
        rows.map(|row| row.split(',').next().unwrap().to_owned())
            .collect()
    };
    let found = fs::read_to_string(alone.with_extension("csv")).unwrap();
    assert_eq!(images(&found), images(csv));
    // Nothing takes another's place.
    let before = fs::read(&parts).unwrap();
    let csv = folder.path().join("j.csv");
    fs::copy(&parts, &csv).unwrap();
    let more = ["--limit", "60", "--output", text(&csv), "--resume"];
    let figure = csv.with_extension("svg");
    let (status, _, errors) = attack(&[&more[..], &["--figure", text(&figure)]].concat());
    assert_eq!(status, Some(1));
    assert!(
        errors.contains("--output") && errors.contains("j.csv"),
        "{errors}"
    );
    assert_eq!(fs::read(&csv).unwrap(), before);
    let (status, _, errors) = attack(&["--limit", "1", "--figure", text(&csv)]);
    assert_eq!(status, Some(1), "{errors}");

    let (status, _, errors) = attack(&["--patch", "4x4", "--output", text(&parts), "--resume"]);
    assert_eq!(status, Some(1));
    let other = "another attack: its --patch is 5x5, not 4x4";
    assert!(errors.contains(other), "{errors}");
}

#[test]
fn it_stops_after_enough_certified_images_or_says_that_there_are_too_few() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("j.jsonl");
    let more = ["--patch", "3x3", "--certified", "5", "--output"];
    let (status, output, errors) = attack(&[&more[..], &[text(&journal)]].concat());
    assert_eq!(status, Some(0), "{errors}");
    let found = records(&journal);
    assert!(found.len() < 160, "it went on to the end");
    let certified = found.iter().filter(|record| record.certified).count();
    assert!(certified >= 5);
    let said = format!("certified images attacked: {certified} ");
    assert!(output.contains(&said), "{output}");

    let (status, _, errors) = attack(&["--limit", "20", "--certified", "1000"]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("--certified 1000: only"), "{errors}");
}

#[test]
fn an_image_that_is_not_there_is_named() {
    let (status, _, errors) = attack(&["--images", "3,160"]);
    assert_eq!(status, Some(1));
    assert!(errors.contains("--images 160"), "{errors}");
}

#[test]
fn a_figure_shows_the_votes_that_it_counts() {
    let (header, network, geometry) = trained();
    let mut attacker = Attacker::new(&network, &geometry, options(12, 12)).unwrap();
    let attacked = attacker.images(&test_images(), &[0, 1, 2, 3]).unwrap();
    let one = attacked.iter().find(|one| one.pictures.is_some()).unwrap();
    let scene = Scene {
        geometry: &geometry,
        patch: square(12),
        certified: square(12),
        classes: &header.classes,
    };
    let svg = figure(&scene, &[one]);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    let pictures = one.pictures.as_ref().unwrap();
    let (cells, own) = (256, one.record.predicted);
    let votes = |logits: &[f32]| {
        let plane = logits.chunks(cells).nth(own).unwrap();
        plane.iter().filter(|logit| **logit >= 0.0).count()
    };
    let (before, after) = (
        votes(&pictures.clean_logits),
        votes(&pictures.attacked_logits),
    );
    let name = &header.classes[own];
    assert!(
        svg.contains(&format!("{name} {before} \u{2192} {after}")),
        "{name}"
    );
    // Two maps of the predicted class, a square for each vote.
    let drawn: usize = svg
        .split("<path fill=\"#0072b2\" d=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().matches('M').count())
        .sum();
    assert_eq!(drawn, before + after);
}
