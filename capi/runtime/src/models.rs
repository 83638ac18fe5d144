//! The open models, each with its engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bagcert::integrity::{LoadedModel, PublicKey};
use bagcert::pipeline::{Outcome, Pipeline, Query};
use bagcert_certifier_c::{Answers, BagcertVerdict, Question};

use crate::problem::{BagcertModelStatus, Problem};
use crate::types::{BagcertModel, BagcertModelInfo, BagcertTimes};

/// A model with the engine that runs it.
struct Open {
    loaded: LoadedModel,
    pipeline: Pipeline,
}

/// All models of the program, and the last number given.
struct Models {
    last: BagcertModel,
    open: BTreeMap<BagcertModel, Arc<Mutex<Open>>>,
}

static MODELS: Mutex<Models> = Mutex::new(Models {
    last: 0,
    open: BTreeMap::new(),
});

/// The models. Nothing that holds them can panic half-way.
fn models() -> MutexGuard<'static, Models> {
    MODELS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What must be shown of a model's file before it is used.
pub(crate) enum Trust<'a> {
    /// Nothing.
    Bare,
    /// That it is the one of its manifest, signed by the key in this file if there is one.
    Manifest(Option<&'a Path>),
}

/// Opens a model: admission, manifest, engine, golden frames.
pub(crate) fn open(path: &Path, trust: &Trust<'_>) -> Result<BagcertModel, Problem> {
    let loaded = match trust {
        Trust::Bare => LoadedModel::bare(path)?,
        Trust::Manifest(key) => {
            let key = key.map(PublicKey::read).transpose()?;
            LoadedModel::load(path, key.as_ref())?
        }
    };
    let pipeline = loaded.pipeline()?;
    let model = Arc::new(Mutex::new(Open { loaded, pipeline }));
    let mut models = models();
    models.last += 1;
    let number = models.last;
    models.open.insert(number, model);
    Ok(number)
}

/// Closes a model. A call on it that is running on another thread ends as it would have.
pub(crate) fn close(number: BagcertModel) -> Result<(), Problem> {
    let model = models().open.remove(&number);
    model.map(drop).ok_or_else(|| unknown(number))
}

fn unknown(number: BagcertModel) -> Problem {
    let text = format!("no open model has number {number}; was it closed?");
    Problem::new(BagcertModelStatus::NoSuchModel, text)
}

/// Runs `work` on a model; calls on the same model wait for each other.
fn with<T>(
    number: BagcertModel,
    work: impl FnOnce(&mut Open) -> Result<T, Problem>,
) -> Result<T, Problem> {
    let model = models().open.get(&number).cloned();
    let model = model.ok_or_else(|| unknown(number))?;
    // A panic while it was locked has poisoned it.
    let mut open = model.lock().map_err(|_| {
        let text = "an earlier call on this model panicked; close it and open it anew";
        Problem::new(BagcertModelStatus::Broken, text)
    })?;
    work(&mut open)
}

/// What the model is.
pub(crate) fn describe(number: BagcertModel) -> Result<BagcertModelInfo, Problem> {
    with(number, |open| {
        let admitted = open.loaded.admitted();
        let image = admitted.input();
        let mut info = BagcertModelInfo {
            channels: image.channels,
            height: image.height,
            width: image.width,
            image_len: image.volume().unwrap_or(0),
            shape: admitted.shape().into(),
            geometry: admitted.geometry().into(),
            sha256: [0; 65],
            has_manifest: open.loaded.manifest().is_some(),
        };
        // 64 digits: the last place keeps its zero.
        let digits = admitted.sha256().bytes().take(64);
        for (place, digit) in info.sha256.iter_mut().zip(digits) {
            *place = digit.cast_signed().into_c();
        }
        Ok(info)
    })
}

/// `c_char` is signed on some machines and unsigned on others.
trait IntoC {
    fn into_c(self) -> std::ffi::c_char;
}

impl IntoC for i8 {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "digits are below 128 on every machine"
    )]
    fn into_c(self) -> std::ffi::c_char {
        self as std::ffi::c_char
    }
}

/// The name of a class.
pub(crate) fn class_name(number: BagcertModel, class: usize) -> Result<String, Problem> {
    with(number, |open| {
        let names = open.loaded.admitted().class_names();
        names.get(class).cloned().ok_or_else(|| {
            let text = format!("class {class} of {}", names.len());
            Problem::new(
                BagcertModelStatus::BadArgument,
                format!("class_index: there is no {text}"),
            )
        })
    })
}

/// An image of a call.
pub(crate) enum Image<'a> {
    /// Channel slowest, then row, then column; values in [0, 1].
    Planes(&'a [f32]),
    /// Row slowest, then column, then red, green, blue; a byte v stands for v / 255.
    Rgb8(&'a [u8]),
}

/// Certifies one frame. After a problem some answers may have been written.
pub(crate) fn certify(
    number: BagcertModel,
    question: &Question,
    image: &Image<'_>,
    answers: &mut Answers<'_>,
) -> Result<BagcertTimes, Problem> {
    with(number, |open| {
        let admitted = open.loaded.admitted();
        answers.check(&admitted.shape(), question)?;
        let planes;
        let image = match *image {
            Image::Planes(image) => image,
            Image::Rgb8(bytes) => {
                planes = to_planes(bytes, admitted.input().channels);
                &planes
            }
        };
        let query = Query {
            patches: question.patches().to_vec(),
            condition: question.condition,
            mask_step: question.mask_step,
            lead: question.lead,
            largest_square: answers.largest_square.is_some(),
            keep_scores: false,
        };
        let outcome = open.pipeline.judge(image, &query)?;
        hand_over(&outcome, answers);
        let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos());
        Ok(BagcertTimes {
            forward: nanoseconds(outcome.forward).unwrap_or(u64::MAX),
            certificate: nanoseconds(outcome.certificate).unwrap_or(u64::MAX),
        })
    })
}

fn hand_over(outcome: &Outcome, answers: &mut Answers<'_>) {
    for (place, verdict) in answers.verdicts.iter_mut().zip(&outcome.verdicts) {
        *place = BagcertVerdict::from(*verdict);
    }
    for (place, votes) in answers.votes.iter_mut().zip(&outcome.votes) {
        *place = *votes;
    }
    if let Some(square) = &mut answers.largest_square {
        **square = outcome.largest_square.unwrap_or(0);
    }
}

/// Planes of values in [0, 1]. Bytes that do not fill them leave a wrong length, which the engine
/// refuses.
fn to_planes(bytes: &[u8], channels: usize) -> Vec<f32> {
    let pixels = bytes.chunks(channels.max(1));
    let plane = |channel| {
        let pixels = pixels.clone();
        pixels.filter_map(move |pixel: &[u8]| Some(f32::from(*pixel.get(channel)?) / 255.0))
    };
    (0..channels).flat_map(plane).collect()
}

/// A panic while the model is locked.
#[cfg(test)]
#[allow(clippy::panic, reason = "what is tested")]
pub(crate) fn panic_inside(number: BagcertModel) {
    let outcome =
        crate::problem::contained(|| -> Result<(), Problem> { with(number, |_| panic!("inside")) });
    assert!(outcome.is_err_and(|problem| problem.status == BagcertModelStatus::Panicked));
}
