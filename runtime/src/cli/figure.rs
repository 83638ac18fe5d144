//! `bagcert figure`: the tables and figures of the paper's results, as CSV and SVG.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bagcert::frames::{Frames, Input, Part, Size};
use bagcert::integrity::LoadedModel;
use bagcert::results::{Drawing, Example, Kind, Measured, Paper, Score, Subject};
use bagcert_certifier::{Condition, PatchSize};
use clap::{Args, ValueEnum};

use super::args::{MAX_THREADS, check_fits, data_parser, up_to};
use super::labelled;
use super::output::Output;
use super::predictor::check_lead;
use super::say;
use super::stop::Stop;
use super::trust::TrustArgs;
use super::workers::{Job, progress, threads};

/// Classes of ImageNet, and what is cut out of its images.
const IMAGENET_CLASSES: usize = 1000;
const IMAGENET_SIZE: Size = Size {
    width: 224,
    height: 224,
};

/// The patch where none is asked for: the paper's.
const PATCH: PatchSize = match PatchSize::new(5, 5) {
    Ok(patch) => patch,
    Err(_) => unreachable!(),
};

#[derive(Debug, Args)]
pub(crate) struct FigureArgs {
    /// What to draw.
    #[arg(value_enum)]
    kind: FigureKind,
    /// A model, an ONNX file; repeat it to compare several.
    #[arg(long, value_name = "M.onnx", required = true)]
    model: Vec<PathBuf>,
    #[command(flatten)]
    trust: TrustArgs,
    /// The labelled data, for all kinds but `frame`: as `eval --data`.
    #[arg(long, value_name = "cifar10:DIR", value_parser = data_parser())]
    data: Option<Input>,
    /// The image file that `frame` is about.
    #[arg(long, value_name = "FILE")]
    frame: Option<PathBuf>,
    /// The patch of `speed`, `conditions` and `frame` [default: 5x5].
    #[arg(long, value_name = "WxH")]
    patch: Option<PatchSize>,
    /// A condition of `squares` and `shapes`; may be repeated [default: 3.2].
    ///
    /// Under mask and double-mask each patch has a predictor to itself.
    #[arg(long)]
    condition: Vec<Condition>,
    /// In `conditions`, double masking once more with a lead of N votes; may be repeated.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    lead: Vec<u32>,
    /// The largest side in `squares` [default: 12].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    largest: Option<u32>,
    /// Pixels of the patches in `shapes` [default: 24].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    area: Option<u32>,
    /// Mark what the paper states of its own models on these images, CIFAR-10 or ImageNet, apart from what is measured.
    #[arg(long)]
    paper: bool,
    /// Use the first N frames only.
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
    /// Threads, each with its own engine; the accuracies do not depend on it [default: all cores].
    #[arg(long, value_name = "T", value_parser = up_to::<MAX_THREADS>)]
    threads: Option<NonZeroUsize>,
    /// The folder for KIND.csv and KIND.svg; it is made where it is not there.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FigureKind {
    /// Table 1: time and parameters against the receptive field.
    Speed,
    /// Figure 2: clean against certified accuracy, by every condition.
    Conditions,
    /// Figure 3: certified accuracy against squares of growing size.
    Squares,
    /// Figure 4: certified accuracy against the shapes of one area, and against all of them at once.
    Shapes,
    /// Figure 5: how one frame is certified.
    Frame,
}

impl FigureArgs {
    fn patch(&self) -> PatchSize {
        self.patch.unwrap_or(PATCH)
    }

