//! ONNX files of any architecture, on the processor.

use std::{fs, path::Path, sync::Arc};

use prost::Message;
use rayon::prelude::*;
use tch::{Device, Tensor};
use tract_onnx::pb::{ModelProto, tensor_proto::DataLocation};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, IntoTValue, TractResult, TypedSimplePlan,
    tract_ndarray::Array4, tvec,
};

/// A network that takes one image after another and answers with a tensor.
pub(super) struct Onnx {
    plan: Arc<TypedSimplePlan>,
    /// Channels, rows and columns of an image.
    image: [usize; 3],
}

impl Onnx {
    /// Reads it, for images of these channels, rows and columns.
    ///
    /// # Errors
    /// What the decoder or tract says of it, or that it is not all in this file.
    pub(super) fn open(path: &Path, image: [usize; 3]) -> Result<Self, String> {
        let [channels, rows, columns] = image;
        let bytes = fs::read(path).map_err(|error| error.to_string())?;
        let model = ModelProto::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
        // A run is known by the SHA-256 of this file.
        let weights = model.graph.iter().flat_map(|graph| &graph.initializer);
        let elsewhere = Some(DataLocation::External as i32);
        if weights
            .clone()
            .any(|tensor| tensor.data_location == elsewhere)
        {
            return Err(
                "its weights lie in another file; export it with external_data=False".to_owned(),
            );
        }
        let open = || -> TractResult<Arc<TypedSimplePlan>> {
            // One image at a time: many exports fix their batch to that.
            let input = f32::fact([1, channels, rows, columns]);
            tract_onnx::onnx()
                .model_for_proto_model(&model)?
                .with_input_fact(0, input.into())?
                .into_optimized()?
                .into_runnable()
        };
        Ok(Self {
            plan: contained(open)?,
            image,
        })
    }

    /// Its answers to `images` N x C x H x W in f32, on their device, each one row: N x numbers.
    ///
    /// # Errors
    /// What tract says of it.
    pub(super) fn ask(&self, images: &Tensor) -> Result<Tensor, String> {
        let failed = |error: tch::TchError| error.to_string();
        let pixels = images.to_device(Device::Cpu).flatten(0, -1);
        let pixels = Vec::<f32>::try_from(pixels).map_err(failed)?;
        let [channels, rows, columns] = self.image;
        let answer = |image: &[f32]| {
            contained(|| -> TractResult<Vec<f32>> {
                let image = Array4::from_shape_vec((1, channels, rows, columns), image.to_vec())?;
                let image = tract_onnx::prelude::Tensor::from(image);
                let answer = self.plan.run(tvec!(image.into_tvalue()))?.remove(0);
                let answer = answer.cast_to::<f32>()?;
                Ok(answer
                    .to_plain_array_view::<f32>()?
                    .iter()
                    .copied()
                    .collect())
            })
        };
        let answers: Vec<_> = pixels
            .par_chunks(channels * rows * columns)
            .map(answer)
            .collect::<Result<_, _>>()?;
        Tensor::f_from_slice(&answers.concat())
            .and_then(|numbers| numbers.f_reshape([answers.len() as i64, -1]))
            .map(|numbers| numbers.to_device(images.device()))
            .map_err(failed)
    }
}

/// What `work` gives, where tract fails or panics an error of one line.
fn contained<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match bagcert_images::contained(work) {
        Ok(done) => done.map_err(|error| format!("{error:#}")),
        Err(panic) => Err(panic),
    }
}
