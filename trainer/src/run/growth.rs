//! How a network comes of a smaller one, saying at first what that one says, or of one with other dilations.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::{
    config::{NetworkConfig, TrainingConfig},
    network::{Block, Convolution, Network},
};

/// What a configuration says of the network that a run begins with, where it is not the run's own.
#[derive(Clone, Copy, Default)]
pub(super) struct Stated<'c> {
    /// Which blocks (from 1) its blocks become; all where it has as many.
    pub(super) blocks: Option<&'c [usize]>,
    /// Its dilations; those of the run's network, or of a coarser map, where they are not given.
    pub(super) dilations: Option<&'c [i64]>,
}

impl<'c> From<&'c TrainingConfig> for Stated<'c> {
    fn from(config: &'c TrainingConfig) -> Self {
        Self {
            blocks: config.initial_blocks.as_deref(),
            dilations: config.initial_dilations.as_deref(),
        }
    }
}

/// What a network has beyond a smaller one.
pub(super) struct Growth<'b> {
    /// The smaller network, written out: the one that was asked about, where the larger one can come of it.
    pub(super) smaller: NetworkConfig,
    /// Cells of the new map in each cell of the old one, along each axis.
    factor: i64,
    /// Which blocks (from 1) those of the smaller network become; all where it has as many.
    blocks: Option<&'b [usize]>,
}

impl<'b> Growth<'b> {
    /// From `theirs`, written out, to `ours`.
    pub(super) fn of(theirs: &NetworkConfig, ours: &NetworkConfig, stated: Stated<'b>) -> Self {
        let blocks = stated.blocks;
        let mut smaller = ours.written_out();
        smaller.position_embedding &= theirs.position_embedding;
        keep_blocks(&mut smaller, |index| keeps(blocks, *index));
        smaller.stem_kernel = smaller.stem_kernel.min(theirs.stem_kernel);
        if are_fewer(&theirs.hidden_widths, &smaller.hidden_widths) {
            smaller.hidden_widths.clone_from(&theirs.hidden_widths);
        }
        if let Some(dilations) = stated.dilations {
            smaller.dilations = Some(dilations.to_vec());
            return Self {
                smaller,
                factor: 1,
                blocks,
            };
        }
        let coarser = coarser(&smaller, theirs.stem_stride);
        let (factor, smaller) = coarser
            .filter(|(_, network)| network == theirs)
            .unwrap_or((1, smaller));
        Self {
            smaller,
            factor,
            blocks,
        }
    }

    /// The numbers of `found`, the smaller network, as those of `network`, the larger one, and what else it begins with.
    /// Both are for images of `image_size` pixels a side. Fails with the reason where one cannot begin as the other.
    pub(super) fn numbers(
        &self,
        found: &Network,
        network: &Network,
        image_size: u32,
    ) -> Result<Vec<(String, Tensor)>, String> {
        // Every later map has the same share of its cells as the stem's.
        let cells = |network: &Network| {
            let stem = &network.plan.stem;
            stem.output_len(i64::from(image_size)).unwrap_or(0)
        };
        let (coarse, fine) = (cells(found), cells(network));
        if coarse != (fine + self.factor - 1) / self.factor {
            return Err(format!(
                "its map of {coarse} cells a side is no part of one of {fine} with every cell {} times as fine",
                self.factor
            ));
        }
        let blocks = network.plan.blocks.iter().enumerate();
        let (old, new): (Vec<_>, Vec<_>) =
            blocks.partition(|(index, _)| keeps(self.blocks, *index));
        let mut numbers = vec![];
        for (_, block) in new {
            numbers.extend(silent(block)?);
        }
        let names = found.plan.blocks.iter().zip(&old);
        let names: Vec<_> = names
            .map(|(from, (_, to))| (format!("{}.", from.name), format!("{}.", to.name)))
            .collect();
        let (stem, larger) = (&found.plan.stem, &network.plan.stem);
        let places: HashMap<_, _> = network.parameters.named().into_iter().collect();
        for (name, tensor) in found.parameters.named() {
            let renamed = names.iter().find_map(|(from, to)| {
                let rest = name.strip_prefix(from.as_str())?;
                Some(format!("{to}{rest}"))
            });
            let name = renamed.unwrap_or(name);
            let tensor = match places.get(&name) {
                Some(place) if name.ends_with(".place.value") => {
                    on_finer_map(tensor, place, self.factor)
                }
                Some(_) if name == "stem.weight" => with_larger_kernel(&tensor, stem, larger),
                Some(place) => with_new_channels(&name, tensor, place),
                None => tensor,
            };
            numbers.push((name, tensor));
        }
        Ok(numbers)
    }
}

/// Whether the block of this index (from 0) was there before.
fn keeps(blocks: Option<&[usize]>, index: usize) -> bool {
    blocks.is_none_or(|blocks| blocks.contains(&(index + 1)))
}

/// What makes a new block the identity: scales of 0 after the last convolutions of its paths.
fn silent(block: &Block) -> Result<Vec<(String, Tensor)>, String> {
    if block.shortcut.is_some() {
        return Err(format!(
            "block {} is new and changes width or stride, so it cannot begin as the identity",
            block.name
        ));
    }
    let last = block.paths.iter().flat_map(|path| path.last());
    let zeros = |len| Tensor::zeros([len], (Kind::Float, Device::Cpu));
    Ok(last
        .map(|last| (format!("{}.scale", last.name), zeros(last.output)))
        .collect())
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

/// The weights of the convolution `from`, and zeros around them where the kernel of `to`, at least as large, reads more.
fn with_larger_kernel(weight: &Tensor, from: &Convolution, to: &Convolution) -> Tensor {
    let before = to.padding()[0] - from.padding()[0];
    let after = to.kernel - from.kernel - before;
    weight.constant_pad_nd([before, after, before, after])
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
