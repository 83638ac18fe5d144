//! Ed25519 signatures of manifests, with keys in the PEM files that openssl writes.
//!
//! The signed message is [`DOMAIN`] followed by the bytes of the manifest, so that a signature made
//! for anything else, even of the same bytes, is none of a manifest.

use std::path::Path;

use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::error::KeyError;
use crate::bounded;

/// What the signed message begins with. It ends with a zero byte, and no text of a manifest has one.
pub const DOMAIN: &[u8] = b"bagcert manifest 1\0";
/// Length of a signature, in bytes.
pub const SIGNATURE_LENGTH: usize = ed25519_dalek::SIGNATURE_LENGTH;
/// Larger key files are refused before they are read.
const MAX_KEY_BYTES: u64 = 1 << 14;

/// Who is trusted to sign models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// What models are signed with. Wiped from memory when dropped.
pub struct SecretKey(SigningKey);

impl PublicKey {
    /// Reads a PEM file (`BEGIN PUBLIC KEY`), as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no Ed25519 public key, or a weak one, under which
    /// almost anything would be signed.
    pub fn read(path: &Path) -> Result<PublicKey, KeyError> {
        let text = read(path)?;
        if text.contains("PRIVATE KEY") {
            return Err(error(
                path,
                "this is a secret key; give the public one (`openssl pkey -in SECRET.pem -pubout`)",
            ));
        }
        let key = VerifyingKey::from_public_key_pem(&text).map_err(|cause| {
            let reason = format!("not the PEM file of an Ed25519 public key ({cause})");
            error(path, &reason)
        })?;
        if key.is_weak() {
            return Err(error(
                path,
                "a weak key, for which signatures prove nothing",
            ));
        }
        Ok(PublicKey(key))
    }

    /// Whether `signature` is one of this key over this manifest, by the strict rules (RFC 8032 with
    /// canonical encodings, and no points of small order).
    #[must_use]
    pub fn has_signed(&self, manifest: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature)
            .and_then(|signature| self.0.verify_strict(&message(manifest), &signature))
            .is_ok()
    }
}

impl SecretKey {
    /// Reads a PEM file (`BEGIN PRIVATE KEY`), as `openssl genpkey -algorithm ed25519` writes it.
    ///
    /// # Errors
    /// Where the file cannot be read or holds no Ed25519 secret key, or an encrypted one.
    pub fn read(path: &Path) -> Result<SecretKey, KeyError> {
        let text = read(path)?;
        if text.contains("ENCRYPTED PRIVATE KEY") {
            return Err(error(
                path,
                "the key is encrypted; decrypt it first (`openssl pkey -in FILE`)",
            ));
        }
        let key = SigningKey::from_pkcs8_pem(&text).map_err(|cause| {
            let reason = format!("not the PEM file of an Ed25519 secret key ({cause})");
            error(path, &reason)
        })?;
        Ok(SecretKey(key))
    }

    /// The key that its signatures are checked with.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of a manifest's bytes.
    pub(super) fn sign(&self, manifest: &[u8]) -> [u8; SIGNATURE_LENGTH] {
        self.0.sign(&message(manifest)).to_bytes()
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey")
    }
}

fn message(manifest: &[u8]) -> Vec<u8> {
    [DOMAIN, manifest].concat()
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let bytes = bounded::read(path, MAX_KEY_BYTES)
        .map(Zeroizing::new)
        .map_err(|cause| error(path, &format!("it {cause}")))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| error(path, "not a PEM file"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn error(path: &Path, reason: &str) -> KeyError {
    KeyError {
        path: path.to_path_buf(),
        reason: reason.to_owned(),
    }
}
