//! What a run sends, and what this machine says of it: score maps of a file, or frames.

use std::path::Path;

use anyhow::{Context, Result, bail};
use bagcert::frames::{Frames, Picture};
use bagcert_certifier::Verdict;
use bagcert_firmware_sim::packed::{Job, Layout, checked};
use bagcert_firmware_sim::wire::{Answer, Request, frame_checksum};

use crate::args::Run;
use crate::judge::{Judge, Question};
use crate::port::message;
use crate::stop::Stop;

/// What is sent in one message, and the verdict that must come back.
pub(crate) struct Item {
    payload: Vec<u8>,
    pub(crate) expected: Verdict,
}

pub(crate) enum Source {
    Maps {
        layout: Layout,
        job: Job,
        maps: Vec<Item>,
    },
    Frames {
        judge: Box<Judge>,
        frames: Frames,
    },
}

impl Source {
    /// Reads the maps, or loads the model and lists the frames.
    pub(crate) fn open(args: &Run) -> Result<Source, Stop> {
        if let Some(path) = &args.maps {
            return Ok(read_maps(path, args.job)?);
        }
        let (Some(model), Some(patch)) = (&args.model, args.patch) else {
            return Err(Stop::Usage("--frames needs --model and --patch".to_owned()));
        };
        let question = Question {
            patch,
            condition: args.condition,
            lead: args.lead,
        };
        let judge = Box::new(Judge::load(model, &args.trust, question)?);
        let (frames, errors) = Frames::open(&args.frames, judge.size());
        if let Some(error) = errors.into_iter().next() {
            return Err(Stop::NoInput(error.to_string()));
        }
        if frames.is_empty() {
            return Err(Stop::NoInput("there is no frame to send".to_owned()));
        }
        Ok(Source::Frames { judge, frames })
    }

    /// How many maps or frames there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Source::Maps { maps, .. } => maps.len(),
            Source::Frames { frames, .. } => frames.len(),
        }
    }

    /// What a picture of the times is headed with.
    pub(crate) fn what(&self) -> String {
        match self {
            Source::Maps { job, .. } => job.name().to_owned(),
            Source::Frames { judge, .. } => format!("frames, {}", judge.certificate()),
        }
    }

    /// Map or frame `at`, taken round and round.
    pub(crate) fn item(&mut self, at: usize) -> Result<Item> {
        let at = at.checked_rem(self.len()).context("nothing to send")?;
        match self {
            Source::Maps { maps, .. } => {
                let Item { payload, expected } = maps.get(at).context("no map")?;
                Ok(Item {
                    payload: payload.clone(),
                    expected: *expected,
                })
            }
            Source::Frames { judge, frames } => {
                let frame = frames.load(at, judge.size(), judge.class_names())?;
                let payload = frame.picture.to_rgb8();
                // What the target gets must be the frame itself.
                if Picture::from_rgb8(judge.size(), &payload).as_ref() != Some(&frame.picture) {
                    bail!(
                        "{}: its samples have more than 8 bits, and a line carries 8",
                        frame.id
                    );
                }
                let outcome = judge.judge(&payload).with_context(|| frame.id.clone())?;
                let verdict = outcome.verdicts.first().context("no verdict")?;
                Ok(Item {
                    payload,
                    expected: *verdict,
                })
            }
        }
    }

    /// The message that begins a session.
    pub(crate) fn begin(&self, number: u32) -> Result<Vec<u8>> {
        match self {
            Source::Maps { layout, .. } => {
                let layout = &layout.to_bytes();
                message(&Request::Begin { number, layout }, layout.len())
            }
            Source::Frames { judge, .. } => {
                let network = judge.network();
                message(
                    &Request::BeginFrames { number, network },
                    size_of_val(&network),
                )
            }
        }
    }

    /// The message that asks for the verdict on an item.
    pub(crate) fn request(&self, number: u32, item: &Item) -> Result<Vec<u8>> {
        let payload = item.payload.as_slice();
        let request = match self {
            Source::Maps { job, .. } => {
                let job = Job::ALL.iter().position(|other| other == job);
                Request::Certify {
                    number,
                    job: u8::try_from(job.unwrap_or(0))?,
                    map: payload,
                }
            }
            Source::Frames { .. } => Request::Judge {
                number,
                checksum: frame_checksum(number, payload),
                pixels: payload,
            },
        };
        message(&request, payload.len())
    }

    /// Whether a target's answer is this machine's verdict, to the last field.
    pub(crate) fn agrees(&self, item: &Item, answer: &Answer) -> bool {
        let Verdict {
            patch, condition, ..
        } = item.expected;
        answer.verdict(patch, condition) == item.expected
    }
}

/// The maps of a file, and what this machine says of them.
fn read_maps(path: &Path, job: Job) -> Result<Source> {
    let name = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("could not read {name}"))?;
    let layout = Layout::from_bytes(&bytes).with_context(|| name.to_string())?;
    let mut scores = vec![0; layout.shape().score_len()];
    let mut table = vec![0; layout.table_len()];
    let mut maps = Vec::new();
    for record in bytes
        .get(Layout::LEN..)
        .unwrap_or_default()
        .chunks(layout.record_len())
    {
        let map = checked(record).with_context(|| format!("{name}: a map is damaged"))?;
        let expected = {
            let map = layout.unpack(map, &mut scores)?;
            job.run(&layout, &map, &mut table)?
        };
        maps.push(Item {
            payload: map.to_vec(),
            expected,
        });
    }
    if maps.is_empty() {
        bail!("{name} holds no map");
    }
    Ok(Source::Maps { layout, job, maps })
}
