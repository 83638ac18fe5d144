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
/// Where the file is no checkpoint, or one of another network, other classes or another normalisation, or where it has
/// position embeddings and images of another size.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{checkpoint::save, config::Scores};
    use tch::Device;

    fn header(image_size: u32, position_embedding: bool) -> Header {
        let network =
            format!("width = 4\nkernels = [3]\nposition_embedding = {position_embedding}");
        Header {
            version: 1,
            network: toml::from_str(&network).unwrap(),
            scores: Scores::Heaviside,
            classes: vec!["left".into(), "right".into()],
            dataset: "made up".into(),
            normalisation: vec![(0.5, 0.25); 3],
            image_size,
            resize: None,
            data: None,
            epoch: 0,
            steps: 0,
            seed: 0,
            teachers: vec![],
        }
    }

    /// Position belongs to a size of image; a network without it goes with any.
    #[test]
    fn images_of_another_size_are_refused_where_cells_know_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        for (theirs, ours, refused) in [
            (true, true, true),
            (false, true, false),
            (false, false, false),
        ] {
            let first = header(32, theirs);
            let (network, _) = build(&first, Device::Cpu).unwrap();
            save(&path, &first, &network, None).unwrap();
            let second = header(48, ours);
            let (mut network, _) = build(&second, Device::Cpu).unwrap();
            let result = begin_with(&path, &second, &mut network);
            assert_eq!(result.is_err(), refused, "{theirs} {ours}: {result:?}");
            if let Err(error) = result {
                let text = error.to_string();
                for part in [
                    "training.initial",
                    "first.safetensors",
                    "32",
                    "48",
                    "pixels",
                ] {
                    assert!(text.contains(part), "{part} is not in: {text}");
                }
            }
        }
    }
}
