//! The weights that a new run begins with, where they are not random.

use std::{collections::HashMap, path::Path};

use tch::{Device, Kind, Tensor};

use super::{TrainError, build};
use crate::{
    checkpoint::{Checkpoint, Header},
    config::NetworkConfig,
    network::Network,
};

/// Copies the weights in the checkpoint at `path` into `network`, that of `header`. What the network has beyond it
/// begins so that both say the same: position embeddings at their zeros, blocks as the identity, and hidden channels
/// unheard; of a finer map, whose stem skips fewer pixels and whose kernels are dilated for it, the cells that both have.
/// `blocks`: which blocks of the network (from 1) those of the checkpoint become; nothing where they are the same.
/// Returns the SHA-256 of the checkpoint.
///
/// # Errors
/// Where the file is no checkpoint, or one of another network, other classes or another normalisation; where it has
/// position embeddings and images of another size; where a new block cannot be the identity.
pub(super) fn begin_with(
    path: &Path,
    blocks: Option<&[usize]>,
    header: &Header,
    network: &mut Network,
) -> Result<String, TrainError> {
    let checkpoint = Checkpoint::read(path)?;
    let theirs = checkpoint.header.network.written_out();
    let mut source = header.clone();
    source.network = source.network.written_out();
    source.network.position_embedding &= theirs.position_embedding;
    let kept = |index: &usize| blocks.is_none_or(|blocks| blocks.contains(&(index + 1)));
    keep_blocks(&mut source.network, kept);
    if are_fewer(&theirs.hidden_widths, &source.network.hidden_widths) {
        source
            .network
            .hidden_widths
            .clone_from(&theirs.hidden_widths);
    }
    let coarser = coarser(&source.network, theirs.stem_stride);
    let factor = match coarser.filter(|(_, network)| *network == theirs) {
        Some((factor, network)) => {
            source.network = network;
            factor
        }
        None => 1,
    };
    let refused = |reason| {
        let path = path.into();
        Err(TrainError::Initial { path, reason })
    };
    if let Some(blocks) = blocks
        && theirs != source.network
    {
        return refused(format!(
            "its network is {theirs}; what training.initial_blocks = {blocks:?} names of the new one is {}",
            source.network
        ));
    }
    checkpoint.expect_network(&source.network)?;
    if let Some(reason) = misfit(&checkpoint.header, &source) {
        return refused(reason);
    }
    let (mut found, _) = build(&source, network.parameters.flat.device())?;
    checkpoint.restore(&mut found, None)?;
    // Every later map has the same share of its cells as the stem's.
    let cells = |network: &Network| {
        let stem = &network.plan.stem;
        stem.output_len(i64::from(header.image_size)).unwrap_or(0)
    };
    let (coarse, fine) = (cells(&found), cells(network));
    if coarse != (fine + factor - 1) / factor {
        return refused(format!(
            "its map of {coarse} cells a side is no part of one of {fine} with every cell {factor} times as fine"
        ));
    }
    let (old, new): (Vec<_>, Vec<_>) = network
        .plan
        .blocks
        .clone()
        .into_iter()
        .enumerate()
        .partition(|(index, _)| kept(index));
    let mut numbers = vec![];
    for (_, block) in new {
        if block.shortcut.is_some() {
            return refused(format!(
                "block {} is new and changes width or stride, so it cannot begin as the identity",
                block.name
            ));
        }
        for last in block.paths.iter().flat_map(|path| path.last()) {
            let silent = Tensor::zeros([last.output], (Kind::Float, Device::Cpu));
            numbers.push((format!("{}.scale", last.name), silent));
        }
    }
    let names = found.plan.blocks.iter().zip(&old);
    let names: Vec<_> = names
        .map(|(from, (_, to))| (format!("{}.", from.name), format!("{}.", to.name)))
        .collect();
    numbers.extend(found.parameters.named().into_iter().map(|(name, tensor)| {
        let renamed = names.iter().find_map(|(from, to)| {
            let rest = name.strip_prefix(from.as_str())?;
            Some(format!("{to}{rest}"))
        });
        (renamed.unwrap_or(name), tensor)
    }));
    let places: HashMap<_, _> = network.parameters.named().into_iter().collect();
    for (name, tensor) in numbers {
        let tensor = match places.get(&name) {
            Some(place) if name.ends_with(".place.value") => on_finer_map(tensor, place, factor),
            Some(place) => with_new_channels(&name, tensor, place),
            None => tensor,
        };
        if !network.parameters.set(&name, &tensor) {
            return refused(format!("the network has no {name} of its shape"));
        }
    }
    Ok(checkpoint.sha256())
}

/// Whether each block has at most as many channels in `one` as in `other`.
fn are_fewer(one: &Option<Vec<i64>>, other: &Option<Vec<i64>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one <= other)
        }
        _ => false,
    }
}

