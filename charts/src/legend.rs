//! The names of the series, beside the chart.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::chart::{Area, INK, LETTER, mark, rgb, text_style};
use crate::{Chart, Line, Series};

const ROW: i32 = 22;
const TOP: i32 = 60;
/// Where the words begin.
const INDENT: i32 = 34;

/// Pixels that the legend needs; 0 where no series has a name.
pub(crate) fn width(chart: &Chart) -> u32 {
    let longest = named(chart).map(|series| series.name.chars().count()).max();
    let letters = longest.map(|letters| u32::try_from(letters).unwrap_or(u32::MAX).min(60));
    letters.map_or(0, |letters| INDENT as u32 + LETTER * letters + 10)
}

fn named(chart: &Chart) -> impl Iterator<Item = &Series> {
    chart.series.iter().filter(|series| !series.name.is_empty())
}

pub(crate) fn draw(chart: &Chart, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let words = text_style(12, INK).pos(Pos::new(HPos::Left, VPos::Center));
    for (at, series) in (0..).zip(named(chart)) {
        let y = TOP + ROW * at;
        let stroke = rgb(series.colour).stroke_width(2);
        match series.line {
            Line::None => {}
            Line::Solid => area.draw(&PathElement::new(vec![(4, y), (26, y)], stroke))?,
            Line::Dashed => {
                area.draw(&PathElement::new(vec![(4, y), (12, y)], stroke))?;
                area.draw(&PathElement::new(vec![(18, y), (26, y)], stroke))?;
            }
        }
        mark(area, (15, y), series)?;
        area.draw(&Text::new(series.name.clone(), (INDENT, y), words.clone()))?;
    }
    Ok(())
}
