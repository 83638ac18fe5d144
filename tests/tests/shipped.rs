//! The shipped models on the shipped frames: verdicts as recorded.
//!
//! Each `models/NAME.onnx` has its record in `tests/golden/NAME.jsonl`, the output of
//! `bagcert certify --patch 5x5 --format jsonl` on `models/frames`. After a model
//! or a frame was changed on purpose, `BAGCERT_RECORD=1 cargo test --release -p
//! bagcert-tests --test shipped` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert::integrity::{GoldenFrame, IntegrityError, LoadedModel, Undecided, manifest_path};
use bagcert_certifier::PatchSize;
use bagcert_tests::{programs, repository};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// On another processor tract may choose other kernels, whose rounding can turn a score
/// that lies at 0. So many votes may differ; more is a change of behaviour.
const VOTES_APART: i64 = 2;

fn certify(model: &Path) -> String {
    let mut command = Command::new(programs::bagcert().unwrap());
    command
        .arg("certify")
        .arg("--model")
        .arg(model)
        .args(["--patch", "5x5", "--format", "jsonl", "models/frames"])
        // Frames are named as they were given: from here, the same on every machine.
        .current_dir(repository::root());
    let output = programs::successful(&mut command).unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn verdicts_are_as_recorded() {
    let models = repository::models().unwrap();
    if models.is_empty() {
        println!("skipped: no model is shipped in models/");
    }
    for model in models {
        let name = model.file_stem().unwrap().to_str().unwrap().to_owned();
        let golden = repository::root()
            .join("tests/golden")
            .join(format!("{name}.jsonl"));
        let found = certify(&model);
        if std::env::var_os("BAGCERT_RECORD").is_some() {
            fs::create_dir_all(golden.parent().unwrap()).unwrap();
            fs::write(&golden, &found).unwrap();
        }
        let recorded = fs::read_to_string(&golden)
            .unwrap_or_else(|error| panic!("{}: {error}; record it", golden.display()));
        let (found, recorded) = (lines(&found), lines(&recorded));
        assert_eq!(found.len(), repository::frames().unwrap().len());
        assert_eq!(found.len(), recorded.len());
        let mut apart = 0;
        for (found, recorded) in found.iter().zip(&recorded) {
            for key in ["id", "label", "patch", "condition"] {
                assert_eq!(found[key], recorded[key], "{name}");
            }
            let id = &recorded["id"];
            let votes = |line: &Value| -> Vec<i64> {
                let votes = line["votes"].as_array().unwrap();
                votes.iter().map(|v| v.as_i64().unwrap()).collect()
            };
            let most = votes(found)
                .iter()
                .zip(votes(recorded))
                .map(|(a, b)| (a - b).abs())
                .max();
            assert!(
                most.unwrap() <= VOTES_APART,
                "{name}, {id}: votes {found} and recorded {recorded}"
            );
            if most == Some(0) && found["slack"] == recorded["slack"] {
                assert_eq!(found, recorded, "{name}, {id}");
                continue;
            }
            apart += 1;
            let slack = |line: &Value| line["slack"].as_i64().unwrap();
            assert!(
                (slack(found) - slack(recorded)).abs() <= 4 * VOTES_APART,
                "{name}, {id}: slack {} and recorded {}",
                slack(found),
                slack(recorded)
            );
        }
        println!(
            "{name}: {} frames, {apart} apart by rounding",
            recorded.len()
        );
    }
}

/// The parts of a card, as `models/README.md` lists them.
const CARD: [&str; 6] = ["What it is", "Data", "Training", "Accuracy", "Cost", "File"];

/// SHA-256 of a file, in hexadecimal digits.
fn hash_of(path: &Path) -> String {
    let hash = Sha256::digest(fs::read(path).unwrap());
    let digits = hash.iter();
    digits.fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// What models are made of is listed by hash, and refused as a model: it has no manifest.
#[test]
fn parts_are_listed_and_are_no_models() {
    let folder = repository::root().join("models/parts");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let mut parts = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name == "README.md" {
            continue;
        }
        let row = format!("| `{name}` |");
        let row = list.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the list"));
        let hash = hash_of(&path);
        assert!(row.contains(&hash), "{name}: its hash is {hash}");
        parts += 1;
        if name.ends_with(".onnx") {
            let refused = LoadedModel::load(&path, None);
            assert!(
                matches!(refused, Err(IntegrityError::NoManifest { .. })),
                "{name}"
            );
        }
    }
    assert_eq!(parts, list.matches("\n| `").count());
}

#[test]
fn each_model_has_a_card_of_its_own_hash() {
    for model in repository::models().unwrap() {
        let path = model.with_extension("md");
        let card =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let hash = hash_of(&model);
        assert!(
            card.contains(&hash),
            "{}: the hash of the model is {hash}",
            path.display()
        );
        for part in CARD {
            let heading = format!("\n## {part}\n");
            assert!(card.contains(&heading), "{}: {part}", path.display());
        }
    }
}

/// The manifest is of this file, and the model answers its golden frames: what every command checks
/// before its first verdict.
#[test]
fn each_model_has_a_manifest_with_golden_frames() {
    for path in repository::models().unwrap() {
        let model = LoadedModel::load(&path, None).unwrap();
        let golden = model.manifest().unwrap().golden();
        let certified: Vec<bool> = golden
            .iter()
            .flat_map(|frame| frame.verdicts.iter().map(|verdict| verdict.certified))
            .collect();
        assert!(golden.len() >= 2, "{}", path.display());
        assert!(certified.contains(&true) && certified.contains(&false));
        let mut pipeline = model.pipeline().unwrap();
        // They are recorded again, but for the few scores that another processor's rounding may take over the border of what is
        // undecided.
        for frame in golden {
            let patches = frame.verdicts.iter().map(|verdict| {
                let [width, height] = verdict.patch;
                PatchSize::new(width, height).unwrap()
            });
            let condition = frame.condition.parse().unwrap();
            let again = model.record(&mut pipeline, &frame.frame, patches.collect(), condition);
            let mut again = again.unwrap();
            let near = |frame: &GoldenFrame| -> BTreeSet<[usize; 3]> {
                let place = |score: &Undecided| [score.class, score.row, score.column];
                frame.undecided.iter().map(place).collect()
            };
            let others = near(frame).symmetric_difference(&near(&again)).count();
            assert!(others <= 2, "{}: {others}", path.display());
            if others == 0 {
                // How far from 0 they may be is rounded as well.
                again.undecided.clone_from(&frame.undecided);
                assert_eq!(again, *frame, "{}", path.display());
            }
        }
    }
}

/// Whoever makes a manifest anew by the list of models gets the same one.
#[test]
fn the_list_of_models_says_how_their_manifests_were_made() {
    let list = fs::read_to_string(repository::root().join("models/README.md")).unwrap();
    for path in repository::models().unwrap() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let command = format!("bagcert manifest --model models/{name} ");
        let options = list.lines().find_map(|line| line.strip_prefix(&command));
        let options = options.unwrap_or_else(|| panic!("models/README.md lacks: {command}"));
        let model = LoadedModel::load(&path, None).unwrap();
        let golden = model.manifest().unwrap().golden();
        let patches = golden[0].verdicts.iter().map(|verdict| {
            let [width, height] = verdict.patch;
            format!("--patch {width}x{height}")
        });
        let frames = golden
            .iter()
            .map(|golden| format!("models/{}", golden.frame));
        let made: Vec<String> = patches.chain(frames).collect();
        assert_eq!(options, made.join(" "), "{name}");
    }
}

