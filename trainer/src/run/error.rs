//! Why a run stopped.

use std::path::{Path, PathBuf};

use bagcert_certifier::{GeometryError, PatchSize};
use thiserror::Error;

use crate::{
    checkpoint::CheckpointError, data::DataError, evaluate::EvaluationError, loss::WindowError,
};

/// Why a run stopped.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The images.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint or the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The network does not fit the images.
    #[error("the network does not fit its images: {0}")]
    Geometry(#[from] GeometryError),
    /// The patches to train against.
    #[error(transparent)]
    Windows(#[from] WindowError),
    /// A table `[distillation]` without a teacher.
    #[error("distillation.teacher names no teacher; leave the table out to train without")]
    NoTeacher,
    /// A temperature for teachers that all have votes.
    #[error(
        "distillation.temperature divides the logits of networks of other programs, and no teacher is one; leave it out"
    )]
    NoLogits,
    /// The teacher.
    #[error("distillation.teacher = {}: it cannot teach this network: {reason}", path.display())]
    Teacher {
        /// Its file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The checkpoint or exported model to begin with.
    #[error("training.initial = {}: a run cannot begin with it: {reason}", path.display())]
    Initial {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The validation.
    #[error("validation failed: {0}")]
    Evaluation(#[from] EvaluationError),
    /// An image to choose by, after an epoch that is kept all the same.
    #[error(
        "epoch {epoch} is trained and kept, but could not be measured: {source}. Put that right, and --resume measures \
         it and goes on"
    )]
    Unmeasured {
        /// The epoch, from 1.
        epoch: usize,
        /// What is wrong with the image.
        source: DataError,
    },
    /// The run's folder is in use.
    #[error("{} already holds a run; add --resume to go on with it, or give another folder", folder.display())]
    Occupied {
        /// The folder.
        folder: PathBuf,
    },
    /// A run of another configuration.
    #[error("{} was started with another configuration: {difference}; resume it with its own, {}", folder.display(), folder.join("config.toml").display())]
    OtherConfiguration {
        /// The folder.
        folder: PathBuf,
        /// Keys with their values, in words.
        difference: String,
    },
    /// A checkpoint of a run whose configuration is gone.
    #[error(
        "{} is not there, so that nothing says what the checkpoint beside it was trained by; put it back, or begin another run with its \
         weights by training.initial = {:?}", folder.join("config.toml").display(), folder.join(super::CHECKPOINT)
    )]
    NoConfiguration {
        /// The folder.
        folder: PathBuf,
    },
    /// A network that no export could hold.
    #[error(
        "network.width and what else [network] has make {parameters} parameters; an exported model holds at most {}: use a smaller \
         network",
        super::MAX_PARAMETERS
    )]
    TooLarge {
        /// What the network would have.
        parameters: i64,
    },
    /// A run of another length.
    #[error("{} is a run of {was} epochs, not of {epochs}; give --epochs {epochs} to go on to so many, or resume it with its own configuration, {}", folder.display(), folder.join("config.toml").display())]
    OtherLength {
        /// The folder.
        folder: PathBuf,
        /// Epochs of the run.
        was: usize,
        /// Epochs asked for.
        epochs: usize,
    },
    /// Cells are to be left out of a score map that is not made for it.
    #[error(
        "training.cell_stride = {stride} does not divide the score map's {columns}x{rows} cells; use one that divides both, or 1"
    )]
    CellStride {
        /// The stride.
        stride: i64,
        /// Columns of the map.
        columns: u32,
        /// Rows of the map.
        rows: u32,
    },
    /// More epochs are done than are asked for.
    #[error("{} has {done} epochs behind it already, more than the {epochs} asked for; give --epochs {done} or more", folder.display())]
    TooShort {
        /// The folder.
        folder: PathBuf,
        /// Epochs done.
        done: usize,
        /// Epochs asked for.
        epochs: usize,
    },
    /// A patch to certify against while training.
    #[error(
        "training.validation_patches: {patch} does not fit images of {size}x{size} pixels; name smaller ones"
    )]
    ValidationPatch {
        /// The patch.
        patch: PatchSize,
        /// Pixels along both axes.
        size: u32,
    },
    /// A grey square that is larger than the images.
    #[error(
        "augmentation.cutout = {cutout}: the images have {size} pixels a side; use a smaller square"
    )]
    Cutout {
        /// Side of the square in pixels.
        cutout: i64,
        /// Pixels along both axes of an image.
        size: u32,
    },
    /// Another run is at work in the folder.
    #[error("a run is at work in {} already; wait for its end, or give another folder", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The loss, or what a next epoch begins with, became NaN or infinite.
    #[error(
        "the run diverged: {what} was {value} in epoch {epoch}, and would be again; begin a new run with a lower training.learning_rate, a longer warm-up or training.clip_norm. {}", kept(*saved, checkpoint)
    )]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// What is no number.
        what: &'static str,
        /// NaN, or infinite.
        value: f64,
        /// Epochs behind the newest checkpoint; 0 where there is none.
        saved: usize,
        /// Where that is.
        checkpoint: PathBuf,
    },
    /// The classes became alike.
    #[error(
        "the run collapsed: in epoch {epoch} and the {before} before it every class had the votes of every other on nearly all images, from where no gradient leads away. Begin again with a lower training.learning_rate and teachers for the first epochs ([distillation])"
    )]
    Collapsed {
        /// The epoch, from 1.
        epoch: usize,
        /// Epochs right before it in which it was so too.
        before: usize,
    },
    /// Fewer images than a batch needs.
    #[error(
        "the data set has {images} images to train on beside {validation} for validation, too few for training.batch = {batch}; lower it, or data.validation"
    )]
    TooFewImages {
        /// Images to train on.
        images: i64,
        /// Images kept aside.
        validation: i64,
        /// Images per step.
        batch: i64,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl TrainError {
    /// Why the teacher at `path` cannot teach.
    pub(super) fn teacher(path: &Path, reason: String) -> Self {
        let path = path.into();
        Self::Teacher { path, reason }
    }
}

/// What is left of a run whose newest checkpoint has so many epochs.
fn kept(saved: usize, checkpoint: &Path) -> String {
    match saved {
        0 => "There is no checkpoint yet".into(),
        epochs => format!(
            "The checkpoint of epoch {epochs} is kept: with training.initial = {checkpoint:?} the new run, in another folder, begins with its weights"
        ),
    }
}
