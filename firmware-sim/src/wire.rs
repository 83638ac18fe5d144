//! Messages between a host and a target on a serial line.
//!
//! A message is its fields in postcard's form, a CRC-32/AUTOSAR over them, both stuffed by COBS so
//! that no byte is zero, and a zero as its end: after damage the next zero is a new beginning. Each
//! request has a number, one more than the last; what is damaged, repeated or out of order is
//! refused, never certified ([`session`](crate::session)).
//!
//! A frame has a checksum of its own, [`frame_checksum`]: the CRC-32 does not see two flipped bits
//! that lie 65,534 apart, and a frame of 53x53 pixels is longer than that.

use bagcert_certifier::{CellRect, Condition, Fault, PatchSize, Pixel, Span, Verdict};
use serde::{Deserialize, Serialize};

use crate::frame;
use crate::packed::{self, CHECKSUM_LEN, CRC};

/// Byte between two messages.
pub const DELIMITER: u8 = 0;

/// Bytes of the fields of a request without its map, at most.
const FIELDS_LEN: usize = 24;

/// Bytes of a message with `payload` bytes of map or layout, its delimiter included, at most.
pub const fn message_len(payload: usize) -> usize {
    let body = payload
        .saturating_add(FIELDS_LEN)
        .saturating_add(CHECKSUM_LEN);
    // COBS adds one byte in every 254, and one.
    body.saturating_add(body / 254).saturating_add(3)
}

/// Bytes of the longest reply, its delimiter included.
pub const REPLY_LEN: usize = message_len(64);

/// What a host asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request<'a> {
    /// A new session: maps of this layout will come, the first with the next number.
    Begin {
        /// Number of this request.
        number: u32,
        /// [`Layout::to_bytes`](packed::Layout::to_bytes).
        layout: &'a [u8],
    },
    /// A certificate for one map.
    Certify {
        /// Number of this request.
        number: u32,
        /// Which certificate, a number of [`Job::ALL`](packed::Job::ALL).
        job: u8,
        /// The map, as [`Layout::pack`](packed::Layout::pack) makes it.
        map: &'a [u8],
    },
    /// A new session: frames for this network will come, the first with the next number.
    BeginFrames {
        /// Number of this request.
        number: u32,
        /// What the host takes the target to run.
        network: Network,
    },
    /// A certificate for what the network says of one frame.
    Judge {
        /// Number of this request.
        number: u32,
        /// [`frame_checksum`] of number and pixels.
        checksum: u64,
        /// The frame: row by row, red, green and blue of each pixel; a byte v stands for v / 255.
        pixels: &'a [u8],
    },
}

/// The network that a target runs, and what it certifies of each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// SHA-256 of the model's file.
    pub model: [u8; 32],
    /// Width and height of a frame, in pixels.
    pub size: [u32; 2],
    /// Width and height of the patch, in pixels.
    pub patch: [u32; 2],
    /// The condition, a number of [`Network::CONDITIONS`].
    pub condition: u8,
    /// The lead that double masking asks for, in votes; 0 elsewhere.
    pub lead: u32,
}

impl Network {
    /// The conditions, in the order of their numbers.
    pub const CONDITIONS: [Condition; 5] = [
        Condition::WorstCase31,
        Condition::SumWindow32,
        Condition::SumGlobal33,
        Condition::Mask,
        Condition::DoubleMask,
    ];

    /// Of a model's SHA-256 and frame size (width, height), with what is certified; no lead is asked for.
    pub fn new(model: [u8; 32], size: [u32; 2], patch: PatchSize, condition: Condition) -> Self {
        let mut conditions = (0..).zip(Self::CONDITIONS);
        let found = conditions.find(|(_, other)| *other == condition);
        Self {
            model,
            size,
            patch: [patch.width(), patch.height()],
            condition: found.map_or(u8::MAX, |(number, _)| number),
            lead: 0,
        }
    }

