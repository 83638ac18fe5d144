//! Messages on the line: whole ones come through, damaged, cut, repeated and swapped ones are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_certifier::{Axis, Geometry, PatchSize, Shape};
use bagcert_firmware_sim::packed::{CRC, Job, Layout, LayoutError};
use bagcert_firmware_sim::wire::{
    Accepted, DELIMITER, Inbox, Refusal, Request, Session, message_len, read, write,
};
use proptest::prelude::*;

fn layout() -> Layout {
    let axis = Axis::new(32, 16, 2, -3, 4).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    let shape = Shape::new(10, 16, 16).unwrap();
    Layout::new(shape, geometry, PatchSize::new(5, 5).unwrap()).unwrap()
}

fn sent(request: &Request<'_>) -> Vec<u8> {
    let (mut scratch, mut wire) = (vec![0; 4096], vec![0; 4096]);
    write(request, &mut scratch, &mut wire).unwrap().to_vec()
}

fn certify(number: u32) -> Vec<u8> {
    let map: Vec<u8> = (0..320).map(|at| (at * 7 % 251) as u8).collect();
    sent(&Request::Certify {
        number,
        job: 0,
        map: &map,
    })
}

/// What the target says to each message in these bytes: the number accepted, or why not.
fn answers(session: &mut Session, bytes: &[u8]) -> Vec<Result<u32, Refusal>> {
    let mut inbox = Inbox::new([0; message_len(320)]);
    let mut answers = Vec::new();
    for byte in bytes {
        let Some(message) = inbox.push(*byte) else {
            continue;
        };
        answers.push(match message {
            Err(reason) => Err(reason),
            Ok(message) => match session.accept(message, |_| true) {
                Ok(Accepted::Begin { number }) => Ok(number),
                Ok(Accepted::Certify {
                    number,
                    job,
                    layout,
                    map,
                }) => {
                    assert_eq!((job, layout, map.len()), (Job::Sum, self::layout(), 320));
                    Ok(number)
                }
                Err((_, reason)) => Err(reason),
            },
        });
    }
    answers
}

fn begun() -> Session {
    let mut session = Session::default();
    let begin = sent(&Request::Begin {
        number: 7,
        layout: &layout().to_bytes(),
    });
    assert_eq!(answers(&mut session, &begin), [Ok(7)]);
    session
}

#[test]
fn whole_messages_come_through_in_order_and_wrap_around() {
    let mut session = begun();
    for number in 8..30 {
        assert_eq!(answers(&mut session, &certify(number)), [Ok(number)]);
    }
    let begin = sent(&Request::Begin {
        number: u32::MAX,
        layout: &layout().to_bytes(),
    });
    assert_eq!(answers(&mut session, &begin), [Ok(u32::MAX)]);
    assert_eq!(answers(&mut session, &certify(0)), [Ok(0)]);
}

#[test]
fn repeated_swapped_and_missing_messages_are_refused() {
    let mut session = begun();
    assert_eq!(answers(&mut session, &certify(8)), [Ok(8)]);
    assert_eq!(answers(&mut session, &certify(8)), [Err(Refusal::Repeated)]);
    let swapped = [certify(10), certify(9), certify(11)].concat();
    assert_eq!(
        answers(&mut session, &swapped),
        [Err(Refusal::Jump), Err(Refusal::Backwards), Ok(11)]
    );
    let mut fresh = Session::default();
    assert_eq!(answers(&mut fresh, &certify(1)), [Err(Refusal::NoSession)]);
}

#[test]
fn no_flipped_bit_goes_unseen() {
    let whole = certify(8);
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // Where the end itself is hit, the next message goes with it.
        damaged.push(DELIMITER);
        let answers = answers(&mut begun(), &damaged);
        assert!(!answers.is_empty(), "bit {bit}");
        assert!(answers.iter().all(Result::is_err), "bit {bit}: {answers:?}");
    }
}

