//! Admission: proves that a model is local before anything is certified with it.
//!
//! A certificate (Conditions 3.1 to 3.3 of the paper) holds only if scores outside the affected
//! region cannot change. So every operation of the model must be one that computes each cell
//! from a bounded neighbourhood, and the exact neighbourhood must be known. [`admit`] reads the
//! file, checks its structures (`gate`), lets the ONNX library type the graph, and walks that
//! typed graph operation by operation (`walk`). What is not on the list is refused by name.
//!
//! The file's metadata names the classes; it is never a reason to admit anything.

mod attributes;
mod combine;
mod constants;
mod cost;
mod cuts;
mod error;
mod file;
mod functions;
mod gate;
mod limits;
mod operators;
mod scan;
mod shapes;
mod sizes;
#[cfg(test)]
mod tests;
mod walk;
mod windows;

use std::collections::BTreeMap;
use std::path::Path;

use bagcert_certifier::{Axis, Geometry, Shape};
use tract_core::internal::TypedModel;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::InferenceModelExt;

pub use error::AdmissionError;
use error::Refusal;
pub(crate) use file::sha256;

use crate::frames::Size;
use crate::network::Reach;
pub use crate::network::{ImageShape, Network};

/// A model that was proved local, ready for an engine.
pub struct AdmittedModel {
    network: Network,
    input: ImageShape,
    shape: Shape,
    geometry: Geometry,
    class_names: Vec<String>,
    named: bool,
    metadata: BTreeMap<String, String>,
    sha256: String,
    typed: TypedModel,
}

/// Reads the ONNX file at `path` and admits it.
///
/// The model must have one input, f32 `[1 or N, 3, H, W]` (a symbolic batch becomes 1), with
/// values in `[0,1]`, and one output, f32 `[1, C, h, w]`, the logits of C >= 2 classes before the
/// Heaviside step of Section 3.1.
///
/// # Errors
/// Where the file cannot be read or is not whole, where the model breaks that contract, and
/// where one of its operations is not proved local; the error says which file and which node.
/// Never panics, whatever the file holds.
pub fn admit(path: &Path) -> Result<AdmittedModel, AdmissionError> {
    admit_bytes(&read(path)?, path)
}

/// Admits the bytes of an ONNX file, as [`admit`] does; `path` is their name in errors only.
///
/// # Errors
/// As of [`admit`], less those of reading.
pub fn admit_bytes(bytes: &[u8], path: &Path) -> Result<AdmittedModel, AdmissionError> {
    match bagcert_images::contained(|| prove(bytes)) {
        Ok(outcome) => outcome.map_err(|refusal| refusal.in_file(path)),
        Err(panic) => {
            let reason = format!("the ONNX library failed on it ({panic})");
            Err(Refusal::Analysis(reason).in_file(path))
        }
    }
}

/// The bytes of a model file, as many as are read at most.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, AdmissionError> {
    file::read(path, limits::MAX_FILE_BYTES)
}

fn prove(bytes: &[u8]) -> Result<AdmittedModel, Refusal> {
    let mut proto = file::decode(bytes)?;
    let metadata = metadata_of(&proto);
    check_metadata(&metadata)?;
    gate::check(&mut proto)?;
    let typed = typed(&proto)?;
    // The weights are in the typed model now; a second copy is not needed.
    drop(proto);
    let network = walk::walk(&typed)?;
    cost::check(&network)?;
    let (input, shape, geometry) = contract(&network)?;
    let class_names = class_names(&metadata, shape.classes());
    let sha256 = file::sha256(bytes);
    let named = class_names.is_some();
    let numbers = || (0..shape.classes()).map(|class| class.to_string());
    Ok(AdmittedModel {
        network,
        input,
        shape,
        geometry,
        class_names: class_names.unwrap_or_else(|| numbers().collect()),
        named,
        metadata,
        sha256,
        typed,
    })
}

/// The typed graph, before any optimisation.
fn typed(proto: &ModelProto) -> Result<TypedModel, Refusal> {
    use tract_onnx::prelude::Framework;
    let mut model = tract_onnx::onnx()
        .with_ignore_output_shapes(true)
        .with_ignore_value_info(true)
        .model_for_proto_model(proto)
        .map_err(|error| Refusal::Analysis(format!("{error:#}")))?;
    shapes::check(&mut model)?;
    model
        .into_typed()
        .map_err(|error| Refusal::Analysis(format!("{error:#}")))
}

