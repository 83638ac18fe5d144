//! Charts, tables and pictures of results, as SVG and CSV.
//!
//! Trainer and runtime both draw through this crate, so that their figures look alike. It knows series of
//! points and nothing of networks or patches. A chart is one SVG file with nothing outside it.

mod chart;
mod legend;
mod raster;
mod table;
mod words;

use std::fmt;

pub use chart::svg;
pub use raster::{Raster, SIDE, drawing, escape};
pub use table::Table;

/// Why a chart could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A scale without length, or of numbers that are none.
    #[error("the scale {label:?} goes from {from} to {to}, which is no range of numbers")]
    Scale {
        /// What it measures.
        label: String,
        /// Its lower end.
        from: f64,
        /// Its upper end.
        to: f64,
    },
    /// A point that is NaN or infinite.
    #[error("a point of the series {series:?} is no number")]
    Point {
        /// The series.
        series: String,
    },
    /// The drawing itself.
    #[error("the chart could not be drawn: {0}")]
    Drawing(String),
}

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008), as in the reports of `bagcert`.
pub const COLOURS: [Colour; 7] = [
    Colour(0x00, 0x72, 0xB2),
    Colour(0xE6, 0x9F, 0x00),
    Colour(0x4A, 0x14, 0x86),
    Colour(0x00, 0x9E, 0x73),
    Colour(0xD5, 0x5E, 0x00),
    Colour(0x56, 0xB4, 0xE9),
    Colour(0xCC, 0x79, 0xA7),
];

/// A vote for the predicted class, one for its rival, and none, in score maps.
pub const VOTE: Colour = Colour(0x00, 0x72, 0xB2);
/// See [`VOTE`].
pub const RIVAL_VOTE: Colour = Colour(0xE6, 0x9F, 0x00);
/// See [`VOTE`].
pub const NO_VOTE: Colour = Colour(0xEC, 0xEC, 0xEC);
/// Around an affected region.
pub const REGION: Colour = Colour(0xD6, 0x00, 0x2A);
/// Around a patch.
pub const PATCH: Colour = Colour(0xFF, 0xFF, 0xFF);

/// For what is cited and not measured.
pub const GREY: Colour = Colour(0x77, 0x77, 0x77);

/// Red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// The colour of the series number `at`, one after the other and again from the first.
#[must_use]
pub fn colour(at: usize) -> Colour {
    let [first, ..] = COLOURS;
    COLOURS.get(at % COLOURS.len()).copied().unwrap_or(first)
}

/// What a point is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A filled circle.
    Disc,
    /// A circle with a white inside.
    Ring,
    /// A filled square.
    Square,
    /// A filled triangle.
    Triangle,
    /// A filled square on its corner.
    Diamond,
    /// Two strokes.
    Cross,
    /// Nothing: the line alone.
    None,
}

/// How the points of a series are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Not at all.
    None,
    /// By a line.
    Solid,
    /// By a line with gaps.
    Dashed,
}

/// One point, and words beside it where it has any.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Along the horizontal scale.
    pub x: f64,
    /// Along the vertical one.
    pub y: f64,
    /// Words beside it; empty for none.
    pub label: String,
}

impl Point {
    /// A point without words.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        let label = String::new();
        Self { x, y, label }
    }
}

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend says; a series without a name has no line there.
    pub name: String,
    /// Its colour.
    pub colour: Colour,
    /// What its points are drawn as.
    pub marker: Marker,
    /// How they are joined.
    pub line: Line,
    /// The points, in the order in which they are joined.
    pub points: Vec<Point>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    /// What it measures, with its unit.
    pub label: String,
    /// Its lower end.
    pub from: f64,
    /// Its upper end.
    pub to: f64,
    /// Names of the places 0, 1, 2, ...; empty where they are numbers.
    pub names: Vec<String>,
}

impl Scale {
    /// A scale of numbers.
    #[must_use]
    pub fn new(label: &str, from: f64, to: f64) -> Self {
        Self {
            label: label.into(),
            from,
            to,
            names: vec![],
        }
    }

    /// A scale of names, each with a place of its own.
    #[must_use]
    pub fn named(label: &str, names: Vec<String>) -> Self {
        Self {
            label: label.into(),
            from: -0.5,
            to: names.len().max(1) as f64 - 0.5,
            names,
        }
    }

    /// A scale of per cent around `values`, between 0 and 100, with ends at multiples of `step`.
    #[must_use]
    pub fn percent(label: &str, values: impl IntoIterator<Item = f64>, step: f64) -> Self {
        let (low, high) = values
            .into_iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        if low > high {
            return Self::new(label, 0.0, 100.0);
        }
        let from = ((low / step).floor() - 0.5) * step;
        let to = ((high / step).ceil() + 0.5) * step;
        Self::new(label, from.max(0.0), to.min(100.0))
    }
}

/// A table and a drawing of the same numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// A CSV file.
    pub csv: String,
    /// An SVG file.
    pub svg: String,
}

impl Drawing {
    /// The files of a table and a chart.
    ///
    /// # Errors
    /// As [`svg`].
    pub fn new(table: &Table, chart: &Chart) -> Result<Self, ChartError> {
        let csv = table.csv().to_owned();
        Ok(Self {
            csv,
            svg: svg(chart)?,
        })
    }
}

/// A chart: points over two scales, with a legend beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The horizontal scale.
    pub x: Scale,
    /// The vertical scale.
    pub y: Scale,
    /// What is drawn, in order: later ones lie on top.
    pub series: Vec<Series>,
}
