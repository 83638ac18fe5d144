//! What C can do wrong with the runtime: each is a status and a text, and leaves no verdict.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use bagcert_c::*;
use bagcert_certifier_c::{
    BagcertCells, BagcertDetail, BagcertOutput, BagcertPatch, BagcertPixel, BagcertQuery,
    BagcertVerdict,
};

const MODEL: &str = "../../models/cifar10-rf8.onnx";

fn text(of: &str) -> CString {
    CString::new(of).unwrap()
}

fn last_error() -> String {
    // SAFETY: never null, and ends.
    let text = unsafe { CStr::from_ptr(bagcert_last_error()) };
    text.to_str().unwrap().to_owned()
}

fn open(path: &str, key: Option<&str>) -> (BagcertModelStatus, BagcertModel) {
    let (path, key) = (text(path), key.map(text));
    let mut model = 99;
    // SAFETY: texts that end, or null, and a place to write to.
    let status = unsafe {
        bagcert_model_open(
            path.as_ptr(),
            key.as_ref().map_or(ptr::null(), |key| key.as_ptr()),
            &raw mut model,
        )
    };
    (status, model)
}

/// The shipped model, opened once.
fn shipped() -> BagcertModel {
    static SHIPPED: OnceLock<BagcertModel> = OnceLock::new();
    *SHIPPED.get_or_init(|| {
        let (status, model) = open(MODEL, None);
        assert_eq!(status, BagcertModelStatus::Ok, "{}", last_error());
        model
    })
}

/// Everything of a call, good until a test spoils it.
struct Call {
    model: BagcertModel,
    patches: Vec<BagcertPatch>,
    condition: u32,
    image: Vec<f32>,
    bytes: Vec<u8>,
    verdicts: Vec<BagcertVerdict>,
    votes: Vec<u32>,
    square: u32,
    times: BagcertTimes,
}

impl Call {
    fn new() -> Call {
        let earlier = BagcertVerdict {
            predicted: 3,
            certified: true,
            slack: 77,
            rival: 4,
            worst: BagcertPixel { x: 1, y: 2 },
            has_second: false,
            second: BagcertCells {
                first_x: 0,
                last_x: 0,
                first_y: 0,
                last_y: 0,
            },
            patch: BagcertPatch {
                width: 2,
                height: 3,
            },
            condition: 2,
        };
        Call {
            model: shipped(),
            patches: vec![BagcertPatch {
                width: 5,
                height: 5,
            }],
            condition: 2,
            image: vec![0.5; 3 * 32 * 32],
            bytes: vec![128; 3 * 32 * 32],
            verdicts: vec![earlier],
            votes: vec![99; 10],
            square: 99,
            times: BagcertTimes::default(),
        }
    }

    fn with(
        &mut self,
        rgb8: bool,
        spoil: impl FnOnce(&mut BagcertQuery, &mut BagcertOutput),
    ) -> BagcertModelStatus {
        let mut query = BagcertQuery {
            patches: self.patches.as_ptr(),
            patches_len: self.patches.len(),
            condition: self.condition,
            mask_step: 1,
            lead: 0,
        };
        let mut output = BagcertOutput {
            verdicts: self.verdicts.as_mut_ptr(),
            verdicts_len: self.verdicts.len(),
            votes: self.votes.as_mut_ptr(),
            votes_len: self.votes.len(),
            largest_square: &raw mut self.square,
            detail: ptr::null_mut(),
        };
        spoil(&mut query, &mut output);
        let (model, times) = (self.model, &raw mut self.times);
        let (query, output) = (&raw const query, &raw const output);
        // SAFETY: good pointers into this call, or such as the functions must refuse.
        unsafe {
            if rgb8 {
                let (bytes, len) = (self.bytes.as_ptr(), self.bytes.len());
                bagcert_model_certify_rgb8(model, query, bytes, len, output, times)
            } else {
                let (image, len) = (self.image.as_ptr(), self.image.len());
                bagcert_model_certify(model, query, image, len, output, times)
            }
        }
    }

    fn run(&mut self, rgb8: bool) -> BagcertModelStatus {
        self.with(rgb8, |_, _| ())
    }

