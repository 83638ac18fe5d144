//! Table 1: time and parameters against the receptive field.

use bagcert_charts::{
    Chart, ChartError, Drawing, Line, Marker, Point, Scale, Series, Table, colour,
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
    let mut points = Vec::new();
    for model in models {
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
        points.push(Point {
            label: format!("{}: {:.2} M", model.name, model.parameters as f64 / 1e6),
            ..Point::new(f64::from(axis.receptive_field()), seconds)
        });
    }
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let most = points.iter().map(|point| point.y).fold(0.0, f64::max);
    let last = points.iter().map(|point| point.x).fold(1.0, f64::max);
    let frames = models.first().and_then(|model| model.scores.first());
    let frames = frames.map_or(0, |score| score.tally.frames);
    let chart = Chart {
        title: format!("Time to classify and certify {frames} frames"),
        x: Scale::new("receptive field, pixels", 0.0, last + 2.0),
        y: Scale::new("time, seconds", 0.0, 1.2 * most.max(1e-3)),
        series: vec![Series {
            name: String::new(),
            colour: colour(0),
            marker: Marker::Disc,
            line: Line::Solid,
            points,
        }],
    };
    Drawing::new(&table, &chart)
}
