//! `bagcert sign` and `bagcert verify`: who vouches for a model.

use std::path::PathBuf;

use bagcert::integrity::{self, SIGNATURE_LENGTH, SecretKey};
use clap::Args;

use super::output::Output;
use super::stop::Stop;
use super::trust::public_key;
use super::{printable, say};

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The model, an ONNX file with its manifest beside it.
    #[arg(value_name = "M.onnx")]
    model: PathBuf,
    /// The secret key, a PEM file as `openssl genpkey -algorithm ed25519` writes it.
    #[arg(long, value_name = "SECRET.pem")]
    key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The model, an ONNX file with its manifest and signature beside it.
    #[arg(value_name = "M.onnx")]
    model: PathBuf,
    /// The public key, a PEM file as `openssl pkey -pubout` writes it.
    #[arg(long, value_name = "PUBLIC.pem")]
    public_key: PathBuf,
}

/// Writes the signature of the model's manifest beside it.
pub(crate) fn sign(args: &SignArgs) -> Result<usize, Stop> {
    let key = SecretKey::read(&args.key).map_err(|error| Stop::Usage(format!("--key {error}")))?;
    let signature = integrity::sign(&args.model, &key)?;
    let path = integrity::signature_path(&args.model);
    // What lies there and is no signature is somebody's file.
    let free = std::fs::symlink_metadata(&path).map_or(true, |found| {
        found.is_file() && found.len() == SIGNATURE_LENGTH as u64
    });
    if !free {
        return Err(Stop::Usage(format!(
            "{}: is there and is no signature; move it away",
            path.display()
        )));
    }
    let mut output = Output::to(&path)?;
    output.write_bytes(&signature)?;
    output.finish()?;
    say(&format!("bagcert: wrote {}", path.display()));
    Ok(0)
}

/// Says whether model, manifest, golden frames and signature belong together.
pub(crate) fn verify(args: &VerifyArgs) -> Result<usize, Stop> {
    let key = public_key(&args.public_key)?;
    let manifest = integrity::verify(&args.model, &key)?;
    let mut output = Output::stdout();
    output.write(&format!(
        "{}: signed by this key; SHA-256 {} and {} golden frames as in the manifest\n",
        printable(&args.model.display().to_string()),
        manifest.model().sha256,
        manifest.frames()
    ))?;
    output.finish()?;
    Ok(0)
}
