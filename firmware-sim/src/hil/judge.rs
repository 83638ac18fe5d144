//! The model that frames are for, loaded as `bagcert certify` loads it, and what it says of a frame.
//! Harness and target each have one.

use std::path::Path;

use anyhow::{Context, Result};
use bagcert::frames::{Picture, Size};
use bagcert::integrity::LoadedModel;
use bagcert::pipeline::{Outcome, Pipeline, Query};
use bagcert::with_causes;
use bagcert_certifier::{Condition, PatchSize, Shape};
use bagcert_firmware_sim::wire::Network;

use crate::model::Trust;
use crate::stop::Stop;

pub(crate) struct Judge {
    loaded: LoadedModel,
    pipeline: Pipeline,
    query: Query,
    network: Network,
}

/// What is certified of every frame.
#[derive(Clone, Copy)]
pub(crate) struct Question {
    pub(crate) patch: PatchSize,
    pub(crate) condition: Condition,
    /// Asked for by double masking.
    pub(crate) lead: u32,
}

impl Judge {
    /// Loads a model, which has answered its golden frames then.
    pub(crate) fn load(
        path: &Path,
        trust: &Trust,
        Question {
            patch,
            condition,
            lead,
        }: Question,
    ) -> Result<Judge, Stop> {
        if lead > 0 && condition != Condition::DoubleMask {
            return Err(Stop::Usage(format!(
                "--lead {lead}: condition {condition} asks for none; leave it out, or use --condition double-mask"
            )));
        }
        let refused = |error: &dyn std::error::Error| Stop::Refused(with_causes(error));
        let loaded = trust.load(path)?;
        let model = loaded.admitted();
        let Size { width, height } = model.image_size();
        if model.input().channels != 3 {
            return Err(Stop::Refused(format!(
                "{}: its frames have {} channels, and a line carries red, green and blue",
                path.display(),
                model.input().channels
            )));
        }
        if patch.width() > width || patch.height() > height {
            return Err(Stop::Usage(format!(
                "--patch {patch} does not fit the model's image of {width}x{height} pixels"
            )));
        }
        let hash = from_hexadecimal(&loaded.fingerprint().sha256);
        let hash = hash.context("the model's SHA-256 is none")?;
        let query = Query {
            patches: vec![patch],
            condition,
            mask_step: std::num::NonZeroU32::MIN,
            lead,
            largest_square: false,
            keep_scores: false,
        };
        Ok(Judge {
            pipeline: loaded.pipeline().map_err(|error| refused(&error))?,
            network: Network::new(hash, [width, height], patch, condition).with_lead(lead),
            query,
            loaded,
        })
    }

    pub(crate) fn network(&self) -> Network {
        self.network
    }

    /// The condition, and the lead where one is asked for.
    pub(crate) fn certificate(&self) -> String {
        match self.query.lead {
            0 => self.query.condition.to_string(),
            lead => format!("{}, lead {lead}", self.query.condition),
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.loaded.admitted().image_size()
    }

    pub(crate) fn shape(&self) -> Shape {
        self.loaded.admitted().shape()
    }

    pub(crate) fn class_names(&self) -> &[String] {
        self.loaded.admitted().class_names()
    }

    /// Runs the network on a frame of interleaved 8-bit RGB and certifies what it says.
    pub(crate) fn judge(&mut self, pixels: &[u8]) -> Result<Outcome> {
        let picture = Picture::from_rgb8(self.size(), pixels);
        let picture = picture.context("a frame of another size")?;
        Ok(self.pipeline.judge(picture.planes(), &self.query)?)
    }

    /// Processor, model and what is certified, in one line.
    pub(crate) fn describe(&self) -> String {
        let Network { size, patch, .. } = self.network;
        format!(
            "{}, model {}, frames of {}x{}, patch {}x{}, condition {}",
            std::env::consts::ARCH,
            self.loaded.fingerprint().sha256,
            size[0],
            size[1],
            patch[0],
            patch[1],
            self.certificate()
        )
    }
}

fn from_hexadecimal(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let pairs = digits.as_bytes().chunks(2);
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}
