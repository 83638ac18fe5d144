//! Messages protected end to end: AUTOSAR's published vectors, and every way to go wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use bagcert_certifier::failsafe::{
    Event, HEADER_LEN, MAX_LEN, MESSAGE_LEN, MessageLength, Mode, Output, RESYNCHRONISE, Receiver,
    Sender, Status, Trust,
};
use proptest::prelude::*;

const ID: u32 = 0x0A0B_0C0D;
/// By how much a counter can have moved on.
const AHEAD: u16 = u16::MAX / 2;

fn protected(sender: &mut Sender, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; HEADER_LEN];
    message.extend(payload);
    sender.protect(&mut message).unwrap();
    message
}

/// AUTOSAR's protocol specification, the profile's example for a header at offset 0: 16 bytes of
/// zeros, data id 0x0A0B0C0D, counter 0.
#[test]
fn the_published_message() {
    let message = protected(&mut Sender::new(ID), &[0; 4]);
    let expected = [
        0x00, 0x10, 0x00, 0x00, 0x0A, 0x0B, 0x0C, 0x0D, 0x86, 0x2B, 0x05, 0x56, 0, 0, 0, 0,
    ];
    assert_eq!(message, expected);
}

/// From a CRC written bit by bit in another language.
#[test]
fn further_messages() {
    let mut sender = Sender::new(ID);
    let message = protected(&mut sender, &[0; 8]);
    assert_eq!(message[..2], [0x00, 0x14]);
    assert_eq!(message[8..12], [0x14, 0x77, 0xDA, 0x19]);
    let message = protected(&mut sender, &[0; 8]);
    assert_eq!(message[2..4], [0, 1]);
    assert_eq!(message[8..12], [0xB9, 0x87, 0xDD, 0x48]);
    assert_eq!(
        protected(&mut Sender::new(ID), &[])[8..],
        [0x9C, 0x42, 0x0A, 0x87]
    );
}

#[test]
fn lengths_that_the_profile_does_not_have() {
    let mut sender = Sender::new(ID);
    for found in [0, 1, HEADER_LEN - 1, MAX_LEN + 1, 65_536] {
        let refused = sender.protect(&mut vec![0; found]);
        assert_eq!(refused, Err(MessageLength { found }));
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains(&found.to_string())
        );
    }
    let mut receiver = Receiver::new(ID, 1);
    // No counter was used up.
    for length in [HEADER_LEN, MAX_LEN] {
        let message = protected(&mut sender, &vec![7; length - HEADER_LEN]);
        assert_eq!(receiver.check(Some(&message)), Status::Ok);
    }
    // A longer one that would be sound otherwise, and what is shorter than a header.
    let mut long = vec![0; MAX_LEN + 1];
    long[..2].copy_from_slice(&4097u16.to_be_bytes());
    assert_eq!(receiver.check(Some(&long)), Status::Error);
    assert_eq!(receiver.check(Some(&[0; 11])), Status::Error);
    assert_eq!(receiver.check(Some(&[])), Status::Error);
}

#[test]
fn every_status() {
    let mut sender = Sender::new(ID);
    let mut messages: Vec<Vec<u8>> = (0..14).map(|n| protected(&mut sender, &[n; 3])).collect();
    let mut receiver = Receiver::new(ID, 3);
    let mut check = |at: usize| receiver.check(Some(&messages[at]));
    assert_eq!(check(0), Status::Ok);
    assert_eq!(check(0), Status::Repeated);
    assert_eq!(check(1), Status::Ok);
    assert_eq!(check(3), Status::OkSomeLost);
    assert_eq!(check(6), Status::OkSomeLost);
    // Neither one that is too far on nor an old one is taken over.
    assert_eq!(check(10), Status::WrongSequence);
    assert_eq!(check(2), Status::WrongSequence);
    assert_eq!(check(3), Status::WrongSequence);
    assert_eq!(receiver.check(None), Status::NoNewData);
    messages[4][HEADER_LEN] ^= 1;
    assert_eq!(receiver.check(Some(&messages[4])), Status::Error);
    // None of these moved the counter on.
    assert_eq!(receiver.check(Some(&messages[8])), Status::OkSomeLost);
    assert_eq!(
        Receiver::new(ID + 1, 1).check(Some(&messages[0])),
        Status::Error
    );
    for status in Status::ALL {
        let usable = status == Status::Ok || status == Status::OkSomeLost;
        assert_eq!(status.is_usable(), usable, "{status}");
    }
}

