//! The way back from an exported ONNX file to a network that can be attacked or drawn from.
//!
//! Batch normalisation is folded in the file and stays so: the network that comes back has a bias in each
//! convolution instead, and gives the same logits but for rounding. A run that begins with the network
//! makes the normalisation anew.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
};

use bagcert_certifier::{Geometry, GeometryError};
use prost::Message;
use tch::{Device, Tensor};
use thiserror::Error;
use tract_onnx::pb::{
    GraphProto, ModelProto, NodeProto, TensorProto, tensor_shape_proto, type_proto,
};

use crate::{
    checkpoint::Header,
    config::{NetworkConfig, Scores},
    export::{ExportError, onnx_bytes},
    network::{Embedding, Layer, Network, Plan},
    regular,
};

/// Why a file could not be taken back.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The system's reason.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The bytes are no ONNX file.
    #[error("{} is no ONNX file, or it is damaged: {source}", path.display())]
    Onnx {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        source: prost::DecodeError,
    },
    /// An ONNX file of something else.
    #[error(
        "{} is not as `bagcert-train export` writes it: {reason}; only its own exports can be read back", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The first difference.
        reason: String,
    },
    /// The layers do not fit the images.
    #[error("the network does not fit its images: {0}")]
    Geometry(#[from] GeometryError),
    /// The network could not be written again for comparison.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// Whether the name of a file is that of an exported network, not of a checkpoint.
pub fn is_exported(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("onnx"))
}

/// The network in an exported file, with a header as its checkpoint had it and its geometry.
///
/// The file is believed only as far as it is proved: the network that was read is exported again, and every
/// node and every number must be those of the file.
///
/// # Errors
/// Where the file cannot be read or is anything but an export of this program.
pub fn import(path: &Path, device: Device) -> Result<(Header, Network, Geometry), ImportError> {
    let bytes = regular::read(path).map_err(|source| ImportError::Read {
        path: path.into(),
        source,
    })?;
    let model = ModelProto::decode(bytes.as_slice()).map_err(|source| ImportError::Onnx {
        path: path.into(),
        source,
    })?;
    let foreign = |reason: String| ImportError::Foreign {
        path: path.into(),
        reason,
    };
    let file = File::new(&model).map_err(foreign)?;
    let header = file.header(&model).map_err(foreign)?;
    let checked = header.network.check();
    checked.map_err(|error| foreign(error.to_string()))?;
    let plan = Plan::new(
        &header.network,
        header.image_size,
        header.normalisation.len() as i64,
        header.classes.len() as i64,
    )
    .folded();
    file.check(&plan).map_err(foreign)?;
    let geometry = plan.geometry()?;
    let mut network = Network::new(plan, header.normalisation.clone(), Device::Cpu);
    file.fill(&mut network).map_err(foreign)?;
    let again = onnx_bytes(&header, &network)?;
    let again = ModelProto::decode(again.as_slice()).map_err(|source| ImportError::Onnx {
        path: path.into(),
        source,
    })?;
    if let Some(reason) = again.graph.and_then(|graph| difference(file.graph, &graph)) {
        return Err(foreign(reason));
    }
    network.move_to(device);
    Ok((header, network, geometry))
}

/// A decoded file, its numbers by name.
struct File<'m> {
    graph: &'m GraphProto,
    constants: HashMap<&'m str, &'m TensorProto>,
}

impl<'m> File<'m> {
    fn new(model: &'m ModelProto) -> Result<Self, String> {
        let graph = model.graph.as_ref().ok_or("it holds no graph")?;
        let constants = graph.initializer.iter();
        Ok(Self {
            graph,
            constants: constants
                .map(|tensor| (tensor.name.as_str(), tensor))
                .collect(),
        })
    }