/// Flips in every region of each shipped file: the first and last bytes, and steps through all of it.
#[test]
fn no_model_passes_with_a_flipped_bit() {
    let folder = tempfile::tempdir().unwrap();
    for path in repository::models().unwrap() {
        let model = folder.path().join(path.file_name().unwrap());
        fs::copy(manifest_path(&path), manifest_path(&model)).unwrap();
        let good = fs::read(&path).unwrap();
        fs::write(&model, &good).unwrap();
        LoadedModel::load(&model, None).unwrap();
        let step = good.len() / 200;
        let ends = (0..16).chain(good.len() - 16..good.len());
        for at in (0..good.len()).step_by(step.max(1)).chain(ends) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&model, bytes).unwrap();
            let outcome = LoadedModel::load(&model, None);
            assert!(
                matches!(outcome, Err(IntegrityError::OtherModel { .. })),
                "{}, byte {at}: {outcome:?}",
                path.display()
            );
        }
    }
}

/// Each line of a verdict holds together, and certified answers are not all of one kind.
#[test]
fn verdicts_hold_together() {
    for model in repository::models().unwrap() {
        let mut certified = 0;
        let lines = lines(&certify(&model));
        for line in &lines {
            let votes: Vec<i64> = line["votes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_i64().unwrap())
                .collect();
            let predicted = line["predicted"].as_u64().unwrap() as usize;
            let rival = line["rival"].as_u64().unwrap() as usize;
            let slack = line["slack"].as_i64().unwrap();
            assert_eq!(votes.iter().max(), Some(&votes[predicted]), "{line}");
            assert_ne!(predicted, rival, "{line}");
            assert_eq!(line["certified"], slack > 0, "{line}");
            // An attacker never loses by a cell: slack is at most the lead over the rival.
            assert!(slack <= votes[predicted] - votes[rival], "{line}");
            certified += usize::from(slack > 0);
        }
        assert!(
            certified > 0 && certified < lines.len(),
            "{}: {certified} of {} certified",
            model.display(),
            lines.len()
        );
    }
}
