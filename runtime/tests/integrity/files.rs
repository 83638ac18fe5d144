//! A model is loaded only as the file that its manifest names.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::manifest::with_manifest;
use crate::common::onnx::{Builder, small_classifier};
use bagcert::integrity::{
    Fingerprint, GoldenVerdict, IntegrityError, LoadedModel, Manifest, Standing, Undecided,
    manifest_path, standing,
};

/// A model of one convolution with this bias, in some 200 bytes.
fn tiny(folder: &Path, name: &str, bias: f32) -> PathBuf {
    let mut b = Builder::new(4, 4);
    let weights = b.constant("w", &[2, 3, 1, 1], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    let bias = b.constant("b", &[2], &[bias, -0.25]);
    let logits = b.op("Conv", "logits", &["image", &weights, &bias], &[]);
    b.output(&logits);
    b.write(folder, name)
}

fn load(path: &Path) -> Result<LoadedModel, IntegrityError> {
    LoadedModel::load(path, None)
}

#[track_caller]
fn assert_other(path: &Path, what: &str) {
    match load(path) {
        Err(IntegrityError::OtherModel { .. }) => {}
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_manifest(tiny(folder.path(), "tiny.onnx", -0.5));
    let bytes = fs::read(&path).unwrap();
    assert!(load(&path).is_ok());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            assert_other(&path, &format!("bit {bit} of byte {at}"));
        }
    }
    for (what, bytes) in [
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("longer", [bytes.as_slice(), &[0]].concat()),
        ("empty", Vec::new()),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_other(&path, what);
    }
    fs::write(&path, &bytes).unwrap();
    assert!(load(&path).is_ok());
}

/// Flips in every region of a file of many layers: the first and last bytes, and steps through all.
#[test]
fn flipped_bits_of_a_larger_model_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_manifest(small_classifier(32, 32).write(folder.path(), "small.onnx"));
    let bytes = fs::read(&path).unwrap();
    let manifest = Manifest::parse(&fs::read(manifest_path(&path)).unwrap()).unwrap();
    let mut flipped = bytes.clone();
    for at in 0..bytes.len() {
        flipped[at] ^= 1 << (at % 8);
        assert_ne!(
            Fingerprint::of(&flipped),
            *manifest.model(),
            "bit {} of byte {at}",
            at % 8
        );
        flipped[at] = bytes[at];
    }
    assert_eq!(Fingerprint::of(&flipped), *manifest.model());
}

/// Another model takes the file's place again and again while it is loaded. Were the file read a second
/// time after its hash was taken, some load would give the other model.
#[test]
fn the_bytes_that_are_hashed_are_the_bytes_that_are_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_manifest(tiny(folder.path(), "model.onnx", -0.5));
    let sha256 = load(&path).unwrap().fingerprint().sha256.clone();
    let good = folder.path().join("good");
    fs::copy(&path, &good).unwrap();
    let other = tiny(folder.path(), "other.onnx", -0.75);
    let done = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = folder.path().join("next");
            while !done.load(Ordering::Relaxed) {
                for from in [&other, &good] {
                    fs::copy(from, &next).unwrap();
                    fs::rename(&next, &path).unwrap();
                }
            }
        });
        // Some seconds on a busy machine.
        for _ in 0..20_000 {
            match load(&path) {
                Ok(model) => {
                    loaded += 1;
                    if model.admitted().sha256() != sha256 {
                        done.store(true, Ordering::Relaxed);
                        panic!("another model than the manifest's was admitted");
                    }
                }
                Err(IntegrityError::OtherModel { .. }) => refused += 1,
                Err(error) => {
                    done.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
            }
            if loaded >= 300 && refused >= 300 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    // Both occur, or the test would say little.
    assert!(loaded > 50 && refused > 50, "{loaded} {refused}");
}

#[test]
fn a_model_without_a_manifest_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = tiny(folder.path(), "bare.onnx", -0.5);
    let error = load(&path).unwrap_err();
    assert!(matches!(error, IntegrityError::NoManifest { .. }));
    let bare = LoadedModel::bare(&path).unwrap();
    assert!(bare.manifest().is_none());
    assert!(bare.pipeline().is_ok());
    assert_eq!(standing(&path, bare.fingerprint()), Standing::Missing);
}

