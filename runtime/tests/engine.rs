//! The engine: what it takes, what it gives, and what its numerics check catches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bagcert::admission::{AdmittedModel, ImageShape};
use bagcert::engine::{
    Engine, EngineError, FORWARD_PASSES, ForwardPass, check_numerics, fresh_seed,
};
use bagcert::pipeline::{Pipeline, PipelineError, Query};
use bagcert_certifier::{Axis, Condition, Geometry, PatchSize, Shape};
use common::onnx::{Attr, Builder, small_classifier};
use common::oracle::{Noise, admitted, check_reference};

#[test]
fn logits_are_those_of_the_description() {
    let model = admitted(&small_classifier(16, 24));
    let mut engine = Engine::new(&model).unwrap();
    for seed in 0..5 {
        let image = Noise::new(seed).image(&model);
        check_reference(&model, &mut engine, &image);
    }
}

#[test]
fn only_whole_images_in_range_are_taken() {
    let model = admitted(&small_classifier(8, 9));
    let mut engine = Engine::new(&model).unwrap();
    let good = vec![0.5; 3 * 8 * 9];
    for wrong in [0, 1, good.len() - 1, good.len() + 1] {
        let error = engine.logits(&vec![0.5; wrong]).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, EngineError::ImageLength { .. }), "{text}");
        assert!(
            text.contains("216") && text.contains(&wrong.to_string()),
            "{text}"
        );
        assert!(text.contains("3x8x9"), "{text}");
    }
    for bad in [
        -1e-6,
        1.0 + 1e-6,
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
    ] {
        let mut image = good.clone();
        image[100] = bad;
        let error = engine.logits(&image).unwrap_err();
        assert!(
            matches!(error, EngineError::ImageValue { index: 100, .. }),
            "{error}"
        );
    }
    // A refused image leaves the engine as it was.
    let first = engine.logits(&good).unwrap().to_vec();
    assert_eq!(engine.logits(&good).unwrap(), first);
    assert!(
        engine.logits(&[0.0, 1.0].repeat(108)).is_ok(),
        "both ends of the range are taken"
    );
}

#[test]
fn values_that_are_not_finite_are_left_to_the_certifier() {
    // Within [0,1] the logits overflow to infinity and NaN.
    let mut b = Builder::new(6, 6);
    let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
    let huge = b.constant("huge", &[], &[f32::MAX]);
    let huge = b.op("Mul", "huge.1", &[&conv, &huge], &[]);
    let huge = b.op("Mul", "huge.2", &[&huge, "huge"], &[]);
    let logits = b.op("Sub", "logits", &[&huge, &huge], &[]);
    b.output(&logits);
    let model = admitted(&b);
    let mut engine = Engine::new(&model).unwrap();
    let logits = engine.logits(&[1.0; 108]).unwrap();
    assert!(logits.iter().any(|logit| logit.is_nan()));
}

/// Of the numerics check, fixed for tests.
const SEED: u64 = 1;

/// Counts passes, and spoils them.
struct Spoiled<F> {
    engine: Engine,
    logits: Vec<f32>,
    passes: usize,
    spoil: F,
}

impl<F: FnMut(usize, &[f32], &mut [f32])> Spoiled<F> {
    fn new(model: &AdmittedModel, spoil: F) -> Self {
        Spoiled {
            engine: Engine::new(model).unwrap(),
            logits: Vec::new(),
            passes: 0,
            spoil,
        }
    }

    fn check(&mut self, model: &AdmittedModel) -> Result<(), EngineError> {
        check_numerics(self, model.input(), model.shape(), &model.geometry(), SEED)
    }
}

impl<F: FnMut(usize, &[f32], &mut [f32])> ForwardPass for Spoiled<F> {
    fn forward(&mut self, image: &[f32]) -> Result<&[f32], EngineError> {
        self.logits = self.engine.logits(image)?.to_vec();
        (self.spoil)(self.passes, image, &mut self.logits);
        self.passes += 1;
        Ok(&self.logits)
    }
}

fn ulp(value: &mut f32) {
    *value = f32::from_bits(value.to_bits() ^ 1);
}

#[test]
fn a_sound_engine_passes_in_the_stated_number_of_passes() {
    let model = admitted(&small_classifier(32, 32));
    let mut engine = Spoiled::new(&model, |_, _, _| {});
    engine.check(&model).unwrap();
    assert_eq!(engine.passes, FORWARD_PASSES);
    const { assert!(FORWARD_PASSES <= 40) };
}

