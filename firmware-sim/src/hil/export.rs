//! The score maps of a model, packed into a file.

use anyhow::{Context, Result, bail};
use bagcert::frames::Frames;
use bagcert::{admission, engine::Engine};
use bagcert_certifier::ScoreMap;
use bagcert_firmware_sim::packed::{CRC, Layout};

use crate::args::Maps;

/// Scores each frame and writes all maps; a frame that cannot be read or scored is an error.
pub(crate) fn run(args: &Maps) -> Result<()> {
    let model = admission::admit(&args.model)?;
    let mut engine = Engine::new(&model)?;
    let (shape, size) = (model.shape(), model.image_size());
    let layout = Layout::new(shape, model.geometry(), args.patch)?;
    let (mut frames, errors) = Frames::open(&args.inputs, size);
    if let Some(error) = errors.into_iter().next() {
        return Err(error.into());
    }
    frames.truncate(args.limit.unwrap_or(usize::MAX));
    if frames.is_empty() {
        bail!("no frame to score");
    }
    let mut scores = vec![0; shape.score_len()];
    let mut packed = vec![0; layout.map_len()];
    let mut bytes = layout.to_bytes().to_vec();
    for at in 0..frames.len() {
        let frame = frames.load(at, size, model.class_names())?;
        let logits = engine
            .logits(frame.picture.planes())
            .with_context(|| frame.id.clone())?;
        let map =
            ScoreMap::from_logits(shape, logits, &mut scores).with_context(|| frame.id.clone())?;
        let score = |class, y, x| map.score(class, y, x).unwrap_or(false);
        layout.pack(score, &mut packed)?;
        bytes.extend(&packed);
        bytes.extend(CRC.checksum(&packed).to_le_bytes());
    }
    std::fs::write(&args.output, bytes)
        .with_context(|| format!("could not write {}", args.output.display()))?;
    eprintln!("{} maps in {}", frames.len(), args.output.display());
    Ok(())
}