    /// The same, with a lead asked for.
    #[must_use]
    pub const fn with_lead(self, lead: u32) -> Self {
        Self { lead, ..self }
    }

    /// Bytes of one frame.
    pub fn frame_len(&self) -> usize {
        let [width, height] = (self.size).map(|side| usize::try_from(side).unwrap_or(usize::MAX));
        width.saturating_mul(height).saturating_mul(3)
    }

    /// Whether a session for `asked` is one for this network.
    ///
    /// # Errors
    /// What differs.
    pub fn check(&self, asked: &Self) -> Result<(), Refusal> {
        if (asked.model, asked.size) != (self.model, self.size) {
            return Err(Refusal::Model);
        }
        let question = |network: &Self| (network.patch, network.condition, network.lead);
        if question(asked) != question(self) {
            return Err(Refusal::Question);
        }
        Ok(())
    }
}

/// The checksum of a frame with the number of its request.
pub fn frame_checksum(number: u32, pixels: &[u8]) -> u64 {
    let mut digest = frame::CRC.digest();
    digest.update(&number.to_le_bytes());
    digest.update(pixels);
    digest.finalize()
}

/// What a target answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The session has begun.
    Ready {
        /// Number of the request.
        number: u32,
        /// What the times of the verdicts count.
        ticks_per_second: u32,
    },
    /// A verdict.
    Verdict {
        /// Number of the request.
        number: u32,
        /// Ticks from the request's last byte to the verdict.
        ticks: u32,
        /// The verdict.
        verdict: Answer,
    },
    /// No verdict.
    Refused {
        /// Number of the request, where it could be read.
        number: Option<u32>,
        /// Why.
        reason: Refusal,
    },
    /// A verdict on a frame.
    Judged {
        /// Number of the request.
        number: u32,
        /// Ticks from the request's last byte to the verdict.
        ticks: u32,
        /// Ticks of the forward pass among them.
        forward: u32,
        /// Ticks to binarise the logits and to certify, among them.
        certificate: u32,
        /// The verdict.
        verdict: Answer,
    },
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refusal {
    /// It is not a message, or its checksum does not fit.
    Damaged,
    /// It is longer than any request.
    TooLong,
    /// It is a message, but no request.
    Malformed,
    /// Its layout is none, or needs more memory than the target has.
    Layout,
    /// No session has begun.
    NoSession,
    /// It has the number of the request before.
    Repeated,
    /// Its number is lower than that of the request before.
    Backwards,
    /// Requests before it are missing.
    Jump,
    /// The engine or the certifier reached no verdict.
    Fault,
    /// The target runs no network.
    NoNetwork,
    /// It runs another model, or one for frames of another size.
    Model,
    /// It certifies against another patch, or under another condition.
    Question,
}

impl Refusal {
    /// A short name, for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::TooLong => "too-long",
            Self::Malformed => "malformed",
            Self::Layout => "layout",
            Self::NoSession => "no-session",
            Self::Repeated => "repeated",
            Self::Backwards => "backwards",
            Self::Jump => "jump",
            Self::Fault => "fault",
            Self::NoNetwork => "no-network",
            Self::Model => "model",
            Self::Question => "question",
        }
    }
}

impl From<Fault> for Refusal {
    fn from(_: Fault) -> Self {
        Self::Fault
    }
}

/// A verdict as it is sent: all of it but the patch and the condition, which the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    predicted: u32,
    certified: bool,
    slack: i64,
    rival: u32,
    worst: [u32; 2],
    second: Option<[u32; 4]>,
}

impl Answer {
    /// From a verdict.
    pub fn new(verdict: &Verdict) -> Self {
        let class = |class: usize| u32::try_from(class).unwrap_or(u32::MAX);
        Self {
            predicted: class(verdict.predicted),
            certified: verdict.certified,
            slack: verdict.slack,
            rival: class(verdict.rival),
            worst: [verdict.worst.x, verdict.worst.y],
            second: (verdict.second).map(|CellRect { x, y }| [x.first, x.last, y.first, y.last]),
        }
    }

