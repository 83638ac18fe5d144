//! The drawing, by plotters.

use plotters::chart::ChartContext;
use plotters::coord::CoordTranslate;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::legend;
use crate::raster::escape;
use crate::words;
use crate::{Chart, ChartError, Colour, Line, Marker, Scale, Series};

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Context<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

const WIDTH: u32 = 620;
const HEIGHT: u32 = 430;
pub(crate) const FONT: &str = "sans-serif";
/// A wide letter of small words; how wide they really are depends on who shows them.
pub(crate) const LETTER: u32 = 7;
pub(crate) const INK: Colour = Colour(0x22, 0x22, 0x22);
const GRID: Colour = Colour(0xDD, 0xDD, 0xDD);
pub(crate) const MARKER: i32 = 5;

/// The chart as an SVG file.
///
/// # Errors
/// A scale without length, or a point that is no number.
pub fn svg(chart: &Chart) -> Result<String, ChartError> {
    check(chart)?;
    let mut text = String::new();
    let legend = legend::width(chart);
    {
        let root = SVGBackend::with_string(&mut text, (WIDTH + legend, HEIGHT)).into_drawing_area();
        draw(chart, &root).map_err(|error| ChartError::Drawing(error.to_string()))?;
    }
    // Named, where it cannot be seen.
    let name = format!(" role=\"img\">\n<title>{}</title>", escape(&chart.title));
    Ok(text.replacen('>', &name, 1))
}

fn check(chart: &Chart) -> Result<(), ChartError> {
    for scale in [&chart.x, &chart.y] {
        let range = scale.from.is_finite() && scale.to.is_finite() && scale.from < scale.to;
        if !range {
            return Err(ChartError::Scale {
                label: scale.label.clone(),
                from: scale.from,
                to: scale.to,
            });
        }
    }
    let wrong = chart.series.iter().find(|series| {
        let mut points = series.points.iter();
        points.any(|point| !(point.x.is_finite() && point.y.is_finite()))
    });
    wrong.map_or(Ok(()), |series| {
        Err(ChartError::Point {
            series: series.name.clone(),
        })
    })
}

fn draw(chart: &Chart, root: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    root.fill(&WHITE)?;
    let title = text_style(15, INK).pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(chart.title.clone(), (18, 12), title))?;
    let (plot, beside) = root.split_horizontally(WIDTH);
    let mut context = ChartBuilder::on(&plot)
        .margin_top(44)
        .margin_right(16)
        .margin_left(8)
        .margin_bottom(8)
        .x_label_area_size(46)
        .y_label_area_size(56)
        .build_cartesian_2d(chart.x.from..chart.x.to, chart.y.from..chart.y.to)?;
    context
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(rgb(GRID))
        .axis_style(rgb(Colour(0x88, 0x88, 0x88)))
        .label_style(text_style(12, INK))
        .axis_desc_style(text_style(13, INK))
        .x_desc(chart.x.label.clone())
        .y_desc(chart.y.label.clone())
        .x_labels(ticks(&chart.x))
        .y_labels(ticks(&chart.y))
        .x_label_formatter(&|value| tick(&chart.x, *value))
        .y_label_formatter(&|value| tick(&chart.y, *value))
        .draw()?;
    for series in &chart.series {
        lines(&mut context, series)?;
    }
    for series in &chart.series {
        for point in &series.points {
            mark(context.plotting_area(), (point.x, point.y), series)?;
        }
    }
    words::draw(context.plotting_area(), chart)?;
    legend::draw(chart, &beside)?;
    root.present()?;
    Ok(())
}

fn ticks(scale: &Scale) -> usize {
    match scale.names.len() {
        0 => 11,
        names => names + 1,
    }
}

fn tick(scale: &Scale, value: f64) -> String {
    let rounded = value.round();
    if scale.names.is_empty() {
        return if (value - rounded).abs() < 1e-9 {
            format!("{rounded:.0}")
        } else {
            format!("{value:.1}")
        };
    }
    // Nothing between two names.
    let exact = rounded >= 0.0 && (value - rounded).abs() < 1e-9;
    let name = exact.then(|| scale.names.get(rounded as usize)).flatten();
    name.cloned().unwrap_or_default()
}

fn lines(context: &mut Context<'_, '_>, series: &Series) -> Result<(), Box<dyn std::error::Error>> {
    let points = series.points.iter().map(|point| (point.x, point.y));
    let style = rgb(series.colour).stroke_width(2);
    match series.line {
        Line::None => {}
        Line::Solid => drop(context.draw_series(LineSeries::new(points, style))?),
        Line::Dashed => drop(context.draw_series(DashedLineSeries::new(points, 6, 4, style))?),
    }
    Ok(())
}

/// The marker of a series at a place of any area.
pub(crate) fn mark<C: CoordTranslate>(
    area: &DrawingArea<SVGBackend<'_>, C>,
    at: C::From,
    series: &Series,
) -> Result<(), Box<dyn std::error::Error>>
where
    C::From: Clone,
{
    let (fill, edge) = (
        rgb(series.colour).filled(),
        rgb(series.colour).stroke_width(2),
    );
    match series.marker {
        Marker::None => {}
        Marker::Disc => area.draw(&Circle::new(at, MARKER, fill))?,
        Marker::Ring => {
            area.draw(&Circle::new(at.clone(), MARKER, WHITE.filled()))?;
            area.draw(&Circle::new(at, MARKER, edge))?;
        }
        Marker::Square => {
            let corners = [(1 - MARKER, 1 - MARKER), (MARKER - 1, MARKER - 1)];
            area.draw(&(EmptyElement::at(at) + Rectangle::new(corners, fill)))?;
        }
        Marker::Triangle => area.draw(&TriangleMarker::new(at, MARKER + 1, fill))?,
        Marker::Diamond => {
            let reach = MARKER + 1;
            let corners = vec![(0, -reach), (reach, 0), (0, reach), (-reach, 0)];
            area.draw(&(EmptyElement::at(at) + Polygon::new(corners, fill)))?;
        }
        Marker::Cross => area.draw(&Cross::new(at, MARKER, edge))?,
    }
    Ok(())
}

pub(crate) fn rgb(Colour(red, green, blue): Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

pub(crate) fn text_style(size: u32, colour: Colour) -> TextStyle<'static> {
    (FONT, size).into_font().color(&rgb(colour))
}
