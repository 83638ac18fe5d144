//! Table 1: time and parameters against the receptive field.

use bagcert_charts::{
    COLOURS, Chart, ChartError, Drawing, Line, Marker, Point, Scale, Series, Table, colour,
};

use super::{Measured, Subject};

/// A row and a point for each model.
pub(super) fn draw(subject: &Subject, models: &[Measured]) -> Result<Drawing, ChartError> {
    let mut table = Table::new(&[
        "model",
        "receptive_field",
        "stride",
        "affected_cells",
        "parameters",
        "macs",
        "frames",
        "threads",
        "seconds",
        "forward_ms",
        "certificate_us",
    ]);
    let mut series = Vec::new();
    let (mut most, mut last) = (1e-3_f64, 1.0_f64);
    for (at, model) in models.iter().enumerate() {
        let frames = model.scores.first().map_or(0, |score| score.tally.frames);
        let each = |time: std::time::Duration| time.as_secs_f64() / frames.max(1) as f64;
        let axis = model.geometry.x;
        let affected = model.geometry.max_affected_cells(subject.patch);
        let seconds = model.whole.as_secs_f64();
        table.row(&[
            model.name.clone(),
            axis.receptive_field().to_string(),
            axis.stride().to_string(),
            affected.map(|cells| cells.to_string()).unwrap_or_default(),
            model.parameters.to_string(),
            model.macs.to_string(),
            frames.to_string(),
            model.threads.to_string(),
            format!("{seconds:.1}"),
            format!("{:.3}", 1e3 * each(model.forward)),
            format!("{:.1}", 1e6 * each(model.certificate)),
        ]);
        let field = f64::from(axis.receptive_field());
        (most, last) = (most.max(seconds), last.max(field));
        series.push(Series {
            name: format!("{}: {} parameters", model.name, short(model.parameters)),
            colour: colour(at),
            // Colours come again after the last one; a ring is then another model than a disc.
            marker: match at / COLOURS.len() % 2 {
                0 => Marker::Disc,
                _ => Marker::Ring,
            },
            line: Line::None,
            points: vec![Point::new(field, seconds)],
        });
    }
    let frames = models.first().and_then(|model| model.scores.first());
    let frames = frames.map_or(0, |score| score.tally.frames);
    if let Some(stated) = subject.paper.and_then(|paper| paper.speed(frames)) {
        for point in &stated.points {
            (most, last) = (most.max(point.y), last.max(point.x));
        }
        series.push(stated);
    }
    let chart = Chart {
        title: format!("Time to classify and certify {frames} frames"),
        x: Scale::new("receptive field, pixels", 0.0, last + 2.0),
        y: Scale::new("time, seconds", 0.0, 1.2 * most),
        series,
    };
    Drawing::new(&table, &chart)
}

/// A number in three or four digits, such as 17.4 k and 38.2 M.
fn short(number: u64) -> String {
    let value = number as f64;
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1} k", value / 1e3),
        _ => format!("{:.1} M", value / 1e6),
    }
}
