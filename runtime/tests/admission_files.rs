//! Files that are not whole models: each a clear error that names the file, never a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use bagcert::admission::{AdmissionError, AdmittedModel, admit};
use common::onnx::{Builder, small_classifier};
use common::oracle::{Noise, admitted, refusal, refusal_of};
use sha2::{Digest, Sha256};
use tract_onnx::pb::{StringStringEntryProto, tensor_proto::DataLocation};

/// Admits these bytes.
fn admit_bytes(folder: &Path, bytes: &[u8]) -> Result<AdmittedModel, AdmissionError> {
    let path = folder.join("model.onnx");
    std::fs::write(&path, bytes).unwrap();
    admit(&path)
}

#[test]
fn what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.onnx");
    assert!(matches!(admit(&missing), Err(AdmissionError::Read { .. })));
    assert!(refusal_of(&missing).contains("cannot be read"));
    assert!(matches!(
        admit(folder.path()),
        Err(AdmissionError::NotAFile { .. })
    ));
    #[cfg(unix)]
    assert!(matches!(
        admit(Path::new("/dev/zero")),
        Err(AdmissionError::NotAFile { .. })
    ));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.onnx");
    // Sparse: it takes no space.
    std::fs::File::create(&path)
        .unwrap()
        .set_len((1 << 28) + 1)
        .unwrap();
    let start = std::time::Instant::now();
    assert!(matches!(admit(&path), Err(AdmissionError::TooLarge { .. })));
    assert!(start.elapsed().as_secs() < 5, "it was read");
    assert!(refusal_of(&path).contains("268435456"));
}