    /// Whether the target says that no patch can change the prediction.
    pub fn certified(&self) -> bool {
        self.certified
    }

    /// The verdict, for the patch and condition that were asked for.
    pub fn verdict(&self, patch: PatchSize, condition: Condition) -> Verdict {
        let class = |class: u32| usize::try_from(class).unwrap_or(usize::MAX);
        let [x, y] = self.worst;
        Verdict {
            predicted: class(self.predicted),
            certified: self.certified,
            slack: self.slack,
            rival: class(self.rival),
            worst: Pixel { x, y },
            second: self.second.map(|[x, x_end, y, y_end]| CellRect {
                x: Span {
                    first: x,
                    last: x_end,
                },
                y: Span {
                    first: y,
                    last: y_end,
                },
            }),
            patch,
            condition,
        }
    }
}

/// A message in `wire`, ready to be sent, its delimiter included. `None` where it does not fit;
/// `scratch` must have room for it too.
pub fn write<'w>(
    message: &impl Serialize,
    scratch: &mut [u8],
    wire: &'w mut [u8],
) -> Option<&'w [u8]> {
    let body = postcard::to_slice(message, scratch).ok()?.len();
    let checksum = CRC.checksum(scratch.get(..body)?).to_le_bytes();
    let end = body.checked_add(CHECKSUM_LEN)?;
    scratch.get_mut(body..end)?.copy_from_slice(&checksum);
    let stuffed = cobs::try_encode(scratch.get(..end)?, wire).ok()?;
    *wire.get_mut(stuffed)? = DELIMITER;
    wire.get(..stuffed.checked_add(1)?)
}

/// The fields of a message without its delimiter; `None` where it is damaged.
pub fn read(wire: &mut [u8]) -> Option<&[u8]> {
    let len = unstuff(wire)?;
    packed::checked(wire.get(..len)?)
}

/// Undoes COBS in place; `None` where it is none. (That of the crate `cobs` holds indices whose checks
/// no compiler drops, and a panic with them; what comes over the line must not get near one.)
fn unstuff(wire: &mut [u8]) -> Option<usize> {
    let (mut from, mut to) = (0usize, 0usize);
    while let Some(code) = wire.get(from).copied() {
        if code == DELIMITER {
            return None;
        }
        for _ in 1..code {
            from = from.checked_add(1)?;
            let byte = *wire.get(from)?;
            *wire.get_mut(to)? = byte;
            to = to.checked_add(1)?;
        }
        from = from.checked_add(1)?;
        // A zero was here, but for the end of the message and of a block of the longest length.
        if code != u8::MAX && from < wire.len() {
            *wire.get_mut(to)? = 0;
            to = to.checked_add(1)?;
        }
    }
    Some(to)
}

/// Collects the bytes of a message.
pub struct Inbox<B> {
    memory: B,
    len: usize,
    overrun: bool,
}

impl<B: AsMut<[u8]>> Inbox<B> {
    /// In memory of [`message_len`] bytes for what is to be received.
    pub const fn new(memory: B) -> Self {
        Self {
            memory,
            len: 0,
            overrun: false,
        }
    }

    /// Takes a byte; at its end gives the message without its delimiter, or `Err` where it was too
    /// long. An empty message is none.
    pub fn push(&mut self, byte: u8) -> Option<Result<&mut [u8], Refusal>> {
        if byte != DELIMITER {
            match self.memory.as_mut().get_mut(self.len) {
                Some(place) => {
                    *place = byte;
                    self.len = self.len.saturating_add(1);
                }
                None => self.overrun = true,
            }
            return None;
        }
        let (len, overrun) = (self.len, self.overrun);
        (self.len, self.overrun) = (0, false);
        if overrun {
            return Some(Err(Refusal::TooLong));
        }
        if len == 0 {
            return None;
        }
        Some(self.memory.as_mut().get_mut(..len).ok_or(Refusal::TooLong))
    }
}
