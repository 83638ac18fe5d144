//! The run as a picture: how long verdicts took, and which modes it passed through.

use bagcert_certifier::failsafe::Mode;

use super::summary::{QUANTILES, Summary, put};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 830.0;
/// The histogram's highest and lowest line.
const TOP: f64 = 60.0;
const BOTTOM: f64 = 300.0;
/// The band of modes.
const BAND: f64 = 355.0;
const BINS: usize = 76;
/// Columns of the band; a run of more cycles shows the worst of several in each.
const COLUMNS: usize = 760;

/// An SVG image.
pub(crate) fn draw(summary: &Summary) -> String {
    let deadline = summary.timing.deadline.as_secs_f64() * 1e6;
    let longest = summary.latency.quantile(1.0).unwrap_or(0.0);
    let end = deadline.max(longest) * 1.04;
    let x = |time: f64| LEFT + (RIGHT - LEFT) * time / end;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#333\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n"
    );
    text(
        &mut svg,
        LEFT,
        24.0,
        "start",
        "Time from capture to verdict: verdicts per bin, on a logarithmic scale",
    );
    histogram(&mut svg, summary, end);
    let mut row = 0.0;
    for (quantile, name) in QUANTILES {
        if let Some(time) = summary.latency.quantile(quantile) {
            let at = x(time);
            line(&mut svg, at, TOP, BOTTOM, "#555", "4 3");
            let label = format!("{name} {}", milliseconds(time));
            let (anchor, at) = side(at);
            text(&mut svg, at, TOP + 12.0 + row, anchor, &label);
            row += 15.0;
        }
    }
    line(&mut svg, x(deadline), TOP - 12.0, BOTTOM, "#c0392b", "");
    let (anchor, at) = side(x(deadline));
    let label = format!("deadline {}", milliseconds(deadline));
    text(&mut svg, at, TOP - 4.0, anchor, &label);
    for step in 0..=4 {
        let time = end * f64::from(step) / 4.0;
        let anchor = if step == 4 { "end" } else { "middle" };
        text(
            &mut svg,
            x(time),
            BOTTOM + 16.0,
            anchor,
            &milliseconds(time),
        );
    }
    band(&mut svg, summary);
    svg += "</svg>\n";
    svg
}

fn milliseconds(time: f64) -> String {
    format!("{:.3} ms", time / 1e3)
}

/// Which side of a line its label stands on.
fn side(at: f64) -> (&'static str, f64) {
    if at > (LEFT + RIGHT) / 2.0 {
        ("end", at - 4.0)
    } else {
        ("start", at + 4.0)
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    put(
        svg,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{words}</text>\n"
        ),
    );
}

fn line(svg: &mut String, x: f64, top: f64, bottom: f64, colour: &str, dashes: &str) {
    put(
        svg,
        format_args!(
            "<line x1=\"{x:.1}\" y1=\"{top:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" \
             stroke=\"{colour}\" stroke-dasharray=\"{dashes}\"/>\n"
        ),
    );
}

fn rect(svg: &mut String, x: f64, y: f64, size: (f64, f64), colour: &str) {
    let (width, height) = size;
    put(
        svg,
        format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"{colour}\"/>\n"
        ),
    );
}

fn histogram(svg: &mut String, summary: &Summary, end: f64) {
    let mut bins = [0u64; BINS];
    for (time, count) in summary.latency.recorded() {
        let bin = (time / end * BINS as f64) as usize;
        if let Some(bin) = bins.get_mut(bin.min(BINS - 1)) {
            *bin += count;
        }
    }
    let most = bins.iter().copied().max().unwrap_or(0).max(1);
    // One verdict is still seen: the scale begins at one half.
    let height = |count: u64| {
        let scale = (count as f64 / 0.5).ln() / (most as f64 / 0.5).ln();
        (BOTTOM - TOP) * scale
    };
    let width = (RIGHT - LEFT) / BINS as f64;
    for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = height(*count);
        let size = (width - 1.0, height);
        rect(
            svg,
            LEFT + width * bin as f64,
            BOTTOM - height,
            size,
            "#4a7fb5",
        );
    }
    rect(svg, LEFT, BOTTOM, (RIGHT - LEFT, 1.0), "#333");
    let mut count = 1;
    while count <= most {
        let y = BOTTOM - height(count);
        rect(svg, LEFT - 4.0, y, (4.0, 1.0), "#333");
        text(svg, LEFT - 8.0, y + 4.0, "end", &count.to_string());
        count *= 10;
    }
}

fn colour(mode: Mode) -> &'static str {
    match mode {
        Mode::Init => "#b0b7bd",
        Mode::Nominal => "#5aa469",
        Mode::Degraded => "#e0a93b",
        Mode::SafeState => "#c0392b",
    }
}

/// Modes from left to right, and a mark below for each cycle with a fault.
fn band(svg: &mut String, summary: &Summary) {
    let cycles = summary.course.len().max(1);
    let columns = cycles.min(COLUMNS);
    let width = (RIGHT - LEFT) / columns as f64;
    text(
        svg,
        LEFT,
        BAND - 8.0,
        "start",
        "Mode after each cycle; below, cycles that ended in a fault",
    );
    let mut column = 0;
    while column < columns {
        let (mode, mut fault) = worst(summary, column, columns);
        // Equal neighbours are one rectangle.
        let from = column;
        column += 1;
        while column < columns && worst(summary, column, columns) == (mode, fault) {
            column += 1;
        }
        let x = LEFT + width * from as f64;
        let length = width * (column - from) as f64;
        rect(svg, x, BAND, (length, 22.0), colour(mode));
        if std::mem::take(&mut fault) {
            rect(svg, x, BAND + 24.0, (length.max(1.0), 6.0), "#333");
        }
    }
    let mut x = LEFT;
    for mode in Mode::ALL {
        rect(svg, x, BAND + 44.0, (12.0, 12.0), colour(mode));
        text(svg, x + 18.0, BAND + 54.0, "start", mode.name());
        x += 110.0;
    }
    let last = format!("{} cycles", summary.course.len());
    text(svg, RIGHT, BAND + 54.0, "end", &last);
}

/// The worst mode of a column's cycles, and whether any of them ended in a fault.
fn worst(summary: &Summary, column: usize, columns: usize) -> (Mode, bool) {
    let cycles = summary.course.len();
    let from = cycles * column / columns;
    let to = (cycles * (column + 1) / columns).max(from + 1);
    let rank = |mode: Mode| match mode {
        Mode::Nominal => 0,
        Mode::Init => 1,
        Mode::Degraded => 2,
        Mode::SafeState => 3,
    };
    let part = summary.course.get(from..to.min(cycles)).unwrap_or_default();
    let mode = part
        .iter()
        .map(|(mode, _)| *mode)
        .max_by_key(|mode| rank(*mode));
    let fault = part.iter().any(|(_, fault)| *fault);
    (mode.unwrap_or(Mode::Init), fault)
}
