//! One pass over the training images. Nothing in a step waits for the device, but a teacher on the processor.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::{CHECKPOINT, Observer, TrainError, teachers::Teachers};
use crate::{
    config::Config,
    data::{self, Dataset, Source},
    loss::{self, Margin, Margins},
    network::{Mode, Network, Sampling},
    optimiser::{Training, clip_norm, learning_rate as rate},
};

/// The loss is read back from the device, to stop where it is no number, once in so many steps.
const CHECK_EVERY: i64 = 500;

/// What an epoch needs to know.
pub(super) struct Epoch<'r> {
    pub(super) config: &'r Config,
    pub(super) images: &'r Source,
    pub(super) margins: &'r Margins,
    pub(super) teachers: Option<&'r Teachers>,
    /// From 0.
    pub(super) number: usize,
    /// Epochs behind the newest checkpoint.
    pub(super) saved: usize,
    /// The run's own.
    pub(super) folder: &'r Path,
}

/// What came of an epoch.
pub(super) struct Trained {
    /// Images that were learnt from: those of whole batches (see [`steps`]).
    pub(super) images: i64,
    /// Mean loss.
    pub(super) loss: f64,
    /// That of the last step.
    pub(super) learning_rate: f64,
    /// The largest mean score of a class less the smallest, averaged over the images of the last step.
    pub(super) spread: f64,
}

/// `count` of the images (N x channels x H x W in [0, 1], on their device), of which there must be as many, drawn and varied
/// as a step has them.
pub(super) fn sample(config: &Config, images: &Source, count: i64) -> Result<Tensor, TrainError> {
    let order = Tensor::randperm(images.len(), (Kind::Int64, Device::Cpu)).narrow(0, 0, count);
    let mut batches = images.batches(&order, count, (&config.data).into(), config.seed)?;
    let images = data::to_unit(&batches.next_batch()?.images);
    Ok(data::vary(&images, &config.augmentation))
}

/// Steps of an epoch: what is left over after the last whole batch is not learnt from.
pub(super) fn steps(config: &Config, images: &Source) -> i64 {
    images.len() / config.training.batch
}

impl Epoch<'_> {
    /// Trains.
    pub(super) fn train(
        &self,
        network: &Network,
        training: &mut Training,
        observer: &mut dyn Observer,
    ) -> Result<Trained, TrainError> {
        let (config, data) = (self.config, self.images);
        let batch = config.training.batch;
        let steps = steps(config, data);
        let total = steps * config.training.epochs as i64;
        let warmup = (config.training.warmup_epochs * steps as f64) as i64;
        // A stream of its own for each epoch, whatever was drawn before.
        let stream = config.seed.wrapping_mul(1_000_003);
        let seed = stream.wrapping_add(self.number as i64 + 1);
        tch::manual_seed(seed);
        let order = Tensor::randperm(data.len(), (Kind::Int64, Device::Cpu));
        let mut batches = data.batches(&order, batch, (&config.data).into(), seed)?;
        let mut sum = Tensor::zeros([1], (Kind::Double, data.device()));
        let mut learning_rate = 0.0;
        let mut last = None;
        let variation = config.augmentation.in_epoch(self.number);
        let mixed = self.teachers.map_or(0, |teachers| teachers.mixed(batch));
        for step in 0..steps {
            let Dataset { images, labels } = batches.next_batch()?;
            let images = data::vary(&data::to_unit(&images), &variation);
            let images = data::cut_mix(&images, mixed);
            let shake = config.network.shake;
            let sampling = Sampling::draw(config.training.cell_stride);
            let mode = Mode::Train { shake };
            let logits = network.forward_sampled(&images, mode, &sampling);
            let margin = if self.number < config.loss.paper_epochs {
                Margin::Paper
            } else {
                self.margins.draw()
            };
            // What is in a mixed image its label does not say.
            let labelled = |all: &Tensor| all.narrow(0, mixed, batch - mixed);
            let (whole, labels) = (labelled(&logits), labelled(&labels));
            let mut loss = loss::total(&whole, &labels, &config.loss, &margin);
            if let Some(teachers) = self.teachers {
                loss = teachers.mix(&loss, &images, &logits, &sampling, &config.loss)?;
            }
            let done = self.number as i64 * steps + step;
            learning_rate = rate(done, warmup, total, config.training.learning_rate);
            self.descend(&loss, network, training, learning_rate)?;
            last = Some(logits.detach());
            sum += loss.detach().to_kind(Kind::Double);
            observer.step(self.number, step + 1, steps);
            if (step + 1) % CHECK_EVERY == 0 {
                self.check("the loss", &sum, step + 1)?;
            }
        }
        self.check("the loss", &sum, steps)?;
        // A last step may have broken what the next begins with after its loss was worked out.
        let numbers = &network.parameters;
        // A second moment that is infinite lets a weight learn nothing any more.
        for (what, flat) in [
            ("the mean weight", &numbers.flat.detach()),
            (
                "the mean statistic of batch normalisation",
                &numbers.statistics,
            ),
            ("the mean square of the gradient", &training.adam.second),
        ] {
            let count = flat.size().iter().product();
            self.check(what, &flat.sum(Kind::Double), count)?;
        }
        let spread = last.map_or(0.0, |logits| {
            loss::spread(&loss::mean_scores(&loss::scores(
                &logits,
                config.loss.scores,
            )))
        });
        Ok(Trained {
            images: steps * batch,
            loss: sum.double_value(&[0]) / steps as f64,
            learning_rate,
            spread,
        })
    }

    fn descend(
        &self,
        loss: &Tensor,
        network: &Network,
        training: &mut Training,
        rate: f64,
    ) -> Result<(), TrainError> {
        let flat = &network.parameters.flat;
        let gradients = Tensor::f_run_backward(&[loss], &[flat], false, false)?;
        let Some(gradient) = gradients.first() else {
            return Ok(());
        };
        match self.config.training.clip_norm {
            Some(largest) => training
                .adam
                .step(flat, &clip_norm(gradient, largest), rate),
            None => training.adam.step(flat, gradient, rate),
        }
        if let Some(average) = &mut training.average {
            average.update(&network.parameters, training.adam.steps);
        }
        Ok(())
    }

    /// Fails where `what`, whose sum over so many is `sum`, is no number.
    fn check(&self, what: &'static str, sum: &Tensor, count: i64) -> Result<(), TrainError> {
        let value = sum.sum(Kind::Double).double_value(&[]) / count.max(1) as f64;
        if value.is_finite() {
            return Ok(());
        }
        Err(TrainError::Diverged {
            epoch: self.number + 1,
            what,
            value,
            saved: self.saved,
            checkpoint: self.folder.join(CHECKPOINT),
        })
    }
}
