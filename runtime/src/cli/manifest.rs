//! `bagcert manifest`: which file a model is, and what it answers on golden frames.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::path::{Component, Path, PathBuf};

use bagcert::integrity::{self, GoldenFrame, LoadedModel, Manifest, ManifestError, Standing};
use bagcert_certifier::{Condition, PatchSize};
use clap::Args;

use super::args::check_fits;
use super::output::Output;
use super::predictor::check_masks;
use super::say;
use super::stop::Stop;

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// The model, an ONNX file; the manifest is written beside it.
    #[arg(long, value_name = "M.onnx")]
    model: PathBuf,
    /// A patch size of the golden frames' verdicts, width first; may be repeated.
    #[arg(long, value_name = "WxH", default_value = "5x5")]
    patch: Vec<PatchSize>,
    /// A condition of the golden frames' verdicts: 3.1, 3.2, 3.3, mask or double-mask; may be repeated.
    ///
    /// Under the masking conditions there is one predictor for all patch sizes together, as in
    /// `bagcert certify`.
    #[arg(long, default_value = "3.2")]
    condition: Vec<Condition>,
    /// Golden frames: image files in the model's folder or below it.
    #[arg(value_name = "FRAME")]
    frames: Vec<PathBuf>,
}

/// Runs the model on the golden frames and writes its manifest.
pub(crate) fn run(args: &ManifestArgs) -> Result<usize, Stop> {
    let loaded = LoadedModel::bare(&args.model)?;
    let path = integrity::manifest_path(&args.model);
    if let Standing::Invalid(reason) = integrity::standing(&args.model, loaded.fingerprint()) {
        return Err(Stop::Usage(format!(
            "{}: is there and is no manifest ({reason}); move it away",
            path.display()
        )));
    }
    let mut known = HashSet::new();
    let twice = |condition: &&Condition| !known.insert(**condition);
    if let Some(condition) = args.condition.iter().find(twice) {
        return Err(Stop::Usage(format!(
            "--condition {condition}: it is named twice; name it once"
        )));
    }
    let wrong = |reason: ManifestError| Stop::Usage(format!("{}: {reason}", path.display()));
    let count = args.frames.len().saturating_mul(args.condition.len());
    integrity::check_golden(count, &args.patch).map_err(wrong)?;
    let mut golden = Vec::with_capacity(args.frames.len());
    if !args.frames.is_empty() {
        for &patch in &args.patch {
            check_fits(patch, loaded.admitted().image_size())?;
        }
        for &condition in &args.condition {
            check_masks(loaded.admitted(), &args.patch, condition, NonZeroU32::MIN)?;
        }
        let mut pipeline = loaded.pipeline()?;
        for frame in &args.frames {
            let relative = relative(frame, &path)?;
            if golden
                .iter()
                .any(|known: &GoldenFrame| known.frame == relative)
            {
                return Err(Stop::Usage(format!(
                    "{}: this golden frame is named twice; name it once",
                    frame.display()
                )));
            }
            for condition in &args.condition {
                let patches = args.patch.clone();
                golden.push(loaded.record(&mut pipeline, &relative, patches, *condition)?);
            }
            if let Some(frame) = golden.last().filter(|frame| !frame.undecided.is_empty()) {
                say(&format!(
                    "bagcert: {relative}: {} of {} scores are undecided and set aside",
                    frame.undecided.len(),
                    loaded.admitted().shape().cells() * frame.votes.len()
                ));
            }
        }
    }
    let manifest = Manifest::new(loaded.fingerprint().clone(), golden).map_err(wrong)?;
    let text = manifest.to_toml().map_err(wrong)?;
    let mut output = Output::to(&path)?;
    output.write(&text)?;
    output.finish()?;
    say(&format!(
        "bagcert: wrote {}: SHA-256 {}, {} golden frames",
        path.display(),
        manifest.model().sha256,
        manifest.frames()
    ));
    let signature = integrity::signature_path(&args.model);
    if signature.exists() {
        say(&format!(
            "bagcert: {} is of an earlier manifest; sign the model anew",
            signature.display()
        ));
    }
    Ok(0)
}

/// The path of `frame` from the manifest's folder, its parts separated by `/`.
fn relative(frame: &Path, manifest: &Path) -> Result<String, Stop> {
    let whole = |path: &Path| {
        path.canonicalize()
            .map_err(|error| Stop::Input(format!("{}: cannot be read: {error}", path.display())))
    };
    let folder = match manifest.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => whole(folder)?,
        _ => whole(Path::new("."))?,
    };
    let outside = || {
        Stop::Usage(format!(
            "{}: a golden frame must lie in the folder {} or below it, so that both are moved \
             together; copy it there",
            frame.display(),
            folder.display()
        ))
    };
    let found = whole(frame)?;
    let inside = found.strip_prefix(&folder).map_err(|_| outside())?;
    let parts: Option<Vec<&str>> = inside
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let parts = parts.filter(|parts| !parts.is_empty()).ok_or_else(|| {
        Stop::Usage(format!(
            "{}: the name of a golden frame must be UTF-8 text",
            frame.display()
        ))
    })?;
    Ok(parts.join("/"))
}
