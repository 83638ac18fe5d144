//! Figure 8: what stands for the binary score in training, compared over seeds.

use std::path::{Path, PathBuf};

use bagcert_certifier::PatchSize;
use bagcert_charts::{Chart, Drawing, Line, Marker, Point, Scale, Series, Table, colour};
use serde::Deserialize;

use super::ResultsError;
use crate::{
    config::{Config, Scores},
    regular,
    run::LOG,
};

/// What is taken of a line of a log.
#[derive(Deserialize)]
struct Entry {
    epoch: usize,
    validation: Option<Validation>,
}

#[derive(Deserialize)]
struct Validation {
    clean: f64,
    patches: Vec<Certified>,
}

#[derive(Deserialize)]
struct Certified {
    patch: [u32; 2],
    certified: f64,
}

/// Clean and certified accuracy (Condition 3.2, against `patch`) on the validation images, epoch by epoch, of every run
/// whose folder is named; one colour for each kind of scores.
///
/// # Errors
/// A folder without the configuration or the log of a run, or a log with a line that is none, or that was not certified
/// against this patch.
pub fn scores(runs: &[PathBuf], patch: PatchSize) -> Result<Drawing, ResultsError> {
    let mut table = Table::new(&["run", "scores", "seed", "epoch", "clean", "certified"]);
    let mut series: Vec<Series> = Vec::new();
    let mut kinds: Vec<Scores> = Vec::new();
    let mut last = 1;
    for folder in runs {
        let config = Config::read(&folder.join("config.toml"))?;
        let kind = config.loss.scores;
        let known = kinds.iter().position(|other| *other == kind);
        let at = known.unwrap_or(kinds.len());
        if known.is_none() {
            kinds.push(kind);
        }
        let (mut clean, mut certified) = (Vec::new(), Vec::new());
        let entries = log(&folder.join(LOG), patch)?;
        if entries.is_empty() {
            return Err(ResultsError::Nothing {
                path: folder.join(LOG),
                what: "epoch that was validated; train for longer, or with a smaller training.validate_every",
            });
        }
        for (epoch, ours, theirs) in entries {
            last = last.max(epoch);
            let stem = folder.file_name().unwrap_or(folder.as_os_str());
            table.row(&[
                stem.to_string_lossy().into_owned(),
                named(kind).into(),
                config.seed.to_string(),
                epoch.to_string(),
                format!("{ours:.2}"),
                format!("{theirs:.2}"),
            ]);
            clean.push(Point::new(epoch as f64, ours));
            certified.push(Point::new(epoch as f64, theirs));
        }
        for (what, line, points) in [
            ("clean", Line::Dashed, clean),
            ("certified", Line::Solid, certified),
        ] {
            // The legend has a line for each kind, not for each run.
            let name = known.map_or_else(|| format!("{}, {what}", named(kind)), |_| String::new());
            series.push(Series {
                name,
                colour: colour(at),
                marker: Marker::None,
                line,
                points,
            });
        }
    }
    let shown = series.iter().flat_map(|series| &series.points);
    let y = Scale::percent("accuracy, %", shown.map(|point| point.y), 10.0);
    let chart = Chart {
        title: format!("Scores in training, on the validation images ({patch})"),
        x: Scale::new("epochs", 0.0, last as f64),
        y,
        series,
    };
    Ok(Drawing::new(&table, &chart)?)
}

/// Epoch, clean and certified accuracy in per cent, for every line that has a validation.
fn log(path: &Path, patch: PatchSize) -> Result<Vec<(usize, f64, f64)>, ResultsError> {
    let text = regular::read_text(path).map_err(|source| ResultsError::Log {
        path: path.into(),
        source,
    })?;
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let entry: Entry = serde_json::from_str(line).map_err(|error| ResultsError::Line {
            path: path.into(),
            line: at + 1,
            reason: error.to_string(),
        })?;
        if let Some(validation) = entry.validation {
            let sides = [patch.width(), patch.height()];
            let mut patches = validation.patches.iter();
            let certified = patches.find(|found| found.patch == sides);
            let certified = certified.ok_or_else(|| ResultsError::NotCertified {
                path: path.into(),
                line: at + 1,
                patch,
            })?;
            let certified = 100.0 * certified.certified;
            found.push((entry.epoch, 100.0 * validation.clean, certified));
        }
    }
    Ok(found)
}

fn named(scores: Scores) -> &'static str {
    match scores {
        Scores::Heaviside => "Heaviside",
        Scores::Sigmoid => "sigmoid",
        Scores::Softmax => "softmax",
    }
}
