//! The weights that a new run begins with, where they are not random.

use std::path::Path;

use super::{
    TrainError,
    growth::{Growth, Stated},
    origin::{Origin, Sample, refused},
    unfold::no_place,
};
use crate::{checkpoint::Header, network::Network};

/// Copies the weights in the file at `path`, a checkpoint or an exported model, into `network`, that of `header`. What the
/// network has beyond it begins so that both say the same: position embeddings at their zeros, blocks as the identity, pixels
/// and hidden channels unheard; of a finer map, whose stem skips fewer pixels and whose kernels are dilated for it, the cells that
/// both have. Only where `stated` gives it other dilations it says something else at first.
/// `sample`: what the batch normalisation that an exported model has lost is measured on. Returns the SHA-256 of the file.
///
/// # Errors
/// Where the file is neither, or one of another network, other classes or another normalisation; where it has
/// position embeddings and images of another size; where a new block cannot be the identity.
pub(super) fn begin_with(
    path: &Path,
    stated: Stated<'_>,
    sample: &Sample<'_>,
    header: &Header,
    network: &mut Network,
) -> Result<String, TrainError> {
    let device = network.parameters.flat.device();
    let origin = Origin::read(path, device)?;
    let theirs = origin.layers(&header.network);
    let growth = Growth::of(&theirs, &header.network, stated);
    if let Some(blocks) = stated.blocks
        && theirs != growth.smaller
    {
        let reason = format!(
            "its network is {theirs}; what training.initial_blocks = {blocks:?} names of the new one is {}",
            growth.smaller
        );
        return Err(refused(path, reason));
    }
    origin.expect(path, &growth.smaller)?;
    let source = Header {
        network: growth.smaller.clone(),
        ..header.clone()
    };
    if let Some(reason) = origin.misfit(&source) {
        return Err(refused(path, reason));
    }
    let (found, digest) = origin.network(path, &source, sample, device)?;
    let numbers = growth.numbers(&found, network, header.image_size);
    for (name, tensor) in numbers.map_err(|reason| refused(path, reason))? {
        if !network.parameters.set(&name, &tensor) {
            return Err(refused(path, no_place(&name)));
        }
    }
    Ok(digest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use std::collections::HashMap;

    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::{checkpoint::save, config::Scores, network::Mode, run::build};

    fn header(image_size: u32, position_embedding: bool) -> Header {
        let network = format!("kernels = [3]\nposition_embedding = {position_embedding}");
        header_of(image_size, &network)
    }

    /// Of a network of width 4 and two classes.
    pub(in crate::run) fn header_of(image_size: u32, network: &str) -> Header {
        let network = format!("width = 4\n{network}");
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
            initial: None,
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
            let result = begin_with(&path, Stated::default(), &unasked, &second, &mut network);
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

    fn of_blocks(blocks: Option<&[usize]>) -> Stated<'_> {
        Stated {
            blocks,
            ..Stated::default()
        }
    }

    /// A checkpoint has its statistics.
    fn unasked() -> Result<Tensor, TrainError> {
        unreachable!("no images are asked for")
    }

    /// Writes a checkpoint of a network whose numbers are all random to `path`.
    fn random(path: &Path, network: &str) {
        random_of(path, &header_of(8, network));
    }

    fn random_of(path: &Path, header: &Header) {
        let (mut network, _) = build(header, Device::Cpu).unwrap();
        for (name, tensor) in network.parameters.named() {
            // Variances are above 0.
            let value = Tensor::rand_like(&tensor) + 0.5;
            assert!(network.parameters.set(&name, &value));
        }
        save(path, header, &network, None).unwrap();
    }

    fn logits(network: &Network) -> Tensor {
        // Nothing is drawn: other tests draw from the same generator meanwhile.
        let options = (Kind::Float, Device::Cpu);
        let images = Tensor::linspace(0.0, 1.0, 2 * 3 * 8 * 8, options).view([2, 3, 8, 8]);
        network.forward(&images, Mode::Evaluate)
    }

    /// New blocks before, between and after the old ones, new channels in them, of one path and of two, with strides and
    /// widths.
    #[test]
    fn a_network_that_grew_says_what_it_said_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        let shape = "strides = [2, 1]\nwidths = [4, 6]";
        let grown =
            "strides = [1, 2, 1, 1, 1]\nwidths = [4, 4, 4, 6, 6]\nhidden_widths = [4, 7, 4, 6, 5]";
        for options in ["paths = 1", "paths = 2\nposition_embedding = true"] {
            random(&path, &format!("kernels = [3, 1]\n{shape}\n{options}"));
            let (_, first, _) = super::super::load(&path, Device::Cpu).unwrap();
            let second = header_of(8, &format!("kernels = [1, 3, 3, 1, 1]\n{grown}\n{options}"));
            let (mut network, _) = build(&second, Device::Cpu).unwrap();
            let before = logits(&first);
            assert_ne!(logits(&network), before);
            begin_with(
                &path,
                of_blocks(Some(&[2, 4])),
                &unasked,
                &second,
                &mut network,
            )
            .unwrap();
            // Sums over more channels may round otherwise.
            let off = (logits(&network) - &before).abs().max().double_value(&[]);
            let scale = before.abs().max().double_value(&[]);
            assert!(off <= 1e-5 * scale, "{options}: {off} of {scale}");
            // New blocks and channels have their random weights to grow with.
            let named: HashMap<_, _> = network.parameters.named().into_iter().collect();
            let weights = named.get("b5.path1.conv1.weight").unwrap();
            assert!(weights.abs().max().double_value(&[]) > 0.0);
            let weights = named.get("b2.path1.conv1.weight").unwrap();
            assert_eq!(weights.size(), [7, 4, 3, 3]);
            assert!(weights.get(6).abs().max().double_value(&[]) > 0.0);
        }
    }

    /// Of a finer map the cells that the coarser one had say what they said; the others begin beside them.
    #[test]
    fn a_finer_map_begins_with_the_cells_of_the_coarser() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        let rest = "kernels = [1, 3, 3, 1]\nstrides = [1, 1, 2, 1]\nposition_embedding = true";
        for (stem, factor, size) in [
            ("stem_kernel = 2", 2, 32),
            ("stem_kernel = 3", 4, 32),
            ("stem_kernel = 3", 4, 33),
        ] {
            let coarse = format!("{stem}\nstem_stride = 4\n{rest}\ndilations = [1, 1, 2, 1]");
            let fine = format!(
                "{stem}\nstem_stride = {}\n{rest}\ndilations = [1, {factor}, {}, 1]",
                4 / factor,
                2 * factor
            );
            let sized = |network: &str| header_of(size, network);
            random_of(&path, &sized(&coarse));
            let (_, first, _) = super::super::load(&path, Device::Cpu).unwrap();
            let second = sized(&fine);
            let (mut network, _) = build(&second, Device::Cpu).unwrap();
            begin_with(&path, Stated::default(), &unasked, &second, &mut network).unwrap();
            let side = i64::from(size);
            let images = Tensor::linspace(0.0, 1.0, 6 * side * side, (Kind::Float, Device::Cpu))
                .view([2, 3, side, side]);
            let before = first.forward(&images, Mode::Evaluate);
            let after = network.forward(&images, Mode::Evaluate);
            let cells = after.slice(2, 0, None, factor).slice(3, 0, None, factor);
            assert_eq!(cells.size(), before.size());
            assert!(after.size()[2] > before.size()[2]);
            let off = (&cells - &before).abs().max().double_value(&[]);
            let scale = before.abs().max().double_value(&[]);
            assert!(off <= 1e-5 * scale, "{fine}: {off} of {scale}");
            // The others have the place of the cell that they lie in.
            let place = |network: &Network| {
                let named: HashMap<_, _> = network.parameters.named().into_iter().collect();
                named.get("b2.place.value").unwrap().shallow_clone()
            };
            let (ours, theirs) = (place(&network), place(&first));
            for (y, x) in [(0, 1), (factor - 1, 2 * factor - 1), (7, 5)] {
                let (here, there) = ([y, x], [y / factor, x / factor]);
                let number = |from: &Tensor, [y, x]: [i64; 2]| from.double_value(&[1, y, x]);
                assert_eq!(number(&ours, here), number(&theirs, there), "{y}, {x}");
            }
        }
        // An even stem that skips pixels has no zeros after the last, so that here no cell of 17 is the last of 16.
        let stem = "stem_kernel = 2\nkernels = [3]";
        random_of(&path, &header_of(33, &format!("{stem}\nstem_stride = 2")));
        let odd = header_of(33, &format!("{stem}\ndilations = [2]"));
        let (mut network, _) = build(&odd, Device::Cpu).unwrap();
        let refused =
            begin_with(&path, Stated::default(), &unasked, &odd, &mut network).unwrap_err();
        assert!(refused.to_string().contains("2 times as fine"), "{refused}");
        // A stem that skips two and a half times as many.
        random_of(&path, &header_of(32, &format!("{stem}\nstem_stride = 5")));
        let odd = header_of(32, &format!("{stem}\nstem_stride = 2\ndilations = [2]"));
        let (mut network, _) = build(&odd, Device::Cpu).unwrap();
        assert!(begin_with(&path, Stated::default(), &unasked, &odd, &mut network).is_err());
        // The second block's taps would lie between the old ones.
        let odd = header_of(
            32,
            &format!("stem_stride = 2\n{rest}\ndilations = [1, 3, 4, 1]"),
        );
        random_of(&path, &header_of(32, &format!("stem_stride = 4\n{rest}")));
        let (mut network, _) = build(&odd, Device::Cpu).unwrap();
        let refused =
            begin_with(&path, Stated::default(), &unasked, &odd, &mut network).unwrap_err();
        assert!(refused.to_string().contains("dilations"), "{refused}");
    }

    /// A larger stem reads more pixels around those that it read, from which nothing is heard at first.
    #[test]
    fn a_larger_stem_says_what_the_smaller_one_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        for (stride, from, to, same) in [
            (1, 2, 3, true),
            (1, 3, 5, true),
            (1, 2, 6, true),
            (1, 3, 4, true),
            (2, 3, 5, true),
            (2, 2, 3, true),
            (2, 3, 4, true),
            (1, 5, 3, false),
        ] {
            let sized = |kernel: i64| {
                let stem = format!("stem_kernel = {kernel}\nstem_stride = {stride}");
                header_of(
                    16,
                    &format!("kernels = [3]\nposition_embedding = true\n{stem}"),
                )
            };
            random_of(&path, &sized(from));
            let (_, first, _) = super::super::load(&path, Device::Cpu).unwrap();
            let second = sized(to);
            let (mut network, _) = build(&second, Device::Cpu).unwrap();
            let begun = begin_with(&path, Stated::default(), &unasked, &second, &mut network);
            assert_eq!(begun.is_ok(), same, "{stride}, {from} to {to}: {begun:?}");
            if same {
                let options = (Kind::Float, Device::Cpu);
                let images = Tensor::linspace(0.0, 1.0, 2 * 3 * 16 * 16, options);
                let images = images.view([2, 3, 16, 16]);
                let said = |network: &Network| network.forward(&images, Mode::Evaluate);
                let (before, after) = (said(&first), said(&network));
                let off = (&after - &before).abs().max().double_value(&[]);
                let scale = before.abs().max().double_value(&[]);
                assert!(
                    off <= 1e-5 * scale,
                    "{stride}, {from} to {to}: {off} of {scale}"
                );
            }
        }
    }

    /// The same weights, on cells that lie nearer to each other.
    #[test]
    fn kernels_keep_their_weights_where_their_taps_move() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        let network = |stem: i64, dilation: i64| {
            header_of(
                16,
                &format!("kernels = [1, 3]\nstem_kernel = {stem}\ndilations = [1, {dilation}]"),
            )
        };
        random_of(&path, &network(2, 2));
        let (_, first, _) = super::super::load(&path, Device::Cpu).unwrap();
        let second = network(3, 1);
        let begin = |dilations: Option<&[i64]>| {
            let (mut network, _) = build(&second, Device::Cpu).unwrap();
            let stated = Stated {
                dilations,
                ..Stated::default()
            };
            begin_with(&path, stated, &unasked, &second, &mut network).map(|_| network)
        };
        let begun = begin(Some(&[1, 2])).unwrap();
        let (before, after) = (first.parameters.named(), begun.parameters.named());
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            if name == "stem.weight" {
                assert_eq!(after.narrow(2, 1, 2).narrow(3, 1, 2), *before);
                assert_eq!(after.narrow(2, 0, 1).abs().max().double_value(&[]), 0.0);
            } else {
                assert_eq!(before, after, "{name}");
            }
        }
        // Not by mistake.
        for dilations in [None, Some(&[1, 1][..]), Some(&[1, 3]), Some(&[2])] {
            let refused = begin(dilations).unwrap_err().to_string();
            assert!(refused.contains("another network"), "{refused}");
        }
    }

    #[test]
    fn blocks_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        random(&path, "kernels = [3, 1]\npaths = 1");
        let refused = |blocks: Option<&[usize]>, network: &str| {
            let header = header_of(8, &format!("{network}\npaths = 1"));
            let (mut network, _) = build(&header, Device::Cpu).unwrap();
            let result = begin_with(&path, of_blocks(blocks), &unasked, &header, &mut network);
            result.unwrap_err().to_string()
        };
        let text = refused(None, "kernels = [3, 1, 1]");
        assert!(text.contains("another network"), "{text}");
        // The block of kernel 3 cannot be one of kernel 1.
        let text = refused(Some(&[1, 3]), "kernels = [1, 3, 1]");
        assert!(text.contains("training.initial_blocks = [1,"), "{text}");
        let text = refused(None, "kernels = [3, 1]\nhidden_widths = [4, 3]");
        assert!(text.contains("hidden_widths = [4, 3]"), "{text}");
        // The same widths, written out or not.
        let text = refused(Some(&[1, 2]), "kernels = [3, 1, 1]\nwidths = [4, 4, 8]");
        assert!(text.contains("b3") && text.contains("identity"), "{text}");
    }
}