    /// Asks for what the figure needs, and refuses what it would not look at.
    fn check(&self) -> Result<(), Stop> {
        use FigureKind::{Conditions, Frame, Shapes, Speed, Squares};
        if self.kind == Frame && self.frame.is_none() {
            return Err(self.lacks("--frame"));
        }
        let measured = &[Speed, Conditions, Squares, Shapes][..];
        for (option, given, kinds) in [
            ("--data", self.data.is_some(), measured),
            ("--limit", self.limit.is_some(), measured),
            ("--threads", self.threads.is_some(), measured),
            ("--paper", self.paper, measured),
            ("--frame", self.frame.is_some(), &[Frame]),
            ("--patch", self.patch.is_some(), &[Speed, Conditions, Frame]),
            (
                "--condition",
                !self.condition.is_empty(),
                &[Squares, Shapes],
            ),
            ("--lead", !self.lead.is_empty(), &[Conditions]),
            ("--largest", self.largest.is_some(), &[Squares]),
            ("--area", self.area.is_some(), &[Shapes]),
        ] {
            if given && !kinds.contains(&self.kind) {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                return Err(Stop::Usage(format!(
                    "{option} has no effect on `bagcert figure {}`, only on {}; leave it out",
                    self.kind,
                    kinds.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn lacks(&self, option: &str) -> Stop {
        Stop::Usage(format!(
            "`bagcert figure {}` needs {option}; see `bagcert figure --help`",
            self.kind
        ))
    }
}

impl std::fmt::Display for FigureKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// Runs the command; the number of inputs that could not be used.
pub(crate) fn run(args: &FigureArgs) -> Result<usize, Stop> {
    args.check()?;
    let models = args
        .model
        .iter()
        .map(|path| Ok((path.as_path(), args.trust.load(path)?)))
        .collect::<Result<Vec<_>, Stop>>()?;
    if !matches!(args.kind, FigureKind::Squares | FigureKind::Shapes) {
        for (_, model) in &models {
            check_fits(args.patch(), model.admitted().image_size())?;
            for lead in &args.lead {
                check_lead(model.admitted(), Condition::DoubleMask, *lead)?;
            }
        }
    }
    let kind = match args.kind {
        FigureKind::Speed => Kind::Speed,
        FigureKind::Conditions => Kind::Conditions,
        FigureKind::Squares => Kind::Squares,
        FigureKind::Shapes => Kind::Shapes,
        FigureKind::Frame => return frame(args, &models),
    };
    let data = args.data.as_ref().ok_or_else(|| args.lacks("--data"))?;
    let subject = Subject {
        patch: args.patch(),
        conditions: match args.condition.as_slice() {
            [] => vec![Condition::SumWindow32],
            given => given.to_vec(),
        },
        leads: args.lead.clone(),
        largest: args.largest.unwrap_or(12),
        area: args.area.unwrap_or(24),
        paper: args.paper.then(|| stated(data, &models)).transpose()?,
    };
    if let Some(reason) = subject.paper.and_then(|paper| paper.lacks(kind, &subject)) {
        return Err(Stop::Usage(format!("--paper: {reason}")));
    }
    let mut measured = Vec::with_capacity(models.len());
    let mut failures = 0;
    for (path, model) in &models {
        let (found, failed) = measure(args, kind, &subject, path, model, data)?;
        if found.scores.iter().all(|score| score.tally.frames == 0) {
            return Err(Stop::Input(format!(
                "{}: no frame could be read, so nothing is drawn; look at --data",
                path.display()
            )));
        }
        measured.push(found);
        failures += failed;
    }
    let drawing = kind.draw(&subject, &measured).map_err(failed)?;
    write(&args.output, kind.name(), &drawing)?;
    Ok(failures)
}

/// Of which images the paper states figures.
fn stated(data: &Input, models: &[(&Path, LoadedModel)]) -> Result<Paper, Stop> {
    let imagenet = |(_, model): &(&Path, LoadedModel)| {
        let (size, shape) = (model.admitted().image_size(), model.admitted().shape());
        (size, shape.classes()) == (IMAGENET_SIZE, IMAGENET_CLASSES)
    };
    match data {
        Input::Cifar10 { path, part } if is_test(path, *part) => Ok(Paper::Cifar10),
        Input::Folder { .. } if models.iter().all(imagenet) => Ok(Paper::ImageNet),
        _ => Err(Stop::Usage(
            "--paper: the paper's figures are of the test images of CIFAR-10 (cifar10:DIR) and of the validation images of \
             ImageNet (folder:DIR, models of 1000 classes and 224x224 pixels)"
                .into(),
        )),
    }
}

/// Whether `path` holds the test images: a folder of all, or their file.
fn is_test(path: &Path, part: Part) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = name.strip_suffix(".xz").unwrap_or(&name) == "test_batch.bin";
    if path.is_dir() {
        part == Part::Test
    } else {
        file
    }
}

/// All answers of one model, and the number of inputs that could not be used.
fn measure(
    args: &FigureArgs,
    kind: Kind,
    subject: &Subject,
    path: &Path,
    model: &LoadedModel,
    data: &Input,
) -> Result<(Measured, usize), Stop> {
    let admitted = model.admitted();
    let size = admitted.image_size();
    let queries = kind.queries(subject, size);
    if queries.iter().all(|query| query.patches.is_empty()) {
        return Err(Stop::Usage(format!(
            "--area {}: no rectangle of {} pixels fits an image of {size} pixels",
            subject.area, subject.area
        )));
    }
    let labelled::Labelled {
        mut frames, errors, ..
    } = labelled::open(path, admitted, data)?;
    for error in &errors {
        say(&format!("bagcert: {error}"));
    }
    let mut failures = errors.len();
    if let Some(limit) = args.limit {
        frames.truncate(limit.get());
    }
    let job = Job {
        model,
        size,
        frames: &frames,
        queries: &queries,
    };
    let threads = threads(args.threads, frames.len());
    let mut scores: Vec<Score> = queries.iter().cloned().map(Score::new).collect();
    let (mut forward, mut certificate) = (Duration::ZERO, Duration::ZERO);
    let bar = progress(frames.len());
    let start = Instant::now();
    job.run_all(threads, |answers| {
        bar.inc(1);
        match answers {
            Ok(answers) => {
                for (score, outcome) in scores.iter_mut().zip(&answers.outcomes) {
                    score.add(answers.frame.label, outcome);
                }
                if let Some(first) = answers.outcomes.first() {
                    forward += first.forward;
                    certificate += first.certificate;
                }
            }
            Err(failure) => {
                failures += 1;
                if let Some(label) = failure.read {
                    for score in &mut scores {
                        score.tally.add_fault(label);
                    }
                }
                bar.suspend(|| say(&format!("bagcert: {}", failure.reason)));
            }
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    let measured = Measured {
        name: stem.to_string_lossy().into_owned(),
        parameters: admitted.parameters(),
        macs: admitted.macs(),
        geometry: admitted.geometry(),
        scores,
        forward,
        certificate,
        whole: start.elapsed(),
        threads,
    };
    Ok((measured, failures))
}

/// Figure 5, of one frame and one model.
fn frame(args: &FigureArgs, models: &[(&Path, LoadedModel)]) -> Result<usize, Stop> {
    let file = args.frame.as_ref().ok_or_else(|| args.lacks("--frame"))?;
    let [(_, model)] = models else {
        return Err(Stop::Usage(
            "--model: `bagcert figure frame` is of one model; give one".into(),
        ));
    };
    let admitted = model.admitted();
    let size = admitted.image_size();
    let names = admitted.class_names();
    let input = |error: &dyn std::error::Error| Stop::Input(super::stop::with_causes(error));
    let (frames, errors) = Frames::open(&[Input::Path(file.clone())], size);
    if let Some(error) = errors.first() {
        return Err(input(error));
    }
    let frame = frames.load(0, size, names).map_err(|error| input(&error))?;
    let queries = [Condition::SumGlobal33, Condition::SumWindow32].map(|condition| {
        bagcert::pipeline::Query {
            patches: vec![args.patch()],
            condition,
            mask_step: std::num::NonZeroU32::MIN,
            lead: 0,
            largest_square: false,
            keep_scores: true,
        }
    });
    let mut pipeline = model.pipeline()?;
    let outcomes = pipeline
        .judge_all(frame.picture.planes(), &queries)
        .map_err(|error| Stop::Input(format!("{}: no verdict: {error}", frame.id)))?;
    let [global, window] = outcomes.as_slice() else {
        return Err(failed("the frame has no answers"));
    };
    let example = Example {
        frame: &frame,
        global,
        window,
        geometry: &admitted.geometry(),
        class_names: names,
    };
    let drawing = example
        .draw()
        .ok_or_else(|| failed("the frame has no verdicts"))?;
    write(&args.output, "frame", &drawing)?;
    Ok(0)
}

fn write(folder: &Path, name: &str, drawing: &Drawing) -> Result<(), Stop> {
    fs::create_dir_all(folder).with_context(|| {
        format!(
            "{}: this folder cannot be made; choose another --output",
            folder.display()
        )
    })?;
    for (ending, text) in [("csv", &drawing.csv), ("svg", &drawing.svg)] {
        let path = folder.join(format!("{name}.{ending}"));
        let mut output = Output::to(&path)?;
        output.write(text)?;
        output.finish()?;
        say(&format!("written: {}", path.display()));
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> Stop {
    Stop::Failed(anyhow::anyhow!("{error}"))
}
