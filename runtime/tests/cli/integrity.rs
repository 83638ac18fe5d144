//! Manifests, signatures and golden frames as users meet them.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::common::onnx::Builder;
use crate::model::{GREEN, RED, colour_model, plain};
use crate::{run, sample, text};

fn key(name: &str) -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/keys");
    text(&keys.join(name))
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `certify`, `eval` and `bench` on this model, with more options.
fn commands(model: &str, frame: &str, options: &[&str]) -> Vec<Vec<String>> {
    let data = format!("cifar10:{}", text(&sample()));
    let commands: [&[&str]; 3] = [
        &["certify", "--model", model, "--patch", "5x5", frame],
        &["eval", "--model", model, "--patch", "5x5", "--data", &data],
        &["bench", model, "--frames", "3"],
    ];
    let with = |command: &&[&str]| {
        let words = command.iter().chain(options);
        words.map(ToString::to_string).collect()
    };
    commands.iter().map(with).collect()
}

/// A folder with a model that has a manifest with a golden frame, and the frame.
fn golden_model(folder: &Path) -> (PathBuf, PathBuf) {
    let model = colour_model(folder, 32, 10);
    let frame = plain(folder, "red.png", RED);
    let ran = run([
        "manifest",
        "--model",
        &text(&model),
        "--patch",
        "5x5",
        "--patch",
        "2x9",
        &text(&frame),
    ])
    .ended(0);
    ran.says(&["colours.toml", "1 golden frame", &sha256(&model)]);
    assert_eq!(ran.stdout, "");
    (model, frame)
}

#[test]
fn a_bare_model_needs_no_card() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path(), 32, 10);
    let frame = text(&plain(folder.path(), "a.png", RED));
    let manifest = model.with_extension("toml");
    fs::remove_file(&manifest).unwrap();
    for command in commands(&text(&model), &frame, &[]) {
        let ran = run(&command).ended(3);
        ran.says(&[&text(&manifest), "bagcert manifest --model", "--no-card"]);
        assert_eq!(ran.stdout, "");
    }
    for command in commands(&text(&model), &frame, &["--no-card"]) {
        run(&command).ended(0);
    }
    let ran = run(["inspect", &text(&model), "--format", "json"]).ended(0);
    assert_eq!(ran.json()[0]["manifest"], "missing");
}

#[test]
fn a_changed_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (model, frame) = golden_model(folder.path());
    let meant = sha256(&model);
    for command in commands(&text(&model), &text(&frame), &[]) {
        run(&command).ended(0);
    }
    let mut bytes = fs::read(&model).unwrap();
    // In the name of a class: the model would run all the same.
    let at = bytes.windows(5).position(|word| word == b"green").unwrap();
    bytes[at] ^= 1;
    fs::write(&model, bytes).unwrap();
    for command in commands(&text(&model), &text(&frame), &[]) {
        let ran = run(&command).ended(3);
        ran.says(&[&meant, &sha256(&model), &text(&model), "--no-card"]);
        assert_eq!(ran.stdout, "");
    }
    let ran = run(["inspect", &text(&model), "--format", "json"]).ended(0);
    assert_eq!(ran.json()[0]["manifest"], "differs");
    let ran = run(["inspect", &text(&model)]).ended(0);
    assert!(ran.stdout.contains(&meant), "{}", ran.stdout);
    for command in commands(&text(&model), &text(&frame), &["--no-card"]) {
        run(&command).ended(0);
    }
}

/// The file is its manifest's, but its answers are not: no verdict is given, on any thread.
#[test]
fn a_golden_frame_with_another_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (model, frame) = golden_model(folder.path());
    let manifest = model.with_extension("toml");
    let good = fs::read_to_string(&manifest).unwrap();
    for (from, to, words) in [
        ("votes = [1024,", "votes = [1023,", "class 0"),
        ("slack = 974", "slack = 975", "5x5"),
        ("certified = true", "certified = false", "5x5"),
    ] {
        assert!(good.contains(from), "{good}");
        fs::write(&manifest, good.replacen(from, to, 1)).unwrap();
        for command in commands(&text(&model), &text(&frame), &[]) {
            let ran = run(&command).ended(3);
            ran.says(&["golden frame", &text(&frame), words]);
            assert_eq!(ran.stdout, "");
        }
    }
    fs::write(&manifest, good).unwrap();
    plain(folder.path(), "red.png", GREEN);
    for command in commands(&text(&model), "missing.png", &[]).iter().take(2) {
        run(command).ended(3).says(&["red.png", "SHA-256"]);
    }
    run(["inspect", &text(&model)]).ended(0);
}

