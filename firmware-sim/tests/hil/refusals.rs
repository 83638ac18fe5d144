//! What a target does not take: other models and questions, messages that are too long, noise without
//! an end, the rest of a connection that was cut.

use std::path::Path;
use std::time::Instant;

use bagcert::frames::{Picture, Size};
use bagcert_certifier::{Condition, PatchSize};
use bagcert_firmware_sim::packed::Layout;
use bagcert_firmware_sim::wire::{DELIMITER, Network, Refusal, Reply, Request, frame_checksum};

use super::bench::Bench;
use super::line::{all_sound, events};
use super::target::{Target, command, maps, message, model, root};

/// What the targets of these tests run.
pub(crate) fn network() -> Network {
    let loaded = bagcert::integrity::LoadedModel::load(&model(), None).unwrap();
    let digits = &loaded.fingerprint().sha256;
    let byte = |at: usize| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap();
    let hash = std::array::from_fn(byte);
    let patch = PatchSize::new(5, 5).unwrap();
    Network::new(hash, [32, 32], patch, Condition::SumWindow32)
}

pub(crate) fn begin(number: u32) -> Request<'static> {
    let network = network();
    Request::BeginFrames { number, network }
}

/// A frame that is certified.
pub(crate) fn frame() -> Vec<u8> {
    let path = root().join("models/frames/0002-ship.png");
    let (width, height) = (32, 32);
    Picture::read(&path, Size { width, height })
        .unwrap()
        .to_rgb8()
}

pub(crate) fn judge(number: u32, pixels: &[u8]) -> Request<'_> {
    let checksum = frame_checksum(number, pixels);
    Request::Judge {
        number,
        checksum,
        pixels,
    }
}

fn refused(number: impl Into<Option<u32>>, reason: Refusal) -> Reply {
    let number = number.into();
    Reply::Refused { number, reason }
}

#[test]
fn another_model_patch_or_condition_is_refused() {
    let target = Target::shipped(&[]);
    let mut line = target.connect();
    let pixels = frame();
    let mut ask = |change: fn(&mut Network)| {
        let mut network = network();
        change(&mut network);
        // A session that runs must not go on after it.
        assert!(matches!(line.ask(&begin(1)), Reply::Ready { .. }));
        let number = 2;
        let answer = line.ask(&Request::BeginFrames { number, network });
        let after = line.ask(&judge(3, &pixels));
        assert_eq!(after, refused(3, Refusal::NoSession));
        answer
    };
    assert_eq!(ask(|n| n.model[5] ^= 1), refused(2, Refusal::Model));
    assert_eq!(ask(|n| n.size = [64, 16]), refused(2, Refusal::Model));
    assert_eq!(ask(|n| n.patch = [5, 6]), refused(2, Refusal::Question));
    assert_eq!(ask(|n| n.condition = 4), refused(2, Refusal::Question));
    assert_eq!(ask(|n| n.condition = 77), refused(2, Refusal::Question));
    assert_eq!(ask(|n| n.lead = 1), refused(2, Refusal::Question));
}

#[test]
fn the_harness_says_why_there_is_no_session() {
    let target = Target::shipped(&[]);
    let fails = |output: std::process::Output, words: &str| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(words), "{errors}");
        assert!(output.stdout.is_empty());
    };
    fails(
        target.frames(&["--condition", "mask"]),
        "another patch or under another condition or lead",
    );
    fails(
        target.frames(&["--condition", "double-mask", "--lead", "2"]),
        "another patch or under another condition or lead",
    );
    // Another model, for frames of another size.
    let bench = Bench::new();
    let (model, frames) = (bench.path("colours.onnx"), bench.path("frames"));
    let first = [Path::new("--model"), &model, Path::new("--frames"), &frames];
    let first = first.map(Path::as_os_str);
    let more = ["--patch", "3x3", "--no-card"];
    fails(target.harness(&first, &more), "another model than --model");
}

#[test]
fn a_model_without_its_manifest_is_no_target() {
    let bench = Bench::new();
    let start = |more: &[&str]| {
        let mut command = command();
        command.args(["target", "--port", "tcp:127.0.0.1:0", "--model"]);
        let output = command.arg(bench.path("colours.onnx")).args(more).output();
        let output = output.unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!errors.contains("target on"), "{errors}");
        (output.status.code(), errors)
    };
    let (status, errors) = start(&["--patch", "3x3"]);
    assert_eq!(status, Some(3), "{errors}");
    assert!(errors.contains("manifest"), "{errors}");
    let (status, errors) = start(&["--no-card", "--patch", "17x3"]);
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("does not fit"), "{errors}");
    let (status, errors) = start(&["--no-card", "--patch", "3x3", "--lead", "2"]);
    assert_eq!(status, Some(2), "{errors}");
    assert!(errors.contains("condition 3.2 asks for none"), "{errors}");
}