/// The error names both files by hash, and what to do.
#[test]
fn another_file_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_manifest(tiny(folder.path(), "model.onnx", -0.5));
    let meant = Fingerprint::of(&fs::read(&path).unwrap());
    let other = tiny(folder.path(), "model.onnx", -0.75);
    let found = Fingerprint::of(&fs::read(&other).unwrap());
    let text = load(&path).unwrap_err().to_string();
    for words in [
        meant.sha256.as_str(),
        &found.sha256,
        "model.toml",
        "bagcert manifest --model",
        "--no-card",
    ] {
        assert!(text.contains(words), "{words:?} is missing in: {text}");
    }
    let Standing::Differs(manifest) = standing(&path, &found) else {
        panic!("{:?}", standing(&path, &found));
    };
    assert_eq!(*manifest.model(), meant);
    // The same hash with another length is no match either.
    let length = Fingerprint {
        bytes: found.bytes + 1,
        ..found
    };
    let manifest = Manifest::new(length, Vec::new()).unwrap();
    fs::write(manifest_path(&path), manifest.to_toml().unwrap()).unwrap();
    assert_other(&path, "length");
}

const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn text_with_golden(frame: &str) -> String {
    format!(
        r#"format = 1

[model]
sha256 = "{HASH}"
bytes = 0

[[golden]]
frame = "{frame}"
sha256 = "{HASH}"
predicted = 0
votes = [2, 1]
scores = "{HASH}"
condition = "3.2"

[[golden.verdicts]]
patch = [1, 1]
certified = false
slack = -1
rival = 1
worst = [0, 0]
"#
    )
}

#[test]
fn manifests_survive_writing_and_reading() {
    let manifest = Manifest::parse(text_with_golden("a/b.png").as_bytes()).unwrap();
    assert_eq!(manifest.golden()[0].verdicts[0].slack, -1);
    let again = Manifest::parse(manifest.to_toml().unwrap().as_bytes()).unwrap();
    assert_eq!(manifest, again);
}

fn undecided(class: usize, row: usize, column: usize) -> Undecided {
    Undecided {
        class,
        row,
        column,
        within: 0.1,
    }
}

/// What earlier programs can read, they are given: only undecided scores take the later format, be they of one frame alone.
#[test]
fn the_format_is_the_earliest_that_says_it_all() {
    let manifest = Manifest::parse(text_with_golden("a.png").as_bytes()).unwrap();
    let golden = vec![manifest.golden()[0].clone(); 2];
    for (frame, format) in [
        (None, "format = 1\n"),
        (Some(0), "format = 2\n"),
        (Some(1), "format = 2\n"),
    ] {
        let mut golden = golden.clone();
        if let Some(frame) = frame {
            golden[frame].undecided = vec![undecided(1, 2, 3)];
        }
        let manifest = Manifest::new(manifest.model().clone(), golden).unwrap();
        let text = manifest.to_toml().unwrap();
        assert!(text.contains(format), "{text}");
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest);
    }
}

/// What is read from an array may be too much for it, and would be cut without a word.
#[test]
fn tables_are_no_arrays() {
    let good = text_with_golden("a.png").replace("format = 1", "format = 2");
    let model = format!("[model]\nsha256 = \"{HASH}\"\nbytes = 0\n");
    let verdict = &good[good.find("[[golden.verdicts]]").unwrap()..];
    let golden = &good[good.find("[[golden]]").unwrap()..];
    let verdicts = "verdicts = [[[1, 1], false, -1, 1, [0, 0], 9]]\n";
    let tables = "undecided = [{ class = 0, row = 1, column = 2, within = 0.1 }]\nvotes";
    let cases = [
        ("votes", "undecided = [[0, 1, 2, 0.1, 9]]\nvotes".to_owned()),
        (&model, format!("model = [\"{HASH}\", 0, 9]\n")),
        (verdict, verdicts.to_owned()),
        (
            golden,
            format!(
                "golden = [[\"a.png\", \"{HASH}\", 0, [2, 1], \"{HASH}\", \"3.2\", [], [], 9]]\n"
            ),
        ),
    ];
    assert!(Manifest::parse(good.replacen("votes", tables, 1).as_bytes()).is_ok());
    for (from, to) in cases {
        assert!(good.contains(from), "{from}");
        let mut text = good.replacen(from, &to, 1);
        if from == golden {
            // Before the first table, where it is the manifest's own.
            text = text.replacen(&to, "", 1);
            text = text.replacen("format = 2\n", &format!("format = 2\n{to}"), 1);
        }
        let reason = refusal(text.as_bytes());
        assert!(reason.contains("expected a table"), "{to}: {reason}");
    }
}

