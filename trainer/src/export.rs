//! ONNX export: the network in evaluation, batch normalisation folded into its convolutions.
//!
//! The file holds nothing but Sub, Mul (by constants, the input's normalisation), Conv with bias, Relu, and Add
//! (of maps, and of position embeddings).

mod onnx;

use std::{collections::HashMap, path::Path};

use tch::{Device, Kind, Tensor};
use thiserror::Error;

use self::onnx::GraphBuilder;
use crate::{
    checkpoint::{CheckpointError, Header, write_output},
    config::NoVotes,
    evaluate::floats,
    network::{BATCH_NORM_EPSILON, Convolution, Embedding, Layer, Network},
};

/// Why a network could not be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// A weight is NaN or infinite after folding.
    #[error("layer {layer} has a weight that is not finite; this checkpoint cannot be exported")]
    NotFinite {
        /// Its name.
        layer: String,
    },
    /// The network's parameters do not match its layers.
    #[error("layer {layer} has no {part}")]
    Missing {
        /// Its name.
        layer: String,
        /// The tensor.
        part: &'static str,
    },
    /// Its logits are no votes.
    #[error(transparent)]
    NoVotes(#[from] NoVotes),
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] CheckpointError),
}

/// Writes `network` as ONNX: input "image" [1, 3, H, W] f32 in [0, 1], output "logits" [1, C, h, w].
///
/// # Errors
/// Where a weight is not finite, the network was trained on softmax scores, or the file cannot be written; an
/// older file is then untouched.
pub fn export(path: &Path, header: &Header, network: &Network) -> Result<(), ExportError> {
    let bytes = onnx_bytes(header, network)?;
    Ok(write_output(path, &bytes)?)
}

/// The bytes of the ONNX file.
///
/// # Errors
/// Where a weight is not finite, or the network was trained on softmax scores.
pub fn onnx_bytes(header: &Header, network: &Network) -> Result<Vec<u8>, ExportError> {
    header.scores.expect_votes()?;
    let mut folded = Folded::new(network);
    let mut graph = GraphBuilder::new();
    let size = i64::from(header.image_size);
    let channels = header.normalisation.len();
    graph.input("image", &[1, channels as i64, size, size]);
    let shape = [1, channels as i64, 1, 1];
    let means: Vec<f32> = header.normalisation.iter().map(|n| n.0).collect();
    let scales: Vec<f32> = header.normalisation.iter().map(|n| 1.0 / n.1).collect();
    let mean = graph.constant("normalise.mean", &shape, &means);
    let scale = graph.constant("normalise.scale", &shape, &scales);
    let centred = graph.node("Sub", "normalise.centre", &["image", &mean]);
    let mut x = graph.node("Mul", "normalise", &[&centred, &scale]);
    let mut len = size;
    let plan = &network.plan;
    let stem = folded.convolve(&mut graph, &x, &plan.stem, 1.0)?;
    len = plan.stem.output_len(len).unwrap_or(0);
    let stem = folded.place(&mut graph, stem, plan.stem_embedding.as_ref())?;
    x = graph.node("Relu", "stem.relu", &[&stem]);
    for block in &plan.blocks {
        let name = &block.name;
        let share = 1.0 / block.paths.len() as f64;
        let mut sum: Option<String> = None;
        for (path, [first, second]) in (1..).zip(&block.paths) {
            let middle = folded.convolve(&mut graph, &x, first, 1.0)?;
            let middle = graph.node("Relu", &format!("{}.relu", first.name), &[&middle]);
            // In evaluation the paths are averaged: the share is folded in as well.
            let end = folded.convolve(&mut graph, &middle, second, share)?;
            sum = Some(match sum {
                None => end,
                Some(others) => graph.node("Add", &format!("{name}.mix{path}"), &[&others, &end]),
            });
        }
        let shortcut = match &block.shortcut {
            Some(c) => folded.convolve(&mut graph, &x, c, 1.0)?,
            None => x.clone(),
        };
        len = block.output_len(len);
        let sum = sum.unwrap_or_default();
        let added = graph.node("Add", &format!("{name}.add"), &[&shortcut, &sum]);
        let placed = folded.place(&mut graph, added, block.embedding.as_ref())?;
        x = graph.node("Relu", &format!("{name}.relu"), &[&placed]);
    }
    let logits = folded.convolve(&mut graph, &x, &plan.head, 1.0)?;
    graph.output(&logits, "logits", &[1, plan.head.output, len, len]);
    let names = serde_json::to_string(&header.classes).unwrap_or_default();
    graph.metadata("bagcert.class_names", &names);
    graph.metadata("bagcert.dataset", &header.dataset);
    graph.metadata("bagcert.normalisation", "inside");
    if let Some(resize) = header.resize {
        graph.metadata("bagcert.resize", &resize.to_string());
    }
    Ok(graph.finish())
}

