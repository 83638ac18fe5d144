//! Writes a model's logits, to compare processors: `logits MODEL.onnx OUTPUT LIMIT INPUT...`.
//!
//! `OUTPUT` gets classes x height x width f32 of little endian for each of the first `LIMIT` frames,
//! one after the other. Inputs are those of `bagcert certify`. No manifest is asked for.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use bagcert::admission::admit;
use bagcert::engine::Engine;
use bagcert::frames::{Frames, Input};

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [model, output, limit, inputs @ ..] = arguments.as_slice() else {
        bail!("usage: logits MODEL.onnx OUTPUT LIMIT INPUT...");
    };
    let limit = limit.to_str().and_then(|text| text.parse().ok());
    let limit: usize = limit.context("LIMIT is not a number")?;
    let model = admit(Path::new(model))?;
    let mut engine = Engine::new(&model)?;
    let inputs: Vec<Input> = inputs.iter().map(|input| Input::parse(input)).collect();
    let (mut frames, errors) = Frames::open(&inputs, model.image_size());
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    frames.truncate(limit);
    let mut output = BufWriter::new(File::create(output)?);
    for at in 0..frames.len() {
        let frame = frames.load(at, model.image_size(), model.class_names())?;
        for logit in engine.logits(frame.picture.planes())? {
            output.write_all(&logit.to_le_bytes())?;
        }
    }
    output.flush()?;
    Ok(())
}
