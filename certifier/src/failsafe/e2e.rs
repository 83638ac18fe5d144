//! End-to-end protection of messages, as in AUTOSAR's E2E Profile 4: length, counter, data id and a
//! CRC over all of it.
//!
//! The header of twelve bytes comes first (an offset of 0), big end first: length of the whole message
//! (16 bits), counter (16), data id (32), CRC (32). The CRC is CRC-32/AUTOSAR, called CRC-32/P4 there,
//! over everything but itself.

use core::fmt;

use crc::{CRC_32_AUTOSAR, Crc, NoTable};

use super::output::{MESSAGE_LEN, Output, PAYLOAD_LEN};

/// Bit by bit: twenty bytes a cycle are no reason for a table.
const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_AUTOSAR);

/// Bytes of the header.
pub const HEADER_LEN: usize = 12;
/// Bytes of the longest message that the profile protects.
pub const MAX_LEN: usize = 4096;
/// By how much a counter can have moved on; what seems to be further on is behind.
const AHEAD: u16 = u16::MAX / 2;
/// Messages in sequence after which a [`Receiver`] follows a counter that has jumped; they themselves are not usable.
pub const RESYNCHRONISE: u8 = 8;

/// A message that the profile does not protect: shorter than its header, or longer than
/// [`MAX_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MessageLength {
    /// Its length in bytes.
    pub found: usize,
}

impl fmt::Display for MessageLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a message of {} bytes cannot be protected: it must have from {HEADER_LEN} to {MAX_LEN}",
            self.found
        )
    }
}

impl core::error::Error for MessageLength {}

/// The sending end.
#[derive(Clone, Debug)]
pub struct Sender {
    data_id: u32,
    counter: u16,
}

impl Sender {
    /// Its first message has the counter 0.
    pub const fn new(data_id: u32) -> Self {
        Self {
            data_id,
            counter: 0,
        }
    }

    /// Fills in the header of `message`, whose first [`HEADER_LEN`] bytes are free for it.
    ///
    /// # Errors
    /// A message that is too short or too long. The counter does not move on then.
    pub fn protect(&mut self, message: &mut [u8]) -> Result<(), MessageLength> {
        let found = message.len();
        let length = u16::try_from(found)
            .ok()
            .filter(|_| found <= MAX_LEN)
            .ok_or(MessageLength { found })?;
        let (header, payload) = message
            .split_first_chunk_mut::<HEADER_LEN>()
            .ok_or(MessageLength { found })?;
        *header = header_of(length, self.counter, self.data_id, payload);
        self.counter = self.counter.wrapping_add(1);
        Ok(())
    }

    /// The message of an answer.
    pub fn send(&mut self, output: &Output) -> [u8; MESSAGE_LEN] {
        let payload = output.encode();
        let header = header_of(MESSAGE_LEN as u16, self.counter, self.data_id, &payload);
        self.counter = self.counter.wrapping_add(1);
        let mut message = [0; MESSAGE_LEN];
        let bytes = header.iter().chain(&payload);
        for (to, from) in message.iter_mut().zip(bytes) {
            *to = *from;
        }
        message
    }
}

fn header_of(length: u16, counter: u16, data_id: u32, payload: &[u8]) -> [u8; HEADER_LEN] {
    let [length_high, length_low] = length.to_be_bytes();
    let [counter_high, counter_low] = counter.to_be_bytes();
    let [a, b, c, d] = data_id.to_be_bytes();
    let head = [
        length_high,
        length_low,
        counter_high,
        counter_low,
        a,
        b,
        c,
        d,
    ];
    let mut digest = CRC.digest();
    digest.update(&head);
    digest.update(payload);
    let [w, x, y, z] = digest.finalize().to_be_bytes();
    [
        length_high,
        length_low,
        counter_high,
        counter_low,
        a,
        b,
        c,
        d,
        w,
        x,
        y,
        z,
    ]
}

