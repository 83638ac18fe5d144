//! `bagcert eval`: clean and certified accuracy on labelled data.

use std::time::{Duration, Instant};

use bagcert::pipeline::Query;
use bagcert::report::Gallery;
use bagcert::tally::{PatchTally, Tally};
use serde::Serialize;

use super::args::{EvalArgs, EvalFormat};
use super::labelled::{self, Labelled};
use super::rows::{CSV_HEADER, Row, csv_lines, json, json_lines};
use super::stop::Stop;
use super::table::{milliseconds, summary};
use super::workers::{Job, progress, threads};
use super::{page, say};

/// Frames of each kind (certified and right, certified and wrong, ...) drawn in a report.
const SHOWN_PER_KIND: usize = 8;

/// Runs the command; the number of inputs that could not be used.
pub(crate) fn run(args: &EvalArgs) -> Result<usize, Stop> {
    let loaded = args.trust.load(&args.model)?;
    let (model, size) = (loaded.admitted(), loaded.admitted().image_size());
    let patches = args.patches.sizes(model)?;
    let data = labelled::open(&args.model, model, &args.data)?;
    let input = std::slice::from_ref(&args.data);
    let mut output = args
        .targets
        .open(&args.trust, &args.model, &loaded, input)?;
    let Labelled {
        name: data,
        mut frames,
        errors,
    } = data;
    for error in &errors {
        say(&format!("bagcert: {error}"));
    }
    let mut failures = errors.len();
    if let Some(limit) = args.limit {
        frames.truncate(limit.get());
    }

    let query = Query {
        largest_square: args.targets.report.is_some(),
        keep_scores: args.targets.report.is_some(),
        ..args.patches.predictor.query(patches.clone())
    };
    let job = Job {
        model: &loaded,
        size,
        frames: &frames,
        queries: std::slice::from_ref(&query),
    };
    let threads = threads(args.threads, frames.len());
    if args.format == EvalFormat::Csv {
        output.begin_with(CSV_HEADER);
    }
    let mut tally = Tally::new(&patches);
    let mut times = Times::default();
    let mut gallery = args
        .targets
        .report
        .as_ref()
        .map(|_| Gallery::of_each_kind(SHOWN_PER_KIND));
    let bar = progress(frames.len());
    let start = Instant::now();
    job.run(threads, |answer| {
        bar.inc(1);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                failures += 1;
                if let Some(label) = failure.read {
                    tally.add_fault(label);
                }
                bar.suspend(|| say(&format!("bagcert: {}", failure.reason)));
                return Ok(());
            }
        };
        tally.add(answer.frame.label, &answer.outcome);
        times.forward += answer.outcome.forward;
        times.certificate += answer.outcome.certificate;
        let row = Row {
            id: &answer.frame.id,
            label: answer.frame.label,
            outcome: &answer.outcome,
            query: &query,
            class_names: model.class_names(),
        };
        match args.format {
            EvalFormat::Jsonl => bar.suspend(|| output.write(&json_lines(&row)?))?,
            EvalFormat::Csv => bar.suspend(|| output.write(&csv_lines(&row)))?,
            EvalFormat::Table | EvalFormat::Json => {}
        }
        if let Some(gallery) = &mut gallery {
            gallery.offer(answer.frame, answer.outcome);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    times.whole = start.elapsed();

    let text = format!(
        "data {data}\n{}\n{}",
        summary(&tally, &query),
        times.line(tally.frames - tally.without_verdict, threads)
    );
    match args.format {
        EvalFormat::Table => output.write(&text)?,
        EvalFormat::Json => {
            let object = Summary::new(&data, &tally, &query, failures, &times);
            output.write(&(json(&object)? + "\n"))?;
        }
        EvalFormat::Jsonl | EvalFormat::Csv => say(text.trim_end()),
    }
    output.finish()?;
    if let (Some(folder), Some(gallery)) = (&args.targets.report, &gallery) {
        let report = page::Page {
            title: "Certified accuracy",
            path: &args.model,
            model,
            query: &query,
            tally: &tally,
            gallery,
            failures,
            seconds: times.whole.as_secs_f64(),
            data: Some(&data),
        };
        report.write(folder)?;
    }
    Ok(failures)
}

#[derive(Default)]
struct Times {
    forward: Duration,
    certificate: Duration,
    whole: Duration,
}

impl Times {
    fn line(&self, frames: usize, threads: usize) -> String {
        let Some(frames) = u32::try_from(frames).ok().filter(|&n| n > 0) else {
            return String::new();
        };
        format!(
            "time {:.1} s on {threads} thread{}; mean per frame: forward {}, certificates {}\n",
            self.whole.as_secs_f64(),
            if threads == 1 { "" } else { "s" },
            milliseconds(self.forward / frames),
            milliseconds(self.certificate / frames),
        )
    }
}

/// The summary as JSON.
#[derive(Serialize)]
struct Summary<'a> {
    data: &'a str,
    frames: usize,
    failures: usize,
    /// Frames that were read but got no verdict; counted as wrong and not certified.
    without_verdict: usize,
    right: usize,
    clean_accuracy: Option<f64>,
    condition: String,
    mask_step: u32,
    /// Votes asked for beyond a majority.
    lead: u32,
    patches: Vec<PatchSummary>,
    seconds: f64,
}

#[derive(Serialize)]
struct PatchSummary {
    patch: [u32; 2],
    certified: usize,
    certified_accuracy: Option<f64>,
    certified_right: usize,
    certified_wrong: usize,
    right_not_certified: usize,
    wrong_not_certified: usize,
    median_slack: Option<f64>,
}

impl<'a> Summary<'a> {
    fn new(
        data: &'a str,
        tally: &Tally,
        query: &Query,
        failures: usize,
        times: &Times,
    ) -> Summary<'a> {
        Summary {
            data,
            frames: tally.frames,
            failures,
            without_verdict: tally.without_verdict,
            right: tally.right,
            clean_accuracy: tally.clean_accuracy(),
            condition: query.condition.to_string(),
            mask_step: query.mask_step.get(),
            lead: query.lead,
            patches: tally.patches.iter().map(PatchSummary::new).collect(),
            seconds: times.whole.as_secs_f64(),
        }
    }
}

impl PatchSummary {
    fn new(tally: &PatchTally) -> PatchSummary {
        PatchSummary {
            patch: [tally.patch.width(), tally.patch.height()],
            certified: tally.certified,
            certified_accuracy: tally.certified_accuracy(),
            certified_right: tally.certified_right,
            certified_wrong: tally.certified_wrong,
            right_not_certified: tally.right_uncertified,
            wrong_not_certified: tally.wrong_uncertified,
            median_slack: tally.median_slack(),
        }
    }
}
