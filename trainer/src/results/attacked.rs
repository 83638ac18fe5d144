//! Figure 7: accuracy under attack, beside clean and certified accuracy.

use std::path::PathBuf;

use bagcert_charts::{Chart, Drawing, GREY, Line, Marker, Point, Scale, Series, Table, colour};

use super::ResultsError;
use crate::attack::{Journal, Summary};

/// A row and two joined points for each journal of an attack: certified against attacked accuracy, and clean
/// against attacked accuracy.
///
/// # Errors
/// A journal that cannot be read or has a line that is no record.
pub fn attacked(journals: &[PathBuf]) -> Result<Drawing, ResultsError> {
    let mut table = Table::new(&[
        "journal",
        "condition",
        "patch",
        "images",
        "clean",
        "attacked",
        "certified",
        "certified_attacked",
        "broken",
    ]);
    let mut series = Vec::new();
    for (at, path) in journals.iter().enumerate() {
        let (settings, records) = Journal::read(path)?;
        if records.is_empty() {
            return Err(ResultsError::Nothing {
                path: path.clone(),
                what: "attacked image; let the attack go on (--resume)",
            });
        }
        let summary: Summary = records.iter().collect();
        let stem = path.file_stem().unwrap_or(path.as_os_str());
        let name = stem.to_string_lossy().into_owned();
        let percent = |count| summary.percent(count);
        let (clean, held) = (percent(summary.right), percent(summary.held));
        let certified = percent(summary.certified_right);
        let [width, height] = settings.patch;
        table.row(&[
            name.clone(),
            settings.condition.clone(),
            format!("{width}x{height}"),
            summary.images.to_string(),
            format!("{clean:.2}"),
            format!("{held:.2}"),
            format!("{certified:.2}"),
            summary.certified_attacked.to_string(),
            summary.broken.len().to_string(),
        ]);
        let of = |name: String, marker, line, points| Series {
            name,
            colour: colour(at),
            marker,
            line,
            points,
        };
        let ends = [certified, clean].map(|x| Point::new(x, held));
        series.push(of(name, Marker::None, Line::Solid, ends.to_vec()));
        let [certified, clean] = ends;
        series.push(of(String::new(), Marker::Disc, Line::None, vec![certified]));
        series.push(of(String::new(), Marker::Ring, Line::None, vec![clean]));
    }
    let key = |name: &str, marker| Series {
        name: name.into(),
        colour: GREY,
        marker,
        line: Line::None,
        points: vec![],
    };
    series.push(key("certified accuracy", Marker::Disc));
    series.push(key("clean accuracy", Marker::Ring));
    let all: Vec<Point> = series.iter().flat_map(|one| one.points.clone()).collect();
    let x = Scale::percent(
        "certified and clean accuracy, %",
        all.iter().map(|point| point.x),
        10.0,
    );
    let y = Scale::percent(
        "accuracy under attack, %",
        all.iter().map(|point| point.y),
        10.0,
    );
    let (from, to) = (x.from.max(y.from), x.to.min(y.to));
    series.push(Series {
        line: Line::Dashed,
        points: vec![Point::new(from, from), Point::new(to, to)],
        ..key("equal", Marker::None)
    });
    let chart = Chart {
        title: "Accuracy under attack lies between certified and clean accuracy".into(),
        x,
        y,
        series,
    };
    Ok(Drawing::new(&table, &chart)?)
}
