//! What a run has before its first epoch, or on being resumed.

use std::path::{Path, PathBuf};

use bagcert_certifier::Geometry;
use tch::Device;

use super::{
    LOG, Run, Start, TrainError, build, collapse::Collapse, epoch, folder, initial, mean,
    teachers::Teachers, validation::Validation,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointError, Header, sha256},
    config::Config,
    data::{self, DataError, Facts, Fingerprint, Source},
    loss::Margins,
    network::{Compute, Network},
    optimiser::{Adam, Average, Training},
};

/// Images, at most, whose statistics batch normalisation begins with where a run begins with an exported network; no
/// more than a step has.
const MEASURED_IMAGES: i64 = 256;

impl<'r> Run<'r> {
    /// Opens the images and makes the network, or takes both up again; nothing is written before all of it fits.
    pub(super) fn begin(
        config: &'r Config,
        data_folder: &Path,
        folder: &'r Path,
        start: Start,
        device: Device,
    ) -> Result<Self, TrainError> {
        let checkpoint = folder::prepare(config, folder, start)?;
        let facts = data::facts(&config.data, data_folder)?;
        check_cutout(config, facts.size)?;
        let data::Training {
            images,
            validation,
            fingerprint,
            mendable,
        } = data::training(&config.data, &facts, data_folder)?;
        // What learns from teachers alone needs no labels.
        let distillation = config.distillation.as_ref();
        let alone = |taught: usize| taught < config.training.epochs;
        let labels =
            distillation.is_none_or(|them| them.weight < 1.0 || them.epochs.is_some_and(alone));
        if let Some(class) = fingerprint.only_class(&facts.classes).filter(|_| labels) {
            return Err(TrainError::Data(DataError::Unfit {
                path: data_folder.into(),
                reason: format!(
                    "all images are of the class {class:?}, of which nothing can be learnt; there must be two classes or more"
                ),
            }));
        }
        if images.len() < config.training.batch {
            return Err(TrainError::TooFewImages {
                images: images.len(),
                validation: validation.count(),
                batch: config.training.batch,
            });
        }
        // What is in memory stays on the device, and is varied there.
        let images = images.on(device);
        tch::manual_seed(config.seed);
        let mut header = header(config, facts, fingerprint.clone())?;
        if let Some(checkpoint) = &checkpoint {
            checkpoint.expect_network(&config.network)?;
            checkpoint.expect_images(&header, &mendable)?;
            if checkpoint.header.data.as_ref() == Some(&mendable) {
                // Until they have been measured, with every file as it will stay.
                header.data = Some(mendable.clone());
            }
            checkpoint.expect_teachers(teachers(config), &header.teachers)?;
        }
        let (mut network, geometry) = build(&header, device)?;
        network.compute = Compute::from(&config.training);
        check_stride(config.training.cell_stride, &geometry)?;
        let training = numbers(config, checkpoint, &images, &mut header, &mut network)?;
        let validation = Validation::new(config, validation, geometry, header.image_size)?;
        let margins = Margins::new(&config.loss, &geometry, device)?;
        let teach = |config| Teachers::new(config, &header, &geometry, network.compute, device);
        let teachers = config.distillation.as_ref().map(teach).transpose()?;
        let log = folder::read_log(&folder.join(LOG), header.epoch)?;
        // Of a resumed run too: its length, or what is measured on the way, may be new.
        folder::keep(config, folder)?;
        let taught = |epoch| teachers.as_ref().is_some_and(|them| them.teach_in(epoch));
        Ok(Self {
            config,
            folder,
            images,
            validation,
            margins,
            collapse: Collapse::of(&log, taught),
            teachers,
            network,
            training,
            saved: header.epoch,
            header,
            fingerprint,
            mendable,
            log,
            until: config.training.epochs,
            matrix_gflops: None,
        })
    }
}

/// What the checkpoint of a run that begins says of itself.
fn header(config: &Config, facts: Facts, fingerprint: Fingerprint) -> Result<Header, TrainError> {
    let teachers = teachers(config).iter();
    let refused = |path, error: CheckpointError| TrainError::teacher(path, error.to_string());
    let teachers = teachers.map(|teacher| sha256(teacher).map_err(|error| refused(teacher, error)));
    Ok(Header {
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
        teachers: teachers.collect::<Result<_, _>>()?,
        initial: None,
    })
}

fn teachers(config: &Config) -> &[PathBuf] {
    let distillation = config.distillation.as_ref();
    distillation.map_or(&[][..], |table| &table.teachers)
}

/// The numbers of `network` and of its optimiser: those of the checkpoint, of `training.initial`, or fresh ones. The header
/// says which.
fn numbers(
    config: &Config,
    checkpoint: Option<Checkpoint>,
    images: &Source,
    header: &mut Header,
    network: &mut Network,
) -> Result<Training, TrainError> {
    if checkpoint.is_none() && !config.training.initial.is_empty() {
        let sample = || epoch::sample(config, images, config.training.batch.min(MEASURED_IMAGES));
        let initial = match config.training.initial.as_slice() {
            [path] => {
                let stated = (&config.training).into();
                initial::begin_with(path, stated, &sample, header, network)?
            }
            several => mean::begin_with_mean(several, &sample, header, network)?.join(", "),
        };
        header.initial = Some(initial);
    }
    let average = config.training.ema;
    let adam = Adam::new(&network.parameters.flat);
    let mut training = Training {
        adam: match config.training.weight_decay {
            Some(rate) => adam.with_decay(&network.parameters.weights(), rate),
            None => adam,
        },
        average: average.map(|decay| Average::new(&network.parameters, decay)),
    };
    if let Some(checkpoint) = checkpoint {
        checkpoint.restore(network, Some(&mut training))?;
        header.epoch = checkpoint.header.epoch;
        header.steps = checkpoint.header.steps;
        header.initial = checkpoint.header.initial;
    }
    Ok(training)
}

/// A grey square must lie in the images.
pub(super) fn check_cutout(config: &Config, size: u32) -> Result<(), TrainError> {
    let cutout = config.augmentation.cutout;
    if cutout > i64::from(size) {
        return Err(TrainError::Cutout { cutout, size });
    }
    Ok(())
}

/// A stride that does not divide the map would see some cells more often than others.
pub(super) fn check_stride(stride: i64, geometry: &Geometry) -> Result<(), TrainError> {
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
