//! Teachers of any architecture, which answer for whole images.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::{onnx::Onnx, script::Script};
use crate::{checkpoint::Header, import::is_exported, run::TrainError};

/// A network that takes images N x C x H x W in [0, 1] and answers with logits N x classes, of which a softmax makes
/// chances.
pub(super) struct Whole {
    answers: Answers,
    path: PathBuf,
}

enum Answers {
    Script(Script),
    Onnx(Onnx),
}

impl Whole {
    /// Loads that at `path`, and asks it once, to learn whether it fits images and classes of `header`.
    ///
    /// # Errors
    /// What it is that does not fit.
    pub(super) fn open(path: &Path, header: &Header, device: Device) -> Result<Self, String> {
        let (channels, side) = (header.normalisation.len(), header.image_size);
        let answers = if is_exported(path) {
            let side = side as usize;
            Answers::Onnx(Onnx::open(path, [channels, side, side])?)
        } else {
            Answers::Script(Script::open(path, device)?)
        };
        let whole = Self {
            answers,
            path: path.to_owned(),
        };
        whole.fit(channels as i64, i64::from(side), &header.classes, device)?;
        Ok(whole)
    }

    /// Fails where it makes no logits of those classes of images of so many channels and pixels a side.
    fn fit(
        &self,
        channels: i64,
        side: i64,
        classes: &[String],
        device: Device,
    ) -> Result<(), String> {
        // Two images: a batch of one may come back as a row alone.
        let size = [2, channels, side, side];
        let images = Tensor::rand(size, (Kind::Float, device));
        let answer = self.answer(&images);
        let logits =
            answer.map_err(|error| format!("of images {size:?} it makes nothing: {error}"))?;
        let wanted = [2, classes.len() as i64];
        if logits.size() != wanted {
            return Err(format!(
                "of images {size:?} it makes {:?}, not the logits {wanted:?} of the data set's classes {classes:?}",
                logits.size()
            ));
        }
        if logits.isfinite().all().int64_value(&[]) == 0 {
            return Err("its logits are no finite numbers".to_owned());
        }
        Ok(())
    }

    fn answer(&self, images: &Tensor) -> Result<Tensor, String> {
        let images = images.to_kind(Kind::Float);
        match &self.answers {
            Answers::Script(script) => script.ask(&images),
            Answers::Onnx(onnx) => onnx.ask(&images),
        }
    }

    /// Logits N x classes of `images`.
    ///
    /// # Errors
    /// Names the teacher that failed.
    pub(super) fn ask(&self, images: &Tensor) -> Result<Tensor, TrainError> {
        let answer = self.answer(images);
        answer.map_err(|reason| TrainError::teacher(&self.path, reason))
    }
}
