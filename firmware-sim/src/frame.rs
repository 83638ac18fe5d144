//! Frames on their way from the capture stage to the certifying stage: a counter, a time, region
//! scores, and a seal over all of them.

use core::time::Duration;

use crc::{CRC_64_XZ, Crc, Table};

use crate::outcome::Reason;

/// CRC-64/XZ, that of AUTOSAR's E2E Profile 7, byte by byte: the crate's loop over sixteen bytes a step
/// keeps a check of an index, hence a panic, in the firmware.
///
/// It sees every change confined to 64 neighbouring bits, and every one of up to three bits in less than 8,589,606,850; of
/// other changes it misses one in about 2^64. A CRC of 32 bits would not do: scores and pictures are longer than
/// its order, and it does not see two flipped bits that lie that far apart.
pub(crate) const CRC: Crc<u64, Table<1>> = Crc::<u64, Table<1>>::new(&CRC_64_XZ);

/// Logits that are handed to the CRC at once.
const BLOCK: usize = 16;

/// Names the stream that a frame belongs to. It is part of the seal but not sent: a frame of
/// another stream does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DataId(pub u32);

/// What the capture stage knows of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// Alive counter: one more for every frame that the camera takes, wrapping at 2^32.
    pub counter: u32,
    /// When the frame was taken, on the clock that the cycles run on.
    pub captured: Duration,
}

/// Region scores as they come: classes x height x width, row-major, class slowest.
#[derive(Clone, Copy, Debug)]
pub enum Scores<'a> {
    /// Logits before the Heaviside step.
    Logits(&'a [f32]),
    /// A ready score map, one byte a score: 0 or 1, all else is a fault.
    Binary(&'a [u8]),
}

/// What a frame carries, wherever it is kept.
pub trait Payload {
    /// The region scores.
    fn scores(&self) -> Scores<'_>;
}

impl Payload for &[f32] {
    fn scores(&self) -> Scores<'_> {
        Scores::Logits(self)
    }
}

impl<const N: usize> Payload for &mut [f32; N] {
    fn scores(&self) -> Scores<'_> {
        Scores::Logits(self.as_slice())
    }
}

impl<const N: usize> Payload for [f32; N] {
    fn scores(&self) -> Scores<'_> {
        Scores::Logits(self)
    }
}

/// A ready score map in some memory, one byte a score.
#[derive(Clone, Copy, Debug)]
pub struct Binary<B>(pub B);

impl<B: AsRef<[u8]>> Payload for Binary<B> {
    fn scores(&self) -> Scores<'_> {
        Scores::Binary(self.0.as_ref())
    }
}

/// A sealed frame.
#[derive(Clone, Debug)]
pub struct Frame<P> {
    header: Header,
    payload: P,
    seal: u64,
}

impl<P: Payload> Frame<P> {
    /// Seals scores as soon as they are there: what changes them later, or the header, shows.
    ///
    /// What changed them before does not show; that is the forward pass's to guard.
    pub fn seal(id: DataId, header: Header, payload: P) -> Self {
        let seal = seal(id, header, payload.scores());
        Self {
            header,
            payload,
            seal,
        }
    }

    /// The region scores. Not to be trusted before the seal has been checked.
    pub fn scores(&self) -> Scores<'_> {
        self.payload.scores()
    }

    /// Whether header and scores are those that were sealed.
    pub(crate) fn check(&self, id: DataId) -> Result<(), Reason> {
        let computed = seal(id, self.header, self.payload.scores());
        if computed == self.seal {
            Ok(())
        } else {
            Err(Reason::Corrupt {
                sealed: self.seal,
                computed,
            })
        }
    }
}

impl<P> Frame<P> {
    /// Counter and time of capture. Not to be trusted before the seal has been checked.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Counter and time of capture, to be damaged by fault injection: the seal stays as it is.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// The scores, to be damaged by fault injection: the seal stays as it is.
    pub fn payload_mut(&mut self) -> &mut P {
        &mut self.payload
    }

    /// Gives the memory back.
    pub fn into_payload(self) -> P {
        self.payload
    }
}

fn seal(id: DataId, header: Header, scores: Scores<'_>) -> u64 {
    let mut digest = CRC.digest();
    digest.update(&id.0.to_le_bytes());
    digest.update(&header.counter.to_le_bytes());
    digest.update(&header.captured.as_secs().to_le_bytes());
    digest.update(&header.captured.subsec_nanos().to_le_bytes());
    cover(|bytes| digest.update(bytes), scores);
    digest.finalize()
}

/// The checksum of values alone, whatever frame they are of: the same for the same bits.
pub fn checksum(scores: Scores<'_>) -> u64 {
    let mut digest = CRC.digest();
    cover(|bytes| digest.update(bytes), scores);
    digest.finalize()
}

fn cover(mut update: impl FnMut(&[u8]), scores: Scores<'_>) {
    match scores {
        Scores::Logits(logits) => {
            update(&[0]);
            let (blocks, rest) = logits.as_chunks::<BLOCK>();
            for block in blocks {
                let bytes: [[u8; 4]; BLOCK] = block.map(f32::to_le_bytes);
                update(bytes.as_flattened());
            }
            for logit in rest {
                update(&logit.to_le_bytes());
            }
        }
        Scores::Binary(scores) => {
            update(&[1]);
            update(scores);
        }
    }
}
