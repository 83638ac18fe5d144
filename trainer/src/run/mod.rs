//! A training run: epochs, checkpoints, log.

mod begin;
mod collapse;
mod difference;
mod epoch;
mod error;
mod folder;
mod growth;
mod initial;
mod late;
mod mean;
mod observer;
mod origin;
mod teachers;
mod unfold;
mod validation;

use std::{path::Path, time::Instant};

use bagcert_certifier::Geometry;
use tch::Device;

use crate::{
    checkpoint::{self, Checkpoint, Header},
    config::{Config, NetworkConfig},
    data::{self, Fingerprint, Source},
    evaluate::EvaluationError,
    loss::Margins,
    network::{self, Network, Plan},
    optimiser::Training,
};

use collapse::Collapse;
use epoch::{Epoch, Trained};
use teachers::Teachers;
use validation::Validation;

pub use error::TrainError;
pub use folder::Start;
pub use observer::{EpochLog, Observer, Outset};

/// The newest state of a run, in its folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// The log of a run, one JSON object per epoch.
pub const LOG: &str = "log.jsonl";
/// An ONNX file holds at most 2 GiB, of four bytes a parameter.
pub(crate) const MAX_PARAMETERS: i64 = 500_000_000;
/// Images per forward pass when evaluating; while training no more than a step has.
pub const EVALUATION_BATCH: i64 = 250;

/// A network by its configuration, with its geometry.
///
/// # Errors
/// Where the layers do not fit the images, or the network is too large to be exported.
pub fn build(header: &Header, device: Device) -> Result<(Network, Geometry), TrainError> {
    let (plan, geometry) = planned(&header.network, header.image_size, header.classes.len())?;
    Ok((
        Network::new(plan, header.normalisation.clone(), device),
        geometry,
    ))
}

/// The layers of a network, checked before memory is taken for them.
fn planned(
    network: &NetworkConfig,
    image_size: u32,
    classes: usize,
) -> Result<(Plan, Geometry), TrainError> {
    let plan = Plan::new(network, image_size, 3, classes as i64);
    let geometry = plan.geometry()?;
    let parameters = plan.parameter_count();
    if parameters > MAX_PARAMETERS {
        return Err(TrainError::TooLarge { parameters });
    }
    Ok((plan, geometry))
}

