//! A training run: epochs, checkpoints, log.

mod collapse;
mod epoch;
mod error;
mod folder;
mod growth;
mod initial;
mod teachers;
mod unfold;

use std::{path::Path, time::Instant};

use bagcert_certifier::{Geometry, GeometryError, PatchSize};
use serde::{Deserialize, Serialize};
use tch::Device;

use crate::{
    checkpoint::{self, Checkpoint, Header, sha256},
    config::{Config, TrainingConfig},
    data,
    evaluate::{Accuracy, evaluate_timed},
    loss::Margins,
    network::{Compute, Network, Plan},
    optimiser::{Adam, Average, Training},
};

use collapse::Collapse;
use epoch::Epoch;
use teachers::Teachers;

pub use error::TrainError;
pub use folder::Start;

/// The newest state of a run, in its folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The log of a run, one JSON object per epoch.
pub const LOG: &str = "log.jsonl";
/// Images per forward pass when evaluating; while training no more than a step has.
pub const EVALUATION_BATCH: i64 = 250;
/// Images whose statistics batch normalisation begins with, where a run begins with an exported network.
const MEASURED_IMAGES: i64 = 256;
/// Sides of the squares that are certified against on the validation images unless the configuration names others.
const VALIDATION_SIDES: [u32; 3] = [2, 5, 10];

