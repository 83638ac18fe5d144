//! A target's side of the line: sessions, requests in order, and what each is answered.
//!
//! One for all targets: the firmware, which certifies score maps, and a computer that runs the
//! network too.

use bagcert_certifier::{Fault, Verdict};

use crate::packed::{Job, Layout};
use crate::wire::{self, Answer, Network, Refusal, Reply, Request};

/// What a target can do.
pub trait Target {
    /// What [`Target::ticks`] counts.
    const TICKS_PER_SECOND: u32;

    /// A counter that goes on by itself, and wraps around.
    fn ticks(&mut self) -> u32;

    /// Whether there is memory for maps of this layout.
    fn fits(&self, layout: &Layout) -> bool;

    /// Works out a certificate for a map of a layout that fits.
    ///
    /// # Errors
    /// The certifier's.
    fn certify(&mut self, layout: &Layout, map: &[u8], job: Job) -> Result<Verdict, Fault>;

    /// The network that runs here, if one does.
    fn network(&self) -> Option<Network> {
        None
    }

    /// Runs the network on a frame of its size, and certifies what it says.
    ///
    /// # Errors
    /// Where there is no verdict.
    fn judge(&mut self, _pixels: &[u8]) -> Result<Judged, Refusal> {
        Err(Refusal::NoNetwork)
    }
}

/// A verdict on a frame, and the ticks that it took.
#[derive(Clone, Copy, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Ticks of the forward pass.
    pub forward: u32,
    /// Ticks to binarise the logits and to certify.
    pub certificate: u32,
}

/// What a target remembers from request to request.
#[derive(Default)]
pub struct Session {
    open: Option<Open>,
    last: u32,
}

/// What a session is about.
#[derive(Clone, Copy)]
enum Open {
    Maps(Layout),
    /// Frames, and the bytes of each.
    Frames(usize),
}

/// A request that a target is to answer.
#[derive(Clone, Copy, Debug)]
pub enum Accepted<'a> {
    /// Say that the session has begun.
    Begin {
        /// Number of the request.
        number: u32,
    },
    /// Work out a certificate.
    Certify {
        /// Number of the request.
        number: u32,
        /// Which one.
        job: Job,
        /// The session's layout.
        layout: Layout,
        /// The map, of the layout's length.
        map: &'a [u8],
    },
    /// Run the network, and certify.
    Judge {
        /// Number of the request.
        number: u32,
        /// The frame, of the network's length.
        pixels: &'a [u8],
    },
}

impl Session {
    /// Takes a message, as an [`Inbox`](wire::Inbox) gives it; `fits` says whether there is memory for
    /// a layout, `network` what runs here.
    ///
    /// # Errors
    /// The request's number, where there is one, and why it is refused. After a jump the session
    /// goes on from the number that came.
    pub fn accept<'a>(
        &mut self,
        message: &'a mut [u8],
        fits: impl FnOnce(&Layout) -> bool,
        network: Option<&Network>,
    ) -> Result<Accepted<'a>, (Option<u32>, Refusal)> {
        let fields = wire::read(message).ok_or((None, Refusal::Damaged))?;
        let request = postcard::from_bytes(fields).map_err(|_| (None, Refusal::Malformed))?;
        match request {
            Request::Begin { number, layout } => {
                let layout = Layout::from_bytes(layout).ok().filter(fits);
                self.begin(number, layout.map(Open::Maps).ok_or(Refusal::Layout))
            }
            Request::BeginFrames {
                number,
                network: asked,
            } => {
                let network = network.ok_or(Refusal::NoNetwork);
                let open = network.and_then(|network| {
                    network.check(&asked)?;
                    Ok(Open::Frames(network.frame_len()))
                });
                self.begin(number, open)
            }
            Request::Certify { number, job, map } => {
                let refused = |reason| (Some(number), reason);
                let Some(Open::Maps(layout)) = self.open else {
                    return Err(refused(Refusal::NoSession));
                };
                self.next(number).map_err(refused)?;
                let job = Job::ALL.get(usize::from(job)).copied();
                let job = job.ok_or(refused(Refusal::Malformed))?;
                if map.len() != layout.map_len() {
                    return Err(refused(Refusal::Malformed));
                }
                Ok(Accepted::Certify {
                    number,
                    job,
                    layout,
                    map,
                })
            }
            Request::Judge {
                number,
                checksum,
                pixels,
            } => {
                let Some(Open::Frames(len)) = self.open else {
                    return Err((Some(number), Refusal::NoSession));
                };
                // Before its number is believed.
                if wire::frame_checksum(number, pixels) != checksum {
                    return Err((None, Refusal::Damaged));
                }
                let refused = |reason| (Some(number), reason);
                self.next(number).map_err(refused)?;
                if pixels.len() != len {
                    return Err(refused(Refusal::Malformed));
                }
                Ok(Accepted::Judge { number, pixels })
            }
        }
    }

    fn begin<'a>(
        &mut self,
        number: u32,
        open: Result<Open, Refusal>,
    ) -> Result<Accepted<'a>, (Option<u32>, Refusal)> {
        // An old session must not go on where a new one was meant.
        self.open = None;
        self.open = Some(open.map_err(|reason| (Some(number), reason))?);
        self.last = number;
        Ok(Accepted::Begin { number })
    }

    /// Takes a request's number, which must be the next one.
    fn next(&mut self, number: u32) -> Result<(), Refusal> {
        // Numbers wrap around: what lies less than half their range ahead is ahead.
        let ahead = number.wrapping_sub(self.last);
        let order = match ahead {
            0 => Err(Refusal::Repeated),
            1 => Ok(()),
            _ if ahead > u32::MAX / 2 => Err(Refusal::Backwards),
            _ => Err(Refusal::Jump),
        };
        if !matches!(order, Err(Refusal::Backwards)) {
            self.last = number;
        }
        order
    }

    /// Has `target` answer a message, as an [`Inbox`](wire::Inbox) gives it, whose last byte came at
    /// `start` on the target's counter.
    pub fn answer<T: Target>(
        &mut self,
        target: &mut T,
        message: Result<&mut [u8], Refusal>,
        start: u32,
    ) -> Reply {
        let network = target.network();
        let accepted = message
            .map_err(|reason| (None, reason))
            .and_then(|message| {
                self.accept(message, |layout| target.fits(layout), network.as_ref())
            });
        let refused = |number, reason| Reply::Refused { number, reason };
        match accepted {
            Ok(Accepted::Begin { number }) => Reply::Ready {
                number,
                ticks_per_second: T::TICKS_PER_SECOND,
            },
            Ok(Accepted::Certify {
                number,
                job,
                layout,
                map,
            }) => match target.certify(&layout, map, job) {
                Ok(verdict) => Reply::Verdict {
                    number,
                    ticks: target.ticks().wrapping_sub(start),
                    verdict: Answer::new(&verdict),
                },
                Err(fault) => refused(Some(number), Refusal::from(fault)),
            },
            Ok(Accepted::Judge { number, pixels }) => match target.judge(pixels) {
                Ok(judged) => Reply::Judged {
                    number,
                    ticks: target.ticks().wrapping_sub(start),
                    forward: judged.forward,
                    certificate: judged.certificate,
                    verdict: Answer::new(&judged.verdict),
                },
                Err(reason) => refused(Some(number), reason),
            },
            Err((number, reason)) => refused(number, reason),
        }
    }
}
