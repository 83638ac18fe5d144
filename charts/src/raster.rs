//! Pictures of squares, pixel by pixel or cell by cell, as parts of a larger SVG drawing.

use std::fmt::Write;

use crate::Colour;

/// Side of the longer edge of every picture, in units of the drawing.
pub const SIDE: f64 = 150.0;

/// A picture of columns x rows squares, which grows by what is laid over it.
#[derive(Clone, Debug)]
pub struct Raster {
    svg: String,
    /// Units of the drawing that are one square.
    unit: f64,
}

impl Raster {
    /// A ground of one colour, with its top left corner at (x, y) of the drawing.
    #[must_use]
    pub fn new(x: f64, y: f64, columns: u32, rows: u32, ground: Colour) -> Self {
        let unit = SIDE / f64::from(columns.max(rows).max(1));
        Self {
            svg: format!(
                "<g transform=\"translate({x} {y}) scale({unit})\" shape-rendering=\"crispEdges\">\n\
                 <rect width=\"{columns}\" height=\"{rows}\" fill=\"{ground}\"/>\n"
            ),
            unit,
        }
    }

    /// Colours squares, given as column and row.
    pub fn squares(&mut self, squares: impl IntoIterator<Item = (usize, usize)>, colour: Colour) {
        let mut d = String::new();
        for (x, y) in squares {
            let _ = write!(d, "M{x} {y}h1v1h-1z");
        }
        let _ = writeln!(self.svg, "<path fill=\"{colour}\" d=\"{d}\"/>");
    }

    /// A line around `width` x `height` squares from column `x` and row `y`, none of which it covers. Coloured
    /// inside, dark outside, so that it shows on any ground.
    pub fn outline(&mut self, x: u32, y: u32, width: u32, height: u32, colour: Colour) {
        for (colour, thick, away) in [(colour, 1.8, 0.0), (Colour(0, 0, 0), 0.8, 1.8)] {
            let out = (away + thick / 2.0) / self.unit;
            let _ = writeln!(
                self.svg,
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{}\" shape-rendering=\"auto\"/>",
                f64::from(x) - out,
                f64::from(y) - out,
                f64::from(width) + 2.0 * out,
                f64::from(height) + 2.0 * out,
                thick / self.unit
            );
        }
    }

    /// Colours every square of an image: `planes` are red, green and blue in [0, 1], each row by row.
    pub fn photo(&mut self, planes: &[f32], columns: usize) {
        let pixels = planes.len() / 3;
        for at in 0..pixels {
            let byte = |channel: usize| {
                let value = planes.get(channel * pixels + at).copied().unwrap_or(0.0);
                (value.clamp(0.0, 1.0) * 255.0).round() as u8
            };
            let place = (at % columns.max(1), at / columns.max(1));
            self.squares([place], Colour(byte(0), byte(1), byte(2)));
        }
    }

    /// The picture as a group of SVG.
    #[must_use]
    pub fn finish(self) -> String {
        self.svg + "</g>\n"
    }
}

/// Text as SVG takes it.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A whole drawing of `width` x `height` units around `body`, on white.
#[must_use]
pub fn drawing(title: &str, width: f64, height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12.5\" fill=\"#222\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n",
        escape(title)
    )
}