/// The same network with batch normalisation folded into its convolutions, as [import](crate::import::import) reads it back.
///
/// # Errors
/// Where a weight is not finite.
pub fn fold(network: &Network) -> Result<Network, ExportError> {
    let plan = network.plan.clone().folded();
    let device = network.parameters.flat.device();
    let mut result = Network::new(plan, network.normalisation.clone(), Device::Cpu);
    let mut folded = Folded::new(network);
    let mut numbers = vec![];
    for layer in network.plan.layers() {
        match layer {
            Layer::Convolution(c) => {
                let (weight, bias) = folded.next(c, 1.0)?;
                numbers.push((&c.name, "weight", weight));
                numbers.push((&c.name, "bias", bias));
            }
            Layer::Embedding(Embedding { name, .. }) => {
                numbers.push((name, "value", folded.embedding(name)?));
            }
        }
    }
    let places: HashMap<_, _> = result.parameters.named().into_iter().collect();
    for (layer, part, values) in numbers {
        let name = format!("{layer}.{part}");
        let set = places.get(&name).is_some_and(|place| {
            let tensor = Tensor::from_slice(&values).view(place.size().as_slice());
            result.parameters.set(&name, &tensor)
        });
        if !set {
            let layer = layer.clone();
            return Err(ExportError::Missing { layer, part });
        }
    }
    result.move_to(device);
    Ok(result)
}

/// Writes one layer after the other in the plan's order, batch normalisation folded into its convolution.
struct Folded {
    parameters: std::vec::IntoIter<Tensor>,
    statistics: std::vec::IntoIter<Tensor>,
}

impl Folded {
    fn new(network: &Network) -> Self {
        let parameters = network.parameters.parameters().into_iter();
        Self {
            parameters,
            statistics: network.parameters.statistics().into_iter(),
        }
    }

    /// Adds the next convolution, reading `x`, to the graph; returns the name of its output.
    fn convolve(
        &mut self,
        graph: &mut GraphBuilder,
        x: &str,
        c: &Convolution,
        scale: f64,
    ) -> Result<String, ExportError> {
        let (weight, bias) = self.next(c, scale)?;
        Ok(graph.convolution(x, c, &weight, &bias))
    }

    /// Adds the embedding, where there is one, to `x`; returns the name of the sum.
    fn place(
        &mut self,
        graph: &mut GraphBuilder,
        x: String,
        embedding: Option<&Embedding>,
    ) -> Result<String, ExportError> {
        let Some(Embedding { name, shape }) = embedding else {
            return Ok(x);
        };
        let [channels, rows, columns] = *shape;
        let values = self.embedding(name)?;
        let value = format!("{name}.value");
        let value = graph.constant(&value, &[1, channels, rows, columns], &values);
        Ok(graph.node("Add", name, &[&x, &value]))
    }

    /// The numbers of the next layer, a position embedding of this name.
    fn embedding(&mut self, name: &str) -> Result<Vec<f32>, ExportError> {
        let numbers = self.parameters.next().ok_or_else(|| ExportError::Missing {
            layer: name.into(),
            part: "value",
        })?;
        finite(floats(&numbers.detach())?, name)
    }

    /// Weight [out, in, k, k] and bias [out], both times `scale`; folded in f64.
    fn next(&mut self, c: &Convolution, scale: f64) -> Result<(Vec<f32>, Vec<f32>), ExportError> {
        let double = |tensor: Option<Tensor>, part| {
            let missing = || ExportError::Missing {
                layer: c.name.clone(),
                part,
            };
            tensor
                .map(|tensor| tensor.detach().to_kind(Kind::Double))
                .ok_or_else(missing)
        };
        let weight = double(self.parameters.next(), "weight")?;
        let (weight, bias) = if c.normalised {
            let gain = double(self.parameters.next(), "scale")?;
            let shift = double(self.parameters.next(), "shift")?;
            let mean = double(self.statistics.next(), "mean")?;
            let variance = double(self.statistics.next(), "variance")?;
            // An infinite one would leave weights of 0.
            finite(floats(&variance)?, &c.name)?;
            let gain = gain / (variance + BATCH_NORM_EPSILON).sqrt();
            (weight * gain.view([-1, 1, 1, 1]), shift - mean * gain)
        } else {
            (weight, double(self.parameters.next(), "bias")?)
        };
        let scaled = |tensor: Tensor| finite(floats(&(tensor * scale))?, &c.name);
        Ok((scaled(weight)?, scaled(bias)?))
    }
}

/// `values`, of the layer of this name, unless one is NaN or infinite.
fn finite(values: Vec<f32>, layer: &str) -> Result<Vec<f32>, ExportError> {
    if values.iter().all(|value| value.is_finite()) {
        return Ok(values);
    }
    Err(ExportError::NotFinite {
        layer: layer.into(),
    })
}