/// One line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochLog {
    /// Epochs finished, from 1.
    pub epoch: usize,
    /// Mean loss over the epoch.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// How far the classes are apart: the largest mean score of a class less the smallest, averaged over the images of
    /// the last step. Near 0 the network tells nothing apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
    /// Training images per second, without validation.
    pub images_per_second: f64,
    /// The rate of the convolutions in GFLOP/s: those of a step's forward pass counted three times, for the
    /// backward pass takes two more of them, and those of the teachers' once.
    #[serde(default)]
    pub gflops: f64,
    /// That rate as a share of `training.peak_tflops`, where it was given.
    #[serde(default)]
    pub share_of_peak: Option<f64>,
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
    let classes = header.classes.len() as i64;
    let plan = Plan::new(&header.network, header.image_size, 3, classes);
    let geometry = plan.geometry()?;
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
/// after each, or after every so many (`training.checkpoint_every`): a run that was killed and resumed gives the
/// same result as one that was not (on one device, with one number of threads).
///
/// # Errors
/// Whatever stopped the run; the last checkpoint is then whole.
pub fn train(
    config: &Config,
    data_folder: &Path,
    folder: &Path,
    start: Start,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    let checkpoint_path = folder.join(CHECKPOINT);
    // Held until the run is over.
    let _lock = folder::lock(folder)?;
    let checkpoint = folder::prepare(config, folder, start)?;
    let facts = data::facts(&config.data, data_folder)?;
    let data::Training {
        images,
        validation,
        fingerprint,
    } = data::training(&config.data, &facts, data_folder)?;
    if images.len() < config.training.batch {
        return Err(TrainError::TooFewImages {
            images: images.len(),
            validation: validation.count(),
            batch: config.training.batch,
        });
    }
    // What is in memory stays on the device, and is varied there.
    let images = images.on(device);

    let distillation = config.distillation.as_ref();
    let teachers = distillation.map_or(&[][..], |table| &table.teachers);
    tch::manual_seed(config.seed);
    let mut header = Header {
        version: 1,
        network: config.network.clone(),
        scores: config.loss.scores,
        classes: facts.classes,
        dataset: facts.name,
        normalisation: facts.normalisation,
        image_size: facts.size,
        resize: facts.resize,
        data: Some(fingerprint),
        epoch: 0,
        steps: 0,
        seed: config.seed,
        teachers: teachers
            .iter()
            .map(|teacher| sha256(teacher))
            .collect::<Result<_, _>>()?,
        initial: None,
    };
    if let Some(checkpoint) = &checkpoint {
        checkpoint.expect_network(&config.network)?;
        checkpoint.expect_images(&header)?;
        checkpoint.expect_teachers(teachers, &header.teachers)?;
    }
    let (mut network, geometry) = build(&header, device)?;
    network.compute = Compute::from(&config.training);
    check_stride(config.training.cell_stride, &geometry)?;
    if let (None, Some(path)) = (&checkpoint, &config.training.initial) {
        let blocks = config.training.initial_blocks.as_deref();
        let sample = || epoch::sample(config, &images, MEASURED_IMAGES);
        let initial = initial::begin_with(path, blocks, &sample, &header, &mut network)?;
        header.initial = Some(initial);
    }
    let mut training = Training {
        adam: Adam::new(&network.parameters.flat),
        average: config
            .training
            .ema
            .map(|decay| Average::new(&network.parameters, decay)),
    };
    if let Some(checkpoint) = checkpoint {
        checkpoint.restore(&mut network, Some(&mut training))?;
        header.epoch = checkpoint.header.epoch;
        header.initial = checkpoint.header.initial;
    }
    let patches = validation_patches(&config.training, header.image_size)?;
    let margins = Margins::new(&config.loss, &geometry, device)?;
    let teach = |config| Teachers::new(config, &header, &geometry, network.compute, device);
    let teachers = config.distillation.as_ref().map(teach).transpose()?;
    if header.epoch == 0 || start == Start::Reschedule {
        folder::keep(config, folder)?;
    }
    let mut log = folder::read_log(&folder.join(LOG), header.epoch);
    if header.epoch == config.training.epochs {
        // Nothing is left to do, but lines may have been taken out.
        checkpoint::write_whole(&folder.join(LOG), log.as_bytes())?;
    }
    let taught = |epoch| teachers.as_ref().is_some_and(|them| them.teach_in(epoch));
    let mut collapse = Collapse::of(&log, taught);
    collapse.check(header.epoch)?;
    let mut saved = header.epoch;
    while header.epoch < config.training.epochs {
        let started = Instant::now();
        let epoch = Epoch {
            config,
            images: &images,
            margins: &margins,
            teachers: teachers.as_ref().filter(|them| them.teach_in(header.epoch)),
            number: header.epoch,
            saved,
        };
        let trained = epoch.train(&network, &mut training, observer)?;
        let speed = trained.images as f64 / started.elapsed().as_secs_f64();
        header.epoch += 1;
        collapse.note(Some(trained.spread), epoch.teachers.is_some());
        header.steps = training.adam.steps;
        let every =
            |epochs| header.epoch.is_multiple_of(epochs) || header.epoch == config.training.epochs;
        let averaged = training.average.as_ref().map(|average| {
            let numbers = &network.parameters;
            network.with(numbers.with(&average.parameters, &average.statistics))
        });
        let accuracy = if every(config.training.validate_every) && validation.count() > 0 {
            let (accuracy, _) = evaluate_timed(
                averaged.as_ref().unwrap_or(&network),
                config.loss.scores,
                &*validation,
                &geometry,
                &patches,
                EVALUATION_BATCH.min(config.training.batch),
                &mut |_| {},
            )?;
            Some(accuracy)
        } else {
            None
        };
        let stride = config.training.cell_stride;
        let teachers = epoch.teachers;
        let taught = teachers.map_or(0, |teachers| teachers.multiply_adds(stride));
        let work = 3 * network.plan.sampled_multiply_adds(stride) + taught;
        let gflops = speed * 2.0 * work as f64 / 1e9;
        let entry = EpochLog {
            epoch: header.epoch,
            loss: trained.loss,
            learning_rate: trained.learning_rate,
            spread: Some(trained.spread),
            images_per_second: speed,
            gflops,
            share_of_peak: config
                .training
                .peak_tflops
                .map(|peak| gflops / (1e3 * peak)),
            validation: accuracy
                .as_ref()
                .and_then(|accuracy: &Accuracy| serde_json::to_value(accuracy).ok()),
        };
        observer.epoch(&entry);
        log.push_str(&serde_json::to_string(&entry).unwrap_or_default());
        log.push('\n');
        checkpoint::write_whole(&folder.join(LOG), log.as_bytes())?;
        // Last: a kill before it repeats the epochs since the one before, and their lines of the log are dropped.
        if every(config.training.checkpoint_every) {
            checkpoint::save(&checkpoint_path, &header, &network, Some(&training))?;
            saved = header.epoch;
        }
        collapse.check(header.epoch)?;
    }
    Ok(())
}

/// A stride that does not divide the map would see some cells more often than others.
fn check_stride(stride: i64, geometry: &Geometry) -> Result<(), TrainError> {
    let (columns, rows) = (geometry.x.outputs(), geometry.y.outputs());
    if [columns, rows]
        .iter()
        .all(|cells| i64::from(*cells) % stride == 0)
    {
        return Ok(());
    }
    Err(TrainError::CellStride {
        stride,
        columns,
        rows,
    })
}

/// What is certified against on the validation images, which have `size` pixels along both axes.
fn validation_patches(config: &TrainingConfig, size: u32) -> Result<Vec<PatchSize>, TrainError> {
    let Some(patches) = &config.validation_patches else {
        let sides = VALIDATION_SIDES.into_iter().filter(|side| *side <= size);
        let squares = sides.map(|side| PatchSize::new(side, side));
        return Ok(squares.collect::<Result<_, _>>()?);
    };
    let patches: Vec<PatchSize> = patches.iter().map(|patch| patch.0).collect();
    match patches
        .iter()
        .find(|patch| patch.width().max(patch.height()) > size)
    {
        Some(&patch) => Err(TrainError::ValidationPatch { patch, size }),
        None => Ok(patches),
    }
}
