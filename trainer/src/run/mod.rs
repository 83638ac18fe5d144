//! A training run: epochs, checkpoints, log.

mod error;
mod folder;

use std::{path::Path, time::Instant};

use bagcert_certifier::{Geometry, GeometryError, PatchSize};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::{
    checkpoint::{self, Checkpoint, Header},
    config::Config,
    data::{self, Augmentation, Dataset, Source},
    evaluate::{Accuracy, evaluate},
    loss,
    network::{Mode, Network, Plan},
    optimiser::{Adam, learning_rate},
};

pub use error::TrainError;

/// The newest state of a run, in its folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The log of a run, one JSON object per epoch.
pub const LOG: &str = "log.jsonl";
/// Images per forward pass when evaluating.
pub const EVALUATION_BATCH: i64 = 250;
/// One line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Training images per second, without validation.
    pub images_per_second: f64,
    /// Accuracy on the validation images, where it was measured.
    pub validation: Option<serde_json::Value>,
}

/// Where a run reports to.
pub trait Observer {
    /// A step was taken: steps of this epoch so far and in all.
    fn step(&mut self, epoch: usize, step: i64, steps: i64);
    /// An epoch is over.
    fn epoch(&mut self, log: &EpochLog);
}

/// A network by its configuration, with its geometry.
///
/// # Errors
/// Where the layers do not fit the images.
pub fn build(header: &Header, device: Device) -> Result<(Network, Geometry), GeometryError> {
    let plan = Plan::new(&header.network, 3, header.classes.len() as i64);
    let geometry = plan.geometry(header.image_size)?;
    Ok((
        Network::new(plan, header.normalisation.clone(), device),
        geometry,
    ))
}

/// The network of a checkpoint, with its header and its geometry.
///
/// # Errors
/// Where the file cannot be read, is no checkpoint or a damaged one.
pub fn load(path: &Path, device: Device) -> Result<(Header, Network, Geometry), TrainError> {
    let checkpoint = Checkpoint::read(path)?;
    let (mut network, geometry) = build(&checkpoint.header, device)?;
    checkpoint.restore(&mut network, None)?;
    Ok((checkpoint.header, network, geometry))
}

/// Trains by `config` on the images in `data_folder`; writes log and checkpoints to `folder`.
///
/// Each epoch draws from a generator seeded by the run's seed and the epoch alone, and a checkpoint is written
/// after each: a run that was killed and resumed gives the same result as one that was not (on one device,
/// with one number of threads).
///
/// # Errors
/// Whatever stopped the run; the last checkpoint is then whole.
pub fn train(
    config: &Config,
    data_folder: &Path,
    folder: &Path,
    resume: bool,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let checkpoint_path = folder.join(CHECKPOINT);
    let checkpoint = folder::prepare(config, folder, resume)?;
    let facts = data::facts(&config.data, data_folder)?;
    let (training, validation) = data::training(&config.data, &facts, data_folder)?;
    if training.len() < config.training.batch {
        return Err(TrainError::TooFewImages {
            images: training.len(),
            validation: config.data.validation,
            batch: config.training.batch,
        });
    }
    let training = training.on(device);

    tch::manual_seed(config.seed);
    let mut header = Header {
        version: 1,
        network: config.network.clone(),
        classes: facts.classes,
        dataset: facts.name,
        normalisation: facts.normalisation,
        image_size: facts.size,
        epoch: 0,
        steps: 0,
        seed: config.seed,
    };
    let (mut network, geometry) = build(&header, device)?;
    let mut adam = Adam::new(&network.parameters.flat);
    if let Some(checkpoint) = checkpoint {
        checkpoint.expect_network(&config.network)?;
        checkpoint.restore(&mut network, Some(&mut adam))?;
        header.epoch = checkpoint.header.epoch;
    }
    let patches = validation_patches()?;
    let mut log = folder::read_log(&folder.join(LOG), header.epoch);
    while header.epoch < config.training.epochs {
        let started = Instant::now();
        let (loss, rate) = train_epoch(
            config,
            &training,
            &network,
            &mut adam,
            header.epoch,
            observer,
        )?;
        let seconds = started.elapsed().as_secs_f64();
        header.epoch += 1;
        header.steps = adam.steps;
        if !loss.is_finite() {
            return Err(TrainError::Diverged {
                epoch: header.epoch,
                loss,
            });
        }
        let due = header.epoch.is_multiple_of(config.training.validate_every)
            || header.epoch == config.training.epochs;
        let accuracy = if due && validation.count() > 0 {
            Some(evaluate(
                &network,
                &*validation,
                &geometry,
                &patches,
                EVALUATION_BATCH,
                &mut |_| {},
            )?)
        } else {
            None
        };
        let entry = EpochLog {
            epoch: header.epoch,
            loss,
            learning_rate: rate,
            images_per_second: training.len() as f64 / seconds,
            validation: accuracy
                .as_ref()
                .and_then(|accuracy: &Accuracy| serde_json::to_value(accuracy).ok()),
        };
        observer.epoch(&entry);
        log.push_str(&serde_json::to_string(&entry).unwrap_or_default());
        log.push('\n');
        checkpoint::write_whole(&folder.join(LOG), log.as_bytes())?;
        // Last: a kill before it repeats the epoch, and its line of the log is dropped.
        checkpoint::save(&checkpoint_path, &header, &network, Some(&adam))?;
    }
    Ok(())
}

fn validation_patches() -> Result<Vec<PatchSize>, GeometryError> {
    [2, 5, 10]
        .into_iter()
        .map(|side| PatchSize::new(side, side))
        .collect()
}

/// One pass over the training images; the mean loss and the last learning rate.
fn train_epoch(
    config: &Config,
    data: &Source,
    network: &Network,
    adam: &mut Adam,
    epoch: usize,
    observer: &mut dyn Observer,
) -> Result<(f64, f64), TrainError> {
    let batch = config.training.batch;
    let steps = data.len() / batch;
    let total = steps * config.training.epochs as i64;
    let warmup = (config.training.warmup_epochs * steps as f64) as i64;
    let device = data.device();
    let augmentation = Augmentation {
        flip: config.data.flip,
        crop_padding: config.data.crop_padding,
    };
    // A stream of its own for each epoch, whatever was drawn before.
    let seed = config
        .seed
        .wrapping_mul(1_000_003)
        .wrapping_add(epoch as i64 + 1);
    tch::manual_seed(seed);
    let order = Tensor::randperm(data.len(), (Kind::Int64, Device::Cpu));
    let mut batches = data.batches(&order, batch, augmentation, seed)?;
    let mut sum = Tensor::zeros([1], (Kind::Double, device));
    let mut rate = 0.0;
    for step in 0..steps {
        let Dataset { images, labels } = batches.next_batch()?;
        let logits = network.forward(
            &data::to_unit(&images),
            Mode::Train {
                shake: config.network.shake,
            },
        );
        let loss = loss::total(&logits, &labels, &config.loss);
        let gradient = Tensor::f_run_backward(&[&loss], &[&network.parameters.flat], false, false)?;
        rate = learning_rate(
            epoch as i64 * steps + step,
            warmup,
            total,
            config.training.learning_rate,
        );
        if let Some(gradient) = gradient.first() {
            adam.step(&network.parameters.flat, gradient, rate);
        }
        sum += loss.detach().to_kind(Kind::Double);
        observer.step(epoch, step + 1, steps);
    }
    Ok((sum.double_value(&[0]) / steps as f64, rate))
}
