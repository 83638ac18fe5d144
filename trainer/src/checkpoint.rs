//! Checkpoints: a safetensors file that appears whole or not at all.

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor, no_grad};
use thiserror::Error;

use crate::{
    config::{NetworkConfig, Scores},
    data::{Fingerprint, other_classes},
    evaluate::floats,
    network::Network,
    optimiser::Training,
    regular,
};

/// What a checkpoint says about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The layout of this header; 1.
    pub version: u32,
    /// The layers.
    pub network: NetworkConfig,
    /// The scores that it was trained on; in checkpoints from before this was kept, they are taken for votes.
    #[serde(default)]
    pub scores: Scores,
    /// Class names, in label order.
    pub classes: Vec<String>,
    /// The data set's name.
    pub dataset: String,
    /// Mean and standard deviation of each image channel.
    pub normalisation: Vec<(f32, f32)>,
    /// Height and width of the images.
    pub image_size: u32,
    /// Length that the shorter side of an image is scaled to before the square is cut out; nothing where images
    /// are taken as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<u32>,
    /// The images that it was trained on; nothing in checkpoints from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Fingerprint>,
    /// Epochs finished.
    pub epoch: usize,
    /// Optimiser steps taken.
    pub steps: i64,
    /// The seed of the run.
    pub seed: i64,
    /// SHA-256 of each teacher's file; nothing in checkpoints from before this was kept.
    #[serde(default)]
    pub teachers: Vec<String>,
    /// SHA-256 of the checkpoint or exported model whose weights it began with, of several, in their order, where it began with
    /// their mean; nothing where they were random, and in checkpoints from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
}

/// Why a checkpoint could not be written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The system's reason.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// Not a checkpoint of this program, or a damaged one.
    #[error("{} is no checkpoint of bagcert-train, or it is damaged: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// What a run keeps beside its checkpoint, its configuration or its log, cannot be understood.
    #[error("{} is damaged, or was changed by hand: {reason}; {remedy}", path.display())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A checkpoint of a run on other images.
    #[error(
        "{} was trained on other images: {reason}. Resume it with the images that it was begun with, or begin \
         another run{}", path.display(), if *same_classes { format!(", with its weights by training.initial = {path:?}") } else { String::new() }
    )]
    OtherImages {
        /// The file.
        path: PathBuf,
        /// What changed.
        reason: String,
        /// Whether a run on them may begin with its weights.
        same_classes: bool,
    },
    /// A checkpoint of a run with other teachers.
    #[error(
        "{} learnt from another teacher than {}, as that file is now. Resume it with the teachers that it was begun \
         with, or begin another run", path.display(), teacher.display()
    )]
    OtherTeacher {
        /// The file.
        path: PathBuf,
        /// The teacher.
        teacher: PathBuf,
    },
    /// A checkpoint without the state of its run.
    #[error(
        "{} holds a network without the state of its run, as `bagcert-train export` writes it, and cannot be resumed; \
         begin a new run with it: training.initial", path.display()
    )]
    NetworkAlone {
        /// The file.
        path: PathBuf,
    },
    /// A checkpoint of another network.
    #[error("{} holds another network: {reason}; use the configuration that it was trained with", path.display())]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// The first difference.
        reason: String,
    },
}

const HEADER: &str = "bagcert";
const FIRST_MOMENT: &str = "adam.first";
const SECOND_MOMENT: &str = "adam.second";
/// The weights and statistics being trained, where those under the layers' names are their average.
const TRAINED: [&str; 2] = ["training.parameters", "training.statistics"];
/// How the name of a file begins that is not written to its end yet.
const UNFINISHED: &str = ".bagcert-unfinished-";

/// Writes `bytes` to `path`, which the user named for it, as [`write_whole`] does. Of a link the file that it leads to is
/// replaced, and a pipe or a device is written to as it is.
///
/// # Errors
/// The system's reason, or a link that leads nowhere.
pub fn write_output(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let failed = |source| CheckpointError::File {
        what: "write",
        path: path.into(),
        source,
    };
    let place = match fs::canonicalize(path) {
        Ok(place) => place,
        Err(_) if path.is_symlink() => {
            let reason = "it is a link that leads nowhere; remove it, or give another file";
            return Err(failed(std::io::Error::other(reason)));
        }
        Err(_) => path.into(),
    };
    if fs::metadata(&place).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        let write = || {
            let mut device = fs::OpenOptions::new().write(true).open(&place)?;
            device.write_all(bytes).and_then(|()| device.flush())
        };
        return write().map_err(failed);
    }
    write_whole(&place, bytes)
}