#[test]
fn every_cut_is_seen_and_the_line_recovers() {
    let whole = certify(8);
    for end in 0..whole.len() - 1 {
        let bytes = [&whole[..end], &certify(9), &certify(10), &certify(11)].concat();
        let answers = answers(&mut begun(), &bytes);
        // The cut message takes the next one with it, whose end is then taken for its own.
        let first: &[_] = match end {
            0 => &[Refusal::Jump],
            _ => &[Refusal::Damaged, Refusal::TooLong],
        };
        let refusal = answers[0].unwrap_err();
        assert!(first.contains(&refusal), "cut at {end}: {refusal:?}");
        assert_eq!(answers.last(), Some(&Ok(11)), "cut at {end}: {answers:?}");
        assert_eq!(answers.len(), 3);
    }
}

#[test]
fn what_is_too_long_is_refused_and_the_line_recovers() {
    let mut bytes = vec![1; 10_000];
    bytes.push(DELIMITER);
    bytes.extend(certify(8));
    assert_eq!(
        answers(&mut begun(), &bytes),
        [Err(Refusal::TooLong), Ok(8)]
    );
}

#[test]
fn what_is_no_layout_is_refused() {
    let whole = layout().to_bytes();
    assert_eq!(Layout::from_bytes(&whole), Ok(layout()));
    let found = whole.len() - 1;
    assert_eq!(
        Layout::from_bytes(&whole[..found]),
        Err(LayoutError::Length { found })
    );
    for at in 0..whole.len() {
        let mut damaged = whole;
        damaged[at] ^= 1;
        let expected = if at < 8 {
            LayoutError::Magic
        } else {
            LayoutError::Checksum
        };
        assert_eq!(Layout::from_bytes(&damaged), Err(expected), "byte {at}");
    }
    // Whole, but impossible: number `at` is set to zero.
    let with_zero = |at: usize| {
        let mut bytes = whole;
        bytes[8 + 4 * at..][..4].fill(0);
        let end = bytes.len() - 4;
        let checksum = CRC.checksum(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
        Layout::from_bytes(&bytes)
    };
    assert!(matches!(with_zero(0), Err(LayoutError::Shape(_))));
    assert!(matches!(with_zero(1), Err(LayoutError::Shape(_))));
    assert!(matches!(with_zero(3), Err(LayoutError::Geometry(_))));
    assert!(matches!(with_zero(11), Err(LayoutError::Geometry(_))));
    // Parts that do not go together.
    let (shape, geometry, patch) = (layout().shape(), layout().geometry(), layout().patch());
    let other = Shape::new(10, 16, 15).unwrap();
    assert!(matches!(
        Layout::new(other, geometry, patch),
        Err(LayoutError::Certifier(_))
    ));
    let large = PatchSize::new(33, 1).unwrap();
    assert!(matches!(
        Layout::new(shape, geometry, large),
        Err(LayoutError::Geometry(_))
    ));
    // A session does not go on with the layout before.
    let mut session = begun();
    let begin = sent(&Request::Begin {
        number: 8,
        layout: &whole[1..],
    });
    assert_eq!(answers(&mut session, &begin), [Err(Refusal::Layout)]);
    assert_eq!(
        answers(&mut session, &certify(9)),
        [Err(Refusal::NoSession)]
    );
}

proptest! {
    #[test]
    fn noise_is_never_accepted(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        for answer in answers(&mut begun(), &bytes) {
            prop_assert!(answer.is_err());
        }
    }

    #[test]
    fn stuffing_is_undone_as_the_crate_does(body in prop::collection::vec(0u8..4, 0..700)) {
        let (mut scratch, mut wire) = (vec![0; 2048], vec![0; 2048]);
        let message = write(&body.as_slice(), &mut scratch, &mut wire).unwrap().to_vec();
        prop_assert_eq!(message.iter().position(|byte| *byte == DELIMITER), Some(message.len() - 1));
        let stuffed = &message[..message.len() - 1];
        let mut theirs = vec![0; 2048];
        let len = cobs::decode(stuffed, &mut theirs).unwrap();
        let mut ours = stuffed.to_vec();
        prop_assert_eq!(read(&mut ours).unwrap(), &theirs[..len - 4]);
    }
}
