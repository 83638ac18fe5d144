//! The weights that a new run begins with, where they are not random.

use std::path::Path;

use super::{TrainError, build};
use crate::{
    checkpoint::{Checkpoint, Header},
    network::Network,
};

/// Copies the weights in the checkpoint at `path` into `network`, that of `header`. A checkpoint without position
/// embeddings leaves those of the network at their zeros, with which both say the same.
///
/// # Errors
/// Where the file is no checkpoint, or one of another network, other classes or another normalisation.
pub(super) fn begin_with(
    path: &Path,
    header: &Header,
    network: &mut Network,
) -> Result<(), TrainError> {
    let checkpoint = Checkpoint::read(path)?;
    let mut source = header.clone();
    source.network.position_embedding &= checkpoint.header.network.position_embedding;
    checkpoint.expect_network(&source.network)?;
    if let Some(reason) = misfit(&checkpoint.header, &source) {
        let path = path.into();
        return Err(TrainError::Initial { path, reason });
    }
    let (mut found, _) = build(&source, network.parameters.flat.device())?;
    checkpoint.restore(&mut found, None)?;
    for (name, tensor) in found.parameters.named() {
        // All names and shapes are those of the network, but for embeddings.
        network.parameters.set(&name, &tensor);
    }
    Ok(())
}

/// What of their images is told apart by the network itself.
fn misfit(theirs: &Header, ours: &Header) -> Option<String> {
    if theirs.classes != ours.classes {
        return Some(format!(
            "its classes are {:?}, the data set's {:?}",
            theirs.classes, ours.classes
        ));
    }
    if ours.network.position_embedding && theirs.image_size != ours.image_size {
        return Some(format!(
            "its images have {} pixels a side, the data set's {}, and it has learnt where its cells lie",
            theirs.image_size, ours.image_size
        ));
    }
    (theirs.normalisation != ours.normalisation).then(|| {
        format!(
            "its images are normalised by {:?}, the data set's by {:?}; data.normalisation sets that",
            theirs.normalisation, ours.normalisation
        )
    })
}