    fn constant(&self, name: &str) -> Result<&'m TensorProto, String> {
        let found = self.constants.get(name);
        found.copied().ok_or_else(|| format!("it has no {name}"))
    }

    fn floats(&self, name: &str) -> Result<Vec<f32>, String> {
        let (values, rest) = self.constant(name)?.raw_data.as_chunks();
        if !rest.is_empty() {
            return Err(format!("{name} is no list of f32"));
        }
        Ok(values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect())
    }

    fn node(&self, name: &str) -> Option<&'m NodeProto> {
        self.graph.node.iter().find(|node| node.name == name)
    }

    /// Channels out, channels in and kernel size of a convolution; nothing where there is none of the name.
    fn convolution(&self, name: &str) -> Result<Option<[i64; 3]>, String> {
        if self.node(name).is_none() {
            return Ok(None);
        }
        let weight = format!("{name}.weight");
        match self.constant(&weight)?.dims.as_slice() {
            &[output, input, kernel, _]
                if [output, input, kernel]
                    .iter()
                    .all(|len| (1..=8192).contains(len)) =>
            {
                Ok(Some([output, input, kernel]))
            }
            other => Err(format!("{weight} has the shape {other:?}")),
        }
    }

    fn need(&self, name: &str) -> Result<[i64; 3], String> {
        let found = self.convolution(name)?;
        found.ok_or_else(|| format!("it has no convolution {name}"))
    }

    /// An attribute of a node that is the same along both axes, such as its strides; 1 where it is absent.
    fn attribute(&self, node: &str, name: &str) -> i64 {
        let attributes = self.node(node).map(|node| node.attribute.as_slice());
        let found = attributes
            .unwrap_or_default()
            .iter()
            .find(|attribute| attribute.name == name);
        let first = found.and_then(|found| found.ints.first().copied());
        // Whatever else is there is seen when the network is exported again.
        first.unwrap_or(1).clamp(1, 64)
    }

    /// The layers as a configuration would name them.
    fn layers(&self) -> Result<NetworkConfig, String> {
        let [width, _, stem_kernel] = self.need("stem")?;
        let mut config = NetworkConfig {
            width,
            stem_kernel,
            stem_stride: self.attribute("stem", "strides"),
            kernels: vec![],
            strides: Some(vec![]),
            widths: Some(vec![]),
            hidden_widths: Some(vec![]),
            dilations: Some(vec![]),
            paths: 1,
            shake: false,
            position_embedding: self.node("stem.place").is_some(),
        };
        for block in 1.. {
            let name = |path, convolution| format!("b{block}.path{path}.conv{convolution}");
            let Some([output, _, kernel]) = self.convolution(&name(1, 1))? else {
                break;
            };
            if ![1, 3].contains(&kernel) {
                return Err(format!(
                    "block b{block} has a kernel of {kernel}, not 1 or 3"
                ));
            }
            config.kernels.push(kernel);
            for (list, attribute) in [
                (&mut config.strides, "strides"),
                (&mut config.dilations, "dilations"),
            ] {
                let number = self.attribute(&name(1, 1), attribute);
                list.get_or_insert_default().push(number);
            }
            config.hidden_widths.get_or_insert_default().push(output);
            let [output, _, _] = self.need(&name(1, 2))?;
            config.widths.get_or_insert_default().push(output);
            if self.node(&name(2, 1)).is_some() {
                config.paths = 2;
            }
        }
        Ok(config)
    }

    fn header(&self, model: &ModelProto) -> Result<Header, String> {
        let metadata = |key: &str| {
            let entry = model.metadata_props.iter().find(|entry| entry.key == key);
            let value = entry.map(|entry| entry.value.as_str());
            value.ok_or_else(|| format!("it has no {key}"))
        };
        let classes: Vec<String> = serde_json::from_str(metadata("bagcert.class_names")?)
            .map_err(|error| format!("bagcert.class_names: {error}"))?;
        let means = self.floats("normalise.mean")?;
        let scales = self.floats("normalise.scale")?;
        let normalisation = means
            .into_iter()
            .zip(scales)
            .map(|(mean, scale)| Some((mean, deviation(scale)?)))
            .collect::<Option<_>>()
            .ok_or("normalise.scale is no list of inverse standard deviations")?;
        Ok(Header {
            version: 1,
            network: self.layers()?,
            // Nothing else is exported.
            scores: Scores::Heaviside,
            classes,
            dataset: metadata("bagcert.dataset")?.into(),
            normalisation,
            image_size: self.image_size().ok_or("its input is no square image")?,
            resize: metadata("bagcert.resize")
                .ok()
                .and_then(|text| text.parse().ok()),
            data: None,
            epoch: 0,
            steps: 0,
            seed: 0,
            teachers: vec![],
            initial: None,
        })
    }

    fn image_size(&self) -> Option<u32> {
        let input = self.graph.input.first()?.r#type.as_ref()?;
        let Some(type_proto::Value::TensorType(tensor)) = &input.value else {
            return None;
        };
        match tensor.shape.as_ref()?.dim.last()?.value {
            Some(tensor_shape_proto::dimension::Value::DimValue(len)) => u32::try_from(len).ok(),
            _ => None,
        }
    }

    /// All numbers of the plan must be there with their very shapes, before memory is taken for them.
    fn check(&self, plan: &Plan) -> Result<(), String> {
        for layer in plan.layers() {
            match layer {
                Layer::Convolution(c) => {
                    let weight = [c.output, c.input, c.kernel, c.kernel];
                    self.has_shape(&format!("{}.weight", c.name), &weight)?;
                    self.has_shape(&format!("{}.bias", c.name), &[c.output])?;
                }
                Layer::Embedding(Embedding { name, shape }) => {
                    let [channels, rows, columns] = *shape;
                    self.has_shape(&format!("{name}.value"), &[1, channels, rows, columns])?;
                }
            }
        }
        Ok(())
    }

    fn has_shape(&self, name: &str, shape: &[i64]) -> Result<(), String> {
        let found = self.constant(name)?;
        // Of a product that is no i64 there are not so many bytes.
        let bytes = shape
            .iter()
            .try_fold(4i64, |bytes, len| bytes.checked_mul(*len));
        if found.dims == shape && i64::try_from(found.raw_data.len()).ok() == bytes {
            return Ok(());
        }
        Err(format!(
            "{name} has the shape {:?}, not {shape:?}",
            found.dims
        ))
    }

    /// Copies the numbers; the share of a path in the mean, which the export folds in, is taken out again.
    fn fill(&self, network: &mut Network) -> Result<(), String> {
        let ends: Vec<(String, usize)> = network
            .plan
            .blocks
            .iter()
            .flat_map(|block| {
                let paths = block.paths.iter();
                paths.map(|[_, second]| (second.name.clone(), block.paths.len()))
            })
            .collect();
        for (name, place) in network.parameters.named() {
            let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
            let share = ends.iter().find(|(end, _)| end == layer);
            let paths = share.map_or(1, |(_, paths)| *paths) as f32;
            // One path or two: exact.
            let values: Vec<f32> = self
                .floats(&name)?
                .iter()
                .map(|value| value * paths)
                .collect();
            let tensor = Tensor::from_slice(&values).view(place.size().as_slice());
            if !network.parameters.set(&name, &tensor) {
                return Err(format!("{name} has the shape {:?}", tensor.size()));
            }
        }
        Ok(())
    }
}

