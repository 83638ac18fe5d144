//! `bagcert certify`: frames to verdicts.

use std::time::Instant;

use bagcert::frames::Frames;
use bagcert::pipeline::Query;
use bagcert::report::Gallery;
use bagcert::tally::Tally;

use super::args::{CertifyArgs, RowFormat};
use super::rows::{CSV_HEADER, Row, csv_lines, json_lines};
use super::stop::Stop;
use super::table::{FrameTable, summary};
use super::workers::{Job, progress};
use super::{labelled, page, say};

/// Frames drawn in a report; the page says how many there were.
const SHOWN: usize = 48;

/// Runs the command; the number of inputs that could not be used.
pub(crate) fn run(args: &CertifyArgs) -> Result<usize, Stop> {
    let loaded = args.trust.load(&args.model)?;
    let (model, size) = (loaded.admitted(), loaded.admitted().image_size());
    let patches = args.patches.sizes(model)?;
    for input in &args.inputs {
        labelled::check_labels(&args.model, model, input)?;
    }
    let mut output = args
        .targets
        .open(&args.trust, &args.model, &loaded, &args.inputs)?;
    let (frames, errors) = Frames::open(&args.inputs, size);
    for error in &errors {
        say(&format!("bagcert: {error}"));
    }
    let mut failures = errors.len();

    let table = FrameTable::new(&frames, model.class_names(), &patches);
    let query = Query {
        largest_square: true,
        keep_scores: args.targets.report.is_some(),
        ..args.patches.predictor.query(patches.clone())
    };
    match args.format {
        RowFormat::Table => output.begin_with(&table.head(&query)),
        RowFormat::Csv => output.begin_with(CSV_HEADER),
        RowFormat::Jsonl => {}
    }
    let job = Job {
        model: &loaded,
        size,
        frames: &frames,
        queries: std::slice::from_ref(&query),
    };
    let mut tally = Tally::new(&patches);
    let mut gallery = args.targets.report.as_ref().map(|_| Gallery::first(SHOWN));
    let bar = progress(frames.len());
    let start = Instant::now();
    // One thread: the times shown are those of one engine that has the machine to itself.
    job.run(1, |answer| {
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
        let row = Row {
            id: &answer.frame.id,
            label: answer.frame.label,
            outcome: &answer.outcome,
            query: &query,
            class_names: model.class_names(),
        };
        let lines = match args.format {
            RowFormat::Table => table.line(&row),
            RowFormat::Csv => csv_lines(&row),
            RowFormat::Jsonl => json_lines(&row)?,
        };
        bar.suspend(|| output.write(&lines))?;
        if let Some(gallery) = &mut gallery {
            gallery.offer(answer.frame, answer.outcome);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();

    if args.format == RowFormat::Table {
        output.write(&format!("\n{}", summary(&tally, &query)))?;
    }
    output.finish()?;
    if let (Some(folder), Some(gallery)) = (&args.targets.report, &gallery) {
        let report = page::Page {
            title: "Certified frames",
            path: &args.model,
            model,
            query: &query,
            tally: &tally,
            gallery,
            failures,
            seconds,
            data: None,
        };
        report.write(folder)?;
    }
    Ok(failures)
}
