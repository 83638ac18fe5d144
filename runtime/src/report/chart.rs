//! Bars of the four kinds of frames, one bar for each patch size.

use maud::{Markup, html};

use crate::tally::{PatchTally, Tally};

/// The four kinds in drawing order: colour, texture and meaning. Neighbours differ in lightness.
pub(super) const KINDS: [(&str, &str); 4] = [
    ("certified-right", "certified and right"),
    ("open-right", "right, not certified"),
    ("open-wrong", "wrong, not certified"),
    ("certified-wrong", "certified and wrong"),
];

/// Counts of a patch size in the order of [`KINDS`].
pub(super) fn counts(patch: &PatchTally) -> [usize; 4] {
    [
        patch.certified_right,
        patch.right_uncertified,
        patch.wrong_uncertified,
        patch.certified_wrong,
    ]
}

const BAR: f64 = 22.0;
const PITCH: f64 = 34.0;
const LEFT: f64 = 74.0;
const WIDTH: f64 = 560.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 26.0;

/// The chart; nothing where no frame has a label.
pub(super) fn chart(tally: &Tally) -> Markup {
    let Some(clean) = tally.clean_accuracy() else {
        return html! {};
    };
    let bottom = TOP + PITCH * tally.patches.len() as f64;
    let view = format!("0 0 {} {}", LEFT + WIDTH + RIGHT, bottom + 44.0);
    let clean_x = LEFT + clean * WIDTH;
    html! {
        figure.chart {
            svg viewBox=(view) role="img" aria-label="Share of frames of each kind by patch size" {
                title { "Share of frames of each kind by patch size" }
                @for percent in [0, 20, 40, 60, 80, 100] {
                    @let x = format!("{:.1}", LEFT + WIDTH * f64::from(percent) / 100.0);
                    line.grid x1=(x) x2=(x) y1=(TOP) y2=(bottom) {}
                    text.tick x=(x) y=(bottom + 16.0) text-anchor="middle" { (percent) " %" }
                }
                text.axis x=(LEFT + WIDTH / 2.0) y=(bottom + 36.0) text-anchor="middle" {
                    "share of the " (tally.labelled) " labelled frames"
                }
                @for (patch, row) in tally.patches.iter().zip(0_u32..) {
                    (bar(patch, TOP + PITCH * f64::from(row) + (PITCH - BAR) / 2.0))
                }
                @let x = format!("{clean_x:.1}");
                line.clean x1=(x) x2=(x) y1=(TOP - 6.0) y2=(bottom) {}
                text.clean x=(x) y=(TOP - 11.0) text-anchor=(anchor(clean)) {
                    "clean accuracy " (format!("{:.1} %", clean * 100.0))
                }
            }
            (legend())
        }
    }
}

/// Keeps the label of a line inside the drawing.
fn anchor(share: f64) -> &'static str {
    if share < 0.15 {
        "start"
    } else if share > 0.85 {
        "end"
    } else {
        "middle"
    }
}

fn bar(patch: &PatchTally, y: f64) -> Markup {
    let labelled = patch.labelled().max(1) as f64;
    let mut x = LEFT;
    let parts: Vec<(f64, f64, usize, usize)> = counts(patch)
        .into_iter()
        .enumerate()
        .map(|(kind, count)| {
            let width = count as f64 / labelled * WIDTH;
            let part = (x, width, kind, count);
            x += width;
            part
        })
        .collect();
    let middle = y + BAR / 2.0 + 4.5;
    html! {
        text.name x=(LEFT - 8.0) y=(middle) text-anchor="end" { (patch.patch) }
        @for (x, width, kind, count) in parts {
            @if let Some((class, meaning)) = KINDS.get(kind) {
                rect class=(class) x=(format!("{x:.2}")) y=(y) width=(format!("{width:.2}")) height=(BAR) {
                    title { (patch.patch) ", " (meaning) ": " (count) }
                }
                @if width > 46.0 {
                    text class=(format!("share on-{class}")) x=(format!("{:.2}", x + width / 2.0)) y=(middle) text-anchor="middle" {
                        (format!("{:.1} %", count as f64 / labelled * 100.0))
                    }
                }
            }
        }
    }
}

fn legend() -> Markup {
    html! {
        figcaption.legend {
            @for (class, meaning) in KINDS {
                span { svg viewBox="0 0 12 12" aria-hidden="true" { rect class=(class) width="12" height="12" {} } (meaning) }
            }
        }
    }
}