fn metadata_of(proto: &ModelProto) -> BTreeMap<String, String> {
    proto
        .metadata_props
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect()
}

/// Metadata may not contradict what this program does with the model.
fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if let Some(output) = metadata.get("bagcert.output")
        && output != "logits"
    {
        return Err(Refusal::contract(format!(
            "its metadata says that its output is \"{output}\"; models must give logits (the \
             step H is applied here), export it without its last step"
        )));
    }
    if let Some(normalisation) = metadata.get("bagcert.normalisation")
        && normalisation != "inside"
    {
        return Err(Refusal::contract(format!(
            "its metadata says that its normalisation is \"{normalisation}\"; models must take \
             values in [0,1] and normalise inside"
        )));
    }
    Ok(())
}

/// Input, score shape and geometry, in the certifier's terms.
fn contract(network: &Network) -> Result<(ImageShape, Shape, Geometry), Refusal> {
    let (Some(image), Some(output)) = (
        network.nodes().first(),
        network.nodes().get(network.output()),
    ) else {
        return Err(Refusal::contract("it has no operations"));
    };
    let logits = output.shape;
    let shape = Shape::new(logits.channels, logits.height, logits.width).map_err(|error| {
        Refusal::contract(format!(
            "its output of {logits} cannot be certified: {error}"
        ))
    })?;
    let geometry = Geometry {
        x: axis("x", image.shape.width, logits.width, output.x)?,
        y: axis("y", image.shape.height, logits.height, output.y)?,
    };
    Ok((image.shape, shape, geometry))
}

fn axis(name: &str, inputs: usize, outputs: usize, reach: Reach) -> Result<Axis, Refusal> {
    let outside = || {
        Refusal::contract(format!(
            "its geometry along {name} is out of range (stride {}, {} to {})",
            reach.stride, reach.lo, reach.hi
        ))
    };
    let inputs = u32::try_from(inputs).map_err(|_| outside())?;
    let outputs = u32::try_from(outputs).map_err(|_| outside())?;
    let stride = u32::try_from(reach.stride).map_err(|_| outside())?;
    let lo = i32::try_from(reach.lo).map_err(|_| outside())?;
    let hi = i32::try_from(reach.hi).map_err(|_| outside())?;
    Axis::new(inputs, outputs, stride, lo, hi).map_err(|error| {
        Refusal::contract(format!(
            "its geometry along {name} is not possible: {error}"
        ))
    })
}

/// The names in the metadata if there is one per class.
fn class_names(metadata: &BTreeMap<String, String>, classes: usize) -> Option<Vec<String>> {
    metadata
        .get("bagcert.class_names")
        .and_then(|names| serde_json::from_str::<Vec<String>>(names).ok())
        .filter(|names| names.len() == classes)
}

impl AdmittedModel {
    /// The operations, proved local, in evaluation order, with their weights.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Channels, height and width of the image, in pixels.
    #[must_use]
    pub fn input(&self) -> ImageShape {
        self.input
    }

    /// Width and height of the image, in pixels.
    #[must_use]
    pub fn image_size(&self) -> Size {
        Size {
            width: self.geometry.x.inputs(),
            height: self.geometry.y.inputs(),
        }
    }

    /// Classes, height and width of the score map, in cells.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Which pixels each cell of the score map may depend on.
    #[must_use]
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// One name per class, in class order: from the metadata where it has the right number, else
    /// `"0"`, `"1"`, ...
    #[must_use]
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Whether the class names are the file's own, not mere numbers.
    #[must_use]
    pub fn has_class_names(&self) -> bool {
        self.named
    }

    /// What the file says of itself. Nothing in it was needed to admit the model.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Number of learned values, see [`Network::parameters`].
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.network.parameters()
    }

    /// Multiply-adds of one frame, see [`Network::macs`].
    #[must_use]
    pub fn macs(&self) -> u64 {
        self.network.macs()
    }

    /// SHA-256 of the file, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The graph that was proved local, for the engine.
    pub(crate) fn typed(&self) -> &TypedModel {
        &self.typed
    }
}

impl std::fmt::Debug for AdmittedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedModel")
            .field("sha256", &self.sha256)
            .field("input", &self.input)
            .field("shape", &self.shape)
            .field("geometry", &self.geometry)
            .finish_non_exhaustive()
    }
}
