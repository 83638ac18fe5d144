//! What is looked at before a forward pass: the picture, and the model in memory.

use crate::frame::{DataId, Frame, Payload, Scores, checksum};
use crate::outcome::Reason;

/// Whether pictures come from the camera as it sealed them, and change.
///
/// A picture is a [`Frame`] whose values are pixels, sealed by the camera. No sensor gives the same
/// picture twice, down to the last bit of its noise: one that comes again is a frozen one, whatever its
/// counter says. Cameras write into several buffers in turn, and one that has stopped shows these again and again: so
/// the last [`PictureGuard::REMEMBERED`] pictures are compared.
#[derive(Clone, Debug)]
pub struct PictureGuard {
    id: DataId,
    /// Checksums of the last pictures, the newest first.
    last: [Option<u64>; PictureGuard::REMEMBERED],
}

impl PictureGuard {
    /// Pictures that are remembered, hence buffers that a camera may write in turn.
    pub const REMEMBERED: usize = 4;

    /// For the camera of this stream.
    pub const fn new(id: DataId) -> Self {
        Self {
            id,
            last: [None; Self::REMEMBERED],
        }
    }

    /// Judges a picture. Only a whole one is remembered.
    ///
    /// # Errors
    /// [`Reason::Corrupt`] where the seal does not fit: flipped bits, or a torn picture.
    /// [`Reason::Frozen`] where the pixels are those of one of the last [`Self::REMEMBERED`] pictures.
    pub fn check<P: Payload>(&mut self, picture: &Frame<P>) -> Result<(), Reason> {
        picture.check(self.id)?;
        let content = checksum(picture.scores());
        let known = self.last.contains(&Some(content));
        self.last.rotate_right(1);
        if let Some(newest) = self.last.first_mut() {
            *newest = Some(content);
        }
        if known {
            return Err(Reason::Frozen { content });
        }
        Ok(())
    }
}

/// An answer that is known: what this engine gave for one picture when it was made and checked.
///
/// The same engine gives the same bits again. Where it does not, its weights have changed, or it
/// computes otherwise. Weights that this one picture does not make use of are not seen.
#[derive(Clone, Copy, Debug)]
pub struct KnownAnswer {
    expected: u64,
}

impl KnownAnswer {
    /// Remembers an answer.
    pub fn new(logits: Scores<'_>) -> Self {
        Self {
            expected: checksum(logits),
        }
    }

    /// Compares the answer of today.
    ///
    /// # Errors
    /// [`Reason::Model`] where a bit differs (and the checksum shows it, as all but one in 2^64).
    pub fn check(&self, logits: Scores<'_>) -> Result<(), Reason> {
        if checksum(logits) == self.expected {
            Ok(())
        } else {
            Err(Reason::Model)
        }
    }
}