#[test]
fn what_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8]); 7] = [
        ("empty.onnx", b""),
        (
            "text.onnx",
            b"This is a text file that someone named .onnx, by mistake.\n",
        ),
        ("json.onnx", b"{\"graph\": {\"node\": []}}"),
        (
            "png.onnx",
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0 \0\0\0 \x08\x02\0\0\0",
        ),
        ("zeros.onnx", &[0; 4096]),
        ("ones.onnx", &[0xff; 4096]),
        ("newline.onnx", b"\n"),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = admit(&path).unwrap_err();
        assert!(
            matches!(error, AdmissionError::NotOnnx { .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().contains("not a whole ONNX model"),
            "{error}"
        );
    }
}

#[test]
fn a_model_cut_off_anywhere_is_refused() {
    let mut builder = small_classifier(8, 8);
    let whole = builder.bytes();
    builder.model.metadata_props.clear();
    // Metadata comes last. A cut between its entries is a shorter, but whole, model.
    let without_metadata = builder.bytes().len();
    let folder = tempfile::tempdir().unwrap();
    let original = admit_bytes(folder.path(), &whole).unwrap();
    let mut admitted = 0;
    for length in 0..whole.len() {
        match admit_bytes(folder.path(), &whole[..length]) {
            Ok(model) => {
                assert!(length >= without_metadata, "a cut at {length} was admitted");
                assert_eq!(model.network(), original.network());
                admitted += 1;
            }
            Err(error) => assert!(!error.to_string().contains("panic"), "{length}: {error}"),
        }
    }
    assert!(admitted <= 2, "{admitted} cuts were admitted");
}

#[test]
fn spoiled_bytes_never_panic() {
    static PRINTED: AtomicUsize = AtomicUsize::new(0);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PRINTED.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let whole = small_classifier(8, 8).bytes();
    let folder = tempfile::tempdir().unwrap();
    let mut noise = Noise::new(7);
    let mut outcomes = [0usize; 2];
    for round in 0..3000 {
        let mut bytes = whole.clone();
        for _ in 0..=round % 4 {
            let at = (noise.unit() * bytes.len() as f32) as usize;
            let value = (noise.unit() * 256.0) as u8;
            match round % 3 {
                0 => bytes[at] = value,
                1 => bytes.insert(at, value),
                _ => drop(bytes.remove(at)),
            }
        }
        // The engine is not made: what a spoiled weight does is for the numerics to see.
        outcomes[usize::from(admit_bytes(folder.path(), &bytes).is_ok())] += 1;
    }
    assert_eq!(PRINTED.load(Ordering::Relaxed), 0, "a panic was printed");
    assert!(
        outcomes[0] > 300 && outcomes[1] > 300,
        "{outcomes:?} refused and admitted"
    );
}

/// Attributes and shapes that no exporter writes.
#[test]
fn absurd_attributes_are_refused() {
    let with = |name: &str, values: &[i64]| {
        let mut b = Builder::new(8, 8);
        let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
        let values = common::onnx::Attr::Ints(values.to_vec());
        let pool = [("kernel_shape", [2, 2].into()), (name, values)];
        let last = if name == "kernel_shape" {
            b.op("MaxPool", "pool", &[&conv], &pool[1..])
        } else {
            b.op("MaxPool", "pool", &[&conv], &pool)
        };
        b.output(&last);
        let error = refusal(&b);
        assert!(error.contains("\"pool\""), "{error}");
        assert!(!error.contains("panic"), "{error}");
    };
    for (name, length) in [
        ("strides", 2),
        ("dilations", 2),
        ("kernel_shape", 2),
        ("pads", 4),
    ] {
        let value = |value: i64, length: usize| vec![value; length];
        with(name, &value(-1, length));
        with(name, &value(i64::MAX, length));
        with(name, &value(i64::MIN, length));
        with(name, &value(1, length - 1));
        with(name, &value(1, length + 1));
        with(name, &[]);
        if name != "pads" {
            with(name, &value(0, length));
        }
    }
    // Pads as large as the kernel: windows that see nothing.
    with("pads", &[2, 2, 2, 2]);
    for group in [0, -1, 2, i64::MAX] {
        let mut b = Builder::new(8, 8);
        let weights = b.weights("weights", &[4, 3, 3, 3], 1.0);
        let conv = b.op(
            "Conv",
            "conv",
            &["image", &weights],
            &[("group", group.into())],
        );
        b.output(&conv);
        assert!(!refusal(&b).contains("panic"));
    }
}

#[test]
fn pads_as_inputs_are_bounded() {
    for pads in [
        [0, 0, -1, 0, 0, 0, 0, 0],
        [0, 0, i64::MAX, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 1 << 40],
        [0, 1, 0, 0, 0, 0, 0, 0],
    ] {
        let mut b = Builder::new(8, 8);
        let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
        let pads = b.integers("pads", &pads);
        let padded = b.op("Pad", "padded", &[&conv, &pads], &[]);
        b.output(&padded);
        let error = refusal(&b);
        assert!(!error.contains("panic"), "{error}");
    }
}

#[test]
fn weights_that_do_not_hold_what_they_declare() {
    let spoil = |spoil: &dyn Fn(&mut tract_onnx::pb::TensorProto), word: &str| {
        let mut b = small_classifier(8, 8);
        spoil(&mut b.graph().initializer[0]);
        let error = refusal(&b);
        assert!(
            error.contains("\"stem.weight\"") && error.contains(word),
            "{error}"
        );
    };
    spoil(&|tensor| tensor.dims[0] = 9, "243 values");
    spoil(&|tensor| tensor.dims[0] = 1 << 23, "needs");
    spoil(&|tensor| tensor.dims = vec![1 << 24; 8], "overflows");
    spoil(&|tensor| tensor.dims[0] = 0, "not possible");
    spoil(&|tensor| tensor.dims[0] = -8, "not possible");
    spoil(&|tensor| tensor.raw_data.truncate(5), "within a value");
    spoil(&|tensor| tensor.raw_data.clear(), "holds 0");
    spoil(&|tensor| tensor.data_type = 99, "type");
    spoil(&|tensor| tensor.data_type = 8, "type");
    spoil(
        &|tensor| {
            tensor.raw_data.clear();
            tensor.data_location = Some(DataLocation::External as i32);
            tensor.external_data = vec![StringStringEntryProto {
                key: "location".into(),
                value: "weights.bin".into(),
            }];
        },
        "another file",
    );
}

#[test]
fn graphs_that_do_not_hang_together() {
    // A node that reads what comes after it, or itself.
    let mut b = small_classifier(8, 8);
    b.graph().node.reverse();
    assert!(refusal(&b).contains("which nothing before it makes"));
    let mut b = small_classifier(8, 8);
    let name = b.graph().node[1].output[0].clone();
    b.graph().node[1].input[0] = name;
    assert!(refusal(&b).contains("which nothing before it makes"));
    // The same name made twice, or the same weights given twice.
    let mut b = small_classifier(8, 8);
    let name = b.graph().node[0].output[0].clone();
    b.graph().node[1].output[0] = name;
    assert!(refusal(&b).contains("second time"));
    let mut b = small_classifier(8, 8);
    let tensor = b.graph().initializer[0].clone();
    b.graph().initializer.push(tensor);
    assert!(refusal(&b).contains("appear twice"));
    // Nodes without inputs or outputs.
    for op in [
        "Conv", "Relu", "Add", "MaxPool", "Concat", "Clip", "Split", "Slice", "Constant",
    ] {
        for clear_inputs in [true, false] {
            let mut b = small_classifier(8, 8);
            let node = &mut b.graph().node[1];
            node.op_type = op.into();
            if clear_inputs {
                node.input.clear()
            } else {
                node.output.clear()
            }
            assert!(!refusal(&b).contains("panic"), "{op}");
        }
    }
}

#[test]
fn what_could_ask_for_any_memory() {
    // An outer sum of constants, 2^24 x 2^24 if it were folded.
    let mut b = Builder::new(8, 8);
    let row = b.constant("row", &[1, 1, 1, 4096], &[0.0; 4096]);
    let column = b.constant("column", &[1, 1, 4096, 1], &[0.0; 4096]);
    let sum = b.op("Add", "outer", &[&row, &column], &[]);
    let logits = b.op("Add", "logits", &["image", &sum], &[]);
    b.output(&logits);
    assert!(refusal(&b).contains("constants only"));
    // A map that is far larger than the image.
    let mut b = Builder::new(8, 8);
    let conv = b.conv(
        "conv",
        "image",
        (3, 4),
        (3, 3),
        &[("pads", [1 << 12; 4].into())],
    );
    let conv = b.conv(
        "again",
        &conv,
        (4, 4),
        (3, 3),
        &[("pads", [1 << 12; 4].into())],
    );
    b.output(&conv);
    assert!(refusal(&b).contains("too large"));
}

#[test]
fn operator_sets() {
    for (version, fine) in [
        (8, false),
        (9, true),
        (13, true),
        (18, true),
        (24, true),
        (99, false),
    ] {
        let mut b = small_classifier(8, 8);
        b.model.opset_import[0].version = version;
        if fine {
            admitted(&b);
        } else {
            assert!(refusal(&b).contains("operator set"));
        }
    }
    let mut b = small_classifier(8, 8);
    b.model.opset_import[0].domain = "com.example".into();
    assert!(refusal(&b).contains("standard"));
}

#[test]
fn the_hash_is_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = small_classifier(8, 8).bytes();
    let model = admit_bytes(folder.path(), &bytes).unwrap();
    let expected: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(model.sha256(), expected);
    assert_eq!(expected.len(), 64);
}
