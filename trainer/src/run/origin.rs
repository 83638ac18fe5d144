//! A file that a run begins with.

use std::path::Path;

use tch::{Device, Tensor};

use super::{TrainError, build, unfold::unfold};
use crate::{
    checkpoint::{Checkpoint, Header, sha256},
    config::NetworkConfig,
    export::fold,
    import::{import, is_exported},
    network::Network,
};

/// Training images, N x channels x H x W in [0, 1], on the run's device.
pub(super) type Sample<'s> = dyn Fn() -> Result<Tensor, TrainError> + 's;

/// A file to begin with.
pub(super) enum Origin {
    /// As a run or `export` writes it.
    Checkpoint(Box<Checkpoint>),
    /// ONNX, its batch normalisation folded, and the file's SHA-256.
    Exported(Box<(Header, Network, String)>),
}

impl Origin {
    /// The file at `path`, by its name a model or a checkpoint.
    pub(super) fn read(path: &Path, device: Device) -> Result<Self, TrainError> {
        if !is_exported(path) {
            let read = Checkpoint::read(path);
            let read = read.map_err(|error| refused(path, error.to_string()))?;
            return Ok(Self::Checkpoint(Box::new(read)));
        }
        let digest = sha256(path).map_err(|error| refused(path, error.to_string()))?;
        let imported = import(path, device);
        let (header, network, _) = imported.map_err(|error| refused(path, error.to_string()))?;
        Ok(Self::Exported(Box::new((header, network, digest))))
    }

    pub(super) fn header(&self) -> &Header {
        match self {
            Self::Checkpoint(checkpoint) => &checkpoint.header,
            Self::Exported(exported) => &exported.0,
        }
    }

    /// The layers, written out, as `ours` would name them: how paths were mixed in training is no matter of what was
    /// learnt, and is not in an exported file.
    pub(super) fn layers(&self, ours: &NetworkConfig) -> NetworkConfig {
        NetworkConfig {
            shake: ours.shake,
            ..self.header().network.written_out()
        }
    }

    /// Fails where the network is not `expected`, written out.
    pub(super) fn expect(&self, path: &Path, expected: &NetworkConfig) -> Result<(), TrainError> {
        let found = self.layers(expected);
        if found == *expected {
            return Ok(());
        }
        let reason = format!("it holds another network, {found}; the configuration has {expected}");
        Err(refused(path, reason))
    }

    /// The network of `header`, with the numbers of the file, and the file's SHA-256.
    pub(super) fn network(
        self,
        path: &Path,
        header: &Header,
        sample: &Sample<'_>,
        device: Device,
    ) -> Result<(Network, String), TrainError> {
        let (mut network, _) = build(header, device)?;
        match self {
            Self::Checkpoint(checkpoint) => {
                restored(&checkpoint, path, &mut network)?;
                Ok((network, checkpoint.sha256()))
            }
            Self::Exported(exported) => {
                let (_, folded, digest) = *exported;
                let unfolded = unfold(&folded, &mut network, &sample()?);
                unfolded.map_err(|reason| refused(path, reason))?;
                Ok((network, digest))
            }
        }
    }

    /// The same with batch normalisation folded in.
    pub(super) fn folded(
        self,
        path: &Path,
        header: &Header,
        device: Device,
    ) -> Result<(Network, String), TrainError> {
        match self {
            Self::Checkpoint(checkpoint) => {
                let (mut network, _) = build(header, device)?;
                restored(&checkpoint, path, &mut network)?;
                let folded = fold(&network).map_err(|error| refused(path, error.to_string()))?;
                Ok((folded, checkpoint.sha256()))
            }
            Self::Exported(exported) => Ok((exported.1, exported.2)),
        }
    }

    /// What of their images is told apart by the network itself.
    pub(super) fn misfit(&self, ours: &Header) -> Option<String> {
        let theirs = self.header();
        if theirs.classes != ours.classes {
            return Some(format!(
                "its classes are {:?}, the data set's {:?}",
                theirs.classes, ours.classes
            ));
        }
        if ours.network.position_embedding && theirs.image_size != ours.image_size {
            return Some(format!(
                "its images have {} pixels a side, the data set's {}, and it has learnt where its \
                 cells lie",
                theirs.image_size, ours.image_size
            ));
        }
        let normalisation = |header: &Header| -> Vec<(f32, f32)> {
            let each = header.normalisation.iter();
            match self {
                Self::Checkpoint(_) => each.copied().collect(),
                // An exported file has the inverse of each deviation, from which it is known but for the last digit.
                Self::Exported(_) => each
                    .map(|(mean, deviation)| (*mean, 1.0 / deviation))
                    .collect(),
            }
        };
        (normalisation(theirs) != normalisation(ours)).then(|| {
            format!(
                "its images are normalised by {:?}, the data set's by {:?}; data.normalisation \
                 sets that",
                theirs.normalisation, ours.normalisation
            )
        })
    }
}

fn restored(checkpoint: &Checkpoint, path: &Path, network: &mut Network) -> Result<(), TrainError> {
    let restored = checkpoint.restore(network, None);
    restored.map_err(|error| refused(path, error.to_string()))
}

/// Why a run cannot begin with the file.
pub(super) fn refused(path: &Path, reason: String) -> TrainError {
    let path = path.into();
    TrainError::Initial { path, reason }
}
