//! Damage on the line: seen, and never answered with a certificate.

use bagcert_firmware_sim::wire::{Refusal, Reply, Request};

use super::line::{INJECT, events, none_certified};
use super::refusals::{begin, frame, judge};
use super::target::{Target, message};

/// Twelve of each kind among a hundred and eighty.
const MUCH: [&str; 4] = ["--every", "3", "--count", "180"];

#[test]
fn no_damaged_map_is_certified() {
    let target = Target::shipped(&[]);
    let seen = none_certified(&events(&target.maps(&[&INJECT[..], &MUCH].concat())));
    println!("measured: {}: score maps: {seen}", target.processor());
}

#[test]
fn no_damaged_frame_is_certified() {
    let target = Target::shipped(&[]);
    let seen = none_certified(&events(&target.frames(&[&INJECT[..], &MUCH].concat())));
    println!("measured: {}: frames: {seen}", target.processor());
}

/// Other seeds damage other bits.
#[test]
fn no_flipped_bit_of_a_frame_gets_a_verdict() {
    let target = Target::shipped(&[]);
    for seed in ["2", "3"] {
        let flips = [
            "--inject", "flip", "--every", "3", "--count", "150", "--seed", seed,
        ];
        for event in events(&target.frames(&flips)) {
            if event.injected.is_some() {
                assert!(event.answers.iter().all(|answer| answer == "damaged"));
            }
        }
    }
}

/// What the harness injects, once by hand: each answer of the target is looked at.
#[test]
fn a_damaged_frame_is_refused_and_the_next_one_too() {
    let target = Target::shipped(&[]);
    let mut line = target.connect();
    line.ask(&begin(1));
    let pixels = frame();
    let mut damaged = message(&judge(2, &pixels));
    damaged[1500] ^= 4;
    line.send(&damaged);
    let number = None;
    let reason = Refusal::Damaged;
    assert_eq!(line.reply(), Some(Reply::Refused { number, reason }));
    // One is missing now, and the target says so.
    let (number, reason) = (Some(3), Refusal::Jump);
    assert_eq!(
        line.ask(&judge(3, &pixels)),
        Reply::Refused { number, reason }
    );
    assert!(matches!(
        line.ask(&judge(4, &pixels)),
        Reply::Judged { number: 4, .. }
    ));
    // Sound as a message, but with pixels that are not those of its checksum.
    let Request::Judge { checksum, .. } = judge(5, &pixels) else {
        panic!("no frame");
    };
    let mut other = pixels.clone();
    other[7] ^= 1;
    let answer = line.ask(&Request::Judge {
        number: 5,
        checksum,
        pixels: &other,
    });
    let (number, reason) = (None, Refusal::Damaged);
    assert_eq!(answer, Reply::Refused { number, reason });
}