#[test]
fn signatures() {
    let folder = tempfile::tempdir().unwrap();
    let (model, frame) = golden_model(folder.path());
    let (model, frame) = (text(&model), text(&frame));
    let (public, other) = (key("public.pem"), key("other-public.pem"));
    let signature = folder.path().join("colours.toml.sig");
    let with = |key: &str| commands(&model, &frame, &["--public-key", key]);
    let refused = |key: &str, words: &[&str]| {
        for command in with(key) {
            let ran = run(&command).ended(3);
            ran.says(words);
            assert_eq!(ran.stdout, "");
        }
        let ran = run(["verify", &model, "--public-key", key]).ended(3);
        ran.says(words);
        assert_eq!(ran.stdout, "");
    };
    refused(&public, &["no signature", "colours.toml.sig"]);
    run(["sign", &model, "--key", &key("secret.pem")])
        .ended(0)
        .says(&[&text(&signature)]);
    for command in with(&public) {
        run(&command).ended(0);
    }
    let ran = run(["verify", &model, "--public-key", &public]).ended(0);
    assert!(ran.stdout.contains("signed by this key"), "{}", ran.stdout);
    refused(&other, &["no signature of", "another key"]);
    // A manifest that is made anew is not signed, even where it says the same of fewer frames.
    let ran = run(["manifest", "--model", &model]).ended(0);
    ran.says(&["sign the model anew"]);
    refused(&public, &["changed after"]);
    // A key that cannot be used is no reason to go on without it.
    for bad in [
        key("secret.pem"),
        key("weak-public.pem"),
        "missing.pem".into(),
    ] {
        for command in with(&bad) {
            let ran = run(&command).ended(2);
            ran.says(&["--public-key", &bad]);
            assert_eq!(ran.stdout, "");
        }
    }
    for bad in ["public.pem", "encrypted.pem"] {
        run(["sign", &model, "--key", &key(bad)])
            .ended(2)
            .says(&["--key", bad]);
    }
    for command in commands(&model, &frame, &["--no-card", "--public-key", &public]) {
        run(&command).ended(2).says(&["--no-card"]);
    }
}

/// What openssl writes, as the page on the command line tells.
#[test]
fn openssl_writes_the_keys() {
    let openssl = |args: &[&str]| {
        let output = std::process::Command::new("openssl").args(args).output();
        output.is_ok_and(|output| output.status.success())
    };
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = golden_model(folder.path());
    let path = |name: &str| text(&folder.path().join(name));
    let (secret, public) = (path("secret.pem"), path("public.pem"));
    if !openssl(&["genpkey", "-algorithm", "ed25519", "-out", &secret]) {
        eprintln!("skipped: there is no openssl that makes Ed25519 keys");
        return;
    }
    assert!(openssl(&[
        "pkey", "-in", &secret, "-pubout", "-out", &public
    ]));
    run(["sign", &text(&model), "--key", &secret]).ended(0);
    run(["verify", &text(&model), "--public-key", &public]).ended(0);
    let message = path("message");
    let manifest = fs::read(model.with_extension("toml")).unwrap();
    let signed = [b"bagcert manifest 1\0", manifest.as_slice()].concat();
    fs::write(&message, &signed).unwrap();
    let signature = path("colours.toml.sig");
    let verified = |message: &str| {
        openssl(&[
            "pkeyutl", "-verify", "-pubin", "-inkey", &public, "-rawin", "-in", message,
            "-sigfile", &signature,
        ])
    };
    assert!(verified(&message));
    fs::write(&message, &signed[1..]).unwrap();
    assert!(!verified(&message));
}

#[test]
fn nothing_else_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path(), 32, 10);
    let manifest = model.with_extension("toml");
    let signature = folder.path().join("colours.toml.sig");
    let (name, secret) = (text(&model), key("secret.pem"));
    fs::write(&signature, "my notes").unwrap();
    let ran = run(["sign", &name, "--key", &secret]).ended(2);
    ran.says(&[&text(&signature)]);
    assert_eq!(fs::read_to_string(&signature).unwrap(), "my notes");
    // A trainer's configuration may have the same name.
    fs::write(&manifest, "[training]\nepochs = 20\n").unwrap();
    let ran = run(["manifest", "--model", &name]).ended(2);
    ran.says(&[&text(&manifest), "no manifest"]);
    assert!(fs::read_to_string(&manifest).unwrap().contains("epochs"));
    let ran = run(["inspect", &name, "--format", "json"]).ended(0);
    assert_eq!(ran.json()[0]["manifest"], "invalid");
}