#[test]
fn undecided_scores_are_sorted_and_few() {
    let manifest = Manifest::parse(text_with_golden("a.png").as_bytes()).unwrap();
    let with = |scores: Vec<Undecided>| {
        let mut golden = manifest.golden().to_vec();
        golden[0].undecided = scores;
        Manifest::new(manifest.model().clone(), golden).map_err(|error| error.to_string())
    };
    let [a, b, c] = [undecided(0, 5, 9), undecided(1, 0, 2), undecided(1, 0, 3)];
    assert!(with(vec![a, b, c]).is_ok());
    for wrong in [vec![a, a], vec![b, a], vec![a, c, b]] {
        let reason = with(wrong).unwrap_err();
        assert!(
            reason.contains("sorted") && reason.contains("a.png"),
            "{reason}"
        );
    }
    let many = |count: usize| (0..count).map(|at| undecided(0, 0, at)).collect();
    assert!(with(many(1024)).is_ok());
    let reason = with(many(1025)).unwrap_err();
    assert!(reason.contains("1025 of its scores"), "{reason}");
}

/// What is written can be read again, or is not written.
#[test]
fn a_manifest_that_would_be_too_long_is_not_written() {
    let manifest = Manifest::parse(text_with_golden("a.png").as_bytes()).unwrap();
    let mut golden = manifest.golden()[0].clone();
    golden.undecided = (0..1024).map(|at| undecided(0, 0, at)).collect();
    let written = |frames: usize| {
        let manifest = Manifest::new(manifest.model().clone(), vec![golden.clone(); frames]);
        manifest.unwrap().to_toml()
    };
    assert!(written(8).is_ok());
    let reason = written(30).unwrap_err().to_string();
    assert!(reason.contains("bytes long"), "{reason}");
}

fn refusal(text: &[u8]) -> String {
    Manifest::parse(text).unwrap_err().to_string()
}

