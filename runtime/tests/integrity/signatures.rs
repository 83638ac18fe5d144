//! A model whose manifest is not signed by the given key is refused.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::manifest::with_manifest;
use crate::common::onnx::small_classifier;
use bagcert::integrity::{
    self, IntegrityError, LoadedModel, PublicKey, SIGNATURE_LENGTH, SecretKey, manifest_path,
    signature_path,
};

fn keys(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/keys")
        .join(name)
}

pub(crate) fn secret() -> SecretKey {
    SecretKey::read(&keys("secret.pem")).unwrap()
}

pub(crate) fn public() -> PublicKey {
    PublicKey::read(&keys("public.pem")).unwrap()
}

/// A small model, signed.
fn signed(folder: &Path) -> PathBuf {
    let path = with_manifest(small_classifier(8, 8).write(folder, "model.onnx"));
    let signature = integrity::sign(&path, &secret()).unwrap();
    fs::write(signature_path(&path), signature).unwrap();
    path
}

#[track_caller]
fn assert_wrong(path: &Path, key: &PublicKey, what: &str) {
    let refused = |error| matches!(error, IntegrityError::WrongSignature { .. });
    assert!(
        LoadedModel::load(path, Some(key)).is_err_and(refused),
        "{what}"
    );
    assert!(integrity::verify(path, key).is_err_and(refused), "{what}");
}

#[test]
fn a_signed_model_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    assert!(LoadedModel::load(&path, Some(&public())).is_ok());
    assert!(integrity::verify(&path, &public()).is_ok());
    assert_eq!(secret().public(), public());
}

#[test]
fn an_unsigned_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    fs::remove_file(signature_path(&path)).unwrap();
    let error = LoadedModel::load(&path, Some(&public())).unwrap_err();
    assert!(matches!(error, IntegrityError::NoSignature { .. }));
    let text = error.to_string();
    assert!(
        text.contains("model.toml.sig") && text.contains("bagcert sign"),
        "{text}"
    );
    assert!(LoadedModel::load(&path, None).is_ok());
}

#[test]
fn another_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    let other = PublicKey::read(&keys("other-public.pem")).unwrap();
    assert_wrong(&path, &other, "another key");
}

/// Also a change that means nothing, in a comment: what is signed is the text.
#[test]
fn a_changed_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    let manifest = manifest_path(&path);
    let text = fs::read(&manifest).unwrap();
    assert!(text.starts_with(b"#"));
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&manifest, changed).unwrap();
        assert_wrong(&path, &public(), &format!("byte {at}"));
    }
    fs::write(&manifest, [text.as_slice(), b"\n"].concat()).unwrap();
    assert_wrong(&path, &public(), "a line more");
    fs::write(&manifest, &text).unwrap();
    assert!(LoadedModel::load(&path, Some(&public())).is_ok());
}

#[test]
fn a_changed_signature_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    let file = signature_path(&path);
    let good = fs::read(&file).unwrap();
    assert_eq!(good.len(), SIGNATURE_LENGTH);
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&file, bytes).unwrap();
            assert_wrong(&path, &public(), &format!("bit {bit} of byte {at}"));
        }
    }
    for bytes in [&good[..63], &[], &[0; 64]] {
        fs::write(&file, bytes).unwrap();
        assert_wrong(&path, &public(), "cut or zero");
    }
    fs::write(&file, [good.as_slice(), &[0]].concat()).unwrap();
    let error = LoadedModel::load(&path, Some(&public())).unwrap_err();
    assert!(error.to_string().contains("more than 64 bytes"), "{error}");
}

/// s and s + L sign the same by the loose rules of some libraries; only the canonical s is taken.
#[test]
fn a_signature_has_one_form() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    let mut bytes = fs::read(signature_path(&path)).unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    fs::write(signature_path(&path), bytes).unwrap();
    assert_wrong(&path, &public(), "s + L");
}

/// Loose rules take a signature whose R is of small order; the strict ones do not.
#[test]
fn the_rules_are_the_strict_ones() {
    use ed25519_dalek::pkcs8::DecodePublicKey;
    use ed25519_dalek::{Signature, Verifier, VerifyingKey};
    let manifest = fs::read(keys("manifest.toml")).unwrap();
    let signature = fs::read(keys("small-order.sig")).unwrap();
    let message = [integrity::DOMAIN, manifest.as_slice()].concat();
    let key = VerifyingKey::read_public_key_pem_file(keys("public.pem")).unwrap();
    let loose = key.verify(&message, &Signature::from_slice(&signature).unwrap());
    assert!(loose.is_ok(), "the signature shows nothing");
    assert!(!public().has_signed(&manifest, &signature));
}

/// The signature in the folder of keys was made by openssl, as docs/command-line.md tells.
#[test]
fn openssl_signs_alike() {
    let manifest = fs::read(keys("manifest.toml")).unwrap();
    let signature = fs::read(keys("manifest.toml.sig")).unwrap();
    assert!(public().has_signed(&manifest, &signature));
    // The same key over the same bytes, but not as a manifest.
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("manifest.onnx");
    fs::write(&model, "").unwrap();
    fs::copy(keys("manifest.toml"), manifest_path(&model)).unwrap();
    // Ed25519 is deterministic.
    assert_eq!(
        integrity::sign(&model, &secret()).unwrap().as_slice(),
        signature
    );
    let with_domain = [integrity::DOMAIN, manifest.as_slice()].concat();
    assert!(!public().has_signed(&with_domain, &signature));
}

/// Only what belongs together is signed.
#[test]
fn a_model_that_is_not_its_manifests_is_not_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = signed(folder.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = integrity::sign(&path, &secret()).unwrap_err();
    assert!(matches!(error, IntegrityError::OtherModel { .. }));
    // A signature does not save a changed model.
    let error = LoadedModel::load(&path, Some(&public())).unwrap_err();
    assert!(matches!(error, IntegrityError::OtherModel { .. }));
    let error = integrity::verify(&path, &public()).unwrap_err();
    assert!(matches!(error, IntegrityError::OtherModel { .. }));
}

#[test]
fn keys_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("empty.pem"), "").unwrap();
    fs::write(path("binary.pem"), [0xff; 44]).unwrap();
    fs::write(path("large.pem"), vec![b'-'; (1 << 14) + 1]).unwrap();
    let cut = fs::read_to_string(keys("public.pem")).unwrap();
    fs::write(path("cut.pem"), &cut[..60]).unwrap();
    for (file, words) in [
        (path("empty.pem"), "PEM"),
        (path("binary.pem"), "PEM"),
        (path("large.pem"), "16384"),
        (path("cut.pem"), "PEM"),
        (path("missing.pem"), "cannot be read"),
        (folder.path().to_owned(), "regular file"),
        (keys("secret.pem"), "secret key"),
        (keys("weak-public.pem"), "weak"),
        (keys("x25519-public.pem"), "Ed25519"),
    ] {
        let error = PublicKey::read(&file).unwrap_err().to_string();
        assert!(
            error.contains(words) && error.contains(file.to_str().unwrap()),
            "{error}"
        );
    }
    for (file, words) in [
        (keys("public.pem"), "secret key"),
        (keys("encrypted.pem"), "encrypted"),
        (path("empty.pem"), "PEM"),
        (path("large.pem"), "16384"),
    ] {
        let error = SecretKey::read(&file).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    // Nothing of a key reaches a log.
    assert_eq!(format!("{:?}", secret()), "SecretKey");
    // Line ends of another system.
    fs::write(path("windows.pem"), cut.replace('\n', "\r\n")).unwrap();
    assert_eq!(PublicKey::read(&path("windows.pem")).unwrap(), public());
}