/// What the receiving end makes of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Status {
    /// The next message, and it is sound.
    Ok,
    /// Sound, and some messages before it were lost, no more than allowed.
    OkSomeLost,
    /// Sound, but the counter has jumped: more were lost than allowed. Or it has gone back: the message is old.
    WrongSequence,
    /// Sound, but the counter stands still: the same message again.
    Repeated,
    /// Damaged, of another stream, or of another length.
    Error,
    /// No message came.
    NoNewData,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::OkSomeLost,
        Self::WrongSequence,
        Self::Repeated,
        Self::Error,
        Self::NoNewData,
    ];

    /// A short name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::OkSomeLost => "ok-some-lost",
            Self::WrongSequence => "wrong-sequence",
            Self::Repeated => "repeated",
            Self::Error => "error",
            Self::NoNewData => "no-new-data",
        }
    }

    /// Whether the message may be used.
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::OkSomeLost)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The receiving end.
///
/// Beyond the profile, whose counter follows every sound message: here one that is out of sequence changes nothing, so that of a run of
/// old messages none is usable, and the next new one is. Where more new ones were lost than allowed, [`RESYNCHRONISE`] of them in sequence,
/// and none of the stream before among them, make the counter follow.
#[derive(Clone, Debug)]
pub struct Receiver {
    data_id: u32,
    max_delta: u16,
    /// Of the newest message in sequence; none before the first.
    counter: Option<u16>,
    /// A stream that may be followed: counter of its newest message, and how many came in sequence.
    other: Option<(u16, u8)>,
}

impl Receiver {
    /// Allows the counter to move on by `max_delta` at most; 1 allows no loss. A `max_delta` of 0
    /// counts as 1, and one above 32,767 as that: of a counter that wraps, the other half of the range is behind.
    ///
    /// It waits for the counter 0, or for a stream that has begun before.
    pub const fn new(data_id: u32, max_delta: u16) -> Self {
        Self {
            data_id,
            max_delta: match max_delta {
                0 => 1,
                1..=AHEAD => max_delta,
                _ => AHEAD,
            },
            counter: None,
            other: None,
        }
    }

    /// Waits for the counter 0 again, as at first. To be called where the sender is known to have begun anew, or where nothing came for
    /// so long that the counter may have moved on by 32,768 or more: such messages cannot be told from old ones, and are out of sequence
    /// until they have counted past the last one before.
    pub const fn restart(&mut self) {
        self.counter = None;
        self.other = None;
    }

    /// The check of one cycle: of the message that came, header and all, or of none.
    pub fn check(&mut self, message: Option<&[u8]>) -> Status {
        let Some(message) = message else {
            return Status::NoNewData;
        };
        let Some(counter) = self.sound(message) else {
            return Status::Error;
        };
        let delta = counter.wrapping_sub(self.counter.unwrap_or(u16::MAX));
        if delta == 0 && self.counter.is_some() {
            self.other = None;
            return Status::Repeated;
        }
        if (1..=self.max_delta).contains(&delta) {
            self.counter = Some(counter);
            self.other = None;
            return match delta {
                1 => Status::Ok,
                _ => Status::OkSomeLost,
            };
        }
        self.consider(counter, self.counter.is_none() || delta <= AHEAD);
        Status::WrongSequence
    }

    /// A sound message out of sequence: follows its stream once enough of it has come. An old one, not `ahead`, begins none.
    fn consider(&mut self, counter: u16, ahead: bool) {
        let in_sequence = match self.other {
            Some((last, count)) if (1..=self.max_delta).contains(&counter.wrapping_sub(last)) => {
                count.saturating_add(1)
            }
            _ if ahead => 1,
            _ => return,
        };
        self.other = Some((counter, in_sequence));
        if in_sequence >= RESYNCHRONISE {
            self.counter = Some(counter);
            self.other = None;
        }
    }

    /// The check of a message of [`Sender::send`], with its answer where the message may be used. Bytes
    /// that are no answer are an error, and so is a message of another length.
    pub fn receive(&mut self, message: Option<&[u8]>) -> (Status, Option<Output>) {
        let payload = message.and_then(|message| message.get(HEADER_LEN..));
        let payload: Option<&[u8; PAYLOAD_LEN]> =
            payload.and_then(|payload| payload.try_into().ok());
        if message.is_some() && payload.is_none() {
            return (Status::Error, None);
        }
        let status = self.check(message);
        if !status.is_usable() {
            return (status, None);
        }
        match payload.and_then(Output::decode) {
            Some(output) => (status, Some(output)),
            None => (Status::Error, None),
        }
    }

    /// The counter, where length, data id and CRC are right.
    fn sound(&self, message: &[u8]) -> Option<u16> {
        let (header, payload) = message.split_first_chunk::<HEADER_LEN>()?;
        let length = u16::try_from(message.len())
            .ok()
            .filter(|_| message.len() <= MAX_LEN)?;
        let [_, _, high, low, ..] = *header;
        let counter = u16::from_be_bytes([high, low]);
        // What the header must be, down to the last bit.
        (*header == header_of(length, counter, self.data_id, payload)).then_some(counter)
    }
}
