//! A run that begins with the mean of several networks (Izmailov et al., 2018; Wortsman et al., 2022).

use std::path::PathBuf;

use super::{
    TrainError,
    origin::{Origin, Sample, refused},
    unfold::unfold,
};
use crate::{
    checkpoint::Header,
    network::{self, Network},
};

/// Gives `network`, that of `header`, the mean of the numbers in the files at `paths`, checkpoints or exported models of the very
/// same layers. They are averaged with their batch normalisation folded in, which is then measured anew on `sample`: what the
/// mean gives has other statistics than what its parts give. Returns the SHA-256 of the files, in their order.
///
/// # Errors
/// Where a file is neither, or one of another network, other classes or another normalisation; where it has position embeddings
/// and images of another size.
pub(super) fn begin_with_mean(
    paths: &[PathBuf],
    sample: &Sample<'_>,
    header: &Header,
    network: &mut Network,
) -> Result<Vec<String>, TrainError> {
    let device = network.parameters.flat.device();
    let expected = header.network.written_out();
    let mut digests = vec![];
    let mut parts = vec![];
    for path in paths {
        let origin = Origin::read(path, device)?;
        origin.expect(path, &expected)?;
        if let Some(reason) = origin.misfit(header) {
            return Err(refused(path, reason));
        }
        let (folded, digest) = origin.folded(path, header, device)?;
        digests.push(digest);
        parts.push((folded, 1.0));
    }
    if let (Some(folded), Some(path)) = (network::mean(&parts), paths.first()) {
        let unfolded = unfold(&folded, network, &sample()?);
        unfolded.map_err(|reason| refused(path, reason))?;
    }
    Ok(digests)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::{
        checkpoint::save,
        export::{export, fold},
        network::Mode,
        run::{build, initial::tests::header_of, unfold::tests::random},
    };

    #[test]
    fn the_mean_of_a_checkpoint_and_an_exported_model_is_their_mean() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["first.safetensors", "second.onnx"].map(|name| folder.path().join(name));
        let layers = "kernels = [1, 3]\nstem_kernel = 2\ndilations = [1, 2]\npaths = 2";
        let header = header_of(16, &format!("{layers}\nposition_embedding = true"));
        let [first, second] = [random(&header), random(&header)];
        save(&paths[0], &header, &first, None).unwrap();
        export(&paths[1], &header, &second).unwrap();
        let images = Tensor::rand([32, 3, 16, 16], (Kind::Float, Device::Cpu));
        let sample = || Ok(images.shallow_clone());
        let (mut network, _) = build(&header, Device::Cpu).unwrap();
        let digests = begin_with_mean(&paths, &sample, &header, &mut network).unwrap();
        assert_eq!(digests.len(), 2);
        assert_ne!(digests[0], digests[1]);
        let flat = |network: &Network| fold(network).unwrap().parameters.flat.detach();
        let expected = (flat(&first) + flat(&second)) / 2.0;
        let off = (flat(&network) - &expected).abs().max().double_value(&[]);
        let scale = expected.abs().max().double_value(&[]);
        // A shift is the sum of a bias and a mean that may be much larger, and rounded.
        assert!(off < 1e-3 * scale, "{off} of {scale}");
        // Batch normalisation has the statistics of the mean.
        let said = |mode| network.forward(&images, mode).detach();
        let (still, training) = (said(Mode::Evaluate), said(Mode::Train { shake: false }));
        let off = (&training - &still).abs().max().double_value(&[]);
        let scale = still.abs().max().double_value(&[]);
        assert!(off < 2e-2 * scale, "{off} of {scale}");
    }

    #[test]
    fn networks_of_other_layers_have_no_mean() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["first.onnx", "second.onnx"].map(|name| folder.path().join(name));
        let headers = ["kernels = [1]", "kernels = [1, 1]"].map(|layers| header_of(16, layers));
        for (path, header) in paths.iter().zip(&headers) {
            export(path, header, &random(header)).unwrap();
        }
        let (mut network, _) = build(&headers[0], Device::Cpu).unwrap();
        let sample = || unreachable!("no images are asked for");
        let refused = begin_with_mean(&paths, &sample, &headers[0], &mut network);
        let text = refused.unwrap_err().to_string();
        assert!(
            text.contains("second.onnx") && text.contains("another network"),
            "{text}"
        );
    }
}