    #[track_caller]
    fn holds_no_verdict(&self) {
        for verdict in &self.verdicts {
            assert!(!verdict.certified && verdict.slack == i64::MIN);
            assert_eq!(verdict.predicted, usize::MAX);
        }
        assert!(self.votes.iter().all(|votes| *votes == 0));
        assert_eq!(self.square, 0);
    }
}

#[track_caller]
fn refused(status: BagcertModelStatus, words: &str, spoil: impl Fn(&mut Call)) {
    for rgb8 in [false, true] {
        let mut call = Call::new();
        spoil(&mut call);
        assert_eq!(call.run(rgb8), status, "{}", last_error());
        assert!(last_error().contains(words), "{}", last_error());
        call.holds_no_verdict();
    }
}

#[test]
fn good_calls_and_what_they_say() {
    let mut call = Call::new();
    assert_eq!(call.run(false), BagcertModelStatus::Ok, "{}", last_error());
    assert!(call.verdicts[0].predicted < 10);
    assert!(call.times.forward > 0 && call.times.certificate > 0);
    let votes = call.votes.clone();
    // Bytes are the same values where they can be.
    call.image.fill(128.0 / 255.0);
    assert_eq!(call.run(false), BagcertModelStatus::Ok);
    let (verdict, votes_of_values) = (call.verdicts[0], call.votes.clone());
    assert_eq!(call.run(true), BagcertModelStatus::Ok);
    assert_eq!((call.verdicts[0], &call.votes), (verdict, &votes_of_values));
    // The place of the last failure is another thread's.
    assert_eq!(votes.len(), 10);
}

#[test]
fn pixels_are_in_the_order_of_cameras() {
    // Three colours that are told apart only where the channels are not mixed up.
    let mut call = Call::new();
    for (at, pixel) in call.bytes.chunks_exact_mut(3).enumerate() {
        pixel.copy_from_slice(&[(at % 256) as u8, (at / 4) as u8, 255 - (at % 128) as u8]);
    }
    for at in 0..1024 {
        for channel in 0..3 {
            call.image[channel * 1024 + at] = f32::from(call.bytes[3 * at + channel]) / 255.0;
        }
    }
    assert_eq!(call.run(true), BagcertModelStatus::Ok);
    let of_bytes = (call.verdicts[0], call.votes.clone());
    assert_eq!(call.run(false), BagcertModelStatus::Ok);
    assert_eq!((call.verdicts[0], call.votes.clone()), of_bytes);
}

#[test]
fn wrong_arguments() {
    use BagcertModelStatus as Status;
    let patch = |width, height| BagcertPatch { width, height };
    refused(Status::BadArgument, "query.condition", |call| {
        call.condition = 6;
    });
    refused(Status::BadArgument, "query.patches", |call| {
        call.patches[0] = patch(0, 5);
    });
    refused(Status::BadArgument, "33x5", |call| {
        call.patches[0] = patch(33, 5);
    });
    refused(Status::BadArgument, "query.patches_len", |call| {
        call.patches.clear();
    });
    refused(Status::BadArgument, "output.verdicts_len", |call| {
        call.patches.push(patch(1, 1));
    });
    refused(Status::BadArgument, "output.votes_len", |call| {
        call.votes.pop();
    });
    for rgb8 in [false, true] {
        let mut call = Call::new();
        let status = call.with(rgb8, |query, _| query.patches = ptr::null());
        assert_eq!(status, Status::BadArgument);
        call.holds_no_verdict();
        let mut call = Call::new();
        let status = call.with(rgb8, |_, output| output.verdicts = ptr::null_mut());
        assert_eq!(status, Status::BadArgument);
        assert!(last_error().contains("output.verdicts"));
        let mut call = Call::new();
        let image = call.image.as_mut_ptr();
        let status = call.with(false, |_, output| output.votes = image.cast());
        assert_eq!(status, Status::BadArgument);
        assert!(last_error().contains("overlaps"), "{}", last_error());
        assert!(!call.verdicts[0].certified);
    }
}

