//! Messages on the line: whole ones come through, damaged, cut, repeated and swapped ones are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_certifier::{Axis, Condition, Geometry, PatchSize, Shape};
use bagcert_firmware_sim::packed::{CRC, Job, Layout, LayoutError, checked};
use bagcert_firmware_sim::session::{Accepted, Session};
use bagcert_firmware_sim::wire::{
    DELIMITER, Inbox, Network, Refusal, Request, frame_checksum, message_len, read, write,
};
use proptest::prelude::*;

fn layout() -> Layout {
    let axis = Axis::new(32, 16, 2, -3, 4).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    let shape = Shape::new(10, 16, 16).unwrap();
    Layout::new(shape, geometry, PatchSize::new(5, 5).unwrap()).unwrap()
}

fn sent(request: &Request<'_>) -> Vec<u8> {
    let (mut scratch, mut wire) = (vec![0; 1 << 18], vec![0; 1 << 18]);
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
    answers_of(session, bytes, None)
}

/// The same for a target with a network.
fn answers_of(
    session: &mut Session,
    bytes: &[u8],
    network: Option<&Network>,
) -> Vec<Result<u32, Refusal>> {
    let longest = network.map_or(320, Network::frame_len).max(320);
    let mut inbox = Inbox::new(vec![0; message_len(longest)]);
    let mut answers = Vec::new();
    for byte in bytes {
        let Some(message) = inbox.push(*byte) else {
            continue;
        };
        answers.push(match message {
            Err(reason) => Err(reason),
            Ok(message) => match session.accept(message, |_| true, network) {
                Ok(Accepted::Begin { number }) => Ok(number),
                Ok(Accepted::Judge { number, pixels }) => {
                    assert_eq!(Some(pixels.len()), network.map(Network::frame_len));
                    Ok(number)
                }
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

fn network(side: u32) -> Network {
    let patch = PatchSize::new(5, 4).unwrap();
    Network::new([7; 32], [side, side], patch, Condition::DoubleMask)
}

fn begin_frames(number: u32, network: Network) -> Vec<u8> {
    sent(&Request::BeginFrames { number, network })
}

/// A frame of that many pixels along each side, without a zero.
fn pixels(side: u32) -> Vec<u8> {
    let len = side * side * 3;
    (0..len).map(|at| (at * 31 % 251 + 2) as u8).collect()
}

fn judge(number: u32, pixels: &[u8]) -> Vec<u8> {
    let checksum = frame_checksum(number, pixels);
    sent(&Request::Judge {
        number,
        checksum,
        pixels,
    })
}

/// A session for frames of that many pixels along each side; the next number is 8.
fn judging(side: u32) -> Session {
    let mut session = Session::default();
    let network = network(side);
    let begin = begin_frames(7, network);
    assert_eq!(answers_of(&mut session, &begin, Some(&network)), [Ok(7)]);
    session
}

#[test]
fn frames_come_through_in_order_and_no_other_way() {
    let network = network(32);
    let pixels = pixels(32);
    let mut session = judging(32);
    let mut say = |bytes: &[u8]| answers_of(&mut session, bytes, Some(&network));
    assert_eq!(say(&judge(8, &pixels)), [Ok(8)]);
    assert_eq!(say(&judge(8, &pixels)), [Err(Refusal::Repeated)]);
    let swapped = [judge(10, &pixels), judge(9, &pixels), judge(11, &pixels)].concat();
    assert_eq!(
        say(&swapped),
        [Err(Refusal::Jump), Err(Refusal::Backwards), Ok(11)]
    );
    // Of another length, which is no frame of this network.
    assert_eq!(say(&judge(12, &pixels[3..])), [Err(Refusal::Malformed)]);
    assert_eq!(say(&judge(13, &[])), [Err(Refusal::Malformed)]);
    let longer = vec![1; 4000];
    assert_eq!(say(&judge(14, &longer)), [Err(Refusal::TooLong)]);
    // A map is not for this session, nor a frame for one of maps.
    assert_eq!(say(&certify(14)), [Err(Refusal::NoSession)]);
    assert_eq!(say(&judge(14, &pixels)), [Ok(14)]);
    let mut maps = begun();
    assert_eq!(
        answers_of(&mut maps, &judge(8, &pixels), Some(&network)),
        [Err(Refusal::NoSession)]
    );
}

#[test]
fn a_session_is_for_the_very_network_that_runs() {
    let ours = network(32);
    let mut others = [ours; 8];
    others[0].model[31] ^= 1;
    others[1].model[0] ^= 0x80;
    others[2].size = [32, 31];
    others[3].size = [31, 32];
    others[4].patch = [4, 5];
    others[5].condition = 1;
    others[6].condition = u8::MAX;
    others[7].lead = 1;
    let reasons = [[Refusal::Model; 4].as_slice(), &[Refusal::Question; 4]].concat();
    for (other, reason) in others.into_iter().zip(reasons) {
        let mut session = judging(32);
        let mut say = |bytes: &[u8]| answers_of(&mut session, bytes, Some(&ours));
        assert_eq!(say(&begin_frames(8, other)), [Err(reason)], "{other:?}");
        // The session before does not go on.
        let frame = judge(9, &pixels(32));
        assert_eq!(say(&frame), [Err(Refusal::NoSession)], "{other:?}");
    }
    let begin = begin_frames(1, ours);
    let mut session = Session::default();
    assert_eq!(answers(&mut session, &begin), [Err(Refusal::NoNetwork)]);
    let conditions: Vec<u8> = Network::CONDITIONS
        .map(|condition| Network::new([7; 32], [1, 1], layout().patch(), condition).condition)
        .to_vec();
    assert_eq!(conditions, [0, 1, 2, 3, 4]);
    // What cannot be multiplied is no frame.
    assert!(network(u32::MAX).frame_len() > 1 << 60);
}

#[test]
fn no_flipped_bit_of_a_frame_goes_unseen() {
    let whole = judge(8, &pixels(32));
    let refused = |damaged: &mut Vec<u8>, side: u32, bit: usize| {
        damaged[bit / 8] ^= 1 << (bit % 8);
        damaged.push(DELIMITER);
        let answers = answers_of(&mut judging(side), damaged, Some(&network(side)));
        assert!(!answers.is_empty(), "bit {bit}");
        assert!(answers.iter().all(Result::is_err), "bit {bit}: {answers:?}");
        damaged.pop();
        damaged[bit / 8] ^= 1 << (bit % 8);
    };
    let mut damaged = whole.clone();
    for bit in 0..whole.len() * 8 {
        refused(&mut damaged, 32, bit);
    }
    assert_eq!(damaged, whole);
    // A large frame: every 9,973rd bit of it.
    let mut large = judge(8, &pixels(224));
    for bit in (0..large.len() * 8).step_by(9973) {
        refused(&mut large, 224, bit);
    }
}

/// The CRC-32 of a message is blind to two flipped bits at the distance of its polynomial's order; the
/// frame's own checksum is not.
#[test]
fn bits_that_the_message_checksum_does_not_see_are_seen_in_a_frame() {
    const ORDER: usize = 65_534;
    let pixels = pixels(224);
    let whole = judge(8, &pixels);
    let mut fields = whole[..whole.len() - 1].to_vec();
    let fields = read(&mut fields).unwrap().to_vec();
    let mut body = [&fields[..], &CRC.checksum(&fields).to_le_bytes()].concat();
    let mut session = judging(224);
    for (number, first) in [100 * 8, 80_000 * 8 + 3, 84_000 * 8 + 7]
        .into_iter()
        .enumerate()
    {
        for bit in [first, first + ORDER] {
            body[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(
            checked(&body).is_some(),
            "bit {first} is seen by the CRC-32"
        );
        let mut wire = vec![0; body.len() * 2];
        let len = cobs::encode(&body, &mut wire);
        wire.truncate(len);
        wire.push(DELIMITER);
        let answers = answers_of(&mut session, &wire, Some(&network(224)));
        assert_eq!(answers, [Err(Refusal::Damaged)], "{number}");
        for bit in [first, first + ORDER] {
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }
    // Its number counts as well: a frame that was kept does not pass for the next one.
    let kept = sent(&Request::Judge {
        number: 8,
        checksum: frame_checksum(7, &pixels),
        pixels: &pixels,
    });
    let answers = answers_of(&mut session, &kept, Some(&network(224)));
    assert_eq!(answers, [Err(Refusal::Damaged)]);
    assert_eq!(
        answers_of(&mut session, &whole, Some(&network(224))),
        [Ok(8)]
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