#[test]
fn samples_that_a_line_cannot_carry_are_not_sent() {
    let bench = Bench::new();
    let deep = image::ImageBuffer::from_fn(16, 16, |x, _| image::Rgb([x as u16 * 1000, 0, 7]));
    deep.save(bench.path("frames/2-deep.png")).unwrap();
    let (model, frames) = (bench.path("colours.onnx"), bench.path("frames"));
    let common = ["--patch", "3x3", "--no-card"];
    let target = Target::tcp(&model, &common);
    let first = [Path::new("--model"), &model, Path::new("--frames"), &frames];
    let output = target.harness(&first.map(Path::as_os_str), &common);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("2-deep.png: its samples have more than 8 bits"),
        "{errors}"
    );
}

#[test]
fn what_is_too_long_is_refused_and_takes_no_memory() {
    let target = Target::shipped(&[]);
    let mut line = target.connect();
    line.ask(&begin(1));
    let pixels = frame();
    assert!(matches!(line.ask(&judge(2, &pixels)), Reply::Judged { .. }));
    let before = target.memory();
    // A whole message, but of a frame of 224x224 pixels.
    let large = vec![9; 224 * 224 * 3];
    assert_eq!(line.ask(&judge(3, &large)), refused(None, Refusal::TooLong));
    // One pixel more or fewer fits the memory, and is no frame.
    let cut = &pixels[3..];
    assert_eq!(line.ask(&judge(3, cut)), refused(3, Refusal::Malformed));
    let longer = [&pixels[..], &[1; 3]].concat();
    assert_eq!(line.ask(&judge(4, &longer)), refused(4, Refusal::Malformed));
    // A layout that asks for much memory: nothing is allocated for it.
    let mut layout = Layout::from_bytes(&std::fs::read(maps()).unwrap()).unwrap();
    let axis = bagcert_certifier::Axis::new(4096, 4096, 1, 0, 0).unwrap();
    let geometry = bagcert_certifier::Geometry { x: axis, y: axis };
    let shape = bagcert_certifier::Shape::new(10, 4096, 4096).unwrap();
    layout = Layout::new(shape, geometry, layout.patch()).unwrap();
    let layout = layout.to_bytes();
    let (number, layout) = (5, layout.as_slice());
    let answer = line.ask(&Request::Begin { number, layout });
    assert_eq!(answer, refused(5, Refusal::Layout));
    // Noise that has no end.
    let noise = vec![0x5A; 1 << 20];
    for _ in 0..64 {
        line.send(&noise);
    }
    line.send(&[DELIMITER]);
    assert_eq!(line.reply(), Some(refused(None, Refusal::TooLong)));
    let grown = target.memory().saturating_sub(before);
    assert!(grown < 24 << 20, "{grown} bytes more than before");
    // The line is as good as before.
    line.ask(&begin(10));
    assert!(matches!(
        line.ask(&judge(11, &pixels)),
        Reply::Judged { .. }
    ));
}

#[test]
fn a_connection_that_is_cut_leaves_nothing_behind() {
    let target = Target::shipped(&[]);
    let pixels = frame();
    let whole = message(&judge(2, &pixels));
    let mut line = target.connect();
    line.ask(&begin(1));
    line.send(&whole[..whole.len() / 2]);
    drop(line);
    // Neither the half message nor the session goes on.
    let mut line = target.connect();
    line.send(&whole[whole.len() / 2..]);
    assert_eq!(line.reply(), Some(refused(None, Refusal::Damaged)));
    line.send(&whole);
    assert_eq!(line.reply(), Some(refused(2, Refusal::NoSession)));
    line.ask(&begin(1));
    assert!(matches!(line.ask(&judge(2, &pixels)), Reply::Judged { .. }));
    drop(line);
    assert_eq!(all_sound(&events(&target.frames(&[]))), 6);
}

/// Whoever has connected and says nothing must not keep others out.
#[test]
fn silence_ends_a_connection() {
    let target = Target::shipped(&["--silence-s", "1"]);
    let started = Instant::now();
    let mut silent = target.connect();
    assert_eq!(silent.reply(), None);
    assert!(started.elapsed().as_secs_f64() > 0.5);
    target.says("closed after its silence");
    let _other = target.connect();
    assert_eq!(all_sound(&events(&target.frames(&[]))), 6);
}