/// Writes `bytes` to `path` so that a kill at any moment leaves the old file or the new one, never a part. A link is replaced,
/// and what it leads to stays: a run that was copied by links must not write into the one that it was copied from.
///
/// # Errors
/// The system's reason, for example a full disk; the old file is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || -> std::io::Result<()> {
        if !folder.exists() {
            let reason = format!("there is no folder {}; make it first", folder.display());
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, reason));
        }
        let mut file = readable_temporary(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| CheckpointError::File {
        what: "write",
        path: path.into(),
        source,
    })
}

/// SHA-256 of the file at `path`, in hexadecimal digits.
///
/// # Errors
/// Where it cannot be read.
pub fn sha256(path: &Path) -> Result<String, CheckpointError> {
    let content = regular::read(path).map_err(|source| CheckpointError::File {
        what: "read",
        path: path.into(),
        source,
    })?;
    Ok(hexadecimal(&content))
}

/// SHA-256 of `content`.
fn hexadecimal(content: &[u8]) -> String {
    format!("{:x}", Sha256::digest(content))
}

/// Removes what writes that were killed left in `folder`.
///
/// # Errors
/// Where such a file is there and cannot be removed.
pub fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Writes [`checkpoint_bytes`] to `path`.
///
/// # Errors
/// Where the file cannot be written.
pub fn save(
    path: &Path,
    header: &Header,
    network: &Network,
    training: Option<&Training>,
) -> Result<(), CheckpointError> {
    write_whole(path, &checkpoint_bytes(path, header, network, training)?)
}

/// The network, and what else a run needs to go on where given, as the checkpoint at `path` has them.
///
/// With an average of the weights, the layers' tensors hold the average: whoever reads the file as a network gets
/// that. The weights being trained stand beside it.
///
/// # Errors
/// What libtorch reports, or safetensors.
pub fn checkpoint_bytes(
    path: &Path,
    header: &Header,
    network: &Network,
    training: Option<&Training>,
) -> Result<Vec<u8>, CheckpointError> {
    let trained = &network.parameters;
    let average = training.and_then(|training| training.average.as_ref());
    let mut tensors = match average {
        Some(average) => trained
            .with(&average.parameters, &average.statistics)
            .named(),
        None => trained.named(),
    };
    if let Some(Training { adam, average }) = training {
        tensors.push((FIRST_MOMENT.into(), adam.first.shallow_clone()));
        tensors.push((SECOND_MOMENT.into(), adam.second.shallow_clone()));
        if average.is_some() {
            let flat = [&trained.flat, &trained.statistics];
            let named = TRAINED.iter().zip(flat);
            tensors.extend(named.map(|(name, flat)| (name.to_string(), flat.detach())));
        }
    }
    let format = |reason: String| CheckpointError::Format {
        path: path.into(),
        reason,
    };
    let mut bytes = Vec::with_capacity(tensors.len());
    for (name, tensor) in &tensors {
        let values = floats(tensor).map_err(|error| format(error.to_string()))?;
        let shape: Vec<usize> = tensor.size().iter().map(|&len| len as usize).collect();
        bytes.push((
            name,
            shape,
            values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect::<Vec<u8>>(),
        ));
    }
    let views: Result<Vec<_>, _> = bytes
        .iter()
        .map(|(name, shape, data)| {
            Ok((
                name.as_str(),
                TensorView::new(Dtype::F32, shape.clone(), data)?,
            ))
        })
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| format(error.to_string()))?;
    let text = serde_json::to_string(header).map_err(|error| format(error.to_string()))?;
    let text = sealed(&text, views.iter().map(|(name, view)| (*name, view)));
    // One entry: several would be written in any order, and the same run would not give the same file.
    let metadata = HashMap::from([(HEADER.to_string(), text)]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| format(error.to_string()))
}

/// What stands before the seal of a header, which is the last that it holds; there is none in checkpoints from before it was kept.
const SEAL: &str = ",\"seal\":\"";