/// An answer's place inside what is asked would ask something else.
#[test]
fn answers_over_the_question() {
    for rgb8 in [false, true] {
        let refused = |spoil: &dyn Fn(&mut BagcertQuery, &mut BagcertOutput)| {
            let mut call = Call::new();
            let status = call.with(rgb8, |query, output| spoil(query, output));
            assert_eq!(status, BagcertModelStatus::BadArgument);
            let said = last_error();
            assert!(said.contains("output.largest_square"), "{said}");
            assert!(said.contains("overlaps"), "{said}");
            assert!(call.verdicts.iter().all(|verdict| !verdict.certified));
        };
        refused(&|query, output| output.largest_square = &raw mut query.condition);
        refused(&|query, output| output.largest_square = (&raw mut query.patches).cast());
        refused(&|_, output| output.largest_square = (&raw mut output.votes_len).cast());
    }
}

#[test]
fn images_that_are_none() {
    use BagcertModelStatus as Status;
    for len in [0, 1, 3071, 3073] {
        refused(Status::BadImage, "3072", |call| {
            call.image.resize(len, 0.5);
            call.bytes.resize(len, 128);
        });
    }
    for value in [f32::NAN, f32::INFINITY, -0.001, 1.001, 255.0] {
        let mut call = Call::new();
        call.image[1234] = value;
        assert_eq!(call.run(false), Status::BadImage);
        assert!(last_error().contains("1234"), "{}", last_error());
        call.holds_no_verdict();
        // And the model goes on.
        call.image[1234] = 0.5;
        assert_eq!(call.run(false), Status::Ok);
    }
}

#[test]
fn models_that_are_refused() {
    use BagcertModelStatus as Status;
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    assert_eq!(open("no-such.onnx", None), (Status::Refused, 0));
    assert!(last_error().contains("no-such.onnx"), "{}", last_error());
    // Without a manifest, only where that is said.
    let bare = inside("bare.onnx");
    std::fs::copy(MODEL, &bare).unwrap();
    assert_eq!(open(&bare, None), (Status::Refused, 0));
    assert!(last_error().contains("manifest"), "{}", last_error());
    let path = text(&bare);
    let mut model = 0;
    let mut info = std::mem::MaybeUninit::uninit();
    // SAFETY: a text that ends, and places to write to.
    let info: BagcertModelInfo = unsafe {
        let status = bagcert_model_open_bare(path.as_ptr(), &raw mut model);
        assert_eq!(status, Status::Ok, "{}", last_error());
        assert_eq!(bagcert_model_describe(model, info.as_mut_ptr()), Status::Ok);
        info.assume_init()
    };
    assert!(!info.has_manifest);
    assert_eq!(bagcert_model_close(model), Status::Ok);
    // A key that has not signed, and one that is none.
    let key = inside("key.pem");
    std::fs::write(
        &key,
        "-----BEGIN PUBLIC KEY-----\n\
         MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
         -----END PUBLIC KEY-----\n",
    )
    .unwrap();
    assert_eq!(open(MODEL, Some(&key)), (Status::Refused, 0));
    assert!(last_error().contains("sign"), "{}", last_error());
    assert_eq!(open(MODEL, Some("no-such.pem")), (Status::Refused, 0));
    assert!(last_error().contains("no-such.pem"), "{}", last_error());
    // A changed file.
    let changed = inside("changed.onnx");
    let mut bytes = std::fs::read(MODEL).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&changed, bytes).unwrap();
    std::fs::copy(
        Path::new(MODEL).with_extension("toml"),
        inside("changed.toml"),
    )
    .unwrap();
    assert_eq!(open(&changed, None), (Status::Refused, 0));
    // SAFETY: null is an error.
    unsafe {
        let mut model = 99;
        let status = bagcert_model_open(ptr::null(), ptr::null(), &raw mut model);
        assert_eq!((status, model), (Status::BadArgument, 0));
        let path = text(MODEL);
        let status = bagcert_model_open(path.as_ptr(), ptr::null(), ptr::null_mut());
        assert_eq!(status, Status::BadArgument);
        let status = bagcert_model_open_bare(ptr::null(), ptr::null_mut());
        assert_eq!(status, Status::BadArgument);
    }
}