/// The standard deviation whose inverse, as the export rounds it, is `scale`.
fn deviation(scale: f32) -> Option<f32> {
    let near = 1.0 / scale;
    let all = [near, near.next_up(), near.next_down()];
    all.into_iter().find(|deviation| 1.0 / deviation == scale)
}

/// The first difference between the file's graph and the one that this program writes.
fn difference(found: &GraphProto, ours: &GraphProto) -> Option<String> {
    let nodes = found.node.iter().zip(&ours.node);
    if let Some((node, _)) = nodes.clone().find(|(found, ours)| found != ours) {
        return Some(format!("node {:?} differs", node.name));
    }
    let constants = found.initializer.iter().zip(&ours.initializer);
    if let Some((tensor, _)) = constants.clone().find(|(found, ours)| found != ours) {
        return Some(format!("the numbers of {:?} differ", tensor.name));
    }
    (found != ours).then(|| {
        format!(
            "it has {} nodes and {} lists of numbers, {} and {} are expected, or other inputs and outputs",
            found.node.len(),
            found.initializer.len(),
            ours.node.len(),
            ours.initializer.len()
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn a_deviation_is_found_again() {
        for deviation in [0.2470f32, 0.2435, 0.2616, 0.229, 0.224, 0.225, 1.0, 0.1] {
            let scale = 1.0 / deviation;
            assert_eq!(1.0 / super::deviation(scale).unwrap(), scale, "{deviation}");
        }
        assert_eq!(super::deviation(f32::NAN), None);
    }
}
