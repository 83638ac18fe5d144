//! Teachers of any architecture, which answer for whole images.

use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::{onnx::Onnx, script::Script};
use crate::{checkpoint::Header, run::TrainError};

/// A network that takes images N x C x H x W in [0, 1] and answers with logits N x classes, of which a softmax makes
/// chances.
pub(super) struct Whole {
    answers: Answers,
    /// Names of the data set's.
    classes: Vec<String>,
    path: PathBuf,
}

/// What a file holds.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Script,
    Onnx,
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
    pub(super) fn open(
        path: &Path,
        format: Format,
        header: &Header,
        device: Device,
    ) -> Result<Self, String> {
        let (channels, side) = (header.normalisation.len(), header.image_size);
        let answers = match format {
            Format::Script => Answers::Script(Script::open(path, device)?),
            Format::Onnx => {
                Answers::Onnx(Onnx::open(path, [channels, side as usize, side as usize])?)
            }
        };
        let whole = Self {
            answers,
            classes: header.classes.clone(),
            path: path.to_owned(),
        };
        whole.fit(channels as i64, i64::from(side), device)?;
        Ok(whole)
    }

    /// Fails where it makes no logits of the classes of images of so many channels and pixels a side, each for itself.
    fn fit(&self, channels: i64, side: i64, device: Device) -> Result<(), String> {
        let images = Tensor::rand([3, channels, side, side], (Kind::Float, device));
        let logits = self.answer(&images)?;
        if logits.isfinite().all().int64_value(&[]) == 0 {
            return Err("its logits are no finite numbers".to_owned());
        }
        // A trace may have kept the size of its batch, or dropout as in training. Sums of other batches round otherwise.
        let two = self.answer(&images.narrow(0, 0, 2))?;
        let (first, again) = (logits.narrow(0, 0, 2), two);
        let scale = first.abs().max().double_value(&[]);
        if !first.allclose(&again, 0.0, 0.01 * scale, false) {
            return Err(
                "its answer to an image depends on the others of its batch, or on chance; trace it after .eval()"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Logits N x classes of `images`.
    fn answer(&self, images: &Tensor) -> Result<Tensor, String> {
        // Images that were cut out on the device lie in it with their channels last, which not every module takes.
        let images = images.to_kind(Kind::Float).contiguous();
        let answer = match &self.answers {
            Answers::Script(script) => script.ask(&images),
            Answers::Onnx(onnx) => onnx.ask(&images),
        };
        let size = images.size();
        let logits =
            answer.map_err(|error| format!("of images {size:?} it makes nothing: {error}"))?;
        let wanted = [
            size.first().copied().unwrap_or_default(),
            self.classes.len() as i64,
        ];
        if logits.size() != wanted {
            return Err(format!(
                "of images {size:?} it makes {:?}, not the logits {wanted:?} of the data set's classes {:?}",
                logits.size(),
                self.classes
            ));
        }
        Ok(logits)
    }

    /// Logits N x classes of `images`. Nothing waits for the device, but for an ONNX file.
    ///
    /// # Errors
    /// Names the teacher that failed.
    pub(super) fn ask(&self, images: &Tensor) -> Result<Tensor, TrainError> {
        let answer = self.answer(images);
        answer.map_err(|reason| TrainError::teacher(&self.path, reason))
    }
}
