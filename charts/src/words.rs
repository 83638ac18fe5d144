//! Where the words of points stand: on no mark, no line and no other words, as far as there is room.

use plotters::coord::CoordTranslate;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::chart::{INK, LETTER, MARKER, text_style};
use crate::{Chart, Line, Marker, Point, Series};

const SIZE: i32 = 12;
/// From a point to its words.
const GAP: i32 = 10;

/// A rectangle of pixels, its ends included.
#[derive(Clone, Copy)]
struct Bounds {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Bounds {
    fn around((x, y): (i32, i32), reach: i32) -> Self {
        Self {
            left: x - reach,
            top: y - reach,
            right: x + reach,
            bottom: y + reach,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.left <= other.right
            && other.left <= self.right
            && self.top <= other.bottom
            && other.top <= self.bottom
    }

    fn holds(&self, other: &Self) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }
}

/// Words beside a point: where they are anchored, and what they cover.
struct Place {
    anchor: (i32, i32),
    pos: Pos,
    covers: Bounds,
}

/// Draws the words of all points of `chart`.
pub(crate) fn draw<C: CoordTranslate<From = (f64, f64)>>(
    area: &DrawingArea<SVGBackend<'_>, C>,
    chart: &Chart,
) -> Result<(), Box<dyn std::error::Error>> {
    let pixel = |point: &Point| area.map_coordinate(&(point.x, point.y));
    let mut taken = vec![];
    for series in &chart.series {
        let at: Vec<_> = series.points.iter().map(pixel).collect();
        cover(series, &at, &mut taken);
    }
    let (columns, rows) = area.get_pixel_range();
    let inside = Bounds {
        left: columns.start,
        top: rows.start,
        right: columns.end,
        bottom: rows.end,
    };
    let whole = area.strip_coord_spec();
    let (left, top) = whole.get_base_pixel();
    for series in &chart.series {
        for point in series.points.iter().filter(|point| !point.label.is_empty()) {
            let Some(place) = best(pixel(point), point, series, &inside, &taken) else {
                continue;
            };
            taken.push(place.covers);
            let style = text_style(SIZE as u32, INK).pos(place.pos);
            let (x, y) = place.anchor;
            whole.draw(&Text::new(point.label.clone(), (x - left, y - top), style))?;
        }
    }
    Ok(())
}

/// Adds what the marks of a series and the lines between them cover.
fn cover(series: &Series, at: &[(i32, i32)], taken: &mut Vec<Bounds>) {
    if series.marker != Marker::None {
        taken.extend(at.iter().map(|&at| Bounds::around(at, MARKER)));
    }
    if series.line == Line::None {
        return;
    }
    for (&(x, y), &(to_x, to_y)) in at.iter().zip(at.iter().skip(1)) {
        let (width, height) = (to_x - x, to_y - y);
        let steps = (width.abs().max(height.abs()) / 4).max(1);
        let step = |along| (x + width * along / steps, y + height * along / steps);
        taken.extend((0..=steps).map(|along| Bounds::around(step(along), 1)));
    }
}

/// Of the places inside, or of all where none is, the first that meets the least.
fn best(
    at: (i32, i32),
    point: &Point,
    series: &Series,
    inside: &Bounds,
    taken: &[Bounds],
) -> Option<Place> {
    let all = places(at, &point.label, series.marker, inside);
    all.into_iter().min_by_key(|place| {
        let met = taken.iter().filter(|taken| place.covers.meets(taken));
        (!inside.holds(&place.covers), met.count())
    })
}

/// The places around a point, the better first: crosses, beside which models may lie, have their words above them, all
/// others beside them towards the middle. Words above and below move along their row to stay inside.
fn places((x, y): (i32, i32), words: &str, marker: Marker, inside: &Bounds) -> [Place; 8] {
    let width = i32::try_from(words.chars().count()).unwrap_or(0) * LETTER as i32;
    let place = |horizontal, vertical, dx: i32, dy: i32| {
        let (x, y) = (x + dx, y + dy);
        let aligned = match horizontal {
            HPos::Left => x,
            HPos::Right => x - width,
            HPos::Center => x - width / 2,
        };
        let left = match vertical {
            VPos::Center => aligned,
            VPos::Top | VPos::Bottom => aligned.min(inside.right - width).max(inside.left),
        };
        let top = match vertical {
            VPos::Top => y,
            VPos::Bottom => y - SIZE,
            VPos::Center => y - SIZE / 2,
        };
        Place {
            anchor: (x + left - aligned, y),
            pos: Pos::new(horizontal, vertical),
            covers: Bounds {
                left,
                top,
                right: left + width,
                bottom: top + SIZE,
            },
        }
    };
    let left = place(HPos::Right, VPos::Center, -GAP, 0);
    let right = place(HPos::Left, VPos::Center, GAP, 0);
    let leftwards = x > i32::midpoint(inside.left, inside.right);
    let (beside, other) = if leftwards {
        (left, right)
    } else {
        (right, left)
    };
    let above = place(HPos::Center, VPos::Bottom, 0, -GAP);
    let below = place(HPos::Center, VPos::Top, 0, GAP);
    // Begun or ended at the point.
    let above_from = place(HPos::Left, VPos::Bottom, -MARKER, -GAP);
    let above_to = place(HPos::Right, VPos::Bottom, MARKER, -GAP);
    let below_from = place(HPos::Left, VPos::Top, -MARKER, GAP);
    let below_to = place(HPos::Right, VPos::Top, MARKER, GAP);
    if marker == Marker::Cross {
        [
            above, above_to, above_from, below, below_to, below_from, beside, other,
        ]
    } else {
        [
            beside, other, above, below, above_to, above_from, below_to, below_from,
        ]
    }
}