#[test]
fn manifests_that_are_refused() {
    let good = text_with_golden("a.png");
    let undecided = "undecided = [{ class = 0, row = 1, column = 2, within = 0.1 }]\nvotes";
    let cases = [
        ("", "", "format"),
        ("format = 1", "format = 3", "format is 3"),
        ("format = 1", "format = 1\nmore = 3", "more"),
        ("bytes = 0", "bytes = 0\nmd5 = \"\"", "md5"),
        ("bytes = 0", "bytes = -1", "bytes"),
        ("bytes = 0", "bytes = 0\nbytes = 0", "duplicate"),
        ("bytes = 0\n", "", "bytes"),
        ("predicted = 0\n", "", "predicted"),
        ("predicted = 0", "predicted = 0\nlabel = 1", "label"),
        ("format = 1", "format = 0", "format is 0"),
        (
            "votes",
            "undecided = [[0, 1, 2]]\nvotes",
            "expected a table",
        ),
        (
            "votes",
            "undecided = [[0, 1, 2, 0.1, 9]]\nvotes",
            "undecided",
        ),
        ("votes", "undecided = [{ class = 0 }]\nvotes", "row"),
        ("votes", &undecided.replace("1,", "-1,"), "row"),
        ("votes", &undecided.replace("0.1", "0.1, by = 1"), "by"),
        ("votes", undecided, "format is 1, which has no undecided"),
        ("slack = -1", "slack = -1\nside = 1", "side"),
        ("slack = -1", "slack = \"-1\"", "slack"),
        ("condition = \"3.2\"", "condition = \"3.4\"", "3.4"),
        ("patch = [1, 1]", "patch = [0, 1]", "0x1"),
        ("patch = [1, 1]", "patch = [1, 1, 1]", "patch"),
        (HASH, &HASH[1..], "64"),
        ("e3b0", "E3B0", "lower-case"),
        ("e3b0", "\u{e9}30", "lower-case"),
        ("[model]", "[model", "TOML"),
    ];
    for (from, to, words) in cases {
        let text = if from.is_empty() {
            String::new()
        } else {
            assert!(good.contains(from));
            good.replacen(from, to, 1)
        };
        let reason = refusal(text.as_bytes());
        assert!(reason.contains(words), "{words:?} is missing in: {reason}");
    }
    let cut = good.find("\n[[golden.verdicts]]").unwrap();
    let reason = refusal(&good.as_bytes()[..cut]);
    assert!(reason.contains("verdicts"), "{reason}");
    assert!(Manifest::parse(b"format = 1\xff").is_err());
    // Golden frames lie beside the model or below it, wherever both are moved.
    for frame in [
        "",
        ".",
        "/a.png",
        "../a.png",
        "frames/../../a.png",
        "frames\\\\..\\\\a.png",
        "C:a.png",
    ] {
        let reason = refusal(text_with_golden(frame).as_bytes());
        assert!(reason.contains("downwards"), "{frame}: {reason}");
    }
    let one = Manifest::parse(good.as_bytes()).unwrap();
    let frames = |count| vec![one.golden()[0].clone(); count];
    assert!(Manifest::new(one.model().clone(), frames(64)).is_ok());
    let error = Manifest::new(one.model().clone(), frames(65)).unwrap_err();
    assert!(error.to_string().contains("65 golden frames"), "{error}");
    // What a start costs is bounded, too: many sizes under masks would take hours.
    let with_verdicts = |sizes: std::ops::RangeInclusive<u32>| {
        let mut frame = one.golden()[0].clone();
        let verdict = frame.verdicts[0].clone();
        let of = |side: u32| GoldenVerdict {
            patch: [side, 1],
            ..verdict.clone()
        };
        frame.verdicts = sizes.map(of).collect();
        Manifest::new(one.model().clone(), vec![frame])
    };
    assert!(with_verdicts(1..=32).is_ok());
    let error = with_verdicts(1..=33).unwrap_err().to_string();
    assert!(error.contains("33 verdicts"), "{error}");
    let mut twice = one.golden()[0].clone();
    twice.verdicts.push(twice.verdicts[0].clone());
    let error = Manifest::new(one.model().clone(), vec![twice]).unwrap_err();
    assert!(error.to_string().contains("two verdicts"), "{error}");
}

/// Any change of a manifest's text either is refused or leaves its meaning: none is a panic.
#[test]
fn damaged_manifests_do_no_harm() {
    let good = text_with_golden("a.png").into_bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            drop(Manifest::parse(&bytes));
        }
        drop(Manifest::parse(&good[..at]));
    }
    let deep = format!("format = 1\nmodel = {}", "[".repeat(100_000));
    assert!(Manifest::parse(deep.as_bytes()).is_err());
}

#[test]
fn files_that_are_no_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_manifest(tiny(folder.path(), "model.onnx", -0.5));
    let manifest = manifest_path(&path);
    let found = Fingerprint::of(&fs::read(&path).unwrap());
    let mut large = fs::read(&manifest).unwrap();
    large.resize(1 << 20, b'\n');
    fs::write(&manifest, &large).unwrap();
    assert!(load(&path).is_ok());
    large.push(b'\n');
    for (bytes, words) in [
        (large.as_slice(), "1048576"),
        (b"", "format"),
        (b"\xff\xfe", "UTF-8"),
    ] {
        fs::write(&manifest, bytes).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains("model.toml") && error.contains(words),
            "{error}"
        );
        assert!(matches!(standing(&path, &found), Standing::Invalid(_)));
    }
    fs::remove_file(&manifest).unwrap();
    fs::create_dir(&manifest).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("regular file"), "{error}");
    fs::remove_dir(&manifest).unwrap();
    // A device never ends; a pipe without a writer would be waited for.
    #[cfg(unix)]
    {
        let refused = || {
            let error = load(&path).unwrap_err().to_string();
            assert!(error.contains("regular file"), "{error}");
            fs::remove_file(&manifest).unwrap();
        };
        std::os::unix::fs::symlink("/dev/zero", &manifest).unwrap();
        refused();
        let pipe = std::process::Command::new("mkfifo").arg(&manifest).status();
        assert!(pipe.unwrap().success());
        refused();
    }
}
