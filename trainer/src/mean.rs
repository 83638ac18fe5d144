//! One network from several of the same layers, such as the last ones of a row of runs: the mean of their weights.

use std::path::{Path, PathBuf};

use tch::Device;
use thiserror::Error;

use crate::{
    checkpoint::Header,
    config::{NetworkConfig, NoVotes},
    export::{ExportError, fold},
    import::{ImportError, import, is_exported},
    network::{self, Network},
    run::{self, TrainError},
};

/// Why networks have no mean.
#[derive(Debug, Error)]
pub enum MeanError {
    /// There is nothing to take the mean of.
    #[error("a mean is of two files at least")]
    TooFew,
    /// A file's part in the mean is no share.
    #[error("the weight of {} is {weight:?}; a number from 1e-6 to 1e6 is wanted", path.display())]
    Weight {
        /// The file.
        path: PathBuf,
        /// Its weight.
        weight: f64,
    },
    /// A checkpoint that cannot be used.
    #[error(transparent)]
    Checkpoint(#[from] TrainError),
    /// An exported model that cannot be used.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A checkpoint whose batch normalisation cannot be folded.
    #[error("{}: {source}", path.display())]
    Fold {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: ExportError,
    },
    /// Its logits are no votes.
    #[error("{}: {source}", path.display())]
    NoVotes {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: NoVotes,
    },
    /// Two files of other networks, or of other images.
    #[error(
        "{} and {} have no mean: {what} of the one: {of_first}; of the other: {of_other}",
        first.display(), other.display()
    )]
    Differ {
        /// The first file.
        first: PathBuf,
        /// One that does not go with it.
        other: PathBuf,
        /// What differs.
        what: &'static str,
        /// As the first has it.
        of_first: String,
        /// As the other has it.
        of_other: String,
    },
}

/// The mean of the networks in `parts`, checkpoints (of each its average, where there is one) or exported models, each by its
/// weight, with batch normalisation folded in; the header is the first one's.
///
/// # Errors
/// Where there are fewer than two, a weight is out of its range, a file cannot be used, or they are of different layers or images.
pub fn mean_of_files(parts: &[(PathBuf, f64)]) -> Result<(Header, Network), MeanError> {
    if let Some((path, weight)) = parts
        .iter()
        .find(|(_, weight)| !(1e-6..=1e6).contains(weight))
    {
        let (path, weight) = (path.clone(), *weight);
        return Err(MeanError::Weight { path, weight });
    }
    let mut first: Option<(&PathBuf, Header)> = None;
    let mut networks = vec![];
    for (path, weight) in parts {
        let (header, folded) = read(path)?;
        networks.push((folded, *weight));
        match &first {
            None => first = Some((path, header)),
            Some((one, expected)) => {
                if let Some((what, of_first, of_other)) = difference(expected, &header) {
                    return Err(MeanError::Differ {
                        first: (*one).clone(),
                        other: path.clone(),
                        what,
                        of_first,
                        of_other,
                    });
                }
            }
        }
    }
    match (first, network::mean(&networks)) {
        (Some((_, header)), Some(mean)) if networks.len() > 1 => Ok((header, mean)),
        _ => Err(MeanError::TooFew),
    }
}

/// The network in a file, by its name a model or a checkpoint, folded.
fn read(path: &Path) -> Result<(Header, Network), MeanError> {
    if is_exported(path) {
        let (header, network, _) = import(path, Device::Cpu)?;
        return Ok((header, network));
    }
    let (header, network, _) = run::load(path, Device::Cpu)?;
    let path = || path.to_owned();
    let votes = header.scores.expect_votes();
    votes.map_err(|source| MeanError::NoVotes {
        path: path(),
        source,
    })?;
    let folded = fold(&network).map_err(|source| MeanError::Fold {
        path: path(),
        source,
    })?;
    Ok((header, folded))
}

/// The first thing that the networks of both do not share: what it is, and how each has it.
fn difference(one: &Header, other: &Header) -> Option<(&'static str, String, String)> {
    let told = |what, tell: &dyn Fn(&Header) -> String| {
        let [one, other] = [tell(one), tell(other)];
        (one != other).then_some((what, one, other))
    };
    told("the network", &|header| {
        // How paths were mixed in training no exported file says.
        let layers = NetworkConfig {
            shake: false,
            ..header.network.written_out()
        };
        layers.to_string()
    })
    .or_else(|| told("the classes", &|header| format!("{:?}", header.classes)))
    .or_else(|| told("the data set", &|header| header.dataset.clone()))
    .or_else(|| {
        told("the side of its images in pixels", &|header| {
            header.image_size.to_string()
        })
    })
    .or_else(|| {
        told(
            "what the shorter side is scaled to",
            &|header| match header.resize {
                Some(pixels) => format!("{pixels} pixels"),
                None => "nothing, images are taken as they are".into(),
            },
        )
    })
    .or_else(|| {
        // An exported file has the inverse of each deviation.
        told("mean and inverse deviation of its images", &|header| {
            let each = header.normalisation.iter();
            let inverse: Vec<_> = each.map(|(mean, dev)| (*mean, 1.0 / dev)).collect();
            format!("{inverse:?}")
        })
    })
}