#[test]
fn one_ulp_from_any_place_to_any_far_place_is_caught() {
    let model = admitted(&small_classifier(32, 32));
    let at = |c: usize, y: usize, x: usize| (c * 32 + y) * 32 + x;
    let places = [0, 16, 31];
    for (from_y, from_x) in places
        .iter()
        .flat_map(|y| places.iter().map(move |x| (*y, *x)))
    {
        for (to_y, to_x) in [(0, 0), (0, 31), (31, 0), (31, 31), (16, 16)] {
            if (from_y, from_x) == (to_y, to_x) {
                continue;
            }
            // One bit of one logit of one class, only for bright values of one colour.
            let mut engine = Spoiled::new(&model, |_, image: &[f32], logits: &mut [f32]| {
                if image[at(1, from_y, from_x)] > 0.5 {
                    ulp(&mut logits[at(7, to_y, to_x)]);
                }
            });
            match engine.check(&model) {
                Err(EngineError::Leak { class: 7, y, x, .. }) => assert_eq!((y, x), (to_y, to_x)),
                other => panic!("from {from_y},{from_x} to {to_y},{to_x}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_shared_scale_is_caught() {
    // As dynamic quantisation does: rounding to a grid set by the largest logit of the map.
    let model = admitted(&small_classifier(32, 32));
    let mut engine = Spoiled::new(&model, |_, _, logits: &mut [f32]| {
        let scale = logits
            .iter()
            .fold(0f32, |most, logit| most.max(logit.abs()))
            / 127.0;
        for logit in logits {
            *logit = (*logit / scale).round() * scale;
        }
    });
    assert!(matches!(
        engine.check(&model),
        Err(EngineError::Leak { .. })
    ));
}

/// A model can tell noise from a camera's frames pixel by pixel, whatever the noise: by samples that
/// no camera gives, and by contrast that is high everywhere.
#[test]
fn an_engine_that_leaks_on_camera_frames_only_is_caught() {
    let model = admitted(&small_classifier(32, 32));
    let sampled = |value: &f32| (value * 255.0 - (value * 255.0).round()).abs() < 1e-3;
    let smooth = |pair: &[f32]| pair[0] != pair[1] && (pair[0] - pair[1]).abs() < 0.05;
    let mut engine = Spoiled::new(&model, |_, image: &[f32], logits: &mut [f32]| {
        let frame = image.iter().all(sampled) && image.windows(2).any(smooth);
        if frame && image[0] > 0.5 {
            ulp(&mut logits[32 * 32 - 1]);
        }
    });
    assert!(matches!(
        engine.check(&model),
        Err(EngineError::Leak { .. })
    ));
}

#[test]
fn seeds_differ() {
    assert_ne!(fresh_seed(), fresh_seed());
}

#[test]
fn an_engine_that_varies_is_caught() {
    let model = admitted(&small_classifier(32, 32));
    for pass in 1..FORWARD_PASSES {
        let mut engine = Spoiled::new(&model, move |now, _, logits: &mut [f32]| {
            if now == pass {
                // Every cell: some lie outside R(l) whatever the patch.
                logits.iter_mut().for_each(ulp);
            }
        });
        assert!(engine.check(&model).is_err(), "pass {pass}");
    }
    // The very last pass repeats the image.
    let mut engine = Spoiled::new(&model, |now, _, logits: &mut [f32]| {
        if now + 1 == FORWARD_PASSES {
            ulp(&mut logits[0]);
        }
    });
    assert!(matches!(
        engine.check(&model),
        Err(EngineError::NotRepeatable { class: 0, .. })
    ));
}

#[test]
fn a_geometry_that_is_too_small_by_one_pixel_is_caught() {
    let model = admitted(&small_classifier(32, 32));
    let Geometry { x, y } = model.geometry();
    assert_eq!((x.lo(), x.hi()), (-2, 2));
    let axis = |lo, hi| Axis::new(32, 32, 1, lo, hi).unwrap();
    let wrong = [
        Geometry { x: axis(-1, 2), y },
        Geometry { x: axis(-2, 1), y },
        Geometry { x, y: axis(-1, 2) },
        Geometry { x, y: axis(-2, 1) },
    ];
    for geometry in wrong {
        let mut engine = Engine::new(&model).unwrap();
        let outcome = check_numerics(&mut engine, model.input(), model.shape(), &geometry, SEED);
        assert!(
            matches!(outcome, Err(EngineError::Leak { .. })),
            "{geometry:?}"
        );
    }
}

/// Cell i reads pixels 4i ..= 4i+4; the engine lets it read 4i+5 too, by one bit.
#[test]
fn one_pixel_beyond_a_strided_cell_is_caught() {
    for (height, width) in [(33, 9), (9, 33)] {
        let mut b = Builder::new(height, width);
        let strided = [("strides", [4, 4].into())];
        let conv = b.conv("conv", "image", (3, 4), (5, 5), &strided);
        b.output(&conv);
        let model = admitted(&b);
        let Geometry { x, y } = model.geometry();
        assert_eq!([(x.stride(), x.hi()), (y.stride(), y.hi())], [(4, 4); 2]);
        // The pixel beyond, one row down or one column to the right.
        let (down, right) = if height > width { (5, 0) } else { (0, 5) };
        let columns = x.outputs() as usize;
        let mut engine = Spoiled::new(&model, |_, image: &[f32], logits: &mut [f32]| {
            let class = &mut logits[..columns * y.outputs() as usize];
            for (cell, logit) in class.iter_mut().enumerate() {
                let row = 4 * (cell / columns) + down;
                let column = 4 * (cell % columns) + right;
                if row < height && column < width && image[row * width + column] > 0.5 {
                    ulp(logit);
                }
            }
        });
        let outcome = engine.check(&model);
        assert!(matches!(outcome, Err(EngineError::Leak { .. })));
    }
}

/// Gives a map of the wrong size.
struct Short(Vec<f32>);

impl ForwardPass for Short {
    fn forward(&mut self, _: &[f32]) -> Result<&[f32], EngineError> {
        Ok(&self.0)
    }
}

#[test]
fn a_map_of_the_wrong_size_is_an_error() {
    let image = ImageShape {
        channels: 3,
        height: 4,
        width: 4,
    };
    let shape = Shape::new(2, 4, 4).unwrap();
    let axis = Axis::new(4, 4, 1, 0, 0).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    for length in [0, 31, 33] {
        let mut engine = Short(vec![0.0; length]);
        let outcome = check_numerics(&mut engine, image, shape, &geometry, SEED);
        assert!(
            matches!(outcome, Err(EngineError::OutputLength { expected: 32, found })
            if found == length)
        );
    }
}

#[test]
fn small_and_narrow_images() {
    for (height, width) in [(1, 1), (1, 40), (40, 1), (2, 3), (5, 4)] {
        let mut b = Builder::new(height, width);
        let conv = b.conv(
            "conv",
            "image",
            (3, 4),
            (3, 3),
            &[("pads", [1, 1, 1, 1].into())],
        );
        b.output(&conv);
        let model = admitted(&b);
        let mut engine = Engine::new(&model).unwrap();
        assert_eq!(
            engine
                .logits(&vec![0.25; 3 * height * width])
                .unwrap()
                .len(),
            4 * height * width
        );
    }
}

/// Kernels and sizes at which libraries like to switch to Winograd, FFT or other methods.
#[test]
fn convolutions_of_many_kinds_keep_their_bits() {
    for (channels, kernel, groups) in [
        (16, 3, 1),
        (64, 3, 1),
        (16, 5, 1),
        (12, 7, 1),
        (48, 3, 48),
        (32, 11, 32),
        (64, 1, 1),
    ] {
        let mut b = Builder::new(40, 40);
        let pads = || Attr::Ints(vec![(kernel / 2) as i64; 4]);
        let wide = b.conv("wide", "image", (3, channels), (1, 1), &[]);
        let wide = b.op("Relu", "relu", &[&wide], &[]);
        let conv = b.conv(
            "conv",
            &wide,
            (channels, channels),
            (kernel, kernel),
            &[("pads", pads()), ("group", (groups as i64).into())],
        );
        let logits = b.conv("logits", &conv, (channels, 10), (1, 1), &[]);
        b.output(&logits);
        let model = admitted(&b);
        Engine::new(&model).unwrap_or_else(|error| panic!("{channels} {kernel}: {error}"));
    }
}

/// A residual network as the trainer exports it: 3x3 stem, eight blocks of two paths whose sum is
/// halved, four of them with a 3x3 kernel; receptive field 11.
fn residual_network(width: usize) -> Builder {
    let mut b = Builder::new(32, 32);
    let pads = || ("pads", Attr::Ints(vec![1; 4]));
    let mut last = b.conv("stem", "image", (3, width), (3, 3), &[pads()]);
    let half = b.constant("half", &[], &[0.5]);
    for block in 0..8 {
        let wide = block % 2 == 0;
        let active = b.op("Relu", &format!("{block}.relu"), &[&last], &[]);
        let mut paths = Vec::new();
        for path in 0..2 {
            let mut x = active.clone();
            for layer in 0..2 {
                let name = format!("{block}.{path}.{layer}");
                let channels = (width, width);
                x = if wide && layer == path {
                    b.conv(&name, &x, channels, (3, 3), &[pads()])
                } else {
                    b.conv(&name, &x, channels, (1, 1), &[])
                };
                if layer == 0 {
                    x = b.op("Relu", &format!("{name}.relu"), &[&x], &[]);
                }
            }
            paths.push(x);
        }
        let sum = b.op("Add", &format!("{block}.sum"), &[&paths[0], &paths[1]], &[]);
        let mean = b.op("Mul", &format!("{block}.mean"), &[&sum, &half], &[]);
        last = b.op("Add", &format!("{block}.out"), &[&mean, &last], &[]);
    }
    let logits = b.conv("logits", &last, (width, 10), (1, 1), &[]);
    b.output(&logits);
    b
}

/// Prints times; asserts none (they depend on the machine).
#[test]
fn times() {
    for width in [16, 64] {
        let builder = residual_network(width);
        let start = std::time::Instant::now();
        let model = admitted(&builder);
        let admission = start.elapsed();
        assert_eq!(model.geometry().x.receptive_field(), 11);
        let start = std::time::Instant::now();
        let mut engine = Engine::new(&model).unwrap();
        let made = start.elapsed();
        let image = vec![0.5; 3 * 32 * 32];
        let mut frames: Vec<_> = (0..20)
            .map(|_| {
                let start = std::time::Instant::now();
                engine.logits(&image).unwrap();
                start.elapsed()
            })
            .collect();
        frames.sort();
        println!(
            "width {width}, {} parameters, {} multiply-adds: admitted in {admission:?}, engine \
             made and checked in {made:?}, median of {:?} per frame",
            model.parameters(),
            model.macs(),
            frames[10]
        );
    }
}

/// tract 0.23.9 folds a constant minus (or over) a convolution the wrong way round.
#[test]
fn constants_on_the_left_of_a_convolution() {
    for op in ["Sub", "Div", "Add", "Mul"] {
        for left in [true, false] {
            let mut b = Builder::new(9, 9);
            let conv = b.conv("conv", "image", (3, 4), (3, 3), &[]);
            let constant = b.weights("constant", &[4, 1, 1], 1.0);
            let inputs = if left {
                [&constant, &conv]
            } else {
                [&conv, &constant]
            };
            let turned = b.op(op, "turned", &inputs.map(String::as_str), &[]);
            let tamed = b.op("Tanh", "tamed", &[&turned], &[]);
            let logits = b.conv("logits", &tamed, (4, 4), (1, 1), &[]);
            b.output(&logits);
            let model = admitted(&b);
            let mut engine = Engine::new(&model).unwrap();
            let image = Noise::new(3).image(&model);
            check_reference(&model, &mut engine, &image);
        }
    }
}

/// tract 0.23.9 moves the stride of a 1x1 convolution into the one before it, whose "same"
/// padding would then be another.
#[test]
fn strides_after_same_padding() {
    for rule in ["SAME_UPPER", "SAME_LOWER"] {
        let mut b = Builder::new(15, 12);
        let same = b.conv(
            "same",
            "image",
            (3, 4),
            (3, 4),
            &[("auto_pad", rule.into())],
        );
        let strides = [("strides", [3, 2].into())];
        let logits = b.conv("logits", &same, (4, 4), (1, 1), &strides);
        b.output(&logits);
        let model = admitted(&b);
        let mut engine = Engine::new(&model).unwrap();
        let image = Noise::new(4).image(&model);
        check_reference(&model, &mut engine, &image);
    }
}

/// Two branches cut off `first` rows and columns and take every eighth cell, one of them behind a
/// grouped convolution: what the optimiser of tract 0.23.9 displaces, if `first` is not 0.
fn cut_then_stride(first: i64) -> AdmittedModel {
    let mut b = Builder::new(32, 32);
    let grouped = b.conv("grouped", "image", (3, 3), (1, 1), &[("group", 3.into())]);
    let mut branches = Vec::new();
    for (name, from) in [("left", grouped.as_str()), ("right", "image")] {
        let starts = b.integers(&format!("{name}.starts"), &[first, first]);
        let ends = b.integers(&format!("{name}.ends"), &[32, 32]);
        let axes = b.integers(&format!("{name}.axes"), &[2, 3]);
        let cut = b.op(
            "Slice",
            &format!("{name}.cut"),
            &[from, &starts, &ends, &axes],
            &[],
        );
        let strides = ("strides", Attr::Ints(vec![8, 8]));
        branches.push(b.conv(&format!("{name}.conv"), &cut, (3, 4), (1, 1), &[strides]));
    }
    let sum = b.op("Add", "sum", &[&branches[0], &branches[1]], &[]);
    b.output(&sum);
    admitted(&b)
}

#[test]
fn a_cut_that_a_stride_displaces_is_refused() {
    for first in [1, 7] {
        let Err(error) = Engine::new(&cut_then_stride(first)) else {
            panic!("a cut of {first} before a stride must be refused");
        };
        assert!(
            matches!(
                error,
                EngineError::Displaced { .. } | EngineError::Unproved { .. }
            ),
            "{error}"
        );
    }
    // Nothing is displaced where nothing is cut off before.
    let model = cut_then_stride(0);
    let mut engine = Engine::new(&model).unwrap();
    let image = Noise::new(5).image(&model);
    check_reference(&model, &mut engine, &image);
}

/// A first row cut off behind a padded convolution, before a stride: the optimiser of tract 0.23.9 pulls
/// the stride over both, finds that the length is another, and gives up.
#[test]
fn a_stride_that_cannot_be_pulled_over_a_cut_is_refused() {
    let mut b = Builder::new(8, 6);
    let pads = b.integers("pads", &[0, 0, 1, 0, 0, 0, 2, 0]);
    let padded = b.op("Pad", "padded", &["image", &pads], &[]);
    let pads = ("pads", Attr::Ints(vec![0, 0, 1, 1]));
    let branch = b.conv("branch", &padded, (3, 3), (2, 2), &[pads]);
    let sum = b.op("Add", "sum", &[&branch, &padded], &[]);
    let starts = b.integers("starts", &[1]);
    let ends = b.integers("ends", &[100]);
    let axes = b.integers("axes", &[2]);
    let cut = b.op("Slice", "cut", &[&sum, &starts, &ends, &axes], &[]);
    let strides = ("strides", Attr::Ints(vec![2, 1]));
    let logits = b.conv("logits", &cut, (3, 4), (1, 1), &[strides]);
    b.output(&logits);
    match Engine::new(&admitted(&b)) {
        Err(EngineError::Build(reason)) => assert!(reason.contains(": Pulling "), "{reason}"),
        other => panic!("not refused as it should be: {:?}", other.map(|_| ())),
    }
}

/// What a certificate does not promise: that there is an answer under the patch at all. Where a patch
/// drives values beyond what f32 holds, the frame is a fault, never another class.
#[test]
fn a_patch_may_turn_a_certified_frame_into_a_fault() {
    let mut b = Builder::new(16, 16);
    let scale = b.constant("scale", &[], &[2000.0]);
    let shift = b.constant("shift", &[], &[-1900.0]);
    let scaled = b.op("Mul", "scaled", &["image", &scale], &[]);
    let shifted = b.op("Add", "shifted", &[&scaled, &shift], &[]);
    let grown = b.op("Exp", "grown", &[&shifted], &[]);
    let weights = b.constant("weights", &[2, 3, 1, 1], &[10.0; 6]);
    let bias = b.constant("bias", &[2], &[1.0, -1.0]);
    let kernel = [("kernel_shape", [1, 1].into())];
    let logits = b.op("Conv", "logits", &[&grown, &weights, &bias], &kernel);
    b.output(&logits);
    let model = admitted(&b);
    let mut pipeline = Pipeline::new(&model).unwrap();
    let query = Query {
        patches: vec![PatchSize::new(1, 1).unwrap()],
        condition: Condition::SumWindow32,
        mask_step: std::num::NonZeroU32::MIN,
        lead: 0,
        largest_square: false,
        keep_scores: false,
    };
    let mut frame = vec![0.5; 3 * 16 * 16];
    let outcome = pipeline.judge(&frame, &query).unwrap();
    assert!(outcome.predicted == 0 && outcome.verdicts[0].certified);
    for channel in 0..3 {
        frame[channel * 16 * 16] = 1.0;
    }
    let attacked = pipeline.judge(&frame, &query);
    assert!(matches!(attacked, Err(PipelineError::Fault(_))));
}