/// The network with the larger `stem_stride` that works out every so many cells of this one's map, and reads the same
/// pixels for them, with that number; `None` where there is none.
fn coarser(network: &NetworkConfig, stem_stride: i64) -> Option<(i64, NetworkConfig)> {
    let factor = stem_stride / network.stem_stride;
    if factor < 2 || stem_stride % network.stem_stride != 0 {
        return None;
    }
    let dilations = network
        .kernels
        .iter()
        .zip(network.dilations.iter().flatten());
    let dilations = dilations.map(|(kernel, dilation)| match dilation % factor {
        _ if *kernel == 1 => Some(1),
        0 => Some(dilation / factor),
        _ => None,
    });
    let coarser = NetworkConfig {
        stem_stride,
        dilations: Some(dilations.collect::<Option<_>>()?),
        ..network.clone()
    };
    Some((factor, coarser))
}

/// A position embedding (channels x h x w) on the map of `place`, `factor` times as fine: each cell has what the cell had
/// that it lies in.
fn on_finer_map(mut embedding: Tensor, place: &Tensor, factor: i64) -> Tensor {
    for (axis, cells) in (0..).zip(place.size()).skip(1) {
        let cells = Tensor::arange(cells, (Kind::Int64, embedding.device()));
        embedding = embedding.index_select(axis, &cells.floor_divide_scalar(factor));
    }
    embedding
}

/// `tensor`, and the numbers of new hidden channels beyond it where `place`, the new network's of the same name, has
/// them: random weights from below, as they were drawn, and zeros upwards, so that nothing is heard of them at first.
fn with_new_channels(name: &str, tensor: Tensor, place: &Tensor) -> Tensor {
    let (old, new) = (tensor.size(), place.size());
    let upwards = name.ends_with("conv2.weight");
    let axis = usize::from(upwards);
    match (old.get(axis), new.get(axis)) {
        (Some(&old), Some(&new)) if old < new => {
            let rest = place.narrow(axis as i64, old, new - old);
            let rest = if upwards { rest.zeros_like() } else { rest };
            Tensor::cat(&[tensor, rest], axis as i64)
        }
        _ => tensor,
    }
}

/// Takes the other blocks out of a network.
fn keep_blocks(network: &mut NetworkConfig, kept: impl Fn(&usize) -> bool) {
    let lists = [
        &mut network.strides,
        &mut network.widths,
        &mut network.hidden_widths,
        &mut network.dilations,
    ];
    let lists = lists.into_iter().flatten().chain([&mut network.kernels]);
    for list in lists {
        *list = (0..list.len())
            .filter(&kept)
            .filter_map(|index| list.get(index).copied())
            .collect();
    }
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
    use crate::{checkpoint::save, config::Scores, network::Mode};

    fn header(image_size: u32, position_embedding: bool) -> Header {
        let network = format!("kernels = [3]\nposition_embedding = {position_embedding}");
        header_of(image_size, &network)
    }

    fn header_of(image_size: u32, network: &str) -> Header {
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
            let result = begin_with(&path, None, &second, &mut network);
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
            begin_with(&path, Some(&[2, 4]), &second, &mut network).unwrap();
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
            begin_with(&path, None, &second, &mut network).unwrap();
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
        let refused = begin_with(&path, None, &odd, &mut network).unwrap_err();
        assert!(refused.to_string().contains("2 times as fine"), "{refused}");
        // A stem that skips two and a half times as many.
        random_of(&path, &header_of(32, &format!("{stem}\nstem_stride = 5")));
        let odd = header_of(32, &format!("{stem}\nstem_stride = 2\ndilations = [2]"));
        let (mut network, _) = build(&odd, Device::Cpu).unwrap();
        assert!(begin_with(&path, None, &odd, &mut network).is_err());
        // The second block's taps would lie between the old ones.
        let odd = header_of(
            32,
            &format!("stem_stride = 2\n{rest}\ndilations = [1, 3, 4, 1]"),
        );
        random_of(&path, &header_of(32, &format!("stem_stride = 4\n{rest}")));
        let (mut network, _) = build(&odd, Device::Cpu).unwrap();
        let refused = begin_with(&path, None, &odd, &mut network).unwrap_err();
        assert!(refused.to_string().contains("dilations"), "{refused}");
    }

    #[test]
    fn blocks_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.safetensors");
        random(&path, "kernels = [3, 1]\npaths = 1");
        let refused = |blocks: Option<&[usize]>, network: &str| {
            let header = header_of(8, &format!("{network}\npaths = 1"));
            let (mut network, _) = build(&header, Device::Cpu).unwrap();
            let result = begin_with(&path, blocks, &header, &mut network);
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
