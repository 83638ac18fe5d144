//! On a sound line every verdict comes back, and is this machine's.

use std::path::Path;

use bagcert_firmware_sim::packed::Job;

use super::bench::Bench;
use super::line::{all_sound, events};
use super::target::{Target, model};

#[test]
fn maps_get_the_verdicts_of_this_machine() {
    let target = Target::shipped(&[]);
    for job in Job::ALL.map(Job::name) {
        let events = events(&target.maps(&["--job", job]));
        assert_eq!(events.len(), 20);
        let certified = all_sound(&events);
        assert!((5..10).contains(&certified), "{job}: {certified}");
        // Score maps have no forward pass.
        assert!(events[0].line["target_us"].as_f64().unwrap() > 0.0);
        assert!(events[0].line["forward_us"].is_null());
    }
    println!(
        "measured: {}: {} verdicts on score maps as here",
        target.processor(),
        20 * Job::ALL.len()
    );
}

#[test]
fn frames_get_the_verdicts_of_this_machine() {
    let predictors = ["3.1", "3.2", "3.3", "mask", "double-mask"].map(|condition| (condition, "0"));
    let mut before = 0;
    for (condition, lead) in predictors.into_iter().chain([("double-mask", "10")]) {
        let condition = ["--condition", condition, "--lead", lead];
        let target = Target::shipped(&condition);
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("times.svg");
        let drawn = ["--picture", picture.to_str().unwrap()];
        let output = target.frames(&[&condition[..], &drawn].concat());
        let events = events(&output);
        assert_eq!(events.len(), 20);
        let certified = all_sound(&events);
        assert!(certified > 0);
        // The last two are double masking: a lead that only one of two programs left out is seen by the verdicts,
        // one that both did by this.
        assert!(lead == "0" || certified < before, "a lead costs nothing");
        before = certified;
        for event in &events {
            let us = |name: &str| event.line[name].as_f64().unwrap();
            assert!(us("forward_us") > 0.0 && us("certificate_us") > 0.0);
            assert!(us("forward_us") + us("certificate_us") <= us("target_us"));
            assert!(us("target_us") <= us("round_trip_us"));
        }
        let table = String::from_utf8(output.stderr).unwrap();
        for row in ["target", "forward pass", "certificate", "round trip"] {
            for rank in ["p50", "p99", "p99.9", "max"] {
                let name = format!("{row} {rank}, us");
                assert!(table.contains(&name), "{name} is missing in: {table}");
            }
        }
        let svg = std::fs::read_to_string(picture).unwrap();
        assert!(svg.contains(&format!("frames, {}", condition[1])), "{svg}");
        println!(
            "measured: {}: condition {}, lead {lead}: 20 verdicts on sample frames as here, {certified} certified",
            target.processor(),
            condition[1]
        );
    }
}

#[test]
fn test_images_get_the_verdicts_of_this_machine() {
    let Some(data) = std::env::var_os("BAGCERT_DATA") else {
        println!("skipped: CIFAR-10 test images over the line (no BAGCERT_DATA)");
        return;
    };
    let count = std::env::var("BAGCERT_HIL_IMAGES").unwrap_or("100".to_owned());
    let input = format!("cifar10:{}", data.to_str().unwrap());
    for condition in ["3.2", "double-mask"] {
        let condition = ["--condition", condition];
        let target = Target::shipped(&condition);
        let sent = ["--patch", "5x5", "--count", &count];
        let model = model();
        let first = [
            Path::new("--model"),
            &model,
            Path::new("--frames"),
            Path::new(&input),
        ];
        let first = first.map(Path::as_os_str);
        let events = events(&target.harness(&first, &[&sent[..], &condition].concat()));
        assert_eq!(events.len().to_string(), count);
        let certified = all_sound(&events);
        println!(
            "measured: {}: condition {}: {count} verdicts on CIFAR-10 test images as here, \
             {certified} certified",
            target.processor(),
            condition[1]
        );
    }
}

/// A message of 150 KiB.
#[test]
fn large_frames_come_through() {
    let bench = Bench::of(224);
    let (model, frames) = (bench.path("colours.onnx"), bench.path("frames"));
    let common = ["--patch", "3x3", "--no-card"];
    let target = Target::tcp(&model, &common);
    let first = [Path::new("--model"), &model, Path::new("--frames"), &frames];
    let first = first.map(Path::as_os_str);
    let sent = [&common[..], &["--count", "6"]].concat();
    let events = events(&target.harness(&first, &sent));
    assert_eq!(events.len(), 6);
    assert_eq!(all_sound(&events), 3);
}