#[test]
fn numbers_of_models_that_are_not_open() {
    use BagcertModelStatus as Status;
    let bare = text(MODEL);
    let mut model = 0;
    // SAFETY: a text that ends, and a place to write to.
    let status = unsafe { bagcert_model_open_bare(bare.as_ptr(), &raw mut model) };
    assert_eq!(status, Status::Ok, "{}", last_error());
    let mut call = Call::new();
    call.model = model;
    assert_eq!(call.run(false), Status::Ok);
    assert_eq!(bagcert_model_close(model), Status::Ok);
    assert_eq!(bagcert_model_close(model), Status::NoSuchModel);
    for number in [0, model, model + 1000, u64::MAX] {
        refused(Status::NoSuchModel, "number", |call| call.model = number);
        let mut name: [c_char; 8] = [1; 8];
        // SAFETY: places to write to, or null.
        unsafe {
            let status = bagcert_model_class_name(number, 0, name.as_mut_ptr(), 8);
            assert_eq!((status, name), (Status::NoSuchModel, [0; 8]));
            let status = bagcert_model_describe(number, ptr::null_mut());
            assert_eq!(status, Status::BadArgument);
        }
    }
}

#[test]
fn names_and_sizes() {
    use BagcertModelStatus as Status;
    let model = shipped();
    let mut info = std::mem::MaybeUninit::uninit();
    // SAFETY: a place to write to, which is read once it was written.
    let info: BagcertModelInfo = unsafe {
        assert_eq!(bagcert_model_describe(model, info.as_mut_ptr()), Status::Ok);
        info.assume_init()
    };
    assert_eq!((info.channels, info.height, info.width), (3, 32, 32));
    assert_eq!((info.image_len, info.shape.classes), (3072, 10));
    assert!(info.has_manifest);
    let manifest = std::fs::read_to_string(Path::new(MODEL).with_extension("toml")).unwrap();
    // SAFETY: ends within its array, says the header.
    let sha256 = unsafe { CStr::from_ptr(info.sha256.as_ptr()) };
    assert_eq!(sha256.count_bytes(), 64);
    assert!(manifest.contains(sha256.to_str().unwrap()));
    let name = |class, len| {
        let mut name: [c_char; 16] = [1; 16];
        // SAFETY: `len` is at most 16.
        let status = unsafe { bagcert_model_class_name(model, class, name.as_mut_ptr(), len) };
        (status, name)
    };
    // "cat" and its zero fit into four bytes, and not into three.
    let (status, cat) = name(3, 4);
    assert_eq!(status, Status::Ok);
    assert_eq!(
        cat[..5].iter().map(|c| *c as u8).collect::<Vec<_>>(),
        b"cat\0\x01"
    );
    let (status, short) = name(3, 3);
    assert_eq!(
        (status, &short[..4]),
        (Status::BadArgument, &[0, 0, 0, 1][..])
    );
    assert!(last_error().contains("3 instead of 4"), "{}", last_error());
    assert_eq!(name(10, 16).0, Status::BadArgument);
    assert_eq!(name(usize::MAX, 16).0, Status::BadArgument);
    assert_eq!(name(3, 0).0, Status::BadArgument);
}

/// Calls on one model from many threads wait for each other; errors are each thread's own.
#[test]
fn threads() {
    let mut first = Call::new();
    assert_eq!(first.run(false), BagcertModelStatus::Ok);
    let expected = first.verdicts[0];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                assert_eq!(last_error(), "");
                for _ in 0..3 {
                    let mut call = Call::new();
                    if thread == 0 {
                        call.image[7] = 2.0;
                        assert_eq!(call.run(false), BagcertModelStatus::BadImage);
                        call.holds_no_verdict();
                        assert!(last_error().contains("value 7"));
                    } else {
                        assert_eq!(call.run(false), BagcertModelStatus::Ok);
                        assert_eq!(call.verdicts[0], expected);
                    }
                }
            });
        }
    });
}

/// A detail names the argument here too.
#[test]
fn details() {
    let mut call = Call::new();
    let mut detail = BagcertDetail {
        argument: ptr::null(),
        needed: 0,
        found: 0,
        class_index: 0,
        y: 0,
        x: 0,
    };
    let place = &raw mut detail;
    let status = call.with(false, |query, output| {
        output.detail = place;
        query.patches_len = 0;
    });
    assert_eq!(status, BagcertModelStatus::BadArgument);
    // SAFETY: the library names an argument by a text of its own.
    let argument = unsafe { CStr::from_ptr(detail.argument) };
    assert_eq!(argument, c"query.patches_len");
}
