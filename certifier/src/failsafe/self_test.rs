//! Known answers, before anything is relied on.

use crate::certifier::Certifier;
use crate::geometry::{Axis, Geometry};
use crate::patch::PatchSize;
use crate::score_map::ScoreMap;
use crate::shape::Shape;
use crate::verdict::Condition;

use super::e2e::{HEADER_LEN, Receiver, Sender, Status};

/// How a self-test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SelfTest {
    /// As it should.
    Passed,
    /// Otherwise.
    Failed,
}

const SIDE: usize = 4;
const SHAPE: Shape = match Shape::new(2, SIDE, SIDE) {
    Ok(shape) => shape,
    // Only at compile time.
    Err(_) => unreachable!(),
};

/// Known answers of the certifier and of the messages: a map that is certified by one vote, the same
/// map with one vote less, which is not, and AUTOSAR's published message. Half a kilobyte of stack.
pub fn self_test() -> SelfTest {
    // Each of the four cells under a 2x2 patch is worth two votes: 9 of class 0 hold, 8 do not.
    let holds = slack(9) == Some(1) && slack(8) == Some(0) && message();
    if holds {
        SelfTest::Passed
    } else {
        SelfTest::Failed
    }
}

/// The slack of a map where the first `votes` cells vote for class 0, and none for class 1.
fn slack(votes: usize) -> Option<i64> {
    let mut scores = [0; SHAPE.score_len()];
    let mut table = [0; SHAPE.table_len()];
    let axis = Axis::new(SIDE as u32, SIDE as u32, 1, 0, 0).ok()?;
    let geometry = Geometry { x: axis, y: axis };
    let score = |class: usize, y: usize, x: usize| {
        class == 0 && y.saturating_mul(SIDE).saturating_add(x) < votes
    };
    let map = ScoreMap::from_scores(SHAPE, score, &mut scores).ok()?;
    let certifier = Certifier::new(&map, &geometry, &mut table).ok()?;
    let patch = PatchSize::new(2, 2).ok()?;
    let verdict = certifier.certify(patch, Condition::SumWindow32).ok()?;
    (verdict.certified == (verdict.slack > 0)).then_some(verdict.slack)
}

/// The example of AUTOSAR's specification of the profile, and the same with one bit flipped.
fn message() -> bool {
    const ID: u32 = 0x0A0B_0C0D;
    const PUBLISHED: [u8; HEADER_LEN + 4] = [
        0x00, 0x10, 0x00, 0x00, 0x0A, 0x0B, 0x0C, 0x0D, 0x86, 0x2B, 0x05, 0x56, 0, 0, 0, 0,
    ];
    let mut message = [0; HEADER_LEN + 4];
    let protected = Sender::new(ID).protect(&mut message).is_ok() && message == PUBLISHED;
    let mut damaged = PUBLISHED;
    if let Some(byte) = damaged.last_mut() {
        *byte = 1;
    }
    let mut receiver = Receiver::new(ID, 1);
    protected
        && receiver.check(Some(&damaged)) == Status::Error
        && receiver.check(Some(&PUBLISHED)) == Status::Ok
}