/// The header `text`, a JSON object, with the SHA-256 of itself as it is and of the tensors, in the order of their names.
fn sealed<'t, 'd: 't>(
    text: &str,
    tensors: impl Iterator<Item = (&'t str, &'t TensorView<'d>)>,
) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut sha256 = Sha256::new_with_prefix(text);
    for (name, tensor) in tensors {
        sha256.update(format!("{name} {:?}\n", tensor.shape()));
        sha256.update(tensor.data());
    }
    let open = text.strip_suffix('}').unwrap_or(text);
    format!("{open}{SEAL}{:x}\"}}", sha256.finalize())
}

/// A new file in `folder` with the permissions of any other file, not of a secret.
fn readable_temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The system takes off what the user's umask forbids.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// A checkpoint in memory, not yet applied to a network.
#[derive(Debug)]
pub struct Checkpoint {
    /// What it says about itself.
    pub header: Header,
    path: PathBuf,
    data: Vec<u8>,
}

impl Checkpoint {
    /// Reads a file and its header.
    ///
    /// # Errors
    /// Where it cannot be read, is no regular file or no checkpoint of this program, or holds what was not written.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let data = regular::read(path).map_err(|source| CheckpointError::File {
            what: "read",
            path: path.into(),
            source,
        })?;
        let format = |reason: String| CheckpointError::Format {
            path: path.into(),
            reason,
        };
        let (_, metadata) =
            SafeTensors::read_metadata(&data).map_err(|error| format(error.to_string()))?;
        // Also checks that every tensor lies inside the file.
        let tensors = SafeTensors::deserialize(&data).map_err(|error| format(error.to_string()))?;
        let text = metadata.metadata().as_ref().and_then(|map| map.get(HEADER));
        let text = text.ok_or_else(|| format(format!("it has no {HEADER:?} header")))?;
        if let Some((open, _)) = text.rsplit_once(SEAL) {
            let views = tensors.tensors();
            let views = views.iter().map(|(name, view)| (name.as_str(), view));
            if sealed(&format!("{open}}}"), views) != *text {
                return Err(format("what it holds is not what was written".into()));
            }
        }
        let header: Header =
            serde_json::from_str(text).map_err(|error| format(error.to_string()))?;
        if header.version != 1 {
            return Err(format(format!(
                "its version is {}, this program reads 1",
                header.version
            )));
        }
        let network = header.network.check();
        network.map_err(|error| format(error.to_string()))?;
        let normal = |(mean, deviation): &(f32, f32)| {
            mean.is_finite() && deviation.is_finite() && *deviation > 0.0
        };
        if header.normalisation.len() != 3 || !header.normalisation.iter().all(normal) {
            let reason = format!(
                "its images are normalised by {:?}, not by mean and standard deviation of three channels",
                header.normalisation
            );
            return Err(CheckpointError::Format {
                path: path.into(),
                reason,
            });
        }
        Ok(Self {
            header,
            path: path.into(),
            data,
        })
    }

    /// SHA-256 of the file as it was read, in hexadecimal digits.
    pub fn sha256(&self) -> String {
        hexadecimal(&self.data)
    }

    /// Fails where this is a checkpoint of another network than `expected`.
    ///
    /// # Errors
    /// Says both networks.
    pub fn expect_network(&self, expected: &NetworkConfig) -> Result<(), CheckpointError> {
        let (found, expected) = (self.header.network.written_out(), expected.written_out());
        if found == expected {
            return Ok(());
        }
        let reason = format!("it has {found}; the configuration has {expected}");
        Err(CheckpointError::OtherNetwork {
            path: self.path.clone(),
            reason,
        })
    }

    /// Fails where the images that this was trained on are not those of `now`, whose classes and images are what
    /// is there; a run that a damaged image ended before knows its images as `mendable`.
    ///
    /// # Errors
    /// Says what changed.
    pub fn expect_images(
        &self,
        now: &Header,
        mendable: &Fingerprint,
    ) -> Result<(), CheckpointError> {
        let then = &self.header;
        let images = || {
            let (then, now) = (then.data.as_ref()?, now.data.as_ref()?);
            if then == mendable {
                return None;
            }
            then.other_images(now, &self.header.classes)
        };
        let classes = other_classes(&then.classes, &now.classes);
        let same_classes = classes.is_none();
        match classes.or_else(images) {
            None => Ok(()),
            Some(reason) => Err(CheckpointError::OtherImages {
                path: self.path.clone(),
                reason,
                same_classes,
            }),
        }
    }

    /// Fails where this did not learn from `teachers` as they are `now`, by the SHA-256 of each.
    ///
    /// # Errors
    /// Names the first that is another.
    pub fn expect_teachers(
        &self,
        teachers: &[PathBuf],
        now: &[String],
    ) -> Result<(), CheckpointError> {
        let then = &self.header.teachers;
        let mut each = then.iter().zip(now).zip(teachers);
        match each.find(|((then, now), _)| then != now) {
            None => Ok(()),
            Some((_, teacher)) => Err(CheckpointError::OtherTeacher {
                path: self.path.clone(),
                teacher: teacher.clone(),
            }),
        }
    }

    /// Copies the weights into `network` and, where given, the rest of a run's state into `training`.
    ///
    /// Without `training` an averaged network is what `network` becomes; with it, the weights being trained.
    ///
    /// # Errors
    /// Where a tensor is missing, has another shape or what is no number, or the run had an average and `training` has none.
    pub fn restore(
        &self,
        network: &mut Network,
        training: Option<&mut Training>,
    ) -> Result<(), CheckpointError> {
        let format = |reason: String| CheckpointError::Format {
            path: self.path.clone(),
            reason,
        };
        let tensors =
            SafeTensors::deserialize(&self.data).map_err(|error| format(error.to_string()))?;
        let load = |name: &str| -> Result<Tensor, CheckpointError> {
            let view = tensors
                .tensor(name)
                .map_err(|_| format(format!("it has no tensor {name:?}")))?;
            if view.dtype() != Dtype::F32 {
                return Err(format(format!("tensor {name:?} is not f32")));
            }
            let (values, _) = view.data().as_chunks();
            let least = if name.ends_with(".variance") {
                0.0
            } else {
                f32::MIN
            };
            let fits = |value: f32| value.is_finite() && value >= least;
            let mut values = values.iter().map(|bytes| f32::from_le_bytes(*bytes));
            if let Some(value) = values.find(|value| !fits(*value)) {
                return Err(format(format!("tensor {name:?} has the number {value}")));
            }
            let shape: Vec<i64> = view.shape().iter().map(|&len| len as i64).collect();
            Ok(Tensor::from_data_size(view.data(), &shape, Kind::Float))
        };
        for (name, _) in network.parameters.named() {
            let tensor = load(&name)?;
            if !network.parameters.set(&name, &tensor) {
                let reason = format!("tensor {name:?} has shape {:?}", tensor.size());
                return Err(CheckpointError::OtherNetwork {
                    path: self.path.clone(),
                    reason,
                });
            }
        }
        let Some(Training { adam, average }) = training else {
            return Ok(());
        };
        if !tensors.names().contains(&FIRST_MOMENT) {
            return Err(CheckpointError::NetworkAlone {
                path: self.path.clone(),
            });
        }
        let fill = |name: &str, place: &mut Tensor| {
            let tensor = load(name)?;
            if tensor.size() != place.size() {
                let reason = format!("tensor {name:?} has shape {:?}", tensor.size());
                return Err(format(reason));
            }
            no_grad(|| place.copy_(&tensor));
            Ok(())
        };
        fill(FIRST_MOMENT, &mut adam.first)?;
        fill(SECOND_MOMENT, &mut adam.second)?;
        adam.steps = self.header.steps;
        let flat = &network.parameters.flat;
        let places = [flat, &network.parameters.statistics].map(Tensor::detach);
        match average {
            Some(average) => {
                no_grad(|| {
                    average.parameters.copy_(&places[0]);
                    average.statistics.copy_(&places[1]);
                });
                for (name, mut place) in TRAINED.iter().zip(places) {
                    fill(name, &mut place)?;
                }
            }
            None if tensors.names().contains(&TRAINED[0]) => {
                let reason =
                    "it was trained with an average of the weights; set training.ema as it was";
                return Err(format(reason.into()));
            }
            None => {}
        }
        Ok(())
    }
}