/// The network that `config` describes, with its geometry; of a folder of images, whose classes are not known without
/// it, with two classes.
///
/// # Errors
/// Where the layers do not fit the images, or training could not begin with them.
pub fn described(config: &Config) -> Result<(Plan, Geometry), TrainError> {
    let (size, classes) = data::stated(&config.data);
    let (plan, geometry) = planned(&config.network, size, classes.unwrap_or(2))?;
    begin::check_cutout(config, size)?;
    begin::check_stride(config.training.cell_stride, &geometry)?;
    validation::patches(&config.training, size)?;
    Margins::new(&config.loss, &geometry, Device::Cpu)?;
    Ok((plan, geometry))
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

/// Trains by `config` on the images in `data_folder`; writes log and checkpoints to `folder`. With `until`, it stops after that
/// epoch (from 1) of the schedule, with a checkpoint.
///
/// Each epoch draws from a generator seeded by the run's seed and the epoch alone, and a checkpoint is written
/// after each, or after every so many (`training.checkpoint_every`): a run that was killed and resumed gives the
/// same result as one that was not (on a processor, with one number of threads; a GPU adds in an order of its own). Where an image to choose by is damaged,
/// the epoch that was to be measured has a checkpoint too, and is measured when the run goes on.
///
/// # Errors
/// Whatever stopped the run; the last checkpoint is then whole.
pub fn train(
    config: &Config,
    data_folder: &Path,
    folder: &Path,
    start: Start,
    until: Option<usize>,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<(), TrainError> {
    // Held until the run is over.
    let _lock = folder::lock(folder)?;
    let mut run = Run::begin(config, data_folder, folder, start, device)?;
    let last = config.training.epochs;
    run.until = until.map_or(last, |until| until.min(last));
    observer.begins(&run.outset());
    if run.header.epoch == config.training.epochs {
        // Nothing is left to do, but lines may have been taken out.
        run.write_log()?;
    }
    run.measure_late(observer)?;
    run.collapse.check(run.header.epoch)?;
    if run.header.epoch < run.until {
        // A run needs less memory than this may; then the log goes without.
        run.matrix_gflops = network::matrix_gflops(run.network.compute, device).ok();
    }
    while run.header.epoch < run.until {
        run.epoch(observer)?;
    }
    Ok(())
}

/// A run between two epochs.
struct Run<'r> {
    config: &'r Config,
    folder: &'r Path,
    images: Source,
    validation: Validation,
    margins: Margins,
    teachers: Option<Teachers>,
    network: Network,
    training: Training,
    /// What the next checkpoint says.
    header: Header,
    /// What its images are in a checkpoint.
    fingerprint: Fingerprint,
    /// The same in one that is written because one of them is damaged, and until all have been measured since.
    mendable: Fingerprint,
    log: String,
    collapse: Collapse,
    /// Epochs behind the newest checkpoint.
    saved: usize,
    /// The epoch after which to stop.
    until: usize,
    /// What the device reaches, where there is an epoch to train.
    matrix_gflops: Option<f64>,
}

impl Run<'_> {
    fn outset(&self) -> Outset<'_> {
        Outset {
            dataset: &self.header.dataset,
            images: self.images.len(),
            validation: self.validation.count(),
            steps: epoch::steps(self.config, &self.images),
            epoch: self.header.epoch,
            plan: &self.network.plan,
            geometry: self.validation.geometry,
        }
    }

    /// Trains for an epoch, measures, writes down what came of it.
    fn epoch(&mut self, observer: &mut dyn Observer) -> Result<(), TrainError> {
        let started = Instant::now();
        let number = self.header.epoch;
        let teachers = self.teachers.as_ref().filter(|them| them.teach_in(number));
        let epoch = Epoch {
            config: self.config,
            images: &self.images,
            margins: &self.margins,
            teachers,
            number,
            saved: self.saved,
            folder: self.folder,
        };
        let trained = epoch.train(&self.network, &mut self.training, observer)?;
        let speed = trained.images as f64 / started.elapsed().as_secs_f64();
        self.collapse.note(Some(trained.spread), teachers.is_some());
        self.header.epoch += 1;
        self.header.steps = self.training.adam.steps;
        let (validation, failed) = match self.measure() {
            Ok(validation) => (validation, None),
            Err(error @ TrainError::Unmeasured { .. }) => (None, Some(error)),
            // Logits that are no numbers, for example: the checkpoint before them is the better one.
            Err(error) => return Err(error),
        };
        if validation.is_some() {
            self.header.data = Some(self.fingerprint.clone());
        }
        let entry = self.entry(&trained, speed, validation);
        self.log
            .push_str(&serde_json::to_string(&entry).unwrap_or_default());
        self.log.push('\n');
        self.write_log()?;
        // After the log: a kill before it repeats the epochs since the one before, and their lines of the log are dropped.
        if let Some(failed) = failed {
            self.header.data = Some(self.mendable.clone());
            self.save()?;
            observer.epoch(&entry);
            return Err(failed);
        }
        if self.is_due(self.config.training.checkpoint_every) || self.header.epoch == self.until {
            self.save()?;
            self.saved = self.header.epoch;
        }
        observer.epoch(&entry);
        self.collapse.check(self.header.epoch)
    }

    fn save(&self) -> Result<(), TrainError> {
        let path = self.folder.join(CHECKPOINT);
        checkpoint::save(&path, &self.header, &self.network, Some(&self.training))?;
        Ok(())
    }

    /// Whether what is done after every so many epochs, and after the last, is to be done now.
    fn is_due(&self, epochs: usize) -> bool {
        let done = self.header.epoch;
        done.is_multiple_of(epochs) || done == self.config.training.epochs
    }

    /// Accuracy after the epoch that has just ended; nothing where it is not to be measured.
    fn measure(&self) -> Result<Option<serde_json::Value>, TrainError> {
        if !self.is_due(self.config.training.validate_every) {
            return Ok(None);
        }
        let average = self.training.average.as_ref().map(|average| {
            let numbers = &self.network.parameters;
            let numbers = numbers.with(&average.parameters, &average.statistics);
            self.network.with(numbers)
        });
        let measured = self
            .validation
            .measure(average.as_ref().unwrap_or(&self.network));
        match measured {
            Ok(accuracy) => Ok(accuracy.and_then(|accuracy| serde_json::to_value(accuracy).ok())),
            Err(TrainError::Evaluation(EvaluationError::Data(source))) => {
                Err(TrainError::Unmeasured {
                    epoch: self.header.epoch,
                    source,
                })
            }
            Err(other) => Err(other),
        }
    }

    /// The line of the log for the epoch that has just ended, at `speed` images a second.
    fn entry(
        &self,
        trained: &Trained,
        speed: f64,
        validation: Option<serde_json::Value>,
    ) -> EpochLog {
        let config = &self.config.training;
        let stride = config.cell_stride;
        let teachers = self.teachers.as_ref();
        let taught = teachers
            .filter(|them| them.teach_in(self.header.epoch - 1))
            .map_or(0, |teachers| teachers.multiply_adds(stride));
        let work = 3 * self.network.plan.sampled_multiply_adds(stride) + taught;
        let gflops = speed * 2.0 * work as f64 / 1e9;
        EpochLog {
            epoch: self.header.epoch,
            loss: trained.loss,
            learning_rate: trained.learning_rate,
            spread: Some(trained.spread),
            images_per_second: speed,
            gflops,
            share_of_peak: config.peak_tflops.map(|peak| gflops / (1e3 * peak)),
            share_of_matrix_rate: self.matrix_gflops.map(|rate| gflops / rate),
            validation,
        }
    }

    fn write_log(&self) -> Result<(), TrainError> {
        let path = self.folder.join(LOG);
        Ok(checkpoint::write_whole(&path, self.log.as_bytes())?)
    }
}