/// Messages of one sender, from the first on.
fn stream(count: usize) -> Vec<[u8; MESSAGE_LEN]> {
    let mut sender = Sender::new(ID);
    (0..count).map(|_| sender.send(&answer())).collect()
}

fn status(receiver: &mut Receiver, message: &[u8; MESSAGE_LEN]) -> Status {
    let (status, output) = receiver.receive(Some(message));
    assert_eq!(output.is_some(), status.is_usable());
    status
}

/// A buffer that is sent again: however many old messages come in a row, none is an answer, and the next new one is.
#[test]
fn a_replayed_run_of_messages_gives_no_answer() {
    let sent = stream(usize::from(u16::MAX) + 500);
    for max_delta in [1, 3, AHEAD, u16::MAX] {
        let mut receiver = Receiver::new(ID, max_delta);
        for (at, message) in sent.iter().enumerate() {
            assert_eq!(status(&mut receiver, message), Status::Ok);
            if at % 4_001 != 4_000 {
                continue;
            }
            for back in [2, 30, 1_000, usize::from(AHEAD)] {
                let first = at.saturating_sub(back);
                for old in &sent[first..(first + 20).min(at)] {
                    assert_eq!(status(&mut receiver, old), Status::WrongSequence);
                }
            }
        }
    }
}

/// Old messages that lie so far back that they seem to be new: among those of a living stream none is an answer, and they do not keep
/// one of it from being one.
#[test]
fn old_messages_among_new_ones_change_nothing() {
    let sent = stream(52_000);
    for back in [40_000, 33_000, 20_000, 5] {
        let mut receiver = Receiver::new(ID, 4);
        for (at, message) in sent.iter().enumerate() {
            assert_eq!(status(&mut receiver, message), Status::Ok, "{back}, {at}");
            if at >= back.max(50_000) {
                let old = &sent[at - back];
                assert_eq!(status(&mut receiver, old), Status::WrongSequence);
            }
        }
    }
}

/// After any number of losses that a counter can tell, a few messages are not used and the rest are.
#[test]
fn a_stream_is_followed_again_after_an_outage() {
    let sent = stream(70_000);
    let unused = usize::from(RESYNCHRONISE);
    for lost in [4, 5, 100, 32_000, usize::from(AHEAD) - 1] {
        let mut receiver = Receiver::new(ID, 4);
        for message in &sent[..30_000] {
            assert_eq!(status(&mut receiver, message), Status::Ok);
        }
        for (at, message) in sent[30_000 + lost..][..100].iter().enumerate() {
            let expected = if at < unused {
                Status::WrongSequence
            } else {
                Status::Ok
            };
            assert_eq!(
                status(&mut receiver, message),
                expected,
                "{lost} lost, {at}"
            );
        }
    }
    // A gap among them, as large as is allowed, does not begin it anew; a larger one does.
    for (gap, usable) in [(3, true), (4, false)] {
        let mut receiver = Receiver::new(ID, 4);
        let first = &sent[1_000..1_004];
        let rest = &sent[1_004 + gap..][..5];
        let last = first
            .iter()
            .chain(rest)
            .map(|message| status(&mut receiver, message));
        assert_eq!(last.last().unwrap() == Status::Ok, usable, "{gap}");
    }
}

#[test]
fn a_sender_that_began_anew_is_taken_once_the_receiver_is_told() {
    let sent = stream(60_000);
    for before in [40, 20_000, 40_000, 60_000] {
        let mut receiver = Receiver::new(ID, 3);
        let old = &sent[before - 1];
        for message in &sent[..before] {
            assert_eq!(status(&mut receiver, message), Status::Ok);
        }
        receiver.restart();
        // A straggler of the old stream, before the new one and in it.
        assert_eq!(status(&mut receiver, old), Status::WrongSequence);
        assert_eq!(status(&mut receiver, &sent[0]), Status::Ok);
        assert_eq!(status(&mut receiver, &sent[1]), Status::Ok);
        assert_eq!(status(&mut receiver, old), Status::WrongSequence);
        assert_eq!(status(&mut receiver, &sent[2]), Status::Ok);
    }
    // Untold, as long as its messages are behind.
    let mut receiver = Receiver::new(ID, 3);
    for message in &sent[..100] {
        assert_eq!(status(&mut receiver, message), Status::Ok);
    }
    for message in &sent[..99] {
        assert_eq!(status(&mut receiver, message), Status::WrongSequence);
    }
}

