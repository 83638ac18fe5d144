//! A histogram of times as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 50.0;
const TOP: f64 = 40.0;
const BARS: usize = 60;

/// The time that a share of all sorted times does not exceed; `None` without times.
pub(crate) fn percentile(times: &[f64], share: f64) -> Option<f64> {
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied()
}

/// Sorted times in microseconds, one bar for each sixtieth of their range, with percentiles marked.
pub(crate) fn draw(times: &[f64], job: &str, deadline_us: f64) -> String {
    let (first, last) = match (times.first(), times.last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (0.0, 0.0),
    };
    let range = if last > first { last - first } else { 1.0 };
    let mut counts = [0u32; BARS];
    for time in times {
        let bar = ((time - first) / range * BARS as f64) as usize;
        if let Some(count) = counts.get_mut(bar.min(BARS - 1)) {
            *count += 1;
        }
    }
    let most = f64::from(counts.iter().copied().max().unwrap_or(1).max(1));
    let across = |us: f64| LEFT + (us - first) / range * (WIDTH - LEFT - 20.0);
    let plot = HEIGHT - BOTTOM - TOP;
    let mut svg = String::new();
    let _ = write!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="{LEFT}" y="20" font-size="14">Time on the target, {job}: {} messages, deadline {deadline_us:.0} us</text>
"##,
        times.len()
    );
    let width = (WIDTH - LEFT - 20.0) / BARS as f64;
    for (bar, count) in counts.iter().enumerate() {
        let height = f64::from(*count) / most * plot;
        let _ = writeln!(
            svg,
            r##"<rect x="{:.1}" y="{:.1}" width="{:.1}" height="{height:.1}" fill="#4a7ab5"/>"##,
            LEFT + bar as f64 * width,
            HEIGHT - BOTTOM - height,
            width - 1.0
        );
    }
    let _ = writeln!(
        svg,
        r##"<line x1="{LEFT}" y1="{0}" x2="{1}" y2="{0}" stroke="#333"/><text x="8" y="{2}">{most}</text><text x="8" y="{0}">0</text>"##,
        HEIGHT - BOTTOM,
        WIDTH - 20.0,
        TOP + 10.0
    );
    for (at, (name, share)) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)]
        .into_iter()
        .enumerate()
    {
        if let Some(us) = percentile(times, share) {
            let _ = writeln!(
                svg,
                r##"<line x1="{0:.1}" y1="{TOP}" x2="{0:.1}" y2="{1}" stroke="#c0392b" stroke-dasharray="4 3"/>
<text x="{2}" y="{3}" fill="#c0392b">{name} {us:.1} us</text>"##,
                across(us),
                HEIGHT - BOTTOM,
                LEFT + at as f64 * 160.0,
                HEIGHT - 12.0
            );
        }
    }
    let _ = writeln!(
        svg,
        r##"<text x="{LEFT}" y="{0}">{first:.1}</text><text x="{1}" y="{0}" text-anchor="end">{last:.1} us</text></svg>"##,
        HEIGHT - BOTTOM + 16.0,
        WIDTH - 20.0
    );
    svg
}
