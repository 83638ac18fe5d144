//! A run's folder: what is there already, and whether it may be gone on with.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{CHECKPOINT, EpochLog, LOG, TrainError, difference::difference};
use crate::{
    checkpoint::{Checkpoint, CheckpointError, remove_unfinished, write_whole},
    config::Config,
    lock, regular,
};

/// The configuration of a run, in its folder.
const CONFIG: &str = "config.toml";
/// Without it a checkpoint is not gone on with.
const CONFIG_REMEDY: &str = "put it right, or begin another run with the weights of the checkpoint beside it (training.initial)";
/// A run goes on without the lines that were.
const LOG_REMEDY: &str = "put it right, or move it out of the run's folder";
/// Held by the run that is at work in a folder; empty.
const LOCK: &str = ".lock";

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In a folder that holds no run yet.
    New,
    /// From the folder's checkpoint, where there is one.
    Resume,
    /// The same for another number of epochs than the run was started with: from here on the learning rate is
    /// that of the new schedule, and the folder's configuration has the new number.
    Reschedule,
}

/// Takes the folder, which is made where it is not there, for one run, until the file is dropped: two would write each
/// other's log and checkpoints over.
pub(super) fn lock(folder: &Path) -> Result<File, TrainError> {
    fs::create_dir_all(folder).map_err(file_error("create", folder))?;
    let path = folder.join(LOCK);
    regular::expect(&path).map_err(file_error("lock", &path))?;
    let file = File::create(&path).map_err(file_error("create", &path))?;
    if lock::take(&file).map_err(file_error("lock", &path))? {
        Ok(file)
    } else {
        Err(TrainError::Busy {
            folder: folder.into(),
        })
    }
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_path_buf();
    move |source| CheckpointError::File { what, path, source }
}

/// Finds the checkpoint to go on from; what is in the folder stays as it is.
pub(super) fn prepare(
    config: &Config,
    folder: &Path,
    start: Start,
) -> Result<Option<Checkpoint>, TrainError> {
    let path = folder.join(CHECKPOINT);
    let saved = folder.join(CONFIG);
    if start == Start::New && (path.exists() || folder.join(LOG).exists()) {
        return Err(TrainError::Occupied {
            folder: folder.into(),
        });
    }
    if start != Start::New && path.exists() && !saved.exists() {
        return Err(TrainError::NoConfiguration {
            folder: folder.into(),
        });
    }
    // So too where a run was killed before its first checkpoint: its log is not another run's.
    if start != Start::New && saved.exists() {
        let text = regular::read_text(&saved).map_err(file_error("read", &saved))?;
        let mut earlier: Config =
            toml::from_str(&text).map_err(|error| kept_error(&saved, &error, CONFIG_REMEDY))?;
        let was = earlier.training.epochs;
        earlier.training.epochs = config.training.epochs;
        let difference = difference(&earlier, config)
            .map_err(|error| kept_error(&saved, &error, CONFIG_REMEDY))?;
        if let Some(difference) = difference {
            return Err(TrainError::OtherConfiguration {
                folder: folder.into(),
                difference,
            });
        }
        if was != config.training.epochs && start != Start::Reschedule {
            return Err(TrainError::OtherLength {
                folder: folder.into(),
                was,
                epochs: config.training.epochs,
            });
        }
    }
    remove_unfinished(folder).map_err(file_error("tidy", folder))?;
    let checkpoint = path.exists().then(|| Checkpoint::read(&path)).transpose()?;
    let done = checkpoint
        .as_ref()
        .map_or(0, |checkpoint| checkpoint.header.epoch);
    if start == Start::Reschedule && config.training.epochs < done {
        return Err(TrainError::TooShort {
            folder: folder.into(),
            done,
            epochs: config.training.epochs,
        });
    }
    Ok(checkpoint)
}

/// Writes down what the run is, once nothing stands in its way.
pub(super) fn keep(config: &Config, folder: &Path) -> Result<(), CheckpointError> {
    let path = folder.join(CONFIG);
    let text = toml::to_string(config).map_err(|error| kept_error(&path, &error, CONFIG_REMEDY))?;
    write_whole(&path, text.as_bytes())
}

fn kept_error(path: &Path, error: &dyn std::fmt::Display, remedy: &'static str) -> CheckpointError {
    CheckpointError::Kept {
        path: path.into(),
        reason: error.to_string(),
        remedy,
    }
}

/// The log's lines up to `epochs`; later ones belong to work that will be done again.
pub(super) fn read_log(path: &Path, epochs: usize) -> Result<String, CheckpointError> {
    let text = match regular::read_text(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(file_error("read", path)(error)),
    };
    let (mut kept, mut last) = (String::new(), 0);
    for (at, line) in text.lines().enumerate() {
        let entry: EpochLog = serde_json::from_str(line)
            .map_err(|error| kept_error(path, &format!("line {}: {error}", at + 1), LOG_REMEDY))?;
        if entry.epoch <= last {
            let reason = format!("line {}: epoch {} comes after {last}", at + 1, entry.epoch);
            return Err(kept_error(path, &reason, LOG_REMEDY));
        }
        last = entry.epoch;
        if entry.epoch <= epochs {
            kept.extend([line, "\n"]);
        }
    }
    Ok(kept)
}