#[test]
fn the_counter_wraps_at_16_bits() {
    let mut sender = Sender::new(ID);
    for allowed in [0, 1] {
        let mut receiver = Receiver::new(ID, allowed);
        for _ in 0..if allowed == 0 { 0 } else { RESYNCHRONISE } {
            let early = protected(&mut sender, b"x");
            assert_eq!(receiver.check(Some(&early)), Status::WrongSequence);
        }
        for _ in 0..70_000 {
            let message = protected(&mut sender, b"x");
            assert_eq!(receiver.check(Some(&message)), Status::Ok);
        }
    }
}

fn answer() -> Output {
    Output {
        mode: Mode::Nominal,
        event: Event::Confirmed,
        trust: Trust::Confirmed,
        class: Some(3),
        strikes: 2,
        frame: 0xBEEF,
    }
}

/// Every change confined to 32 neighbouring bits: here all of one, two and three bits near each other,
/// and all bytes.
#[test]
fn damage_is_an_error() {
    let message = Sender::new(ID).send(&answer());
    let whole = Receiver::new(ID, 1).receive(Some(&message));
    assert_eq!(whole, (Status::Ok, Some(answer())));
    let refused = |message: &[u8]| {
        let mut receiver = Receiver::new(ID, u16::MAX);
        assert_eq!(receiver.receive(Some(message)), (Status::Error, None));
    };
    let bits = MESSAGE_LEN * 8;
    let flip = |message: &mut [u8], bit: usize| message[bit / 8] ^= 1 << (bit % 8);
    for a in 0..bits {
        for b in a..(a + 16).min(bits) {
            for c in b..(b + 16).min(bits) {
                let mut damaged = message;
                flip(&mut damaged, a);
                // Twice the same bit is none.
                if b > a {
                    flip(&mut damaged, b);
                }
                if c > b {
                    flip(&mut damaged, c);
                }
                refused(&damaged);
            }
        }
    }
    for length in 0..MESSAGE_LEN {
        refused(&message[..length]);
    }
    refused(&[&message[..], &[0]].concat());
    // Halves of two messages, cut anywhere.
    let mut sender = Sender::new(ID);
    let first = sender.send(&answer());
    let second = sender.send(&Output {
        class: Some(4),
        ..answer()
    });
    for cut in 1..MESSAGE_LEN {
        let torn = [&first[..cut], &second[cut..]].concat();
        if torn != first && torn != second {
            refused(&torn);
        }
    }
}

/// A sender that is itself broken: the seal is right, the answer is none.
#[test]
fn answers_that_contradict_themselves_are_not_taken() {
    let encoded = answer().encode();
    let mut known = 0;
    for at in 0..8 {
        for value in 0..=255 {
            let mut bytes = encoded;
            bytes[at] = value;
            let Some(output) = Output::decode(&bytes) else {
                let message = protected(&mut Sender::new(ID), &bytes);
                let refused = Receiver::new(ID, 1).receive(Some(&message));
                assert_eq!(refused, (Status::Error, None));
                continue;
            };
            known += 1;
            assert_eq!(output.encode(), bytes);
            assert_eq!(output.class.is_some(), output.trust.has_class());
            if output.trust.is_certified() {
                assert!(output.event.is_certified() && output.mode != Mode::SafeState);
            }
        }
    }
    assert!(known > 100 && known < 8 * 256, "{known}");
    for (trust, event) in [
        (Trust::Confirmed, Event::Unverified),
        (Trust::Unverified, Event::Late),
    ] {
        let output = Output {
            trust,
            event,
            ..answer()
        };
        assert_eq!(Output::decode(&output.encode()), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_checked_without_a_panic(
        message in prop::collection::vec(any::<u8>(), 0..64),
        max_delta in any::<u16>(),
    ) {
        let mut receiver = Receiver::new(ID, max_delta);
        let (status, output) = receiver.receive(Some(&message));
        prop_assert_eq!(status, Status::Error);
        prop_assert!(output.is_none());
    }

    #[test]
    fn payloads_of_any_kind(payload in prop::collection::vec(any::<u8>(), 0..200), bit in any::<usize>()) {
        let mut message = protected(&mut Sender::new(ID), &payload);
        prop_assert_eq!(&message[HEADER_LEN..], &payload[..]);
        prop_assert_eq!(Receiver::new(ID, 1).check(Some(&message)), Status::Ok);
        let bit = bit % (message.len() * 8);
        message[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(Receiver::new(ID, 1).check(Some(&message)), Status::Error);
    }
}