#[test]
fn frames_that_cannot_be_golden() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    fs::create_dir(&models).unwrap();
    let model = colour_model(&models, 32, 10);
    fs::remove_file(model.with_extension("toml")).unwrap();
    let name = text(&model);
    let outside = text(&plain(folder.path(), "outside.png", RED));
    let inside = text(&plain(&models, "inside.png", RED));
    fs::write(models.join("text.png"), "no picture").unwrap();
    let bad = text(&models.join("text.png"));
    let missing = text(&models.join("missing.png"));
    for (frame, status, words) in [
        (&outside, 2, "or below it"),
        (&bad, 4, "not a sound"),
        (&missing, 4, "cannot be read"),
    ] {
        let ran = run(["manifest", "--model", &name, &inside, frame]).ended(status);
        ran.says(&[frame, words]);
        assert!(!model.with_extension("toml").exists());
    }
    let ran = run(["manifest", "--model", &name, "--patch", "33x1", &inside]).ended(2);
    ran.says(&["33x1"]);
    run(["manifest", "--model", &missing]).ended(3);
    // Logits of exactly 0 in all cells of a class: grey 128 gives none, so the bias does.
    let mut b = Builder::new(32, 32);
    let weights = b.constant("w", &[2, 3, 1, 1], &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    let bias = b.constant("b", &[2], &[-1.0, -0.5]);
    let logits = b.op("Conv", "logits", &["image", &weights, &bias], &[]);
    b.output(&logits);
    let border = b.write(&models, "border.onnx");
    let ran = run(["manifest", "--model", &text(&border), &inside]).ended(4);
    ran.says(&["nearer to 0", &inside, "1024 of the 1024 scores of class 0"]);
    assert!(!border.with_extension("toml").exists());
}

/// From the model's own folder, and by a path with a detour: what is written is the same.
#[test]
fn golden_frames_are_named_from_the_manifests_folder() {
    let folder = tempfile::tempdir().unwrap();
    let model = colour_model(folder.path(), 32, 10);
    let manifest = model.with_extension("toml");
    fs::create_dir(folder.path().join("frames")).unwrap();
    let frame = plain(&folder.path().join("frames"), "red.png", RED);
    run(["manifest", "--model", &text(&model), &text(&frame)]).ended(0);
    let written = fs::read_to_string(&manifest).unwrap();
    assert!(written.contains("frame = \"frames/red.png\""), "{written}");
    for [model, frame] in [
        ["colours.onnx", "frames/red.png"],
        ["./frames/../colours.onnx", "./frames/../frames/red.png"],
    ] {
        fs::remove_file(&manifest).unwrap();
        let mut command = crate::bagcert(["manifest", "--model", model, frame]);
        crate::finish(command.current_dir(folder.path())).ended(0);
        assert_eq!(fs::read_to_string(&manifest).unwrap(), written);
        let mut command = crate::bagcert(["certify", "--model", model, "--patch", "5x5", frame]);
        crate::finish(command.current_dir(folder.path())).ended(0);
    }
}

/// Without one nothing shows that this machine computes as the one that wrote the manifest: it is said, and not in the results.
#[test]
fn a_manifest_without_golden_frames_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let red = text(&plain(folder.path(), "red.png", RED));
    let certify = [
        "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &red,
    ];
    run(["manifest", "--model", &model]).ended(0);
    let ran = run(certify).ended(0);
    ran.says(&["no golden frames", &model]);
    assert!(
        ran.stdout.lines().all(|line| line.starts_with('{')),
        "{}",
        ran.stdout
    );
    run(["manifest", "--model", &model, &red]).ended(0);
    let ran = run(certify).ended(0);
    assert!(!ran.stderr.contains("golden"), "{}", ran.stderr);
}

#[test]
fn golden_frames_are_counted_once_under_any_number_of_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let red = text(&plain(folder.path(), "red.png", RED));
    let green = text(&plain(folder.path(), "green.png", GREEN));
    let base = ["manifest", "--model", &model, "--condition", "3.2"];
    let with = |more: &[&str]| run([&base[..], more].concat());
    with(&["--condition", "mask", &red, &green])
        .ended(0)
        .says(&[", 2 golden frames"]);
    // Results do not take the place of one.
    let before = fs::read(&green).unwrap();
    let certify = ["certify", "--model", &model, "--patch", "5x5", &red];
    run(certify.iter().chain(&["--output", &green]))
        .ended(2)
        .says(&["reads that file"]);
    assert!(fs::read(&green).unwrap() == before);
    with(&["--condition", "mask", "--patch", "32x32", &red])
        .ended(2)
        .says(&["no vote"]);
    // Refused before anything is worked out.
    let many: Vec<String> = (1..=33).map(|width| format!("--patch={width}x1")).collect();
    let many: Vec<&str> = many
        .iter()
        .map(String::as_str)
        .chain([red.as_str()])
        .collect();
    with(&many).ended(2).says(&["33 verdicts"]);
    with(&["--patch", "5x5", "--patch", "5x5", &red])
        .ended(2)
        .says(&["two verdicts", "5x5"]);
    with(&[&red, &green, &red])
        .ended(2)
        .says(&[&red, "named twice"]);
    with(&["--condition", "mask", "--condition", "3.2", &red])
        .ended(2)
        .says(&["--condition 3.2", "named twice"]);
}
